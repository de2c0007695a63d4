"""What runs of the gate whose truth is known say of it: alarms, power, wrong names, spread. Pure functions.

A study's runs are records of the gate below gate-study/<scenario>/<design>/<machine>/, so that a folder
names what is true of them; `studies.gate.study` makes them.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np

from rmsprop.suite.records.files import Problem, read_folder
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.records.store import read_gate
from rmsprop.suite.verdicts.gate import GateVerdict, judge_gate, log_ratios
from rmsprop.suite.verdicts.shares import exact_interval
from studies.gate.injection import LOOP
from studies.gate.other_rules import named_by
from studies.gate.other_tools import RivalRun, read_rivals
from studies.gate.resampling import Resampled, read_resampled

FOLDER = "gate-study"
UNCHANGED = ("aa", "docs", "load")
LOOPS = ("job-scratch", "job-concise")
"""The cases that the book's training loop runs."""
GATE = "gate"
RULES = (GATE, "no second stage", "fixed 5%", "fixed 10%", "Mann-Whitney p < 0.002 and 10%")
"""The gate's own, and what others would say of the same launches."""
CLASSES = (
    ("a step below 50 us", 0.0, 5e-5),
    ("50 to 500 us", 5e-5, 5e-4),
    ("0.5 to 3 ms", 5e-4, 3e-3),
    ("a step fills a turn", 3e-3, math.inf),
)
"""Of duration: name, least and most seconds of a step."""
CHANGES = (-math.inf, 0.01, 0.02, 0.03, 0.04, 0.06, 0.1, math.inf)
"""Edges of the measured changes by which power is told."""


@dataclass(frozen=True)
class Scenario:
    """What is true of a live run; its folder's name."""

    kind: str
    """aa, docs, load, inject or swapped."""
    implementation: str = ""
    """The one that is slowed, in head or, if swapped, in base; empty where none is."""
    how: str = "passes"
    """In which way: see `studies.gate.injection`."""
    amount: float = 0.0
    """The share of a step or, for offset, seconds."""

    @property
    def name(self) -> str:
        """Such as aa, or inject+scratch+passes+0.05."""
        if self.kind in UNCHANGED:
            return self.kind
        return f"{self.kind}+{self.implementation}+{self.how}+{self.amount:g}"

    @classmethod
    def parse(cls, name: str) -> "Scenario":
        """The scenario of that name; ValueError if it is none."""
        kind, *rest = name.split("+")
        if kind in UNCHANGED and not rest:
            return cls(kind)
        if kind not in ("inject", "swapped") or len(rest) != 3:
            raise ValueError(f"no scenario of the gate's study: {name}")
        return cls(kind, rest[0], rest[1], float(rest[2]))

    @property
    def slowed(self) -> str | None:
        """The implementation that is slower in head, if one is."""
        return self.implementation if self.kind == "inject" else None


@dataclass(frozen=True)
class Live:
    """A live run, judged."""

    scenario: Scenario
    """What is true of it."""
    design: str
    """turns, or sequential for the ablation."""
    record: GateRecord
    """As the gate stored it."""

    @cached_property
    def verdict(self) -> GateVerdict:
        """The gate's own."""
        return judge_gate(self.record)

    @cached_property
    def slowed(self) -> frozenset[str]:
        """The cases that are slower in head."""
        compared = (case for case in self.record.cases if case.samples)
        if self.scenario.slowed == LOOP:
            return frozenset(case.id for case in compared if case.id in LOOPS)
        return frozenset(case.id for case in compared if case.family == self.scenario.slowed)

    @cached_property
    def concluded(self) -> bool:
        """Whether the gate passed it or alarmed."""
        return self.verdict.outcome in ("pass", "regression")

    @cached_property
    def whole(self) -> bool:
        """Whether nothing was cut short: such a run could have alarmed, also if it saw too little to pass."""
        cut = self.record.interrupted or self.record.error or self.verdict.found("undecided")
        return not cut and any(case.samples for case in self.record.cases)

    @cached_property
    def gained(self) -> bool:
        """Whether the implementation whose base was slowed is called faster."""
        families = {case.id: case.family for case in self.record.cases}
        found = {families[name] for finding in self.verdict.found("faster") for name in finding.cases}
        return self.scenario.implementation in found

    def named(self, rule: str) -> set[str]:
        """The cases that a rule calls slower."""
        if rule == GATE:
            return {name for finding in self.verdict.found("slower") for name in finding.cases}
        return named_by(self.record, rule)


