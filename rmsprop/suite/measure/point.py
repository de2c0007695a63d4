"""What one process measures of one point: its implementations and the five passes, in turns.

The implementations and the five passes over memory that they are held against take turns, sample by sample,
so that a busy moment meets all of them.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import ParamSpec

from rmsprop.suite.case import Case
from rmsprop.suite.measure.cold_start import cold_start
from rmsprop.suite.measure.metrics import book_job, digits_job, five_passes, peak_extra_bytes
from rmsprop.suite.measure.pauses import Pauses
from rmsprop.suite.measure.places import line_of
from rmsprop.suite.measure.trust import Spent, Watch
from rmsprop.suite.measure.workload import CaseFailedError, CaseSkippedError, Workload
from rmsprop.suite.records.bench import Quantity, Status

SAMPLE_SECONDS = 0.005
"""A sample takes as many steps as fill this time: far above the timer, and small against a case's time."""
MIN_SAMPLES, MAX_SAMPLES = 5, 20
"""Of a process."""

P = ParamSpec("P")


@dataclass(frozen=True)
class PointTask:
    """What a process is to do.

    Attributes
    ----------
    cases
        Of one point.
    case_seconds
        Aimed at, for the samples of one case.
    rounds
        How many samples of each case; None to find out how many fill `case_seconds`.
    job_runs
        Trainings of the book's job, or of the digits; 0 where this process is not to measure what stands
        beside the steps.
    cold
        Whether to measure the cold start.
    """

    cases: tuple[Case, ...]
    case_seconds: float
    rounds: int | None
    job_runs: int
    cold: bool


@dataclass(frozen=True)
class Doing:
    """What a process tells before a case is given control.

    Attributes
    ----------
    number
        Of the case in the task; -1 for the five passes.
    ended
        So many of the task's cases, from the first on, have nothing more to do in this process.
    """

    number: int
    ended: int


@dataclass(frozen=True)
class Part:
    """What one process measured of one case.

    Attributes
    ----------
    ended
        skipped or failed, and why; None where it was measured.
    trace
        The traceback of a failure, else empty.
    steps
        In a sample; 0 where the case ended before.
    seconds
        Of a step, the mean over each sample.
    samples
        Of all quantities but the step, in `UNITS`.
    notes
        What a reader of the numbers must know.
    """

    ended: tuple[Status, str] | None
    trace: str
    steps: int
    seconds: tuple[float, ...]
    samples: dict[Quantity, tuple[float, ...]]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Parts:
    """What one process measured of a point.

    Attributes
    ----------
    parts
        In the order of the task's cases.
    passes
        Seconds of the five passes, and why there are none.
    spent
        What the machine did meanwhile.
    rounds
        Samples of each case.
    """

    parts: tuple[Part, ...]
    passes: Part
    spent: Spent
    rounds: int


def measure_point(task: PointTask, at: Callable[[Doing], None] = lambda doing: None) -> Parts:
    """Each case timed, or skipped or failed with its reason; what it raises is its own failure.

    The first process of a point checks each case before it times it: to check 25 million elements takes as
    long as their samples. `at` is called before a case is given control.
    """
    first = task.rounds is None
    ended = 0

    def control(number: int) -> None:
        at(Doing(number, ended))

    runs = [_Run(case, number, control, first) for number, case in enumerate(task.cases)]
    passes = _Run(task.cases[0], -1, control, first, five_passes)
    with ExitStack() as workloads:
        for run in runs:
            run.attempt(run.enter, workloads)
        playing = [run for run in runs if run.ended is None]
        if playing:
            passes.attempt(passes.enter, workloads)
        with Watch() as watch:
            rounds = _take_turns([run for run in (*playing, passes) if run.ended is None], task)
        if task.job_runs:
            for run in runs:
                run.beside("peak memory", run.peak)
    for ended, run in enumerate(runs):  # noqa: B007 (`control` tells it)
        if not task.job_runs or run.case.momentum:  # the book has none
            continue
        if run.case.layout == "digits":
            run.beside("the digits", run.digits_job, task.job_runs)
        if run.case.layout == "book":
            run.beside("book's job", run.book_job, task.job_runs)
            if task.cold:
                run.beside("cold start", run.cold_start)
    return Parts(tuple(run.part() for run in runs), passes.part(), watch.spent, rounds)


