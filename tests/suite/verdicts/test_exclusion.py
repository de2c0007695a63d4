"""What excludes another program: calibrated p, power, and what is said of a program that diverged."""

from dataclasses import replace

import numpy as np
import pytest

from rmsprop.book.claims import Claim, Curve, claims
from rmsprop.book.programs import PROGRAMS
from rmsprop.book.wrong import CHANGES
from rmsprop.suite.records.reproduction import CurveRank, WrongRecord
from rmsprop.suite.verdicts.curves import ALPHA, fit_together, fits, matrix
from rmsprop.suite.verdicts.exclusion import (
    Distribution,
    Evidence,
    Exclusion,
    Worth,
    exclusions,
    joint_p,
    worth,
)
from rmsprop.suite.verdicts.reproduction import judge

NAME = "rmsprop-scratch"


def distribution(mean, sd=0.0018, seeds=4_000, seed=0):
    values = np.sort(np.random.default_rng(seed).normal(mean, sd, seeds))
    levels = np.linspace(0, 1, 201)
    return Distribution(levels, np.quantile(values, levels, method="lower"), seeds)


def loss(value, edition="docs", digits=6):
    return Claim(edition, "torch", NAME, "loss", f"{value:.{digits}f}", "made up")


def test_a_loss_excludes_its_own_program_at_the_stated_rate():
    """2,000 losses: 1% expected, with a standard deviation of .22%."""
    right = distribution(0.2443)
    drawn = np.random.default_rng(1).normal(0.2443, 0.0018, 2_000)
    excluded = np.mean([right.two_sided(loss(value)) < ALPHA for value in drawn])
    assert 0.003 < excluded < 0.018


def test_the_power_of_a_loss_is_the_share_of_the_other_programs_runs_that_would_exclude():
    right, other = distribution(0.2443), distribution(0.249, seed=2)
    drawn = np.random.default_rng(3).normal(0.249, 0.0018, 2_000)
    told = np.mean([right.two_sided(loss(value)) < ALPHA for value in drawn])
    assert right.outside(other) == pytest.approx(told, abs=0.04)
    assert 0.3 < told < 0.8


def test_p_is_never_below_one_seed_in_all():
    assert distribution(0.3, seeds=4_000).two_sided(loss(0.2443)) == pytest.approx(2 / 4_001)


def wrong(change, mean, *, diverged=0, seeds=4_000, curves=()):
    made = distribution(mean, seeds=seeds, seed=5)
    return WrongRecord(
        change=change,
        claimed=NAME,
        program=PROGRAMS[NAME],
        seeds=seeds,
        diverged=diverged,
        quantile_levels=tuple(made.levels),
        quantiles=tuple(made.quantiles),
        curves=curves,
    )


def test_editions_together_tell_more_than_one_loss_and_count_a_repeated_run_once(make_record):
    record = replace(make_record(), wrong=(wrong("higher", 0.2468), wrong("the same", 0.2443)))
    higher, same = exclusions(record, claims())
    by_kind = {e.kind: e for e in higher.evidence}
    assert by_kind["editions"].power > by_kind["loss"].power
    assert by_kind["editions"].excludes
    assert not any(e.excludes for e in same.evidence)
    assert {e.kind: e.power for e in same.evidence}["editions"] < 0.05


def test_the_joint_p_of_editions_drawn_from_the_program_is_uniform(make_record):
    """200 draws of ten losses: p below .1 in a tenth, 20 expected with a standard deviation of 4.2."""
    summary = make_record().programs[NAME].ensemble
    rng = np.random.default_rng(6)
    editions = [f"edition {number}" for number in range(10)]
    low = sum(
        joint_p(
            [loss(v, e, 3) for v, e in zip(rng.normal(0.2443, 0.0018, 10), editions, strict=True)], summary
        )
        < 0.1
        for _ in range(200)
    )
    assert 4 <= low <= 37


def test_one_run_that_two_editions_print_counts_once(make_record):
    summary = make_record().programs[NAME].ensemble
    low = [loss(0.2405), loss(0.2405, "notebook")]
    once = [low[0], replace(low[1], repeated=True)]
    assert joint_p(once, summary) == joint_p(low[:1], summary) > joint_p(low, summary)


def test_a_program_that_diverged_is_kept_and_told(make_record):
    lost = wrong("lost", 0.2443, diverged=4_000)
    lost = replace(lost, quantiles=(float("inf"),) * 201)
    [found] = exclusions(replace(make_record(), wrong=(lost,)), claims())
    assert found.diverged == 1
    assert found.excluded
    assert found.by("loss")


