from dataclasses import replace

import pytest

from rmsprop.suite.records.gate import Counters
from rmsprop.suite.records.store import read_gate, write_gate
from rmsprop.suite.verdicts.gate import judge_gate
from rmsprop.suite.verdicts.gate_words import headline

BASE = Counters({"aten.add": 10, "aten.mul": 4}, 49, 47, 8192, 8192, "loss 0x1.8p+1", ())


@pytest.fixture
def counted(simulate, rng):
    """A run that only counted, of which head's counters are these."""

    def run(head, base=BASE, **changes):
        record = simulate(rng, {"a-1": 0.0, "a-2": 0.0})
        cases = [replace(case, samples=()) for case in record.cases]
        first = replace(cases[0], base_counters=base, head_counters=head)
        same = replace(cases[1], base_counters=BASE, head_counters=BASE)
        return replace(record, cases=(first, same), launches=(), hypotheses=None, timed=False, **changes)

    return run


def test_equal_counters_pass(counted):
    record = counted(BASE)
    verdict = judge_gate(record)
    assert (verdict.outcome, verdict.counters, verdict.reasons) == ("pass", (), ())
    assert headline(record, verdict) == "No more work; 2 cases counted, 0 of them differ"


@pytest.mark.parametrize(
    ("change", "words", "alarm"),
    [
        (
            {"operations": {"aten.add": 9, "aten.div": 2, "aten.mul": 4}},
            "operations 14 -> 15 (aten.add -1, aten.div +2)",
            True,
        ),
        ({"operations": {"aten.add": 9, "aten.mul": 4}}, "operations 14 -> 13 (aten.add -1)", False),
        (
            {"operations": {"aten.add": 9, "aten.mul": 4, "aten.div": 1}},
            "operations 14 -> 14 (aten.add -1, aten.div +1)",
            False,
        ),
        ({"python_calls": 99}, "Python calls 49 -> 99", False),
        ({"c_calls": 50}, "C calls 47 -> 50", False),
        ({"allocated": 10**6}, "allocated memory 8.0 KiB -> 976.6 KiB", False),
        ({"peak": 8192 + 4096}, "peak memory 8.0 KiB -> 12.0 KiB", True),
        ({"peak": 8192 + 4000}, "peak memory 8.0 KiB -> 11.9 KiB", False),
        ({"result": "loss 0x1.8p+2"}, "result loss 0x1.8p+1 -> loss 0x1.8p+2", False),
    ],
)
def test_a_changed_counter_is_named_with_both_numbers_and_more_work_is_an_alarm(
    counted, change, words, alarm
):
    record = counted(replace(BASE, **change))
    verdict = judge_gate(record)
    (found,) = verdict.counters
    assert found.words == f"a-1: {words}"
    assert found.alarm is alarm
    assert verdict.code == int(alarm)
    assert (f"a-1: {words}" in headline(record, verdict)) is alarm


def test_an_unstable_counter_is_named_and_not_compared(counted):
    verdict = judge_gate(counted(replace(BASE, operations={"aten.add": 99}, unstable=("operations",))))
    (found,) = verdict.counters
    assert found.words == "a-1: operations unstable: two steps of one tree differ"
    assert verdict.outcome == "pass"


def test_without_a_case_that_both_sides_could_count_it_is_inconclusive(counted):
    record = counted(None)
    verdict = judge_gate(replace(record, cases=record.cases[:1]))
    assert verdict.outcome == "inconclusive"
    assert verdict.reasons == ("no case was counted on both sides",)


def test_a_timed_run_fails_for_more_work_too_before_any_timing_counts(simulate, rng):
    record = simulate(rng, {"a-1": 0.0})
    more = replace(BASE, operations={"aten.add": 20})
    cases = (replace(record.cases[0], base_counters=BASE, head_counters=more),)
    verdict = judge_gate(replace(record, cases=cases))
    assert verdict.outcome == "regression"


def test_counters_are_in_the_record(counted, tmp_path):
    record = counted(replace(BASE, unstable=("peak",)))
    assert read_gate(write_gate(tmp_path, record)) == record
