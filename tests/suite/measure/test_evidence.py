"""What a printed curve tells: ranks that are calibrated, and the power that the record states."""

import numpy as np
import pytest

from rmsprop.book.claims import Curve, claims
from rmsprop.suite.measure.evidence import LEAST_SEEDS, rank, rank_all, ranker
from rmsprop.suite.verdicts.curves import p_of

NAME = "rmsprop-scratch"


def curves_of(seed, runs, level=0.0, points=31):
    """(evaluations, runs): made-up losses that fall to a floor, with noise that lasts for a while."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(points, runs))
    for i in range(1, points):
        noise[i] = 0.6 * noise[i - 1] + 0.8 * noise[i]
    mean = np.linspace(-1.5, -6 + level, points)[:, None]
    return 0.2415 + np.exp(mean + 0.4 * noise)


def curve(losses, precision=1e-6):
    return Curve("notebook", NAME, f"{losses[-1]:.6f}", precision, tuple(losses))


@pytest.mark.parametrize("precision", [1e-6, 1e-3])
def test_curves_of_the_right_program_are_said_not_to_fit_at_the_stated_rate(precision):
    """400 curves, p below 5%: 20 expected, within four standard deviations, 4.4 each."""
    right, others = curves_of(0, 2000), curves_of(1, 400)
    noise = np.random.default_rng(2).uniform(-precision, precision, others.shape)
    ranked = ranker(right, right, precision, own=True)
    p = [p_of(ranked(curve(c, precision))) for c in (others + noise).T]
    assert 3 <= np.count_nonzero(np.array(p) < 0.05) <= 37


def test_another_program_is_excluded_by_its_own_curves_at_the_stated_rate_and_by_the_right_ones_as_stated():
    right, other = curves_of(0, 2000), curves_of(3, 2000, level=0.8)
    ranked = ranker(other, right, 1e-6, own=False)
    of_other = [ranked(curve(c)) for c in curves_of(4, 300, level=0.8).T]
    assert np.mean([p_of(r) < 0.01 for r in of_other]) < 0.04
    of_right = [ranked(curve(c)) for c in curves_of(5, 300).T]
    told = np.mean([p_of(r) < 0.01 for r in of_right])
    assert told == pytest.approx(of_right[0].tells, abs=4 * (0.25 / 300) ** 0.5)
    assert of_right[0].told > 0.1


def test_a_program_that_is_the_same_is_not_excluded_and_has_no_power():
    right = curves_of(0, 2000)
    found = rank(curve(curves_of(5, 1)[:, 0]), "", curves_of(6, 2000), right)
    assert found.told < 0.05
    assert found.tells < 0.05


def test_a_diverged_program_is_ranked_and_excluded():
    right = curves_of(0, 1000)
    lost = curves_of(1, 1000)
    lost[5:] = np.where(np.arange(1000) % 2, np.nan, np.inf)
    found = rank(curve(right[:, 0]), "", lost, right)
    assert found.held_out == 500
    assert p_of(found) < 0.01


def test_another_number_of_points_excludes_without_a_rank():
    found = rank(curve(curves_of(0, 1)[:, 0]), "", curves_of(1, 500, points=16), curves_of(2, 500))
    assert (found.points, found.held_out, p_of(found)) == (16, 0, 0.0)


def test_too_few_seeds_give_no_rank():
    few = curves_of(0, LEAST_SEEDS - 1)
    assert rank_all([curve(few[:, 0])], NAME, few, {NAME: few}) == ()


def test_the_same_numbers_give_the_same_rank():
    right, other = curves_of(0, 1000), curves_of(1, 1000, level=0.5)
    one = rank(curve(right[:, 0], 1e-3), "", other, right)
    assert rank(curve(right[:, 0], 1e-3), "", other, right) == one


def test_every_curve_of_the_section_has_the_points_of_its_program():
    assert {len(c.losses) for c in claims().curves} == {31}
