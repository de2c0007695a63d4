from dataclasses import replace

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.gate.plan import MOST_CONFIRM
from rmsprop.suite.records.gate import Policy
from rmsprop.suite.verdicts.gate import judge_gate
from rmsprop.suite.verdicts.gate_statistics import least_launches
from studies.gate.resampling import (
    FOLDER,
    GOAL,
    RESAMPLED_FILE,
    DrawnLaunch,
    chosen_of,
    pool_of,
    read_resampled,
    resample,
    score_resampled,
)


@pytest.fixture
def unchanged(simulate, matrix, rng):
    return [simulate(rng, matrix, sd=0.01) for _ in range(3)]


@pytest.mark.slow
def test_drawn_matrices_without_a_change_do_not_alarm_and_a_slowed_family_does(unchanged, rng):
    like, pool = unchanged[0], pool_of(unchanged)
    quiet = [judge_gate(resample(like, pool, rng)[0]).outcome for _ in range(20)]
    assert "regression" not in quiet
    for _ in range(5):
        made, slower = resample(like, pool, rng, slowed="family3", change=0.05)
        named = {name for finding in judge_gate(made).found("slower") for name in finding.cases}
        assert named == slower
        assert len(slower) == 8


def test_a_drawn_launch_keeps_what_its_cases_have_in_common_and_is_drawn_once(simulate, matrix, rng):
    record = simulate(rng, matrix, sd=0.0)
    together = replace(
        record,
        cases=tuple(
            replace(case, samples=tuple(replace(s, log_ratio=0.001 * (s.launch + 1)) for s in case.samples))
            for case in record.cases
        ),
    )
    made, _ = resample(together, pool_of([together]), rng)
    seen = [{s.log_ratio for case in made.cases for s in case.samples if s.launch == i} for i in range(6)]
    assert {len(values) for values in seen} == {1}
    assert {abs(d) for values in seen for d in values} == {0.001 * i for i in range(1, 7)}


def test_all_launches_of_a_matrix_are_turned_round_together(simulate, matrix, rng):
    pool = pool_of([simulate(rng, dict.fromkeys(matrix, 0.05), sd=0.001) for _ in range(6)])
    made = [resample(simulate(rng, matrix), pool, rng)[0] for _ in range(20)]
    signs = [{s.log_ratio > 0 for s in record.cases[0].samples} for record in made]
    assert all(len(each) == 1 for each in signs)
    assert {True, False} == set().union(*signs)


def test_the_second_stage_draws_other_launches_as_many_as_the_gate_would_plan(simulate, matrix, rng):
    runs = [simulate(rng, matrix, sd=0.004) for _ in range(6)]
    made, slower = resample(runs[0], pool_of(runs), rng, slowed="family3", change=0.1)
    stages = [launch.stage for launch in made.launches]
    assert least_launches(1, made.policy) <= stages.count("confirm") <= MOST_CONFIRM
    for case in made.cases:
        if case.id in slower:
            assert len({sample.log_ratio for sample in case.samples}) == len(stages)


def drawn(policy, change, alarms, found):
    return DrawnLaunch("first", policy, change, 100, alarms, found, 800, 0, 0)


@pytest.mark.parametrize(
    ("alarms", "found", "chosen"),
    [((5, 1), (700, 300), 1), ((1, 1), (700, 300), 0), ((1, 1), (300, 300), 1), ((9, 9), (700, 300), 1)],
)
def test_of_the_policies_that_keep_silent_the_one_that_finds_most_is_chosen(alarms, found, chosen):
    """Where several find as many, or none keeps silent, that with the widest margin."""
    policies = (Policy(margin=0.005), Policy(margin=0.01))
    told = [drawn(p, 0.0, a, 0) for p, a in zip(policies, alarms, strict=True)]
    told += [drawn(p, GOAL, 100, f) for p, f in zip(policies, found, strict=True)]
    assert chosen_of(told) == policies[chosen]


def test_a_launch_that_was_cut_short_is_not_drawn(simulate, matrix, rng):
    record = simulate(rng, matrix)
    first, *others = record.cases
    cut = replace(record, cases=(replace(first, samples=first.samples[1:]), *others))
    assert len(pool_of([record])) == record.plan.screen
    assert len(pool_of([cut])) == record.plan.screen - 1


@pytest.mark.slow
def test_the_first_half_chooses_a_policy_and_the_second_says_what_it_is_worth(unchanged, tmp_path):
    found = score_resampled([*unchanged] * 4, 20, (GOAL, 0.05), seed=1)
    assert {half: len(runs) for half, runs in found.runs.items()} == {"first": 6, "second": 6, "all": 12}
    assert (found.machines, found.days) == (1, 1)
    halves = {half: [one for one in found.drawn if one.half == half] for half in found.runs}
    assert len({one.policy for one in halves["first"]}) == 4
    assert {one.policy for one in halves["second"]} == {found.chosen}
    assert [(one.policy, one.change, one.matrices) for one in halves["all"]] == [
        (Policy(), 0.0, 20),
        (Policy(), GOAL, 2),
        (Policy(), 0.05, 2),
    ]
    nothing, _, slower = halves["all"]
    assert (nothing.alarms, slower.alarms, slower.wrong) == (0, 2, 0)
    assert nothing.undecided == 0
    path = tmp_path / FOLDER / "m.json"
    path.parent.mkdir()
    path.write_bytes(RESAMPLED_FILE.dump_json(found))
    assert read_resampled(tmp_path) == ([found], [])


def test_a_half_with_too_few_launches_says_so_where_no_alarm_would_mean_nothing(unchanged):
    with pytest.raises(UserError, match=r"first half of 3 .* has 6 launches .* may take 26; for more, run"):
        score_resampled(unchanged, 20, (GOAL,), seed=1)
