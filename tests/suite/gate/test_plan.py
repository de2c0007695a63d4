import math
from dataclasses import replace

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.gate.costs import Cost, Costs, confirm_seconds, fewer, screen_seconds
from rmsprop.suite.gate.plan import (
    Noise,
    candidates,
    make_plan,
    plan_confirmation,
    promises,
    spread,
)
from rmsprop.suite.gate.request import seconds_of
from rmsprop.suite.records.gate import CURRENT_POLICY, GatePlan, Policy
from rmsprop.suite.verdicts.gate_statistics import detectable, least_launches

POLICY = Policy()
COSTS = Costs(dict.fromkeys("abcd", 1.0), {f"case{i}": Cost("abcd"[i % 4], 0.2, 0.0035) for i in range(40)})


def seconds(plan, costs):
    again = candidates(len(costs.cases), spread(plan.turns), plan.screen, POLICY)
    rounds = plan.screen / plan.pairs * screen_seconds(costs, plan.turns)
    return rounds + plan.confirm / plan.pairs * confirm_seconds(costs, plan.turns, again)


@pytest.mark.parametrize("pairs", [1, 2, 4])
@pytest.mark.parametrize("left", [250.0, 440.0])
def test_a_plan_fits_what_is_left_and_fills_every_cpu(pairs, left):
    plan, left_out = make_plan(COSTS, left, 480.0, pairs, POLICY)
    costs = Costs(COSTS.imports, {name: cost for name, cost in COSTS.cases.items() if name not in left_out})
    assert seconds(plan, costs) <= left
    assert plan.screen % pairs == plan.confirm % pairs == 0


def test_a_larger_budget_sees_smaller_slowdowns_down_to_the_aim_and_then_spends_no_more():
    def of(left):
        plan, left_out = make_plan(COSTS, left, left, 2, POLICY)
        assert not left_out
        return detectable(spread(plan.turns), plan.screen, plan.confirm, POLICY), plan

    seen, plans = zip(*(of(left) for left in (250, 290, 600, 1200)), strict=True)
    assert seen[0] > seen[1] > POLICY.aim >= seen[2]
    assert (plans[2].screen, plans[2].confirm, plans[2].turns) == (
        plans[3].screen,
        plans[3].confirm,
        plans[3].turns,
    )


def test_where_no_plan_sees_five_percent_the_one_that_sees_most_is_taken():
    plan, left_out = make_plan(COSTS, 450.0, 450.0, 2, POLICY, noise=10.0)
    assert not left_out
    assert plan.confirm > 10


def test_a_small_budget_leaves_the_costliest_cases_out_and_still_promises_five_percent():
    compiled = {f"compiled{i}": Cost("compiled", 0.3, 0.0035) for i in range(2)}
    costs = Costs(COSTS.imports | {"compiled": 20.0}, COSTS.cases | compiled)
    plan, left_out = make_plan(costs, 200.0, 210.0, 2, POLICY)
    assert set(compiled) <= set(left_out) < set(costs.cases)
    assert detectable(spread(plan.turns), plan.screen, plan.confirm, POLICY) <= POLICY.gates_at


def test_where_not_all_fits_each_family_keeps_what_a_pass_needs_of_it():
    dear = {f"job-{i}": Cost("job", 1.0, 0.1, dear=True) for i in range(3)}
    costs = Costs(COSTS.imports | {"job": 0.0}, COSTS.cases | dear)
    _, left_out = make_plan(costs, 260.0, 270.0, 2, POLICY)
    assert left_out
    for family in {cost.family for cost in costs.cases.values()}:
        names = {name for name, cost in costs.cases.items() if cost.family == family}
        assert len(names - set(left_out)) > POLICY.powered * len(names)


def test_where_little_fits_the_last_case_of_a_family_stays():
    dear = {f"job-{i}": Cost("job", 1.0, 0.1, dear=True) for i in range(3)}
    costs = Costs(COSTS.imports | {"job": 0.0}, COSTS.cases | dear)
    _, left_out = make_plan(costs, 175.0, 185.0, 2, POLICY)
    families = {cost.family for cost in costs.cases.values()}
    assert {costs.cases[name].family for name in costs.cases if name not in left_out} == families
    assert len(left_out) > len(costs.cases) / 2


def test_a_budget_that_is_too_small_for_one_case_says_what_takes_how_long_and_which_would_do():
    with pytest.raises(UserError, match=r"budget of 10 s is too small: 3 s .*imports.*load.*--case") as said:
        make_plan(COSTS, 3.0, 10.0, 2, POLICY)
    minutes = int(str(said.value).split("--budget ")[1].split("m")[0])
    plan, left_out = make_plan(COSTS, minutes * 60 - 7.0, minutes * 60, 2, POLICY)
    assert not left_out
    assert plan.confirm >= 10


