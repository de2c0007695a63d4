"""One run of the gate: prepare, plan, screen, confirm; a record whatever happens once it has begun."""

import math
import queue
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Protocol

from rmsprop.errors import UserError
from rmsprop.suite.gate.launch import Arm, Job, Launched, StoppedError, bind, cpus, run_launch
from rmsprop.suite.gate.plan import (
    LEAST_SCREEN,
    Cost,
    Costs,
    make_plan,
    noise_of,
    promises,
    screen_seconds,
    second_stage,
)
from rmsprop.suite.gate.prepare import Opened, Prepared, prepare
from rmsprop.suite.gate.trees import Tree, Trees, prepared
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.records.gate import GateCase, GateRecord, Plan, Policy, Side, Stage, Status
from rmsprop.suite.records.store import read_gate

USUAL_PAIRS, MOST_PAIRS = 2, 5
"""Launches at a time, however many cores there are: two were measured to be harmless, and more than five
leave too little choice among the ten to twenty launches that confirm."""
LEAST_PYTHON = (3, 11)
FORMER = 5
"""Earlier records of this machine that a promise stands on."""


class Show(Protocol):
    """Where progress goes."""

    def say(self, text: str) -> None:
        """One line."""

    def plan(self, record: GateRecord, promises: Mapping[str, float], measured: bool) -> None:
        """What the budget buys, before the first launch: each family's least detectable slowdown.

        `measured` says whether that stands on earlier runs on this machine.
        """

    def begin(self, stage: str, total: int | None) -> None:
        """A stage of so many steps; None where nobody knows yet."""

    def advance(self) -> None:
        """One step is done."""


class LaunchDesign(Protocol):
    """What a launch does: `run_launch`, unless a study wants to know what another way would give."""

    def __call__(
        self,
        base: Arm,
        head: Arm,
        job: Job,
        index: int,
        *,
        advance: Callable[[], None],
        stopped: Callable[[], bool],
    ) -> Launched:
        """See `run_launch`."""


@dataclass(frozen=True)
class Interpreters:
    """What runs either side."""

    base: Path
    head: Path


@dataclass
class _Run:
    """A run as it goes: what it has, and how to stop it."""

    base: Arm
    head: Arm
    record: GateRecord
    end: float
    """When the budget ends, by time.monotonic."""
    show: Show
    launch: LaunchDesign
    stop: threading.Event = field(default_factory=threading.Event)

    def stage(self, stage: Stage, names: Sequence[str], launches: int, turns: int, seconds: float) -> None:
        """So many launches, or as many as end in time when each takes about `seconds`."""
        steps = {case.id: case.steps for case in self.record.cases if case.id in set(names) and case.steps}
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        first = len(self.record.launches)
        for number in range(first, first + launches):
            numbers.put(number)
        self.show.begin(stage, launches * len(steps))
        done: list[Launched] = []

        def stopped() -> bool:
            return self.stop.is_set() or time.monotonic() > self.end

        def measure(cpu: int | None) -> None:
            bind(cpu)
            slowest = seconds
            while not self.stop.is_set() and time.monotonic() + slowest <= self.end:
                try:
                    number = numbers.get_nowait()
                except queue.Empty:
                    return
                job = Job(stage, random.SystemRandom().randrange(2**32), steps, turns)
                launched = self.launch(
                    self.base, self.head, job, number, advance=self.show.advance, stopped=stopped
                )
                slowest = max(slowest, launched.launch.seconds)
                done.append(launched)
                if launched.error:
                    self.stop.set()

        places: Sequence[int | None] = cpus()[: self.record.plan.pairs] or (None,)
        futures: list[Future[None]] = []
        with ThreadPoolExecutor(len(places)) as pool:
            try:
                futures += [pool.submit(measure, cpu) for cpu in places]
                wait(futures)
            except BaseException:
                self.stop.set()
                raise
            finally:
                wait(futures)
                self._keep(done)
        for future in futures:
            future.result()

    def _keep(self, done: Sequence[Launched]) -> None:
        """Add launches to the record, numbered as they stand there."""
        launches = list(self.record.launches)
        samples = {case.id: list(case.samples) for case in self.record.cases}
        for launched in done:
            for name, sample in launched.samples.items():
                samples[name].append(replace(sample, launch=len(launches)))
            launches.append(launched.launch)
        self.record = replace(
            self.record,
            launches=tuple(launches),
            cases=tuple(replace(case, samples=tuple(samples[case.id])) for case in self.record.cases),
            error=next((launched.error for launched in done if launched.error), self.record.error),
        )

    @property
    def over(self) -> bool:
        """Whether nothing more shall be measured."""
        return self.stop.is_set()