@dataclass(frozen=True)
class Rate:
    """So many of so many, with the exact 95% interval (Clopper and Pearson)."""

    hits: int
    """Those of which it is true."""
    of: int
    """All that were asked."""

    @property
    def interval(self) -> tuple[float, float]:
        """From and to; everything where there is nothing to go by."""
        return exact_interval(self.hits, self.of)

    @property
    def words(self) -> str:
        """Such as `0 of 10 (0.0% to 30.8%)`."""
        low, high = self.interval
        return f"{self.hits} of {self.of} ({low:.1%} to {high:.1%})" if self.of else "none"


@dataclass(frozen=True)
class Score:
    """What a rule said of the runs of one scenario and design."""

    scenario: Scenario
    """Of all the runs."""
    design: str
    """Likewise."""
    rule: str
    """One of `RULES`."""
    alarms: Rate
    """Runs that name a case: of those that came to a conclusion; without a change, of all that are whole."""
    inconclusive: int
    """Runs that came to no conclusion."""
    weak: int
    """How many of these are counted in `alarms`."""
    cases: tuple[int, int]
    """Least and most cases that a run compared: on a busy machine the budget may leave some out."""
    detecting: Rate
    """Runs that name a case that is slower, or where the sides are swapped faster; of none otherwise."""
    complete: Rate
    """Runs that name every slower case that could gate."""
    found: Rate
    """Slower cases that are named, over all runs."""
    false_positives: int
    """Other cases that are named, over all runs."""
    change: tuple[float, float, float] | None
    """Least, median and largest measured change of a slower case, by the launches of all these runs."""
    seconds: float
    """Of the longest run."""


@dataclass(frozen=True)
class Power:
    """How often cases of that measured change and duration were named."""

    low: float
    """The least measured change, a share."""
    high: float
    """Measured changes are below it."""
    duration: str
    """A name in `CLASSES`."""
    found: Rate
    """Slower cases that are named, over all runs."""


@dataclass(frozen=True)
class Spread:
    """How far d spreads from launch to launch, by how long a step takes."""

    design: str
    """Of the runs."""
    duration: str
    """A name in `CLASSES`."""
    sd: tuple[float, float, float]
    """Quartiles over cases and runs."""
    sees: float
    """Median of the least detectable slowdowns; infinite where most have none."""
    blind: Rate
    """Cases that cannot gate."""


@dataclass(frozen=True)
class Study:
    """Everything that is on record of it."""

    runs: tuple[Live, ...] = ()
    """Oldest first."""
    rivals: tuple[RivalRun, ...] = ()
    """Runs of other tools."""
    resampled: tuple[Resampled, ...] = ()
    """Studies of matrices that were drawn from recorded launches."""


def read_study(results: Path) -> tuple[Study, list[Problem]]:
    """All runs below studies/results/gate-study/ with those of other tools, and the files that are none."""

    def live(path: Path) -> Live:
        scenario, design = path.parts[-4:-2]
        return Live(Scenario.parse(scenario), design, read_gate(path))

    runs, problems = read_folder(results / FOLDER, live)
    rivals, unread = read_rivals(results)
    resampled, damaged = read_resampled(results)
    runs.sort(key=lambda run: run.record.environment.started)
    return Study(tuple(runs), tuple(rivals), tuple(resampled)), [*problems, *unread, *damaged]


def scores(runs: Iterable[Live]) -> list[Score]:
    """Each scenario and design, by each rule."""
    groups: dict[tuple[Scenario, str], list[Live]] = {}
    for run in runs:
        groups.setdefault((run.scenario, run.design), []).append(run)
    return [_score(group, rule) for group in groups.values() for rule in RULES]


