"""Made-up runs of the gate."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rmsprop.suite.records.gate import GateCase, GateLaunch, GatePlan, GateRecord, Policy, Sample, Side
from rmsprop.suite.records.reproduction import DataSource
from rmsprop.suite.records.sweep import AXES, COLUMNS, ChunkTime, Software, Sweep, SweepRecord
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
            launches = tuple(GateLaunch(name, first + i, 0, 1.0, 0.0) for i in range(count))
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


def made_sweep(
    environment, loss=lambda setting: 0.25, *, seeds=100, diverged=lambda setting: 0, job="book", **axes
) -> Sweep:
    """A finished sweep: every point's quantiles are 0.01 apart around its loss."""
    known = {"sgd": ("lr",), "rmsprop": ("lr", "gamma", "eps")}
    given = {
        "optimizer": ("sgd", "rmsprop"),
        "lr": (0.01, 0.1, 1.0),
        "gamma": (0.5, 0.9),
        "eps": (1e-6,),
    } | axes
    given |= {
        "momentum": (0.9,),
        "batch_size": axes.get("batch_size", (10,)),
        "epochs": (2,),
        "dtype": ("float32",),
    }
    rows = []
    for name, batch in itertools.product(given["optimizer"], given["batch_size"]):
        for values in itertools.product(*(given[axis] for axis in known[name])):
            setting = {"optimizer": name, "batch_size": batch, **dict(zip(known[name], values, strict=True))}
            middle, gone = loss(setting), diverged(setting)
            found = {"point": len(rows), "seeds": seeds, "diverged": gone, "reached": seeds - gone}
            for part in ("loss", "held"):
                found |= {
                    f"{part}_q05": middle - 0.01,
                    f"{part}_median": middle,
                    f"{part}_q95": middle + 0.01,
                }
            found |= {"epochs_q05": 0.2, "epochs_median": 0.4, "epochs_q95": math.inf if gone else 0.6}
            found |= {"chosen_seeds": seeds // 2, "chosen_median": middle, "held_seeds": seeds // 2}
            found |= {"held_diverged": gone // 2, "held_low": middle - 0.001, "held_high": middle + 0.001}
            empty = dict.fromkeys(("lr", "gamma", "eps", "momentum"), math.nan)
            rows.append(empty | {"epochs": 2, "dtype": "float32"} | setting | found)
    points = pd.DataFrame(rows)[[*AXES, *COLUMNS]].astype(
        COLUMNS | {"batch_size": "int32", "epochs": "int32"}
    )
    record = SweepRecord(
        id="",
        identity="0" * 64,
        environment=environment,
        software=Software("0.1.0", "2.13.0", "abc", "AVX2"),
        data=DataSource("surrogate", "asked for", None),
        rows="1" * 64,
        axes=given,
        seeds=seeds,
        target=0.25,
        points=len(points),
        chunk=32_768,
        job=job,
    )
    return Sweep(record, points, (ChunkTime(600, 10.0, 8.0), ChunkTime(300, 2.5, 2.0)))


@pytest.fixture(scope="session")
def make_sweep(make_environment):
    """A made-up finished sweep."""
    return lambda *given, **changes: made_sweep(make_environment(), *given, **changes)
