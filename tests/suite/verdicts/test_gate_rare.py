"""Steps that are slow now and then, where a turn is one step: seeded turns, judged as the gate does."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rmsprop.suite.gate.turns import PHASE, RARE_TURNS, sample_of
from rmsprop.suite.records.gate import CURRENT_POLICY, GateCase, GateLaunch
from rmsprop.suite.verdicts.gate import judge_gate, log_ratios
from rmsprop.suite.verdicts.gate_screen import choose, choose_rare
from rmsprop.suite.verdicts.gate_words import headline

SCREEN, SCREEN_TURNS, CONFIRM = 8, 32, 20
MEAN = 0.05
"""How much more a slow head takes on average."""


def turns_of(rng, turns, every=0):
    """Seconds of single steps of 5 ms: noise of the machine, of the process, and now and then a neighbour."""
    seconds = 5e-3 * rng.normal(1, 0.04, turns) * math.exp(rng.normal(0, 0.008))
    seconds *= 1 + (rng.random(turns) < 0.01) * rng.exponential(1.0, turns)
    if every:
        first = rng.integers(PHASE)
        seconds += 5e-3 * MEAN * every * ((first + np.arange(turns)) % every == 0)
    return seconds.tolist()


def run_of(rng, record, slow):
    """A run over these cases, of which `slow` says every how many steps head's is slow; 0 for never."""
    launches = [*[GateLaunch("screen", i, 0, 1.0, 0.0) for i in range(SCREEN)]]
    cases = {
        name: GateCase(
            name,
            "a",
            "compared",
            None,
            1,
            tuple(
                sample_of(
                    {"base": turns_of(rng, SCREEN_TURNS), "head": turns_of(rng, SCREEN_TURNS, every)}, 1, i
                )
                for i in range(SCREEN)
            ),
        )
        for name, every in slow.items()
    }
    record = replace(
        record, policy=CURRENT_POLICY, launches=tuple(launches), cases=tuple(cases.values()), hypotheses=None
    )
    screened, summed = (
        {case.id: [*log_ratios(case, record, "screen", rare=rare).values()] for case in record.cases}
        for rare in (False, True)
    )
    hypotheses, _ = choose(screened, dict.fromkeys(slow, "a"), CURRENT_POLICY, most=100)
    hypotheses += choose_rare(summed, screened, CURRENT_POLICY)
    for name in {name for hypothesis in hypotheses for name in hypothesis.cases}:
        more = tuple(
            sample_of(
                {
                    "base": turns_of(rng, RARE_TURNS),
                    "again": turns_of(rng, RARE_TURNS),
                    "head": turns_of(rng, RARE_TURNS, slow[name]),
                },
                1,
                SCREEN + i,
            )
            for i in range(CONFIRM)
        )
        cases[name] = replace(cases[name], samples=(*cases[name].samples, *more))
    launches += [GateLaunch("confirm", i, 0, 1.0, 0.0) for i in range(CONFIRM)]
    return replace(
        record, launches=tuple(launches), cases=tuple(cases.values()), hypotheses=tuple(hypotheses)
    )


@pytest.fixture
def record(simulate, rng):
    return simulate(rng, {"a-1": 0.0})


@pytest.mark.slow
@pytest.mark.parametrize("every", [20, 100])
def test_a_step_that_is_slow_now_and_then_is_found_by_its_sums(record, rng, every):
    found = []
    for _ in range(20):
        verdict = judge_gate(run_of(rng, record, {"a-0": every, **{f"a-{i}": 0 for i in range(1, 9)}}))
        found.append("a-0" in {finding.name for finding in verdict.found("slower")})
    assert sum(found) >= 14


@pytest.mark.slow
def test_no_change_alarms_in_at_most_a_hundredth_of_runs(record, rng):
    alarms = [judge_gate(run_of(rng, record, {f"a-{i}": 0 for i in range(9)})) for _ in range(300)]
    assert sum(verdict.outcome == "regression" for verdict in alarms) <= 300 * CURRENT_POLICY.alpha


def test_what_is_slow_now_and_then_is_called_so(record, rng):
    made = run_of(rng, record, {"a-0": 20, "a-1": 0})
    verdict = judge_gate(made)
    (finding,) = [one for one in verdict.found("slower") if one.rare]
    assert finding.title == "a-0, now and then"
    assert finding.change == pytest.approx(MEAN, abs=0.02)
    assert "a-0, now and then +" in headline(made, verdict)


def test_records_without_sums_are_judged_as_before(simulate, rng):
    old = simulate(rng, {"a-1": 0.0})
    assert old.policy.rare == 0.0
    assert log_ratios(old.cases[0], old, "screen", rare=True) == {}
