"""What a record says of each printed value."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rmsprop.book.claims import primary
from rmsprop.suite.verdicts.reproduction import _agreement, judge


def verdict(record, program, quantity="loss", edition="docs", framework=None):
    return next(
        v
        for v in judge(record).verdicts
        if (v.claim.program, v.claim.quantity, v.claim.edition) == (program, quantity, edition)
        and framework in (None, v.claim.framework)
    )


def with_program(record, program, **changes):
    return replace(record, programs=record.programs | {program: replace(record.programs[program], **changes)})


def test_every_claim_gets_a_verdict(make_record):
    verdicts = judge(make_record()).verdicts
    assert len(verdicts) == 54
    assert {v.status for v in verdicts if v.claim.quantity == "sec_per_epoch"} == {"compared"}


def test_a_printed_loss_is_placed_at_its_percentile(make_record):
    record = make_record(mean=0.2443, sd=0.0018)
    placed = verdict(record, "rmsprop-scratch")
    expected = 100 * stats.norm.cdf(0.243452, 0.2443, 0.0018)
    assert placed.percentile == pytest.approx(expected, abs=0.05)
    assert placed.interval[0] < expected < placed.interval[1]
    assert placed.status == "consistent"
    assert placed.here == pytest.approx(0.2443, abs=1e-6)


@pytest.mark.parametrize(
    ("sds_away", "status"),
    [
        (0, "consistent"),
        (2.5, "consistent"),
        (-2.5, "consistent"),
        (2.7, "not consistent"),
        (-9, "not consistent"),
    ],
)
def test_a_loss_is_consistent_inside_the_central_99_percent(make_record, sds_away, status):
    record = make_record(
        mean=primary("rmsprop-scratch", "loss").value + sds_away * 0.0018, sd=0.0018, seeds=100_000
    )
    assert verdict(record, "rmsprop-scratch").status == status


def test_a_rounded_value_stands_for_all_that_round_to_it(make_record):
    """0.242 of d2l-en 1.0.3 (MXNet): its middle lies outside the central 99%, its upper end inside."""
    record = make_record(mean=0.2443, sd=0.0008)
    placed = verdict(record, "rmsprop-scratch", edition="d2l-en 1.0.3", framework="MXNet")
    assert placed.percentile < 0.5
    assert placed.interval[1] > 100 * stats.norm.cdf(0.2425, 0.2443, 0.0008)
    assert placed.status == "consistent"


def test_a_loss_of_another_program_is_placed_and_not_judged(make_record):
    record = make_record(mean=0.3)
    placed = verdict(record, "rmsprop-concise", edition="d2l-zh 2.0.0", framework="torch")
    assert placed.status == "placed"
    assert "another" in placed.words
    assert verdict(record, "rmsprop-concise", edition="notebook").status == "not consistent"
    assert (
        verdict(record, "rmsprop-scratch", edition="d2l-zh 2.0.0", framework="torch").status
        == "not consistent"
    )


def test_too_few_seeds_to_tell_are_undecided_and_say_so(make_record):
    record = make_record(mean=0.2443 + 0.1, seeds=20)
    placed = verdict(record, "rmsprop-scratch")
    assert placed.status == "undecided"
    assert "--seeds" in placed.words


def test_ties_get_the_middle_rank(make_record):
    record = make_record()
    summary = record.programs["rmsprop-scratch"].ensemble
    tied = replace(summary, quantiles=(primary("rmsprop-scratch", "loss").value,) * 1001)
    assert verdict(
        with_program(record, "rmsprop-scratch", ensemble=tied), "rmsprop-scratch"
    ).percentile == pytest.approx(50)


def test_seeds_without_a_finite_loss_count_as_above_and_are_said(make_record):
    record = make_record(mean=primary("rmsprop-scratch", "loss").value)
    summary = replace(record.programs["rmsprop-scratch"].ensemble, not_finite=5_000)
    placed = verdict(with_program(record, "rmsprop-scratch", ensemble=summary), "rmsprop-scratch")
    assert placed.percentile == pytest.approx(25, abs=0.1)
    assert "5,000 seeds without a finite loss" in placed.words


def test_no_finite_loss_at_all_is_not_reproduced(make_record):
    record = make_record()
    summary = replace(record.programs["rmsprop-scratch"].ensemble, not_finite=10_000, quantiles=())
    assert (
        verdict(with_program(record, "rmsprop-scratch", ensemble=summary), "rmsprop-scratch").status
        == "not consistent"
    )


def test_one_wrong_digit_of_the_trace_is_not_reproduced(make_record):
    record = make_record()
    off = (*record.traces["rmsprop_2d"][:-1], (-0.0105984, 0.0))
    record = replace(record, traces=record.traces | {"rmsprop_2d": off})
    assert verdict(record, "rmsprop_2d", "x1").status == "not reproduced"
    assert verdict(record, "rmsprop_2d", "x2").status == "reproduced"
    assert "-0.010598" in verdict(record, "rmsprop_2d", "x1").words


def test_seconds_are_ratios_of_the_last_epoch_to_the_books(make_record):
    placed = verdict(make_record(), "rmsprop-scratch", "sec_per_epoch")
    assert placed.here == pytest.approx(0.0225, rel=0.01)
    assert placed.words.startswith("0.45 times")
    assert placed.interval[0] <= placed.here / 0.049984 <= placed.interval[1]


def test_a_warning_of_the_run_speaks_against_its_seconds(make_record):
    record = make_record(warnings=("busy: other processes took 83% of the processors; end them",))
    one = verdict(record, "rmsprop-scratch", "sec_per_epoch")
    assert one.words.endswith("times the book's; a warning speaks against it (busy)")


def test_few_runs_cannot_tell_which_is_faster(make_record):
    assert "too few runs" in judge(make_record(runs=3)).order.words


def test_editions_timed_otherwise_are_called_not_comparable(make_record):
    placed = verdict(make_record(), "rmsprop-scratch", "sec_per_epoch", "d2l-zh 2.0.0", "torch")
    assert "not comparable" in placed.words


def test_a_reversed_order_is_said_in_words(make_record):
    order = judge(make_record()).order
    assert order.book == pytest.approx(1.145, abs=0.001)
    assert order.here == pytest.approx(0.9, rel=1e-6)
    assert "reversed" in order.words


def test_the_books_order_and_no_clear_order_are_told_apart(make_record):
    record = make_record()
    scratch = record.programs["rmsprop-scratch"]
    slower = tuple((a, b * 1.5) for a, b in scratch.epoch_seconds)
    assert "order holds" in judge(with_program(record, "rmsprop-scratch", epoch_seconds=slower)).order.words
    either = tuple((1.0, 0.025 * (1 + 0.1 * (-1) ** (i // 8))) for i in range(len(scratch.epoch_seconds)))
    assert "neither" in judge(with_program(record, "rmsprop-scratch", epoch_seconds=either)).order.words


def test_only_digits_and_losses_of_the_primary_edition_decide(make_record):
    decisive = [(v.claim.program, v.claim.quantity) for v in judge(make_record()).deciding]
    assert sorted(decisive) == [
        ("rmsprop-concise", "loss"), ("rmsprop-scratch", "loss"), ("rmsprop_2d", "x1"), ("rmsprop_2d", "x2"),
    ]  # fmt: skip


def test_what_an_interrupt_left_out_is_not_run(make_record):
    record = with_program(
        make_record(), "rmsprop-concise", ensemble=None, losses=(), epoch_seconds=(), seeds=()
    )
    assert verdict(record, "rmsprop-concise").status == "not run"
    assert verdict(record, "rmsprop-concise", "sec_per_epoch").status == "not run"


def test_agreement_sees_a_sequential_loop_that_is_another_program(make_record):
    record = make_record()
    assert judge(record).agreement["rmsprop-scratch"] > 0.5
    shifted = tuple(
        (*losses[:-1], losses[-1] + 0.003) for losses in record.programs["rmsprop-scratch"].losses
    )
    assert judge(with_program(record, "rmsprop-scratch", losses=shifted)).agreement["rmsprop-scratch"] < 1e-6


@pytest.mark.slow
def test_agreement_counts_the_ensemble_as_a_sample(make_record):
    """Two samples of the same distribution, 100 each: p below 0.05 in about a twentieth of the cases."""
    rng = np.random.default_rng(0)
    record = make_record(runs=100)
    low = 0
    for _ in range(400):
        seeds, runs = rng.normal(size=100), rng.normal(size=100)
        levels = record.programs["rmsprop-scratch"].ensemble.quantile_levels
        summary = replace(
            record.programs["rmsprop-scratch"].ensemble,
            seeds=100,
            quantiles=tuple(np.quantile(seeds, levels)),
        )
        losses = tuple((1.0, float(loss)) for loss in runs)
        measured = replace(record.programs["rmsprop-scratch"], ensemble=summary, losses=losses)
        low += _agreement(replace(measured, seeds=tuple(range(100)))) < 0.05
    assert 0.01 < low / 400 < 0.1
