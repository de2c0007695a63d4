import math
from dataclasses import replace

import pytest

from rmsprop.errors import UserError
from rmsprop.gate.decide import judge, least_launches
from rmsprop.gate.plan import MOST_CONFIRM
from rmsprop.gate.scores import (
    GATE,
    GOAL,
    RESAMPLED,
    RESAMPLED_FILE,
    RULES,
    Drawn,
    Live,
    Rate,
    Scenario,
    chosen_of,
    measured_changes,
    named_by,
    pool_of,
    powers,
    read_study,
    resample,
    score_resampled,
    scores,
    spreads,
)
from rmsprop.records.gate import Policy
from rmsprop.records.store import write_gate

SLOWED = Scenario("inject", "family2", "passes", 0.05)


@pytest.fixture
def unchanged(simulate, matrix, rng):
    return [Live(Scenario("aa"), "turns", simulate(rng, matrix, sd=0.01)) for _ in range(3)]


@pytest.fixture
def slowed(simulate, matrix, rng):
    """Two of the family's cases are slower by 5%, the others by 2.5%."""
    slower = {name: math.log(1.025) for name in matrix if name.startswith("family2-")}
    slower |= {"family2-0": math.log(1.05), "family2-1": math.log(1.05)}
    return [Live(SLOWED, "turns", simulate(rng, matrix | slower, sd=0.004)) for _ in range(3)]


def test_a_rate_has_the_exact_interval():
    assert Rate(0, 300).words == "0 of 300 (0.0% to 1.2%)"
    assert Rate(0, 0).words == "none"
    assert Rate(0, 0).interval == (0.0, 1.0)


@pytest.mark.parametrize(
    "scenario", [Scenario("aa"), Scenario("load"), Scenario("inject", "builtin-loop", "offset", 2e-6)]
)
def test_a_folder_names_what_is_true(scenario):
    assert Scenario.parse(scenario.name) == scenario
    assert "/" not in scenario.name


@pytest.mark.parametrize("name", ["", "inject", "inject+scratch", "aa+scratch+passes+1", "inject+a+passes+x"])
def test_any_other_folder_is_no_scenario(name):
    with pytest.raises(ValueError, match=r"scenario|float"):
        Scenario.parse(name)


def test_runs_are_read_with_what_is_true_of_them(unchanged, tmp_path):
    write_gate(tmp_path / "gate-study" / SLOWED.name / "sequential", unchanged[0].record)
    path = write_gate(tmp_path / "gate-study" / "aa" / "turns", unchanged[1].record)
    (path.parent / "cut.json").write_text("{")
    write_gate(tmp_path / "gate-study" / "nonsense" / "turns", unchanged[1].record)
    study, problems = read_study(tmp_path)
    assert {(run.scenario.kind, run.design) for run in study.runs} == {
        ("inject", "sequential"),
        ("aa", "turns"),
    }
    assert sorted(problem.path.parts[-4] for problem in problems) == ["aa", "nonsense"]


def test_a_score_counts_alarms_finds_and_wrong_names(unchanged, slowed):
    own = {score.scenario: score for score in scores([*unchanged, *slowed]) if score.rule == GATE}
    quiet, found = own[Scenario("aa")], own[SLOWED]
    assert (quiet.alarms, quiet.right, quiet.change) == (Rate(0, 3), Rate(0, 0), None)
    assert (found.alarms, found.right, found.wrong) == (Rate(3, 3), Rate(3, 3), 0)
    assert found.found.of == 24
    assert found.found.hits >= 6


def test_a_run_that_came_to_no_conclusion_is_no_clean_one(unchanged):
    cut = replace(unchanged[0].record, interrupted="interrupted")
    (score,) = (s for s in scores([*unchanged, Live(Scenario("aa"), "turns", cut)]) if s.rule == GATE)
    assert (score.alarms, score.inconclusive) == (Rate(0, 3), 1)


def test_a_case_costs_what_all_launches_of_its_runs_say(slowed):
    changes = measured_changes(slowed)
    assert len(changes) == 8
    assert changes["family2-0"] == pytest.approx(0.05, abs=0.004)
    assert changes["family2-7"] == pytest.approx(0.025, abs=0.004)


