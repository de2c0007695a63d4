"""Matrices drawn from recorded launches of runs without a change: alarms and power beyond the live runs.

Thousands of matrices from a few dozen launches: they say what policy and plan make of this machine's noise,
not how often the gate alarms, which only live runs can. What is drawn is stored below gate-resampled/.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from rmsprop.errors import UserError
from rmsprop.suite.gate.costs import Cost, Costs
from rmsprop.suite.gate.plan import MOST_CONFIRM, second_stage
from rmsprop.suite.records.files import Problem, read_folder, read_json
from rmsprop.suite.records.gate import GateLaunch, GateRecord, Policy, Sample, Stage
from rmsprop.suite.verdicts.gate import judge_gate, log_ratios

FOLDER = "gate-resampled"


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DrawnLaunch:
    """Matrices drawn from recorded launches, judged by one policy."""

    half: str
    """first, second or all: the runs that launches were drawn from."""
    policy: Policy
    """By which they are judged."""
    change: float
    """Of one family; 0 for none."""
    matrices: int
    """How many were drawn."""
    alarms: int
    """Matrices with an alarm; where a family is slower, with one of its cases."""
    found: int
    """Slower cases that are named."""
    asked: int
    """Slower cases."""
    wrong: int
    """Others that are named."""
    undecided: int
    """Matrices whose launches were too few to confirm something."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Resampled:
    """A resampling study, as it is stored in studies/results/gate-resampled/."""

    runs: dict[str, list[str]]
    """Of each half, when its runs began."""
    machines: int
    """On how many the runs were made."""
    days: int
    """On how many days the runs began."""
    seed: int
    """Of all draws."""
    chosen: Policy
    """By the first half."""
    drawn: tuple[DrawnLaunch, ...]
    """By half, policy and change."""
    kind: str = "gate-resampled"
    """Which kind of record it is."""
    schema: int = 1
    """Of that kind of record."""


RESAMPLED_FILE = TypeAdapter(Resampled)


def read_resampled(results: Path) -> tuple[list[Resampled], list[Problem]]:
    """All that is stored, and the files that are none."""
    return read_folder(results / FOLDER, lambda path: RESAMPLED_FILE.validate_python(read_json(path)))


def pool_of(records: Sequence[GateRecord]) -> list[dict[str, float]]:
    """The screens' launches, each with the d of all cases that every record has; cut ones are left out."""
    common = set.intersection(*({case.id for case in one.cases if case.samples} for one in records))
    pool: list[dict[str, float]] = []
    for one in records:
        each = {case.id: log_ratios(case, one, "screen") for case in one.cases if case.id in common}
        pool += [
            {name: d[index] for name, d in each.items()}
            for index in range(len(one.launches))
            if all(index in d for d in each.values())
        ]
    return pool


def resample(
    like: GateRecord,
    pool: Sequence[Mapping[str, float]],
    rng: np.random.Generator,
    *,
    slowed: str = "",
    change: float = 0.0,
) -> tuple[GateRecord, set[str]]:
    """A run with that record's plan and policy, drawn from unchanged launches; the cases that it slows.

    A launch is drawn whole, for all cases, and at most once, so that the second stage sees others than the
    first. Which side is base is drawn once for all of them: to turn each launch round by itself would make
    sure of the symmetry that the test asks for. `slowed` is a family whose d has log(1 + change) added. The
    second stage is planned as the gate plans it, as long as there are launches, with the turns of the screen
    and an even share of its time for each case.
    """
    names = list(pool[0])
    family = {case.id: case.family for case in like.cases}
    slower = {name for name in names if family[name] == slowed}
    side = rng.choice((-1, 1))
    order = rng.permutation(len(pool))

    def measured(made: GateRecord, stage: Stage, launches: int, names: Sequence[str]) -> GateRecord:
        drawn: dict[str, list[Sample]] = {name: [] for name in names}
        start = len(made.launches)
        for index in range(start, start + launches):
            launch, again = pool[order[index]], pool[int(rng.integers(len(pool)))]
            sign = rng.choice((-1, 1))  # base against base has no side
            for name in names:
                d = side * launch[name] + math.log1p(change) * (name in slower)
                control = sign * again[name] if stage == "confirm" else None
                drawn[name].append(Sample(index, 1.0, math.exp(d), d, control))
        return replace(
            made,
            launches=(*made.launches, *[GateLaunch(stage, 0, None, 0.0, None)] * launches),
            cases=tuple(
                replace(case, samples=(*case.samples, *drawn.get(case.id, ()))) for case in made.cases
            ),
        )

    cases = tuple(replace(case, samples=()) for case in like.cases if case.id in names)
    made = replace(like, launches=(), cases=cases, hypotheses=None, interrupted=None, error=None)
    made = measured(made, "screen", like.plan.screen, names)
    again = second_stage(made, *_left(like), turns=(like.plan.turns,))
    launches = min(again.launches, len(pool) - like.plan.screen)
    return measured(replace(made, hypotheses=again.hypotheses), "confirm", launches, again.names), slower


