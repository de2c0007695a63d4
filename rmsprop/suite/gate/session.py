"""One run of the gate: prepare both sides, plan, screen, confirm. Whatever was measured becomes a record."""

import math
import queue
import random
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from rmsprop.errors import UserError
from rmsprop.suite.gate.costs import Costs, screen_seconds, words_of
from rmsprop.suite.gate.cpus import bind, cpus, load
from rmsprop.suite.gate.matching import counted_again, match, unequal
from rmsprop.suite.gate.plan import LEAST_SCREEN, Noise, make_plan, promises, second_stage
from rmsprop.suite.gate.prepare import Prepared, prepare
from rmsprop.suite.gate.request import GateRequest
from rmsprop.suite.gate.trees import Trees, prepared_trees, run_in_each
from rmsprop.suite.gate.turns import Launched, LaunchJob, phases, run_launch, sample_of
from rmsprop.suite.gate.worker_client import Arm, StoppedError
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.records.gate import (
    CURRENT_POLICY,
    SIGNAL,
    GateCase,
    GateLaunch,
    GatePlan,
    GateRecord,
    Hypothesis,
    Policy,
    Sample,
    Side,
    Stage,
)
from rmsprop.suite.records.store import read_gate

USUAL_PAIRS, MOST_PAIRS = 2, 5
"""Launches at a time, however many cores there are. Two were measured to be harmless. More than five leave
too little choice among the ten to twenty launches that confirm."""
FORMER = 5
"""How many earlier records of this machine tell how noisy it is."""


class Show(Protocol):
    """Where progress goes."""

    def say(self, text: str) -> None:
        """One line."""

    def plan(self, record: GateRecord, promised: Mapping[str, float], measured: bool) -> None:
        """What the budget buys, before the first launch: each family's minimum detectable slowdown.

        `measured` says whether that stands on earlier runs on this machine.
        """

    def begin(self, stage: str, total: int | None) -> None:
        """A stage of so many steps; None if their number is not known yet."""

    def advance(self) -> None:
        """One step is done."""


def gate(request: GateRequest, show: Show) -> GateRecord:
    """Do what the request asks: prepare the trees, and measure them against each other."""
    begun = time.monotonic()
    interpreters = request.interpreters()
    check_writable(request.results)
    environment = capture_environment()
    noise = Noise.of(_former(request.results / "gate" / environment.machine))
    with prepared_trees(request.folder, request.revisions(), request.suite, request.results) as trees:
        for sentence in trees.lacking:
            show.say(sentence)
        if request.prepare:
            show.say(f"running `{request.prepare}` in both trees")
            run_in_each(trees, request.prepare, interpreters)
        return Session(request, trees, interpreters, environment, show, noise, begun).run()


def _former(folder: Path) -> list[GateRecord]:
    """The latest records; one that is damaged or cannot be read is left out."""
    records = []
    for path in sorted(folder.glob("*.json"))[-FORMER:]:
        with suppress(OSError, ValueError):
            records.append(read_gate(path))
    return records