def test_what_nothing_excludes_is_named(make_record):
    record = replace(make_record(), wrong=(wrong("far", 0.3), wrong("the same", 0.2443)))
    judgement = judge(record)
    assert judgement.nothing_excludes.startswith("Not excluded by the final losses: the same. ")
    assert judgement.headline.endswith(
        "; of other programs in the place of RMSProp, the final losses exclude 1 of 2, all evidence together "
        "1 of 2"
    )


@pytest.fixture
def digits_alone(make_record):
    """A record as `rmsprop run` leaves it: other programs were run in two dimensions alone."""
    ends = {change.name: (1.0, 1.0) for change in CHANGES if change.trace}
    surrogate = replace(make_record().data, source="surrogate")
    return replace(make_record(), data=surrogate, wrong_traces=ends)


def test_where_only_digits_were_tried_the_headline_names_the_digits(digits_alone):
    judgement = judge(digits_alone)
    assert judgement.headline.endswith(
        "in the place of RMSProp, the digits of the 2-D trace exclude 31 of 31"
    )
    assert judgement.nothing_excludes == (
        "Each of the 31 other programs that were tried is excluded by the digits of the 2-D trace. "
        "24 more were not tried."
    )
    assert [one.kind for one in worth(judgement.exclusions)] == ["trace"]


def test_the_surrogate_is_named_with_the_evidence_that_used_its_rows_alone(digits_alone):
    assert "2 of 2 final losses consistent on the surrogate rows;" in judge(digits_alone).headline
    assert judge(digits_alone).headline.count("on the surrogate rows") == 1
    trained = judge(replace(digits_alone, wrong=(wrong("Adam lr 0.01", 0.3),)))
    assert "the final losses on the surrogate rows exclude 1 of 1, all evidence together" in trained.headline
    programs = {name: replace(measured, ensemble=None) for name, measured in digits_alone.programs.items()}
    interrupted = judge(replace(digits_alone, programs=programs, interrupted=True))
    assert "on the surrogate rows" not in interrupted.headline


def test_programs_that_stay_are_named_with_what_was_tried(digits_alone):
    same = digits_alone.traces["rmsprop_2d"][-1]
    stays = replace(digits_alone, wrong_traces=digits_alone.wrong_traces | {"Adam lr 0.01": same})
    assert "Not excluded by the digits of the 2-D trace: Adam lr 0.01. " in judge(stays).nothing_excludes
    both = judge(replace(stays, wrong=(wrong("Adam lr 0.01", 0.2443),)))
    assert "Not excluded by the digits of the 2-D trace or the final losses: " in both.nothing_excludes


def test_two_curves_that_exclude_nothing_alone_exclude_together_by_fishers_sum(make_record):
    """p = .02 twice: .0004 (1 - log .0004) = .0035. A power of a guess stays one."""
    evenly = tuple(np.linspace(0.001, 1, 51))
    curves = tuple(replace(ranked(name, 19, held_out=999), told_p=evenly) for name in ("one", "two"))
    [found] = exclusions(replace(make_record(), wrong=(wrong("other", 0.2443, curves=curves),)), claims())
    together = found.evidence[-1]
    assert together.name == "curves together"
    assert together.p == pytest.approx(0.0004 * (1 - np.log(0.0004)))
    assert together.power == pytest.approx(ALPHA, abs=4 * (ALPHA / 2_000) ** 0.5)
    assert found.by("curve")
    assert found.by("trace") is None


def test_many_pieces_of_evidence_exclude_no_more_by_chance_than_one():
    three = (Evidence("loss, a", 0.005, 0.1), Evidence("editions", 0.5, 0.1), Evidence("a curve", 0.9, 0.1))
    found = Exclusion("other", three, 0.0)
    assert found.by("loss")
    assert found.p == pytest.approx(0.015)
    assert not found.excluded
    assert Exclusion("other", (Evidence("trace", 0.0, 1.0), *three), 0.0).excluded
    assert Exclusion("other", (Evidence("trace", 1.0, 0.0), *three), 0.0).p == pytest.approx(0.015)


def test_what_each_kind_of_evidence_is_worth_is_counted_of_the_programs_that_it_can_show():
    adam = Exclusion("Adam lr 0.01", (Evidence("loss, a", 0.5, 0.1), Evidence("a curve", 0.001, 0.9)), 0.0)
    eta = Exclusion("eta 0.401 in two dimensions", (Evidence("trace", 0.0, 1.0),), 0.0)
    assert worth((adam, eta)) == (
        Worth("trace", tried=1, excluded=1, optimizers_tried=0, optimizers_excluded=0),
        Worth("loss", tried=1, excluded=0, optimizers_tried=1, optimizers_excluded=0),
        Worth("curve", tried=1, excluded=1, optimizers_tried=1, optimizers_excluded=1),
        Worth("all", tried=2, excluded=2, optimizers_tried=1, optimizers_excluded=1),
    )