def measure_trees(
    trees: Trees,
    interpreters: Interpreters,
    environment: Environment,
    *,
    budget: float,
    begun: float,
    patterns: Sequence[str],
    pairs: int | None,
    policy: Policy,
    former: Sequence[GateRecord],
    show: Show,
    launch: LaunchDesign = run_launch,
) -> GateRecord:
    """Measure two trees against each other; the budget in seconds counts from `begun` (time.monotonic).

    UserError where there is nothing to measure with: a tree that does not import, an empty selection, a
    budget that is too small. An interrupt gives the record of what was measured until then. `former` are
    earlier records of this machine, for what the plan promises; `launch` is what a launch does.
    """
    arms = {
        side: Arm(side, python, tree.path, trees.harness, trees.suite)
        for side, python, tree in (
            ("base", interpreters.base, trees.base),
            ("head", interpreters.head, trees.head),
        )
    }
    pairs = max(1, min(pairs or USUAL_PAIRS, len(cpus()), MOST_PAIRS))
    base, head = _prepare_both(arms, patterns, show, begun, budget)
    cases, costs = _match(base, head)
    left = begun + budget - time.monotonic()
    no_plan = Plan(budget, pairs, 0, 0.0, 0, 0)
    plan, left_out = (
        make_plan(costs, left, budget, pairs, policy, noise_of(former)) if costs.cases else (no_plan, ())
    )
    record = GateRecord(
        environment=environment,
        suite=trees.suite,
        base=_side(trees.base, base),
        head=_side(trees.head, head),
        policy=policy,
        plan=plan,
        launches=(),
        cases=tuple(
            replace(case, status="left out", reason="the budget") if case.id in left_out else case
            for case in cases
        ),
        hypotheses=None,
        interrupted=None,
        error=None,
        seconds=0.0,
    )
    if costs.cases:
        kept = {name: cost for name, cost in costs.cases.items() if name not in left_out}
        run = _Run(arms["base"], arms["head"], record, begun + budget, show, launch)
        show.plan(record, promises(record, former), bool(former))
        try:
            _both_stages(run, replace(costs, cases=kept))
        except KeyboardInterrupt:
            run.record = replace(run.record, interrupted="interrupted")
        record = run.record
    return replace(record, seconds=round(time.monotonic() - begun, 1))


def _prepare_both(
    arms: Mapping[str, Arm], patterns: Sequence[str], show: Show, begun: float, budget: float
) -> tuple[Prepared, Prepared]:
    """Both at once, each on a CPU of its own, where there are two."""
    stop = threading.Event()

    def stopped() -> bool:
        return stop.is_set() or time.monotonic() > begun + budget

    show.say("preparing both sides")
    show.begin("prepare", None)
    with ThreadPoolExecutor(max(1, min(2, len(cpus())))) as pool:
        futures = [
            pool.submit(prepare, arm, patterns, show.advance, again=side == "head", stopped=stopped)
            for side, arm in arms.items()
        ]
        try:
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if not all(future.done() for future in futures):
                stop.set()
            wait(futures)
    # The side that failed says why; the other one was only stopped.
    errors = [error for future in futures if (error := future.exception())]
    for error in sorted(errors, key=lambda error: isinstance(error, StoppedError)):
        if isinstance(error, StoppedError):
            raise UserError(
                f"the budget of {budget:.0f} s ended before every case was made ready once; allow more, or "
                "choose fewer cases with --case"
            )
        raise error
    return futures[0].result(), futures[1].result()


def _both_stages(run: _Run, costs: Costs) -> None:
    plan = run.record.plan
    expected = screen_seconds(costs, plan.turns)
    run.stage("screen", [*costs.cases], plan.screen, plan.turns, expected)
    if run.over:
        return
    if len(run.record.launches) < LEAST_SCREEN:
        run.record = replace(run.record, interrupted="the budget ended before the screen did")
        return
    again = second_stage(run.record, costs, run.end - time.monotonic())
    run.record = replace(run.record, hypotheses=again.hypotheses)
    if again.names:
        run.stage("confirm", again.names, again.launches, again.turns, again.seconds)