@dataclass
class _Run:
    """A case at work."""

    case: Case
    number: int
    at: Callable[[int], None]
    checks: bool
    prepare: Callable[[Case], Workload] = Workload
    ended: tuple[Status, str] | None = None
    """Skipped or failed, and why."""
    trace: str = ""
    """The traceback of a failure."""
    steps: int = 0
    """In a sample."""
    seconds: list[float] = field(default_factory=list)
    samples: dict[Quantity, tuple[float, ...]] = field(default_factory=dict)
    """Of all but the steps."""
    notes: list[str] = field(default_factory=list)

    def attempt(self, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it, unless the case has ended; it ends if this raises."""
        if self.ended is None:
            self.at(self.number)
            try:
                action(*args, **kwargs)
            except CaseSkippedError as reason:
                self.ended = "skipped", str(reason)
            except (Exception, SystemExit) as error:  # someone else's optimizer may raise anything
                self.ended = "failed", str(error) if isinstance(error, CaseFailedError) else line_of(error)
                self.trace = "".join(traceback.format_exception(error))

    def beside(self, name: str, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it, unless the case has ended; if this raises, a note says so: the steps were measured."""
        if self.ended is None:
            self.at(self.number)
            try:
                action(*args, **kwargs)
            except (Exception, SystemExit) as error:
                self.notes.append(f"{name} not measured: {line_of(error)}")

    def enter(self, workloads: ExitStack) -> None:
        """Check it, warm it up, and find how many steps make a sample."""
        workload = self.prepare(self.case)
        workload.checks = self.checks
        self.workload = workloads.enter_context(workload)
        self.notes += self.workload.notes
        self.steps = self.workload.steps_for(SAMPLE_SECONDS)

    def turn(self) -> None:
        """Take one sample."""
        if self.steps > 1:  # the others' turns have taken the cache; a longer step fills none
            self.workload.run(1)
        self.seconds.append(self.workload.time(self.steps) / self.steps)

    def peak(self) -> None:
        """Extra memory of a step."""
        if (peak := peak_extra_bytes(self.workload)) is not None:
            self.samples["peak"] = (float(peak),)

    def book_job(self, runs: int) -> None:
        """The book's training: seconds of the last epoch and final losses."""
        # The surrogate has the real rows' loss surface, and needs neither a file nor a network.
        job = book_job(
            self.case.implementation,
            self.case.device,
            self.case.dtype,
            threads=self.case.threads,
            data="surrogate",
            seeds=range(runs),
        )
        self.samples |= {"epoch": job.epoch_seconds, "loss": job.losses, "curve": job.curve}

    def digits_job(self, runs: int) -> None:
        """The training of the digits: seconds of the last epoch and final losses."""
        job = digits_job(
            self.case.implementation,
            self.case.device,
            self.case.dtype,
            threads=self.case.threads,
            seeds=range(runs),
        )
        self.samples |= {"epoch": job.epoch_seconds, "loss": job.losses}

    def cold_start(self) -> None:
        """Imports, first step and what of it is beyond a steady one, in a process of its own."""
        cold = cold_start(self.case)
        self.samples |= {
            "import": (cold.import_torch + cold.import_rmsprop,),
            "first_step": (cold.construct + cold.first_step,),
            "compile": (cold.compile,),
        }

    def part(self) -> Part:
        """What is told of it."""
        return Part(
            self.ended, self.trace, self.steps, tuple(self.seconds), dict(self.samples), tuple(self.notes)
        )


def _take_turns(runs: Sequence[_Run], task: PointTask) -> int:
    """A sample of each, round after round; another one begins each round. How many rounds there were."""

    def play(number: int) -> None:
        first = number % max(1, len(runs))
        for run in (*runs[first:], *runs[:first]):
            run.attempt(run.turn)

    def first() -> float:
        begin = time.perf_counter()
        play(0)
        return time.perf_counter() - begin

    filling = int(task.case_seconds * len(runs) / Pauses().undisturbed(first))
    for run in runs:
        run.seconds.clear()  # the first round only shows how long one takes
    rounds = task.rounds or min(MAX_SAMPLES, max(MIN_SAMPLES, filling))
    for number in range(rounds):
        play(number)
    return rounds