@dataclass
class Session:
    """A run as it goes, from prepared trees to a record.

    Attributes
    ----------
    request, trees, interpreters, environment
        What is compared, and by what.
    show
        Where progress goes.
    noise
        Of this machine, by former runs.
    begun
        When the budget began, by time.monotonic.
    policy
        The rules of the decision.
    arms
        Both sides as something to start, by name: base and head.
    pairs
        Launches at a time.
    end
        When the budget ends, by time.monotonic.
    """

    request: GateRequest
    trees: Trees
    interpreters: Mapping[str, Path]
    environment: Environment
    show: Show
    noise: Noise = field(default_factory=Noise)
    begun: float = field(default_factory=time.monotonic)
    policy: Policy = CURRENT_POLICY
    _sides: Mapping[str, Side] = field(default_factory=dict, init=False)
    _plan: GatePlan | None = field(default=None, init=False)
    _cases: dict[str, GateCase] = field(default_factory=dict, init=False)
    _samples: dict[str, list[Sample]] = field(default_factory=dict, init=False)
    _launches: list[GateLaunch] = field(default_factory=list, init=False)
    _hypotheses: tuple[Hypothesis, ...] | None = field(default=None, init=False)
    _interrupted: str | None = field(default=None, init=False)
    _error: str | None = field(default=None, init=False)
    _stop: threading.Event = field(default_factory=threading.Event, init=False)

    def __post_init__(self) -> None:
        """The arms, and when the budget ends."""
        trees = {"base": self.trees.base, "head": self.trees.head}
        self.arms = {
            side: Arm(side, self.interpreters[side], tree.path, self.trees.harness, self.trees.suite)
            for side, tree in trees.items()
        }
        self.policy = replace(self.policy, aim=self.request.aim)
        self.pairs = max(1, min(self.request.pairs or USUAL_PAIRS, len(cpus()), MOST_PAIRS))
        self.end = self.begun + self.request.budget

    def run(self) -> GateRecord:
        """Measure, and return the record of what was measured, also after an interrupt.

        UserError if nothing can be measured: a tree that does not import, an empty selection, a budget that
        is too small.
        """
        prepared = self._prepare()
        if differing := unequal(prepared):
            prepared = counted_again(prepared, self._prepare(differing))
        trees = {"base": self.trees.base, "head": self.trees.head}
        self._sides = {
            side: Side(tree.revision, tree.commit, tree.dirty, prepared[side].python, prepared[side].versions)
            for side, tree in trees.items()
        }
        cases, costs = match(prepared)
        self._cases = {case.id: case for case in cases}
        if costs.cases and self.request.timed:
            costs = self._make_plan(costs)
            try:
                assert self._plan is not None
                self.show.say(words_of(costs, self._plan.turns))
                self.show.plan(self._frozen(), promises(self._frozen(), self.noise), self.noise != Noise())
                self._measure(costs)
            except KeyboardInterrupt:
                self._interrupted = SIGNAL
        return self._frozen()

    def launch(self, job: LaunchJob) -> Launched:
        """One launch, on the CPU that this thread is bound to."""
        return run_launch(
            self.arms["base"], self.arms["head"], job, advance=self.show.advance, stopped=self.stopped
        )

    def stopped(self) -> bool:
        """Whether a launch that is under way must end."""
        return self._stop.is_set() or time.monotonic() > self.end

    def _prepare(self, only: Container[str] | None = None) -> dict[str, Prepared]:
        """Both sides at once, if there are two CPUs; `only` these cases, to count them again."""
        self.show.say("counting again what differs" if only else "preparing both sides")
        self.show.begin("prepare", None)
        sides = list(self.arms)
        ready: list[int] = []
        totals: list[int] = []

        def advance() -> None:
            ready.append(1)
            self.show.advance()

        with ThreadPoolExecutor(max(1, min(2, len(cpus())))) as pool:
            futures = [
                pool.submit(
                    prepare,
                    self.arms[side],
                    self.request.patterns,
                    advance,
                    again=side == "head",
                    timed=self.request.timed and only is None,
                    only=only,
                    total=totals.append,
                    stopped=self.stopped,
                )
                for side in sides
            ]
            try:
                wait(futures, return_when=FIRST_EXCEPTION)
            finally:
                if not all(future.done() for future in futures):
                    self._stop.set()
                wait(futures)
        errors = [error for future in futures if (error := future.exception())]
        # The side that failed says why; the other one was only stopped.
        for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
            if isinstance(error, StoppedError):
                raise UserError(self._unready(len(ready), sum(totals)))
            raise error
        return {side: future.result() for side, future in zip(sides, futures, strict=True)}

    def _unready(self, ready: int, total: int) -> str:
        """Why the preparation did not end, and which budget would do."""
        budget = self.request.budget
        whole = budget * max(2.0, 2 * total / ready) if ready else 4 * budget
        minutes = max(1, math.ceil(whole / 60))
        where = (
            f"{ready} of {total} cases (both sides) were made ready"
            if total
            else "the sides had not been imported"
        )
        return (
            f"the budget of {budget:g} s ended before every case was made ready once: {where}, with a load "
            f"of {load()}; try --budget {minutes}m, or choose fewer cases with --case"
        )

    def _make_plan(self, costs: Costs) -> Costs:
        """Plan, and return the costs of the cases that the budget has room for."""
        left = self.end - time.monotonic()
        budget = self.request.budget
        self._plan, left_out = make_plan(costs, left, budget, self.pairs, self.policy, self.noise.ratio)
        for name in left_out:
            self._cases[name] = replace(self._cases[name], status="left out", reason="the budget")
        return replace(costs, cases={name: c for name, c in costs.cases.items() if name not in left_out})

    def _measure(self, costs: Costs) -> None:
        assert self._plan is not None
        plan = self._plan
        self._stage("screen", [*costs.cases], plan.screen, plan.turns, screen_seconds(costs, plan.turns))
        if self._stop.is_set():
            return
        if len(self._launches) < LEAST_SCREEN:
            self._interrupted = "the budget ended before the screen did"
            return
        again = second_stage(self._frozen(), costs, self.end - time.monotonic())
        self._hypotheses = again.hypotheses
        if again.names:
            self._stage("confirm", again.names, again.launches, again.turns, again.seconds)

    def _stage(self, stage: Stage, names: Sequence[str], launches: int, turns: int, seconds: float) -> None:
        """So many launches, or as many as end in time if each takes about `seconds`."""
        assert self._plan is not None
        steps = {name: steps for name in names if (steps := self._cases[name].steps)}
        left: queue.SimpleQueue[LaunchJob] = queue.SimpleQueue()
        dear = frozenset(name for name in names if self._cases[name].dear)
        rare = frozenset(one.name for one in self._hypotheses or () if one.rare)
        draw = random.SystemRandom()
        for phase in phases(launches, draw.random()):
            left.put(LaunchJob(stage, draw.randrange(2**32), steps, turns, dear, rare, phase))
        self.show.begin(stage, launches * len(steps))
        done: list[Launched] = []

        def measure(cpu: int | None) -> None:
            bind(cpu)
            slowest = seconds
            while not self._stop.is_set() and time.monotonic() + slowest <= self.end:
                try:
                    job = left.get_nowait()
                except queue.Empty:
                    return
                launched = self.launch(job)
                slowest = max(slowest, launched.launch.seconds)
                done.append(launched)
                if launched.error:
                    self._stop.set()

        places: Sequence[int | None] = cpus()[: self._plan.pairs] or (None,)
        try:
            self._at_each(places, measure)
        finally:
            for launched in done:
                self._keep(launched)

    def _at_each(self, places: Sequence[int | None], measure: Callable[[int | None], None]) -> None:
        """Have all places measure at the same time; after an interrupt, once their launches have ended."""
        with ThreadPoolExecutor(len(places)) as pool:
            futures = [pool.submit(measure, cpu) for cpu in places]
            try:
                wait(futures)
            except BaseException:
                self._stop.set()
                raise
            finally:
                wait(futures)
        for future in futures:
            future.result()

    def _keep(self, launched: Launched) -> None:
        for name, turns in launched.turns.items():
            steps = self._cases[name].steps
            assert steps is not None
            self._samples.setdefault(name, []).append(sample_of(turns, steps, len(self._launches)))
        self._launches.append(launched.launch)
        self._error = self._error or launched.error

    def _frozen(self) -> GateRecord:
        """The record of what there is."""
        return GateRecord(
            environment=self.environment,
            suite=self.trees.suite,
            base=self._sides["base"],
            head=self._sides["head"],
            policy=self.policy,
            plan=self._plan or GatePlan(self.request.budget, self.pairs, 0, 0.0, 0, 0),
            launches=tuple(self._launches),
            cases=tuple(
                replace(case, samples=tuple(self._samples.get(case.id, ()))) for case in self._cases.values()
            ),
            hypotheses=self._hypotheses,
            interrupted=self._interrupted,
            error=self._error,
            seconds=round(time.monotonic() - self.begun, 1),
            timed=self.request.timed,
        )