def test_tiny_cases_whose_imports_are_slow_are_screened_at_least():
    """Three cases of a millisecond with seven seconds of imports on a busy machine, in two minutes."""
    tiny = Costs({"a": 7.0}, {f"a-{i}": Cost("a", 0.001, 0.003) for i in range(3)}, busy=2.0)
    plan, left_out = make_plan(tiny, 100.0, 120.0, 2, POLICY)
    assert not left_out
    assert plan.screen / plan.pairs * screen_seconds(tiny, plan.turns) <= 100.0


def test_the_case_that_a_family_lists_first_outlasts_cheaper_ones():
    costs = {
        "step-1": Cost("step", 0.0, 0.001),
        "step-2": Cost("step", 0.0, 0.01),
        "job-loop": Cost("job", 0.0, 1.0),
        "job-other": Cost("job", 0.0, 0.1),
        "job-third": Cost("job", 0.0, 0.2),
    }
    kept = [list(each.cases) for each in fewer(Costs({"step": 0.0, "job": 0.0}, costs), 16, 0.5)]
    assert ["step-1", "step-2", "job-loop", "job-other"] in kept
    assert kept[-2:] == [["step-1", "job-loop"], ["step-1"]]


def test_a_dear_case_takes_fewer_turns_and_a_rare_one_more():
    cheap = screen_seconds(Costs({"a": 0.0}, {"a": Cost("a", 0.0, 1.0)}), 16)
    dear = screen_seconds(Costs({"a": 0.0}, {"a": Cost("a", 0.0, 1.0, dear=True)}), 16)
    rare = screen_seconds(Costs({"a": 0.0}, {"a": Cost("a", 0.0, 1.0, rare=True)}), 16)
    assert (cheap, dear, rare) == (34.0, 10.0, 258.0)


def test_confirmation_takes_no_more_than_the_aim_asks_and_fewer_turns_where_time_is_little():
    names = [f"case{i}" for i in range(10)]
    plan = GatePlan(480.0, 2, 48, 0.003, 4, 16)

    def chosen(seconds, sd=0.03):
        return plan_confirmation(COSTS, names, seconds, plan, 10, sd, POLICY)

    assert chosen(600.0) == (20, 64)  # nothing sees the aim: all there is
    launches, turns = chosen(400.0, sd=0.008)
    assert launches < 16
    assert detectable(0.008 * spread(turns) / spread(48), 12, launches, POLICY) <= POLICY.aim
    launches, turns = chosen(110.0)
    assert 10 <= launches <= 20
    assert turns < 48
    assert chosen(1.0) == (10, 16)


def test_a_test_of_sums_has_as_many_launches_as_its_share_of_alpha_needs():
    """One hypothesis of sums at a fifth of alpha takes 9, where one of means takes 7."""
    plan = GatePlan(480.0, 1, 48, 0.003, 6, 16)
    launches, _ = plan_confirmation(COSTS, ["case0"], 1.0, plan, 1, 0.03, CURRENT_POLICY, rare=1)
    assert launches == least_launches(1, CURRENT_POLICY, rare=True) == 9
    assert plan_confirmation(COSTS, ["case0"], 1.0, plan, 1, 0.03, CURRENT_POLICY)[0] == 7


def test_a_promise_stands_on_what_this_machine_showed_before(simulate, rng):
    calm, wild = (simulate(rng, {"a-1": 0.0, "b-1": 0.0}, sd=sd) for sd in (0.002, 0.04))
    assert promises(calm, Noise())["a"] == detectable(spread(calm.plan.turns), 6, 16, POLICY)
    assert promises(calm, Noise.of([calm]))["a"] < 0.022
    assert promises(calm, Noise.of([wild]))["a"] > 0.05
    few = replace(calm, plan=replace(calm.plan, confirm=5))
    assert promises(few, Noise.of([calm]))["a"] == math.inf


@pytest.mark.parametrize(("text", "expected"), [("8m", 480), ("90s", 90), ("1.5h", 5400), ("480", 480)])
def test_a_budget_is_a_time(text, expected):
    assert seconds_of(text) == expected


@pytest.mark.parametrize("text", ["", "m", "-3m", "soon", "nan", "infm"])
def test_a_budget_that_is_no_time_is_refused(text):
    with pytest.raises(UserError, match="8m or 90s"):
        seconds_of(text)
