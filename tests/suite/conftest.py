"""Made-up runs of the gate."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rmsprop.suite.records.gate import GateCase, GatePlan, GateRecord, Launch, Policy, Sample, Side
from rmsprop.suite.verdicts.gate import log_ratios
from rmsprop.suite.verdicts.gate_screen import choose

SIDE = Side("main", "0123456789abcdef", False, "3.11.7", {"torch": "2.13.0", "numpy": "2.4.6"})
POLICY = Policy()
PLAN = GatePlan(480.0, 2, 32, 0.003, 6, 16)


@pytest.fixture(scope="session")
def simulate(make_environment):
    """A whole run over made-up launches, as `rmsprop.suite.gate.session` goes about it.

    `shifts` are the true log ratios by case; noise between launches is normal with that sd, on base again
    as on head. The id of a case is family-number.
    """

    def run(
        rng,
        shifts,
        *,
        sd=0.015,
        control=0.0,
        policy=POLICY,
        plan=PLAN,
        noise=lambda rng, sd: rng.normal(0, sd),
    ) -> GateRecord:
        def stage(name, count, cases, first):
            launches = tuple(Launch(name, first + i, 0, 1.0, 0.0) for i in range(count))
            samples = {
                case: tuple(
                    Sample(
                        first + i,
                        1e-4,
                        1e-4 * math.exp(shifts[case]),
                        shifts[case] + noise(rng, sd),
                        control + noise(rng, sd) if name == "confirm" else None,
                    )
                    for i in range(count)
                )
                for case in cases
            }
            return launches, samples

        launches, screened = stage("screen", plan.screen, shifts, 0)
        record = GateRecord(
            environment=make_environment(),
            suite="benchmarks.suite",
            base=SIDE,
            head=replace(SIDE, revision="working tree", dirty=True),
            policy=policy,
            plan=plan,
            launches=launches,
            cases=tuple(
                GateCase(name, name.rpartition("-")[0], "compared", None, 10, screened[name])
                for name in shifts
            ),
            hypotheses=None,
            interrupted=None,
            error=None,
            seconds=300.0,
        )
        families = {case.id: case.family for case in record.cases}
        screened = {case.id: [*log_ratios(case, record, "screen").values()] for case in record.cases}
        hypotheses, _ = choose(screened, families, policy, most=100)
        names = {name for hypothesis in hypotheses for name in hypothesis.cases}
        more, confirmed = stage("confirm", plan.confirm if names else 0, sorted(names), len(launches))
        return replace(
            record,
            launches=launches + more,
            hypotheses=hypotheses,
            cases=tuple(
                replace(case, samples=case.samples + confirmed.get(case.id, ())) for case in record.cases
            ),
        )

    return run


@pytest.fixture
def matrix():
    """Forty cases of five families, none of which has changed."""
    return {f"family{family}-{number}": 0.0 for family in range(5) for number in range(8)}


@pytest.fixture
def rng():
    return np.random.default_rng(20261123)
