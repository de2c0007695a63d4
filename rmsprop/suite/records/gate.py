"""The record of one run of the gate: base against head, with every launch's ratios."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic.dataclasses import dataclass

from rmsprop.suite.records.environment import Environment

SCHEMA = 3
_STRICT = ConfigDict(extra="forbid")

Stage = Literal["screen", "confirm"]
CaseStatus = Literal["compared", "added", "removed", "failed", "skipped", "left out"]

InnerShare = Annotated[float, Field(gt=0, lt=1)]
TimedSeconds = Annotated[float, Field(ge=1e-12, le=1e9)]
LogRatio = Annotated[float, Field(ge=-50, le=50)]
"""Of two numbers of seconds, so that no interval about it overflows."""

SIGNAL = "interrupted"
"""Why a run ended early that a signal ended."""


@dataclass(frozen=True, config=_STRICT)
class Side:
    """One of the two that are compared.

    Attributes
    ----------
    revision
        As it was asked for, or `working tree`.
    commit
        The commit, or the one that a working tree stands on.
    dirty
        Whether the tree differs from that commit; it was measured as it was.
    python
        Version of its interpreter.
    versions
        Of torch and numpy there.
    """

    revision: str
    commit: str | None
    dirty: bool
    python: str
    versions: dict[str, str]


@dataclass(frozen=True, config=_STRICT)
class Policy:
    """The rules by which launches are judged. Shares of a step's time: 0.01 is 1%.

    Attributes
    ----------
    screen
        Smallest estimate of the screen that makes a case a candidate.
    agree
        Smallest share of the screen's launches that have the estimate's sign.
    candidates
        Most cases that are confirmed alone. If more qualify, families are, as geometric means.
    margin
        The null hypothesis of the test: head is slower by at most this.
    alarm
        Smallest estimate, on the confirming launches, that is an alarm.
    alpha
        Probability of a false positive in a whole run, by Holm's correction over the candidates.
    power
        Probability with which a slowdown of the minimum detectable size is detected.
    aim
        The run spends no more of the budget than it takes to detect a slowdown of this size.
    gates_at
        A case whose minimum detectable slowdown is larger is underpowered: its silence is no evidence.
    powered
        A pass needs more than this share of each family's cases not to be underpowered, those that the budget
        left out among them. A change of an implementation meets most of its cases, so that one of those that
        it meets could then detect it. None, in records of schema 1: one case of all is enough.
    rare
        Share of `alpha` for the tests of sums, which see steps that are slow now and then; the other tests
        have the rest. 0, in records before 2026-11-27: sums are not tested.
    rare_screen
        Smallest estimate of the screen by sums that makes a case a candidate of those tests.
    rare_candidates
        Most cases that they confirm.
    more_work
        A counter of operations, or of peak memory, that is larger by more than this share is an alarm.
    """

    screen: InnerShare = 0.012
    agree: InnerShare = 2 / 3
    candidates: Annotated[int, Field(gt=0)] = 10
    margin: InnerShare = 0.01
    alarm: InnerShare = 0.02
    alpha: InnerShare = 0.01
    power: InnerShare = 0.9
    aim: InnerShare = 0.03
    gates_at: InnerShare = 0.05
    powered: InnerShare | None = 0.5
    rare: Annotated[float, Field(ge=0, lt=1)] = 0.0
    rare_screen: InnerShare = 0.02
    rare_candidates: Annotated[int, Field(gt=0)] = 2
    more_work: InnerShare = 0.05


CURRENT_POLICY = Policy(candidates=8, rare=0.2)
"""What the gate judges by today: ten launches are enough for 8 candidates, and for 2 of the rare ones."""


@dataclass(frozen=True, config=_STRICT)
class GatePlan:
    """What a budget buys.

    Attributes
    ----------
    budget_seconds, turn_seconds
        Of the whole run, and of a turn, which takes one step at least.
    pairs
        Launches at a time, each on a CPU of its own.
    turns
        Of each side, for a case in a launch; those that confirm take fewer where time is short.
    screen
        Launches of base and head over all cases.
    confirm
        Launches of base, base again and head over the candidates.
    """

    budget_seconds: float
    pairs: int
    turns: int
    turn_seconds: float
    screen: int
    confirm: int


@dataclass(frozen=True, config=_STRICT)
class GateLaunch:
    """One set of live processes that took turns. Everything random in it was drawn from its seed.

    Attributes
    ----------
    stage, seed, seconds
        screen or confirm; of its draws; wall time, the start of its processes included.
    cpu
        All of its processes were bound to it; None where a system binds none.
    stolen
        Share of that CPU's time that the hypervisor took meanwhile; None where it is not shown.
    turns
        Of each side, for a case; None for as many as planned.
    """

    stage: Stage
    seed: int
    cpu: int | None
    seconds: float
    stolen: float | None
    turns: int | None = None


@dataclass(frozen=True, config=_STRICT)
class Sample:
    """A case in a launch.

    Attributes
    ----------
    launch
        Index into the record's launches.
    base, head
        Median seconds of a step over the turns.
    log_ratio
        log(head / base): the trimmed mean over pairs of neighbouring turns.
    control
        log(base again / base), likewise; in confirming launches.
    base_sum, head_sum, again_sum
        Seconds of all turns together: nothing is trimmed, so that they hold steps that are slow now and then.
        None in records before 2026-11-27.
    """

    launch: int
    base: TimedSeconds
    head: TimedSeconds
    log_ratio: LogRatio
    control: LogRatio | None
    base_sum: TimedSeconds | None = None
    head_sum: TimedSeconds | None = None
    again_sum: TimedSeconds | None = None


@dataclass(frozen=True, config=_STRICT)
class Counters:
    """What one step of a case does on one side, counted: no clock is read, so no noise is in it.

    Attributes
    ----------
    operations
        How often each operation of torch is dispatched, by its name; None without torch.
    python_calls, c_calls
        Calls of Python functions, and of functions written in C.
    allocated, peak
        Bytes that torch allocates, and the most alive at a time: on CUDA once it is in use, else on the CPU.
        None without torch.
    result
        What the suite says that the step computes, to the last bit; None if it says nothing.
    unstable
        The names of those that differ between two steps of the same tree.
    kernels
        How often each kernel is launched on CUDA, by its name; None where CUDA is not in use.
    """

    operations: dict[str, int] | None
    python_calls: int
    c_calls: int
    allocated: int | None
    peak: int | None
    result: str | None
    unstable: tuple[str, ...]
    kernels: dict[str, int] | None = None


@dataclass(frozen=True, config=_STRICT)
class GateCase:
    """A case, and what became of it.

    Attributes
    ----------
    id
        The suite's name for it.
    family
        Cases that a change meets together: those of one implementation.
    status
        compared; added (base lacks it); removed (head lacks it); failed; skipped on both sides; left out (by
        the budget).
    reason
        Why it is not compared.
    steps
        In a turn.
    samples
        One for each launch that measured it.
    base_counters, head_counters
        The exact counters of each side; None if it was not counted.
    uncounted
        Why it was not.
    dear
        Whether it takes fewer turns in a launch, since one of its turns is long.
    """

    id: str
    family: str
    status: CaseStatus
    reason: str | None
    steps: int | None
    samples: tuple[Sample, ...]
    base_counters: Counters | None = None
    head_counters: Counters | None = None
    uncounted: str | None = None
    dear: bool = False


@dataclass(frozen=True, config=_STRICT)
class Hypothesis:
    """What the second stage tests: that a case, or the geometric mean of a family's cases, has changed.

    Attributes
    ----------
    name, cases
        As the report names it; the ids of its cases: one, or several of a family.
    slower, rare
        The direction that the screen saw; whether the sums of the turns are tested.
    """

    name: str
    cases: tuple[str, ...]
    slower: bool
    rare: bool = False


@dataclass(frozen=True, config=_STRICT)
class GateRecord:
    """One run of the gate. What it means is `rmsprop.suite.verdicts.gate.judge_gate`'s to say.

    Attributes
    ----------
    environment, policy, plan
        Of the process that ran the gate; the rules; what the budget was to buy.
    suite, base, head
        The name of the suite's module, and the two sides.
    launches, cases, hypotheses
        Those that were run; all of both sides; None where the screen did not end.
    interrupted
        Why the run ended before it was through: a signal, or the budget.
    error
        How a measuring process failed, which ended the run.
    seconds, timed
        Since the budget began; False where counters alone were asked for.
    kind, schema
        Which kind of record it is, and in which schema.
    """

    environment: Environment
    suite: str
    base: Side
    head: Side
    policy: Policy
    plan: GatePlan
    launches: tuple[GateLaunch, ...]
    cases: tuple[GateCase, ...]
    hypotheses: tuple[Hypothesis, ...] | None
    interrupted: str | None
    error: str | None
    seconds: Annotated[float, Field(ge=0, le=1e9)]
    timed: bool = True
    kind: Literal["gate"] = "gate"
    schema: int = SCHEMA

    @model_validator(mode="before")
    @classmethod
    def _of_schema_1(cls, content: Any) -> Any:
        """Schema 1 wrote `d` for `log_ratio`, `new` for `added`, `lost` for `removed`, and no `powered`."""
        if not isinstance(content, dict) or content.get("schema") != 1:
            return content
        named = {"new": "added", "lost": "removed"}
        try:
            cases = [
                case
                | {"status": named.get(case["status"], case["status"])}
                | {
                    "samples": [
                        {"log_ratio" if k == "d" else k: v for k, v in s.items()} for s in case["samples"]
                    ]
                }
                for case in content["cases"]
            ]
            policy = content["policy"] | {"powered": None}
        except (KeyError, TypeError, AttributeError):
            return content  # the fields that are wrong are named like those of any other record
        return content | {"cases": cases, "policy": policy, "schema": SCHEMA}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "GateRecord":
        """ValueError where one part speaks of another that is not there."""
        ids = {case.id for case in self.cases}
        if len(ids) < len(self.cases):
            raise ValueError("two cases have the same id")
        for case in self.cases:
            numbers = {sample.launch for sample in case.samples}
            if len(numbers) < len(case.samples) or not numbers <= set(range(len(self.launches))):
                raise ValueError(f"the samples of {case.id} need each a launch of its own, of those recorded")
        for hypothesis in self.hypotheses or ():
            if not hypothesis.cases or not ids.issuperset(hypothesis.cases):
                raise ValueError(f"the hypothesis {hypothesis.name} needs cases of this record")
        return self
