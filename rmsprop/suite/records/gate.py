"""The record of one run of the gate: base against head, with every launch's ratios."""

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from rmsprop.suite.records.environment import Environment

SCHEMA = 1
_STRICT = ConfigDict(extra="forbid")

Stage = Literal["screen", "confirm"]
Status = Literal["compared", "new", "lost", "failed", "skipped", "left out"]


@dataclass(frozen=True, config=_STRICT)
class Side:
    """One of the two that are compared."""

    revision: str
    """As it was asked for, or `working tree`."""
    commit: str | None
    """The commit, or the one that a working tree stands on."""
    dirty: bool
    """Whether the tree differs from that commit; it was measured as it was."""
    python: str
    """Version of its interpreter."""
    versions: dict[str, str]
    """Of torch and numpy there."""


@dataclass(frozen=True, config=_STRICT)
class Policy:
    """The rules by which launches are judged. Shares of a step's time: 0.01 is 1%."""

    screen: float = 0.012
    """Least estimate of the screen that makes a case a candidate."""
    agree: float = 2 / 3
    """Least share of the screen's launches that have the estimate's sign."""
    candidates: int = 10
    """Most cases that go on alone; if more qualify, families do, as geometric means."""
    margin: float = 0.01
    """The test's null hypothesis: at most so much slower."""
    alarm: float = 0.02
    """Least estimate, on the confirming launches, that alarms."""
    alpha: float = 0.01
    """Chance of a false alarm in a whole run, by Holm over the candidates."""
    power: float = 0.9
    """With which the least detectable slowdown is seen."""
    aim: float = 0.03
    """No more is spent of the budget than lets the run see so small a slowdown."""
    gates_at: float = 0.05
    """A case whose least detectable slowdown is larger cannot gate."""


@dataclass(frozen=True, config=_STRICT)
class Plan:
    """What a budget buys."""

    budget_seconds: float
    pairs: int
    """Launches at a time, each on a CPU of its own."""
    turns: int
    """Of each side, for a case in a launch; those that confirm take fewer where time is short."""
    turn_seconds: float
    screen: int
    """Launches of base and head over all cases."""
    confirm: int
    """Launches of base, base again and head over the candidates."""


@dataclass(frozen=True, config=_STRICT)
class Launch:
    """One set of live processes that took turns. Everything random in it was drawn from its seed."""

    stage: Stage
    seed: int
    cpu: int | None
    """All of its processes were bound to it; None where a system binds none."""
    seconds: float
    stolen: float | None
    """Share of that CPU's time that the hypervisor took meanwhile; None where it is not shown."""
    turns: int | None = None
    """Of each side, for a case; None for as many as planned."""


@dataclass(frozen=True, config=_STRICT)
class Sample:
    """A case in a launch."""

    launch: int
    """Index into the record's launches."""
    base: float
    """Median seconds of a step over the turns."""
    head: float
    d: float
    """log(head / base): the trimmed mean over neighbouring turns."""
    control: float | None
    """log(base again / base), likewise; in confirming launches."""


@dataclass(frozen=True, config=_STRICT)
class GateCase:
    """A case, and what became of it."""

    id: str
    family: str
    """Cases that a change meets together: those of one implementation."""
    status: Status
    """compared; new (base lacks it); lost (head lacks it); failed; skipped on both; left out (budget)."""
    reason: str | None
    """Why it is not compared."""
    steps: int | None
    """In a turn."""
    samples: tuple[Sample, ...]


@dataclass(frozen=True, config=_STRICT)
class Hypothesis:
    """What the second stage tests: that a case, or the geometric mean of a family's cases, has changed."""

    name: str
    cases: tuple[str, ...]
    slower: bool
    """The direction that the screen saw."""


@dataclass(frozen=True, config=_STRICT)
class GateRecord:
    """One run of the gate. What it means is `rmsprop.suite.verdicts.gate.judge`'s to say."""

    environment: Environment
    """Of the process that ran the gate."""
    suite: str
    base: Side
    head: Side
    policy: Policy
    plan: Plan
    launches: tuple[Launch, ...]
    cases: tuple[GateCase, ...]
    hypotheses: tuple[Hypothesis, ...] | None
    """None where the screen did not end."""
    interrupted: str | None
    """Why the run ended before it was through: a signal, or the budget."""
    error: str | None
    """How a measuring process failed, which ended the run."""
    seconds: float
    kind: Literal["gate"] = "gate"
    schema: int = SCHEMA
