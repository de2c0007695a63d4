import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from rmsprop.suite.records.gate import Hypothesis, Policy
from rmsprop.suite.verdicts.gate import judge_gate
from rmsprop.suite.verdicts.gate_screen import choose
from rmsprop.suite.verdicts.gate_statistics import detectable, holm, least_launches, sign_flip

POLICY = Policy()


def test_the_sign_flip_test_is_scipys(rng):
    for null in (0.0, 0.01):
        d = rng.normal(0.01, 0.02, 9)
        theirs = stats.permutation_test(
            [d - null], np.mean, permutation_type="samples", n_resamples=2**9, alternative="greater"
        )
        assert sign_flip(d, null) == theirs.pvalue


def test_the_sign_flip_test_counts_the_assignment_that_was_observed():
    d = np.array([0.03, 0.01, 0.04, -0.02, 0.05])
    assert sign_flip(d + 0.5, 0.0) == 2.0**-5
    assert sign_flip(d, 0.1) == 1.0


def test_the_sign_flip_test_keeps_its_level_at_the_margin(rng):
    null = math.log1p(POLICY.margin)
    p_values = [sign_flip(null + 0.02 * rng.standard_t(3, 10), null) for _ in range(400)]
    assert stats.binomtest(sum(p <= 0.05 for p in p_values), 400, 0.05, "greater").pvalue > 0.001


def test_holm_multiplies_the_smallest_by_all_and_never_falls_back():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_a_hypothesis_needs_as_many_launches_as_its_p_value_can_be_small():
    assert least_launches(1, POLICY) == 7
    assert least_launches(10, POLICY) == 10
    assert 2.0 ** -least_launches(10, POLICY) <= POLICY.alpha / 10


@pytest.mark.slow
@pytest.mark.parametrize("noise", ["normal", "heavy tails", "two modes"])
def test_no_change_alarms_in_at_most_a_hundredth_of_matrices(simulate, matrix, rng, noise):
    draws = {
        "normal": lambda rng, sd: rng.normal(0, sd),
        "heavy tails": lambda rng, sd: sd * rng.standard_t(2),
        "two modes": lambda rng, sd: sd * rng.choice((-1.5, 1.5)) + rng.normal(0, sd / 3),
    }
    outcomes = [judge_gate(simulate(rng, matrix, sd=0.02, noise=draws[noise])) for _ in range(300)]
    assert sum(decision.outcome == "regression" for decision in outcomes) <= 300 * POLICY.alpha


@pytest.mark.slow
def test_a_change_below_the_margin_does_not_alarm(simulate, matrix, rng):
    barely = dict.fromkeys(matrix, math.log(1.009))
    assert not any(judge_gate(simulate(rng, barely, sd=0.01)).found("slower") for _ in range(20))


def test_five_percent_in_one_family_is_found_in_all_its_cases_and_in_no_other(simulate, matrix, rng):
    slowed = matrix | {f"family2-{number}": math.log(1.05) for number in range(8)}
    for _ in range(10):
        decision = judge_gate(simulate(rng, slowed))
        assert decision.outcome == "regression"
        assert decision.code == 1
        assert {case for f in decision.found("slower") for case in f.cases} == set(list(slowed)[16:24])


@pytest.mark.slow
def test_three_percent_in_one_case_is_found_most_of_the_time(simulate, matrix, rng):
    slowed = matrix | {"family1-3": math.log(1.03)}
    found = [judge_gate(simulate(rng, slowed, sd=0.012)).found("slower") for _ in range(20)]
    assert sum([f.name for f in findings] == ["family1-3"] for findings in found) >= 18


def test_the_least_detectable_slowdown_is_found_with_the_power_that_is_promised(simulate, rng):
    least = detectable(0.02, 6, 16, POLICY)
    at, below = (
        sum(
            judge_gate(simulate(rng, {"a-1": math.log1p(share * least)}, sd=0.02)).code == 1
            for _ in range(100)
        )
        for share in (1.0, 0.5)
    )
    assert at >= 85
    assert below <= 50


def test_one_large_slowdown_among_many_small_ones_is_not_lost_in_its_family(simulate, rng):
    shifts = {f"all-{i}": math.log(1.015) for i in range(20)} | {"all-20": math.log(1.2)}
    record = simulate(rng, shifts, sd=0.004)
    assert record.hypotheses[0].name.startswith("all, ")
    assert len(record.hypotheses) == POLICY.candidates
    assert "all-20" in {finding.name for finding in judge_gate(record).found("slower")}