def _score(every: Sequence[Live], rule: str) -> Score:
    group = [run for run in every if run.concluded]
    asked = [run for run in group if run.slowed]
    unchanged = every[0].scenario.kind in UNCHANGED
    counted = [run for run in every if run.concluded or (unchanged and run.whole)]
    named = {id(run): run.named(rule) for run in counted}
    whole = 0
    for run in asked:
        gated = {view.case.id for view in run.verdict.cases if view.powered} & run.slowed
        whole += bool(gated) and gated <= named[id(run)]
    right = [bool(named[id(run)] & run.slowed) for run in asked]
    if every[0].scenario.kind == "swapped" and rule == GATE:
        right = [run.gained for run in group]
    changes = sorted(measured_changes(group).values())
    compared = [sum(bool(case.samples) for case in run.record.cases) for run in every]
    return Score(
        scenario=every[0].scenario,
        design=every[0].design,
        rule=rule,
        alarms=Rate(sum(bool(found) for found in named.values()), len(counted)),
        detecting=Rate(sum(right), len(right)),
        complete=Rate(whole, len(asked)),
        inconclusive=len(every) - len(group),
        weak=len(counted) - len(group),
        cases=(min(compared), max(compared)),
        found=Rate(
            sum(len(named[id(run)] & run.slowed) for run in asked), sum(len(run.slowed) for run in asked)
        ),
        false_positives=sum(len(named[id(run)] - run.slowed) for run in counted),
        change=(changes[0], float(np.median(changes)), changes[-1]) if changes else None,
        seconds=max(run.record.seconds for run in every),
    )


def measured_changes(runs: Sequence[Live]) -> dict[str, float]:
    """What the slower cases of runs of one scenario really cost: by all launches of all of them."""
    d: dict[str, list[float]] = {}
    for run in runs:
        rare = run.scenario.how.startswith("every")  # which no trimmed mean holds
        for case in run.record.cases:
            if case.id in run.slowed:
                for stage in ("screen", "confirm"):
                    found = log_ratios(case, run.record, stage, rare=rare)
                    d.setdefault(case.id, []).extend(found.values())
    return {name: math.expm1(np.mean(values)) for name, values in d.items()}


def powers(runs: Iterable[Live]) -> list[Power]:
    """How often the gate names a slower case, by what it really costs and how long its step takes."""
    groups: dict[Scenario, list[Live]] = {}
    for run in runs:
        if run.design == "turns" and run.slowed:
            groups.setdefault(run.scenario, []).append(run)
    seen: dict[tuple[int, str], list[bool]] = {}
    for group in groups.values():
        changes = measured_changes(group)
        for run in group:
            named = run.named(GATE)
            for case in run.record.cases:
                if case.id in run.slowed:
                    edge = int(np.searchsorted(CHANGES, changes[case.id], side="right")) - 1
                    base = float(np.median([sample.base for sample in case.samples]))
                    seen.setdefault((edge, duration_of(base)), []).append(case.id in named)
    order = [name for name, _, _ in CLASSES]
    return [
        Power(low, high, name, Rate(sum(seen[index, name]), len(seen[index, name])))
        for index, (low, high) in enumerate(pairwise(CHANGES))
        for name in order
        if (index, name) in seen
    ]


def duration_of(seconds: float) -> str:
    """The class of a step that takes so long."""
    return next(name for name, low, high in CLASSES if low <= seconds < high)


def spreads(runs: Iterable[Live]) -> Iterator[Spread]:
    """By design and duration, over all cases of all runs."""
    groups: dict[tuple[str, str], list[tuple[float, float, bool]]] = {}
    for run in runs:
        for view in run.verdict.cases:
            if view.sd is not None:
                name = duration_of(float(np.median([sample.base for sample in view.case.samples])))
                seen = groups.setdefault((run.design, name), [])
                seen.append((view.sd, view.detectable or math.inf, view.powered))
    for design in dict.fromkeys(design for design, _ in groups):
        for name, _, _ in CLASSES:
            if chosen := groups.get((design, name)):
                sd, sees, gates = zip(*chosen, strict=True)
                quartiles = tuple(float(q) for q in np.quantile(sd, (0.25, 0.5, 0.75)))
                blind = Rate(len(gates) - sum(gates), len(gates))
                yield Spread(design, name, quartiles, float(np.median(sees)), blind)  # type: ignore[arg-type]