def _left(record: GateRecord) -> tuple[Costs, float]:
    """What its cases cost, all alike, and the seconds that its screen left."""
    names = [case.id for case in record.cases if case.samples]
    seconds = {
        stage: [launch.seconds for launch in record.launches if launch.stage == stage]
        for stage in ("screen", "confirm")
    }
    turn = float(np.mean(seconds["screen"])) / 2 / len(names) / (record.plan.turns + 1)
    costs = Costs({"": 0.0}, dict.fromkeys(names, Cost("", 0.0, turn)))
    spent = record.seconds - sum(seconds["confirm"]) / record.plan.pairs
    return costs, record.plan.budget_seconds - spent


POLICIES = tuple(
    Policy(screen=screen, margin=margin, alarm=alarm)
    for screen, margin, alarm in (
        (0.008, 0.005, 0.015),
        (0.012, 0.01, 0.02),
        (0.016, 0.015, 0.03),
        (0.02, 0.02, 0.04),
    )
)
"""Those among which the first half of the runs chooses: see `chosen_of`."""
GOAL = 0.03
"""The slowdown by which they are compared."""


def score_resampled(
    runs: Sequence[GateRecord], matrices: int, changes: Sequence[float], seed: int
) -> Resampled:
    """Matrices drawn from the first half of the runs by each policy; from the second by the one it chooses.

    And from all by the gate's own. `changes` are those of one family, each in turn, with `GOAL` among them;
    a tenth of the matrices is drawn for each of them. UserError where a half has fewer launches than a matrix
    may take.
    """
    middle = len(runs) // 2
    halves = {"first": runs[:middle], "second": runs[middle:], "all": runs}
    for half, those in halves.items():
        launches = len(pool_of(those)) if those else 0
        needed = max((run.plan.screen for run in those), default=0) + MOST_CONFIRM
        if launches < needed:
            raise UserError(
                f"the {half} half of {len(runs)} live runs without a change has {launches} launches to draw "
                f"from, and a matrix may take {needed}; for more, "
                "run `python -m studies.gate.study aa --runs 10`"
            )
    rng = np.random.default_rng(seed)

    def draw(half: str, policy: Policy) -> list[DrawnLaunch]:
        counts = ((0.0, matrices), *((change, max(1, matrices // 10)) for change in changes))
        return [_drawn(half, halves[half], policy, change, count, rng) for change, count in counts]

    first = [drawn for policy in POLICIES for drawn in draw("first", policy)]
    chosen = chosen_of(first)
    environments = [run.environment for run in runs]
    return Resampled(
        runs={half: [run.environment.started for run in those] for half, those in halves.items()},
        machines=len({environment.machine for environment in environments}),
        days=len({environment.started[:10] for environment in environments}),
        seed=seed,
        chosen=chosen,
        drawn=(*first, *draw("second", chosen), *draw("all", Policy())),
    )


def chosen_of(drawn: Sequence[DrawnLaunch]) -> Policy:
    """Of those that alarm in at most `alpha` of the unchanged matrices the one that finds most at `GOAL`.

    The one with the widest margin where several find as many, or none holds that.
    """
    held = {one.policy: one.alarms <= one.policy.alpha * one.matrices for one in drawn if not one.change}
    found = {one.policy: one.found / one.asked for one in drawn if one.change == GOAL}
    widest = max(held, key=lambda policy: policy.margin)
    return max(
        (policy for policy in held if held[policy]),
        key=lambda policy: (found[policy], policy.margin),
        default=widest,
    )


def _drawn(
    half: str,
    records: Sequence[GateRecord],
    policy: Policy,
    change: float,
    matrices: int,
    rng: np.random.Generator,
) -> DrawnLaunch:
    like, pool = replace(records[0], policy=policy), pool_of(records)
    families = sorted({case.family for case in like.cases if case.id in pool[0]})
    alarms = found = asked = wrong = undecided = 0
    for number in range(matrices):
        family = families[number % len(families)] if change else ""
        made, slower = resample(like, pool, rng, slowed=family, change=change)
        verdict = judge_gate(made)
        named = {name for finding in verdict.found("slower") for name in finding.cases}
        undecided += bool(verdict.found("undecided"))
        alarms += bool(named & slower if change else named)
        found, asked, wrong = found + len(named & slower), asked + len(slower), wrong + len(named - slower)
    return DrawnLaunch(half, policy, change, matrices, alarms, found, asked, wrong, undecided)