def test_with_the_fewest_launches_each_of_them_must_say_so(simulate, rng):
    fewest = least_launches(POLICY.candidates, POLICY)
    least = detectable(0.02, 12, fewest, POLICY)
    above = math.log1p(least) - math.log1p(POLICY.margin)
    d = rng.normal(above, 0.02, (2000, fewest))
    assert (d > 0).all(axis=1).mean() >= POLICY.power
    assert least > detectable(0.02, 12, fewest + 2, POLICY)


def test_faster_is_reported_and_passes(simulate, matrix, rng):
    decision = judge_gate(simulate(rng, matrix | {"family0-0": math.log(0.9)}))
    assert [finding.name for finding in decision.found("faster")] == ["family0-0"]
    assert decision.outcome == "pass"


def test_swapped_sides_turn_an_alarm_into_a_gain(simulate, rng):
    slowed = simulate(rng, {"a-1": math.log(1.1), "a-2": 0.0})
    swapped = simulate(rng, {"a-1": -math.log(1.1), "a-2": 0.0})
    assert (judge_gate(slowed).code, judge_gate(swapped).code) == (1, 0)
    assert judge_gate(swapped).found("faster")


def test_a_shift_that_base_shows_against_itself_is_no_alarm(simulate, rng):
    decision = judge_gate(simulate(rng, {"a-1": math.log(1.05)}, control=math.log(1.05), sd=0.005))
    assert decision.outcome == "inconclusive"
    assert "base against itself" in decision.reasons[0]


def test_a_shift_of_everything_is_tested_by_families(simulate, matrix, rng):
    decision = judge_gate(simulate(rng, dict.fromkeys(matrix, math.log(1.05))))
    together = {f"family{i}, 8 cases together" for i in range(5)}
    names = {finding.name for finding in decision.found("slower")}
    assert together <= names
    assert len(names) == POLICY.candidates  # and single cases as far as there is room


def test_families_are_measured_by_as_many_cases_as_there_is_time_for():
    d = {f"{family}-{i}": [0.05 + i / 1000] * 6 for family in "abc" for i in range(8)}
    chosen, left = choose(d, {name: name[0] for name in d}, POLICY, most=12)
    assert [len(hypothesis.cases) for hypothesis in chosen] == [4, 4, 4, 1, 1, 1, 1, 1, 1, 1]
    assert chosen[0].cases[0].endswith("7")
    assert {name for hypothesis in left for name in hypothesis.cases} == {
        f"{f}-{i}" for f in "abc" for i in range(4)
    }


def test_a_slower_case_that_there_was_no_time_for_is_undecided_not_a_pass(simulate, rng):
    record = simulate(rng, {"a-1": 0.0, "a-2": 0.0, "b-1": 0.0}, sd=0.01)
    left = (Hypothesis("b-1", ("b-1",), True),)
    assert judge_gate(record).outcome == "pass"
    decision = judge_gate(replace(record, hypotheses=(*record.hypotheses, *left)))
    assert decision.outcome == "inconclusive"
    assert "b-1: there was no room to confirm it" in decision.reasons


def test_slower_candidates_leave_no_room_for_faster_ones_but_never_the_other_way():
    d = {f"a-{i}": [0.05] * 6 for i in range(10)} | {"b-1": [-0.2] * 6}
    families = {name: name[0] for name in d}
    assert all(hypothesis.slower for hypothesis in choose(d, families, POLICY, most=100)[0])
    d = {f"b-{i}": [-0.2] * 6 for i in range(30)} | {"a-1": [0.02] * 6}
    families = {name: name[0] for name in d}
    chosen, _ = choose(d, families, POLICY, most=100)
    assert chosen[0].name == "a-1"
    assert len(chosen) == POLICY.candidates


def test_a_case_whose_launches_disagree_is_no_candidate():
    d = {"a-1": [0.3, -0.01, -0.01, -0.01, -0.01, 0.01]}
    assert choose(d, {"a-1": "a"}, POLICY, most=100) == ((), ())


def test_few_launches_are_enough_for_a_candidate_that_was_tested_alone():
    """Seven, with one hypothesis; ten may take ten."""
    assert math.isinf(detectable(0.005, 4, 8, POLICY))
    assert detectable(0.005, 4, 8, POLICY, 1) < 0.03
    assert detectable(0.02, 40, 12, POLICY, 1) < detectable(0.02, 40, 12, POLICY)


def test_a_case_too_noisy_to_see_five_percent_cannot_gate(simulate, rng):
    decision = judge_gate(simulate(rng, {"a-1": 0.0, "a-2": 0.0}, sd=0.2))
    assert not any(view.powered for view in decision.cases)
    assert decision.outcome == "inconclusive"
    assert "a: 0 of 2 cases could detect a slowdown of 5%, and a pass needs more than 50%" in decision.reasons


