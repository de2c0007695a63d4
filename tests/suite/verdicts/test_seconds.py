"""Seconds per epoch: intervals of blocks, the book's order as one draw, counts that are compared exactly."""

from dataclasses import replace

import numpy as np
import pytest

from rmsprop.book.claims import claims
from rmsprop.suite.records.reproduction import Counts
from rmsprop.suite.verdicts.seconds import BLOCK, block_interval, compared_counts, ensemble_speeds, order


def autocorrelated(rng, count, correlation):
    noise = rng.normal(size=count)
    for i in range(1, count):
        noise[i] = correlation * noise[i - 1] + (1 - correlation**2) ** 0.5 * noise[i]
    return noise


def test_the_interval_holds_the_median_of_autocorrelated_turns_as_often_as_it_says():
    """Lag-1 correlation .56, as measured: 300 runs of 96 turns, at least 90% of them hold the median."""
    rng = np.random.default_rng(0)
    intervals = [block_interval(autocorrelated(rng, 96, 0.56)) for _ in range(300)]
    assert np.mean([low <= 0 <= high for low, high in intervals]) > 0.9


def test_six_whole_blocks_are_needed():
    assert block_interval(np.arange(6.0 * BLOCK - 1)) is None
    assert block_interval(np.arange(6.0 * BLOCK)) is not None


def test_the_books_order_is_one_draw_and_the_agreeing_editions_are_named(make_record):
    found = order(make_record(), claims())
    assert found.book == pytest.approx(0.049984 / 0.043637)
    assert found.share == 0  # here scratch is always a tenth faster
    assert dict(found.editions) == {
        "notebook (torch), which shares one of the two runs": pytest.approx(0.053250 / 0.043637),
        "d2l-zh 1.0.0 (Gluon)": pytest.approx(0.383483 / 0.250981),
    }
    assert "one draw" in found.draw
    assert "0% of the turns here show it" in found.draw
    assert "d2l-zh 1.0.0 (Gluon) 1.528" in found.draw


def counted(record, started="2026-01-02T03:04:05+00:00", python="3.11.7", **changes):
    counts = Counts(torch_operations=11_000, python_calls=20_000, c_calls=9_000, torch="2.13.0")
    program = replace(record.programs["rmsprop-scratch"], counts=replace(counts, **changes))
    environment = replace(record.environment, started=started, python=python)
    return replace(record, environment=environment, programs=record.programs | {"rmsprop-scratch": program})


def test_counts_are_compared_exactly_with_the_newest_record_of_the_same_torch_and_python(make_record):
    now = counted(make_record(), "2026-01-09T00:00:00+00:00")
    equal = counted(make_record(), "2026-01-04T00:00:00+00:00")
    [same] = compared_counts(now, [equal, now])
    assert (same.changed, same.words) == (False, "as in the record of 2026-01-04 00:00 UTC")
    one_call_less = counted(make_record(), "2026-01-05T00:00:00+00:00", c_calls=8_999)
    [other] = compared_counts(now, [equal, one_call_less])
    assert other.changed
    assert other.words == "the record of 2026-01-05 00:00 UTC has c calls 8,999"


@pytest.mark.parametrize("changes", [{"torch": "2.12.0"}, {"python": "3.12.1"}])
def test_another_torch_or_python_is_no_comparison(make_record, changes):
    other = counted(make_record(), **{"started": "2026-01-04T00:00:00+00:00"} | changes)
    [found] = compared_counts(counted(make_record()), [other])
    assert not found.changed
    assert "no other record" in found.words


def took(record, name, run, ensemble):
    measured = record.programs[name]
    measured = replace(
        measured, run_cpu_seconds=run, ensemble=replace(measured.ensemble, cpu_seconds=ensemble)
    )
    return replace(record, programs=record.programs | {name: measured})


def test_a_speed_up_is_processor_time_of_a_run_over_that_of_a_seed(make_record):
    """A run takes .045 s, 10,000 seeds take one second: .045 / .0001."""
    found = ensemble_speeds(took(make_record(), "rmsprop-scratch", 0.045, 1.0))
    assert [(one.program, one.ratio) for one in found] == [("rmsprop-scratch", pytest.approx(450))]


def test_seeds_that_came_from_disk_have_no_speed_up(make_record):
    record = took(make_record(), "rmsprop-scratch", 0.045, 0.0)
    assert [one.program for one in ensemble_speeds(took(record, "rmsprop-concise", 0.045, 1.0))] == [
        "rmsprop-concise"
    ]
