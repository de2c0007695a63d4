"""One launch: live processes of both sides that take turns on one CPU."""

import math
import random
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import permutations

from scipy import stats

from rmsprop.suite.gate.cpus import own_cpu, stolen
from rmsprop.suite.gate.worker_client import START_SECONDS, Arm, StoppedError, WorkerClient, WorkerError
from rmsprop.suite.records.gate import GateLaunch, Sample, Stage

PHASE, PHASE_SECONDS = 100, 0.5
"""Up to so many steps, for up to so many seconds, come before the turns, evenly over a stage's launches.
If every hundredth step is slow and a turn is one step, all launches would meet one otherwise, or none."""
TRIMMED = 0.2
"""Share of the turns that is left out at either end before the mean."""
PADDING = 4096
"""The environment is made longer by up to this many bytes: its length moves the stack."""

DEAR = 4
"""A case that the suite marks as dear takes a quarter of the turns."""
RARE_TURNS = 128
"""Where sums are confirmed: every launch then meets a step that is slow every hundredth time."""

Turns = dict[str, list[float]]
"""Seconds of each process's turns in one case; those at one place of the lists are neighbours."""


@dataclass(frozen=True)
class LaunchJob:
    """What a launch does.

    Attributes
    ----------
    stage
        screen: base and head. confirm: base, base again and head.
    seed
        Of everything random in it.
    steps
        Of a turn, for each case.
    turns
        Of each process, for each case that is not dear.
    dear
        The cases that are.
    rare
        The cases whose sums are confirmed.
    phase
        The share of `PHASE` steps that come before the turns, from 0 to less than 1.
    """

    stage: Stage
    seed: int
    steps: dict[str, int]
    turns: int
    dear: frozenset[str] = frozenset()
    rare: frozenset[str] = frozenset()
    phase: float = 0.0


@dataclass(frozen=True)
class Launched:
    """What a launch left, also one that ended early.

    Attributes
    ----------
    launch
        As it is recorded.
    turns
        Of each case that was measured to its end.
    error
        Why the launch ended early, unless it was told to.
    """

    launch: GateLaunch
    turns: dict[str, Turns]
    error: str | None


def run_launch(
    base: Arm,
    head: Arm,
    job: LaunchJob,
    *,
    advance: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Launched:
    """Start the processes on the CPU that this thread is bound to, and have them take turns in each case.

    `advance` is called after each case. Once `stopped` returns True, the launch ends within moments.
    """

    def measure(draw: random.Random) -> Iterator[tuple[str, Turns]]:
        with alive(arms_of(base, head, job), draw, stopped) as workers:
            for case in shuffled(job.steps, draw):
                yield case, take_turns(workers, case, job, draw)
                advance()

    return watched(measure, job)


def watched(measure: Callable[[random.Random], Iterator[tuple[str, Turns]]], job: LaunchJob) -> Launched:
    """Collect what `measure` yields, with the time that it took and what the hypervisor did meanwhile."""
    cpu = own_cpu()
    begin, before = time.perf_counter(), stolen(cpu)
    turns: dict[str, Turns] = {}
    error = None
    try:
        for case, taken in measure(random.Random(job.seed)):
            turns[case] = taken
    except StoppedError:
        pass
    except WorkerError as died:
        error = str(died)
    seconds = time.perf_counter() - begin
    after = stolen(cpu)
    share = None if before is None or after is None else round((after - before) / seconds, 5)
    return Launched(GateLaunch(job.stage, job.seed, cpu, round(seconds, 3), share, job.turns), turns, error)


def arms_of(base: Arm, head: Arm, job: LaunchJob) -> dict[str, Arm]:
    """The processes of a launch, by name."""
    return {"base": base, "head": head} | ({"again": base} if job.stage == "confirm" else {})


@contextmanager
def alive(
    arms: Mapping[str, Arm], draw: random.Random, stopped: Callable[[], bool]
) -> Iterator[dict[str, WorkerClient]]:
    """A process of each arm, started in random order in a random environment."""
    with ExitStack() as living:
        workers = {
            name: living.enter_context(
                WorkerClient(
                    arms[name],
                    hash_seed=draw.randrange(2**32),
                    padding=draw.randrange(PADDING),
                    stopped=stopped,
                )
            )
            for name in shuffled(arms, draw)
        }
        for worker in workers.values():
            worker.greet()
        for worker in workers.values():
            worker.answer(START_SECONDS)
        yield workers


def take_turns(workers: Mapping[str, WorkerClient], case: str, job: LaunchJob, draw: random.Random) -> Turns:
    """The seconds of each worker's turns. Who goes first is drawn for each turn, and evenly."""
    for worker in workers.values():
        worker.tell(do="open", case=case)
    for name, worker in workers.items():
        answer = worker.answer()
        if "seconds" not in answer:
            why = answer.get("skipped") or answer.get("failed")
            raise WorkerError(f"{name}: {case} could be measured before, and cannot be any more: {why}")
    steps = job.steps[case]
    warm = [worker.ask(do="turn", steps=steps)["seconds"] for worker in workers.values()]
    if ahead := int(job.phase * phase_steps(steps, max(warm) / steps)):
        for worker in workers.values():
            worker.ask(do="turn", steps=ahead)
    turns: Turns = {name: [] for name in workers}
    number = turns_of(job.turns, dear=case in job.dear, rare=case in job.rare)
    orders = [*permutations(workers)] * -(-number // math.factorial(len(workers)))
    draw.shuffle(orders)
    for order in orders[:number]:
        for name in order:
            turns[name].append(workers[name].ask(do="turn", steps=steps)["seconds"])
    for worker in workers.values():
        worker.ask(do="close")
    return turns


def log_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The trimmed mean of log(over / under) over neighbouring turns."""
    return float(stats.trim_mean([math.log(a / b) for a, b in zip(over, under, strict=True)], TRIMMED))


def turns_of(turns: int, *, dear: bool, rare: bool) -> int:
    """The turns of a case in a launch of so many."""
    turns = max(turns, RARE_TURNS) if rare else turns
    return max(1, turns // DEAR) if dear else turns


def phases(launches: int, first: float) -> list[float]:
    """Shares of `PHASE` at even distances, one a launch, of which the first is `first` of a distance.

    However `first` is drawn, as many launches meet a rare step as can be expected, rounded down at worst.
    """
    return [(i + first) / launches for i in range(launches)]


def phase_steps(steps: int, seconds: float) -> int:
    """Most steps ahead of the turns, if a turn is so many steps and a step takes so long; at least 1."""
    return 1 if steps >= PHASE else max(1, min(PHASE, int(PHASE_SECONDS / max(seconds, 1e-9))))


def sample_of(turns: Turns, steps: int, launch: int) -> Sample:
    """What is recorded of a case in the launch of that number."""
    again = turns.get("again")
    return Sample(
        launch=launch,
        base=_rounded(statistics.median(turns["base"]) / steps),
        head=_rounded(statistics.median(turns["head"]) / steps),
        log_ratio=round(log_ratio(turns["head"], turns["base"]), 6),
        control=None if again is None else round(log_ratio(again, turns["base"]), 6),
        base_sum=_rounded(math.fsum(turns["base"]), 7),
        head_sum=_rounded(math.fsum(turns["head"]), 7),
        again_sum=None if again is None else _rounded(math.fsum(again), 7),
    )


def shuffled(names: Iterable[str], draw: random.Random) -> list[str]:
    """The names in random order."""
    drawn = list(names)
    draw.shuffle(drawn)
    return drawn


def _rounded(seconds: float, digits: int = 4) -> float:
    return float(f"{seconds:.{digits}g}")
