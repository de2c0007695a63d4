"""The paths against the book's printed end points."""

import numpy as np
import pytest

from rmsprop.book.claims import PRIMARY, claims
from rmsprop.book.programs import TRACES, noisy_end
from rmsprop.book.trajectory import trace, traces

POINTS = [claim for claim in claims("chapter").printed if claim.quantity in ("x", "x1", "x2")]
PLACES = {"x": 0, "x1": 0, "x2": 1}


@pytest.mark.parametrize("claim", POINTS, ids=lambda c: f"{c.program}-{c.quantity}")
def test_the_end_point_prints_the_books_digits(claim):
    assert claim.edition == PRIMARY
    if TRACES[claim.program].noisy:
        mean, sd = noisy_end(TRACES[claim.program])[PLACES[claim.quantity]]
        assert abs(claim.value - mean) < 3 * sd
        return
    end = trace(TRACES[claim.program])[-1][PLACES[claim.quantity]]
    decimals = len(claim.printed.partition(".")[2])
    assert f"{end:.{decimals}f}" == claim.printed


def test_the_end_point_at_full_precision():
    x1, x2 = trace(TRACES["rmsprop_2d"])[-1]
    assert x1 == pytest.approx(-0.01059867213411372, rel=1e-14)
    assert x2 == pytest.approx(1.0362e-14, rel=1e-4)


def test_eps_outside_the_root_prints_another_sixth_decimal():
    assert f"{trace(TRACES['torch_2d'])[-1][0]:.6f}" == "-0.010598"


def test_a_trace_holds_the_start_and_a_point_for_each_step():
    for name, points in traces(TRACES).items():
        assert points[0] == TRACES[name].start
        assert len(points) == TRACES[name].steps + 1
    assert "sgd_2d" not in traces(TRACES)


def test_the_objective_falls_along_the_rmsprop_trace():
    a1, a2 = TRACES["rmsprop_2d"].objective
    values = [a1 * x1**2 + a2 * x2**2 for x1, x2 in trace(TRACES["rmsprop_2d"])]
    assert values == sorted(values, reverse=True)


def test_the_noisy_end_has_the_mean_and_the_spread_of_the_books_loop():
    """20,000 ends of the book's lines; 4 standard errors."""
    rng = np.random.default_rng(0)
    x1, x2 = np.full(20_000, -5.0), np.full(20_000, -2.0)
    for _ in range(20):
        x1, x2 = (
            x1 - 0.1 * (2 * x1 + rng.normal(0.1, size=x1.shape)),
            x2 - 0.1 * (4 * x2 + rng.normal(0.1, size=x2.shape)),
        )
    for ends, (mean, sd) in zip((x1, x2), noisy_end(TRACES["sgd_2d"]), strict=True):
        assert ends.mean() == pytest.approx(mean, abs=4 * sd / 20_000**0.5)
        assert ends.std() == pytest.approx(sd, rel=4 / (2 * 20_000) ** 0.5)