def test_nothing_measured_is_never_a_pass(simulate, rng):
    record = simulate(rng, {"a-1": 0.0})
    empty = replace(record, launches=(), hypotheses=(), cases=())
    skipped = replace(
        record, launches=(), cases=(replace(record.cases[0], status="skipped", reason="no CUDA", samples=()),)
    )
    unscreened = replace(record, hypotheses=None)
    for nothing in (empty, skipped, unscreened):
        assert judge_gate(nothing).outcome == "inconclusive"
        assert judge_gate(nothing).code == 3


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"interrupted": "interrupted"}, "inconclusive"),
        ({"error": "head: the measuring process died (SIGSEGV)"}, "failed"),
    ],
)
def test_a_run_that_ended_early_does_not_pass(simulate, rng, change, outcome):
    decision = judge_gate(replace(simulate(rng, {"a-1": 0.0}), **change))
    assert decision.outcome == outcome
    assert next(iter(change.values())) in decision.reasons


def test_an_interrupted_run_is_inconclusive_whatever_it_found(simulate, rng):
    slowed = simulate(rng, {"a-1": math.log(1.1)})
    assert judge_gate(slowed).code == 1
    cut = judge_gate(replace(slowed, interrupted="interrupted"))
    assert (cut.outcome, cut.code) == ("inconclusive", 3)
    assert cut.found("slower")


@pytest.mark.parametrize(
    ("underpowered", "left_out", "outcome"),
    [(0, 0, "pass"), (1, 0, "pass"), (2, 0, "inconclusive"), (0, 2, "inconclusive"), (1, 1, "inconclusive")],
)
def test_a_pass_needs_most_cases_of_each_family(simulate, rng, underpowered, left_out, outcome):
    """Of four cases of b; all of a can detect 5%, whatever b can."""
    record = simulate(rng, {f"{family}-{i}": 0.0 for family in "ab" for i in range(4)}, sd=0.005)
    cases = list(record.cases)
    for i in range(4, 4 + underpowered):
        noisy = (replace(s, log_ratio=0.3 * (-1) ** s.launch) for s in cases[i].samples)
        cases[i] = replace(cases[i], samples=tuple(noisy))
    for i in range(8 - left_out, 8):
        cases[i] = replace(cases[i], status="left out", reason="the budget", samples=())
    verdict = judge_gate(replace(record, cases=tuple(cases), hypotheses=()))
    assert verdict.outcome == outcome
    if outcome != "pass":
        (reason,) = verdict.reasons
        assert reason.startswith(f"b: {4 - underpowered - left_out} of 4 cases could detect a slowdown of 5%")


def test_two_cases_of_39_that_could_have_seen_anything_are_no_pass(simulate, rng):
    record = simulate(rng, {f"a-{i}": 0.0 for i in range(39)}, sd=0.005)
    noisy = tuple(
        replace(c, samples=tuple(replace(s, log_ratio=0.3 * (-1) ** s.launch) for s in c.samples))
        for c in record.cases[2:]
    )
    verdict = judge_gate(replace(record, cases=(*record.cases[:2], *noisy), hypotheses=()))
    assert (verdict.outcome, verdict.code) == ("inconclusive", 3)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("removed", "inconclusive"), ("failed", "failed"), ("added", "pass"), ("left out", "inconclusive")],
)
def test_what_becomes_of_a_case_that_one_side_lacks(simulate, rng, status, outcome):
    record = simulate(rng, {"a-1": 0.0, "a-2": 0.0})
    other = replace(record.cases[1], status=status, reason="head: gone", samples=())
    decision = judge_gate(replace(record, cases=(record.cases[0], other), hypotheses=()))
    assert decision.outcome == outcome
    if status in ("removed", "failed"):
        assert decision.reasons == ("a-2: head: gone",)


def test_too_few_confirming_launches_leave_a_candidate_undecided(simulate, rng):
    record = simulate(rng, {"a-1": math.log(1.1)})
    kept = replace(record.cases[0], samples=record.cases[0].samples[:12])
    decision = judge_gate(replace(record, cases=(kept,)))
    assert decision.findings[0].verdict == "undecided"
    assert decision.outcome == "inconclusive"


def test_where_launches_are_few_the_candidates_that_the_screen_put_first_are_tested(simulate, rng):
    record = simulate(rng, {f"a-{i}": math.log(1.2 - i / 100) for i in range(6)}, sd=0.001)
    short = tuple(replace(case, samples=case.samples[: 6 + 8]) for case in record.cases)
    decision = judge_gate(replace(record, cases=short))
    assert [finding.verdict for finding in decision.findings] == ["slower"] * 2 + ["undecided"] * 4
    assert decision.outcome == "regression"