def _match(base: Prepared, head: Prepared) -> tuple[tuple[GateCase, ...], Costs]:
    """Every case of either side with what became of it, and the costs of those that can be compared."""
    cases: list[GateCase] = []
    costs: dict[str, Cost] = {}
    imports: dict[str, float] = {}
    absent = Opened(skipped="the suite lists no such case there")
    for name, family in (base.families | head.families).items():
        before, after = base.opened.get(name, absent), head.opened.get(name, absent)
        failed = [f"{side}: {o.failed}" for side, o in (("base", before), ("head", after)) if o.failed]
        status: Status = "compared"
        reason = None
        if failed:
            status, reason = "failed", "; ".join(failed)
        elif before.skipped and after.skipped:
            status, reason = "skipped", after.skipped
        elif before.skipped:
            status, reason = "new", f"base: {before.skipped}"
        elif after.skipped:
            status, reason = "lost", f"head: {after.skipped}"
        else:
            # One side pays for imports here, the other elsewhere: each has its cases in another order.
            costs[name] = Cost(family, min(before.used, after.used), before.turn)
            beyond = abs(before.used - after.used)
            imports[family] = max(imports.get(family, 0.0), beyond)
        cases.append(
            GateCase(name, family, status, reason, before.steps if status == "compared" else None, ())
        )
    both = [opened for side in (base, head) for opened in side.opened.values() if opened.used]
    busy = median(opened.seconds / opened.used for opened in both) if both else 1.0
    return tuple(cases), Costs(imports, costs, max(1.0, busy))


def _side(tree: Tree, prepared: Prepared) -> Side:
    return Side(tree.revision, tree.commit, tree.dirty, prepared.python, prepared.versions)


def gate(
    folder: Path,
    *,
    base: str | None,
    head: str | None,
    base_python: Path | None,
    head_python: Path | None,
    budget: str,
    aim: str,
    suite: str,
    patterns: Sequence[str],
    pairs: int | None,
    results: Path,
    show: Show,
) -> GateRecord:
    """What the command does: check the request, prepare the trees, and run."""
    begun = time.monotonic()
    if base is None and base_python is None and head_python is None:
        raise UserError("nothing to compare with; say --base REVISION, or --base-python and --head-python")
    seconds = seconds_of(budget)
    interpreters = Interpreters(_interpreter(base_python), _interpreter(head_python))
    check_writable(results)
    environment = capture_environment()
    with prepared(folder, base, head, suite) as trees:
        return measure_trees(
            trees,
            interpreters,
            environment,
            budget=seconds,
            begun=begun,
            patterns=patterns,
            pairs=pairs,
            policy=Policy(aim=share_of(aim)),
            former=_former(results / "gate" / environment.machine),
            show=show,
        )


def _former(folder: Path) -> list[GateRecord]:
    """The latest records; one that is damaged promises nothing."""
    records = []
    for path in sorted(folder.glob("*.json"))[-FORMER:]:
        with suppress(ValueError):
            records.append(read_gate(path))
    return records


def seconds_of(budget: str) -> float:
    """The seconds in 8m, 90s, 1h or 480."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (budget[:-1], units[budget[-1]]) if budget[-1:] in units else (budget, 1)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UserError(f"--budget {budget!r}: expected a time such as 8m or 90s")
    return seconds


def share_of(aim: str) -> float:
    """0.03 for 3%."""
    try:
        share = float(aim.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UserError(f"--aim {aim!r}: expected a slowdown such as 3%")
    return share


def _interpreter(python: Path | None) -> Path:
    """That of this process, unless another is named; not resolved, since a link is how a venv is told."""
    if python is None:
        return Path(sys.executable)
    found = shutil.which(python)
    if found is None:
        raise UserError(f"there is no interpreter {python}; expected the path of a python")
    least = ".".join(map(str, LEAST_PYTHON))
    code = f"import sys; print(sys.version_info >= {LEAST_PYTHON})"
    answer = subprocess.run([found, "-c", code], capture_output=True, text=True, check=False)
    if answer.stdout.strip() != "True":
        raise UserError(f"{python} is no Python {least} or newer, which is what measures")
    return Path(found).absolute()
