import math
from dataclasses import replace

import pytest

from rmsprop.suite.records.store import write_gate
from studies.gate.other_rules import named_by
from studies.gate.scores import (
    GATE,
    RULES,
    Live,
    Rate,
    Scenario,
    measured_changes,
    powers,
    read_study,
    scores,
    spreads,
)

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
    assert (quiet.alarms, quiet.detecting, quiet.change) == (Rate(0, 3), Rate(0, 0), None)
    assert (found.alarms, found.detecting, found.false_positives) == (Rate(3, 3), Rate(3, 3), 0)
    assert found.found.of == 24
    assert found.found.hits >= 20  # all of 5%, and most of 2.5%


def test_a_run_that_came_to_no_conclusion_is_no_clean_one(unchanged):
    cut = replace(unchanged[0].record, interrupted="interrupted")
    (score,) = (s for s in scores([*unchanged, Live(Scenario("aa"), "turns", cut)]) if s.rule == GATE)
    assert (score.alarms, score.inconclusive, score.weak) == (Rate(0, 3), 1, 0)


def test_without_a_change_a_run_that_sees_too_little_to_pass_counts_for_alarms(unchanged):
    strict = replace(unchanged[0].record, policy=replace(unchanged[0].record.policy, gates_at=1e-6))
    weak = Live(Scenario("aa"), "turns", strict)
    assert weak.verdict.outcome == "inconclusive"
    (score,) = (s for s in scores([*unchanged, weak]) if s.rule == GATE)
    assert (score.alarms, score.inconclusive, score.weak) == (Rate(0, 4), 1, 1)
    slower = [Live(SLOWED, "turns", strict)]
    assert next(s for s in scores(slower) if s.rule == GATE).alarms == Rate(0, 0)


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


@pytest.mark.parametrize(("rule", "smallest"), zip(RULES[1:], (0.03, 0.06, 0.12, 0.12), strict=True))
def test_each_rule_detects_from_its_own_threshold_on(simulate, rng, rule, smallest):
    record = simulate(rng, {"a-1": math.log1p(smallest), "a-2": math.log1p(smallest / 3)}, sd=0.003)
    assert named_by(record, rule) == {"a-1"}


def test_a_fixed_threshold_alarms_where_the_gate_is_silent(simulate, matrix, rng):
    noisy = Live(Scenario("aa"), "turns", simulate(rng, matrix, sd=0.08))
    assert noisy.named("fixed 5%")
    assert not noisy.named(GATE)