def test_power_is_told_by_what_a_case_costs_and_how_long_its_step_takes(slowed):
    by_change = {(power.low, power.high): power for power in powers(slowed)}
    assert by_change[0.04, 0.06].found == Rate(6, 6)
    assert by_change[0.02, 0.03].found.of == 18
    assert {power.duration for power in by_change.values()} == {"50 to 500 us"}


def test_unchanged_runs_have_no_power_and_every_run_has_a_spread(unchanged):
    assert powers(unchanged) == []
    (found,) = spreads(unchanged)
    assert found.sd[0] < found.sd[1] < found.sd[2]
    assert found.sd[1] == pytest.approx(0.01, rel=0.3)
    assert found.blind == Rate(0, 3 * len(unchanged[0].record.cases))


def test_drawn_matrices_without_a_change_do_not_alarm_and_a_slowed_family_does(unchanged, rng):
    like, pool = unchanged[0].record, pool_of([run.record for run in unchanged])
    quiet = [judge(resample(like, pool, rng)[0]).outcome for _ in range(20)]
    assert "regression" not in quiet
    for _ in range(5):
        made, slower = resample(like, pool, rng, slowed="family3", change=0.05)
        named = {name for finding in judge(made).found("slower") for name in finding.cases}
        assert named == slower
        assert len(slower) == 8


def test_a_drawn_launch_keeps_what_its_cases_have_in_common_and_is_drawn_once(simulate, matrix, rng):
    record = simulate(rng, matrix, sd=0.0)
    together = replace(
        record,
        cases=tuple(
            replace(case, samples=tuple(replace(s, d=0.001 * (s.launch + 1)) for s in case.samples))
            for case in record.cases
        ),
    )
    made, _ = resample(together, pool_of([together]), rng)
    seen = [{s.d for case in made.cases for s in case.samples if s.launch == i} for i in range(6)]
    assert {len(values) for values in seen} == {1}
    assert {abs(d) for values in seen for d in values} == {0.001 * i for i in range(1, 7)}


def test_a_run_is_turned_round_as_a_whole(simulate, matrix, rng):
    pool = pool_of([simulate(rng, dict.fromkeys(matrix, 0.05), sd=0.001)])
    made = [resample(simulate(rng, matrix), pool, rng)[0] for _ in range(20)]
    assert {sum(s.d > 0 for s in record.cases[0].samples) for record in made} == {0, 6}


def test_the_second_stage_draws_other_launches_as_many_as_the_gate_would_plan(simulate, matrix, rng):
    runs = [simulate(rng, matrix, sd=0.004) for _ in range(6)]
    made, slower = resample(runs[0], pool_of(runs), rng, slowed="family3", change=0.1)
    stages = [launch.stage for launch in made.launches]
    assert least_launches(1, made.policy) <= stages.count("confirm") <= MOST_CONFIRM
    for case in made.cases:
        if case.id in slower:
            assert len({sample.d for sample in case.samples}) == len(stages)


def drawn(policy, change, alarms, found):
    return Drawn("first", policy, change, 100, alarms, found, 800, 0, 0)


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


@pytest.mark.parametrize("rule", RULES[1:])
def test_every_rule_finds_a_slowdown_that_none_could_miss(simulate, rng, rule):
    record = simulate(rng, {"a-1": math.log(1.5), "a-2": 0.0}, sd=0.002)
    assert named_by(record, rule) == {"a-1"}


def test_a_fixed_threshold_alarms_where_the_gate_is_silent(simulate, matrix, rng):
    noisy = Live(Scenario("aa"), "turns", simulate(rng, matrix, sd=0.08))
    assert noisy.named("fixed 5%")
    assert not noisy.named(GATE)


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
    path = tmp_path / RESAMPLED / "m.json"
    path.parent.mkdir()
    path.write_bytes(RESAMPLED_FILE.dump_json(found))
    assert read_study(tmp_path)[0].resampled == (found,)


def test_a_half_with_too_few_launches_says_so_where_no_alarm_would_mean_nothing(unchanged):
    with pytest.raises(UserError, match=r"first half of 3 .* has 6 launches .* may take 26; run"):
        score_resampled(unchanged, 20, (GOAL,), seed=1)