def ranked(curve, as_extreme, held_out=1_000):
    return CurveRank(curve=curve, points=31, held_out=held_out, as_extreme=as_extreme, told=0.5, tells=0.5)


def with_ranks(record, as_extreme):
    ranks = tuple(ranked(c.name, as_extreme) for c in claims().curves if c.program == NAME)
    measured = replace(record.programs[NAME], curves=ranks)
    return replace(record, programs=record.programs | {NAME: measured})


def test_a_primary_curve_that_does_not_fit_fails_the_judgement_and_another_editions_does_not(make_record):
    record = with_ranks(make_record(), as_extreme=0)
    of_name = [fit for fit in fits(record, claims()) if fit.curve.program == NAME]
    assert {fit.status for fit in of_name} == {"does not fit"}
    assert {fit.curve.edition for fit in of_name if fit.decides} == {"docs"}
    assert not judge(record).holds
    assert judge(with_ranks(make_record(), as_extreme=500)).holds


def test_curves_that_fit_one_by_one_may_not_fit_together(make_record):
    """p = .02 and p = .02 are .0035 by Fisher's sum; p = .02 and p = .5 are .056."""
    record = with_ranks(make_record(), 19)
    both = [fit for fit in fits(record, claims()) if fit.p is not None]
    assert [fit.status for fit in both] == ["fits", "fits"]
    assert fit_together(both) == pytest.approx(0.0035, rel=0.05)
    assert not judge(record).holds
    assert "together p = 0.0035" in judge(record).headline
    first, second = record.programs[NAME].curves
    measured = replace(record.programs[NAME], curves=(first, replace(second, as_extreme=499)))
    assert judge(replace(record, programs=record.programs | {NAME: measured})).holds


def test_a_rare_curve_is_told_and_still_fits(make_record):
    """p = .0080: below 1%, above 1% divided by the number of curves of the primary edition."""
    [fit, _] = [f for f in fits(with_ranks(make_record(), 7), claims()) if f.curve.program == NAME]
    assert (fit.status, fit.p) == ("fits", pytest.approx(8 / 1_001))
    assert "rare for its own program: p = 0.0080" in fit.remark
    assert "still counts as one that fits" in fit.remark


def test_the_surrogate_judges_no_curve(make_record):
    record = make_record()
    record = with_ranks(replace(record, data=replace(record.data, source="surrogate")), 0)
    assert {fit.status for fit in fits(record, claims())} == {"not judged"}
    assert "no curve is judged (the surrogate rows" in judge(record).headline
    assert judge(record).holds


def test_a_matrix_has_a_cell_for_each_curve_and_program_that_was_ranked(make_record):
    record = with_ranks(make_record(), 500)
    cells = matrix(record, fits(record, claims()))
    assert {cell.status for cell in cells} == {"fits"}
    assert {cell.curve for cell in cells} == {c.name for c in claims().curves if c.program == NAME}


def test_a_curve_that_another_program_could_have_drawn_is_named_with_it(make_record):
    """docs' curve of RMSProp from scratch, against the concise loop: p = .2 is named, p = .001 is not."""
    record = with_ranks(make_record(), 500)
    [curve] = [c for c in claims().curves if c.name == f"{NAME}, docs"]
    other = record.programs["rmsprop-concise"]
    could = replace(record, programs=record.programs | {other.program.name: replace(
        other, curves=(ranked(curve.name, 199, held_out=999),)
    )})  # fmt: skip
    assert judge(could).not_told_apart == (
        "By the curve alone these could also have come from another program: "
        f"{NAME}, docs, from rmsprop-concise (p = 0.2)."
    )
    excluded = replace(other, curves=(ranked(curve.name, 0, held_out=999),))
    record = replace(record, programs=record.programs | {other.program.name: excluded})
    assert judge(record).not_told_apart == ""
    assert [cell.status for cell in judge(record).pairs] == ["excluded"]


def test_a_curve_is_excluded_only_below_one_percent():
    assert Evidence("a curve, docs", 0.0099, 0.5).excludes
    assert not Evidence("a curve, docs", 0.01, 0.5).excludes
    assert Curve("docs", NAME, "0.24", 1e-6, (0.5,)).name == f"{NAME}, docs"
