"""Measures cases of the checkout's benchmarks/, and stores a record of each as soon as it ends.

The implementations of one point of the matrix and the five passes over memory that they are held against
take turns, sample by sample, so that a busy moment meets all of them and their ratios are of one machine.
Runs from a checkout, with its root on the path: the harness comes from there, not from the wheel.
"""

import itertools
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import ParamSpec

from rmsprop.suite.case import IMPLEMENTATIONS, Case
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.cold_start import cold_start
from rmsprop.suite.measure.metrics import book_job, five_passes, peak_extra_bytes
from rmsprop.suite.measure.subject import memory_available, memory_kept, memory_needed
from rmsprop.suite.measure.trust import Watch
from rmsprop.suite.measure.workload import CaseSkippedError, Workload
from rmsprop.suite.records.bench import BenchRecord, Measurement, Quantity, Status
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import new_names
from rmsprop.suite.records.store import read_bench, short_commit, write_bench

SAMPLE_SECONDS = 0.005
"""A sample takes as many steps as fill this time: far above the timer, and small against a case's time."""
MIN_SAMPLES, MAX_SAMPLES = 7, 60

P = ParamSpec("P")
Progress = Callable[[Case, BenchRecord | None], None]
"""Called with a case and None before it is measured, and with its record when that is on disk."""


@dataclass(frozen=True)
class Effort:
    """What a profile spends on a case.

    Attributes
    ----------
    case_seconds
        Aimed at, for the samples of one case.
    book_runs
        Trainings of the book's job for each case of the book's layout.
    cold
        Whether the cold start is measured too, in a process of its own, for cases of the book's layout.
    """

    case_seconds: float
    book_runs: int
    cold: bool


EFFORTS = {
    "smoke": Effort(case_seconds=0.25, book_runs=1, cold=False),
    "regular": Effort(case_seconds=1.0, book_runs=5, cold=True),
    "fused": Effort(case_seconds=1.0, book_runs=5, cold=True),
    "full": Effort(case_seconds=2.0, book_runs=10, cold=True),
}


def bench(
    cases: Iterable[Case],
    results: Path,
    effort: Effort,
    *,
    again: bool = False,
    progress: Progress = lambda case, record: None,
) -> list[BenchRecord]:
    """Measure the cases; the records of one point are below results/bench/ before the next begins.

    A case that was measured for this commit, machine and versions is read instead, unless `again`. With
    local changes there is no commit to go by, and all are measured.
    """
    environment = capture_environment()
    folder = results / "bench" / environment.machine / _run_name(environment)
    records = []
    for _, point in itertools.groupby(cases, key=lambda case: case.point):
        todo = []
        for case in point:
            record = None if again else _measured_before(folder, case, environment)
            if record is None:
                todo.append(case)
                continue
            progress(case, record)
            records.append(record)
        for together in _fitting(todo):
            progress(together[0], None)
            for case, record in measure(together, environment, effort).items():
                write_bench(folder / f"{_name(case)}.json", record)
                progress(case, record)
                records.append(record)
    return records


def measure(cases: Sequence[Case], environment: Environment, effort: Effort) -> dict[Case, BenchRecord]:
    """Cases of one point in turns: each checked, timed, or skipped or failed with its reason.

    Whatever a case raises is its own failure.
    """
    environment = replace(environment, started=_now(), load=round(os.getloadavg()[0], 2))
    runs = [_Run(case) for case in cases]
    passes = _Run(cases[0], five_passes)
    with ExitStack() as workloads:
        for run in runs:
            run.attempt(run.enter, workloads)
        playing = [run for run in runs if run.ended is None]
        if playing:
            passes.attempt(passes.enter, workloads)
        with Watch() as watch:
            _take_turns([run for run in (*playing, passes) if run.ended is None], effort)
        for run in runs:
            run.beside("peak memory", run.peak)
    for run in runs:
        run.beside("ceiling", run.hold_against, passes)
        if run.case.layout == "book" and not run.case.momentum:  # the book has none
            run.beside("book's job", run.book_job, effort)
            if effort.cold:
                run.beside("cold start", run.cold_start)
    return {run.case: run.record(environment, watch) for run in runs}


@dataclass
class _Run:
    """A case at work.

    Attributes
    ----------
    ended
        Skipped or failed, and why.
    steps
        In a sample.
    samples
        Of all but the steps.
    """

    case: Case
    prepare: Callable[[Case], Workload] = Workload
    ended: tuple[Status, str] | None = None
    steps: int = 0
    seconds: list[float] = field(default_factory=list)
    samples: dict[Quantity, tuple[float, ...]] = field(default_factory=dict)
    ceiling: float | None = None
    notes: list[str] = field(default_factory=list)

    def attempt(self, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it, unless the case has ended; it ends if this raises."""
        if self.ended is None:
            try:
                action(*args, **kwargs)
            except CaseSkippedError as reason:
                self.ended = "skipped", str(reason)
            except (Exception, SystemExit) as error:  # someone else's optimizer may raise anything
                self.ended = "failed", _line(error)

    def beside(self, name: str, action: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do it, unless the case has ended; if this raises, a note says so: the steps were measured."""
        if self.ended is None:
            try:
                action(*args, **kwargs)
            except Exception as error:
                self.notes.append(f"{name} not measured: {_line(error)}")

    def enter(self, workloads: ExitStack) -> None:
        """Check it, warm it up, and find how many steps make a sample."""
        self.workload = workloads.enter_context(self.prepare(self.case))
        self.steps = self.workload.steps_for(SAMPLE_SECONDS)

    def turn(self) -> None:
        """Take one sample."""
        if self.steps > 1:  # the others' turns have taken the cache; a longer step fills none
            self.workload.run(1)
        self.seconds.append(self.workload.time(self.steps) / self.steps)

    def peak(self) -> None:
        """Extra memory of a step."""
        self.notes += self.workload.notes
        if (peak := peak_extra_bytes(self.workload)) is not None:
            self.samples["peak"] = (float(peak),)

    def hold_against(self, passes: "_Run") -> None:
        """What five passes over as many bytes took, as a median like that of the steps."""
        if passes.ended:
            raise RuntimeError(passes.ended[1])
        self.ceiling = median(passes.seconds)

    def book_job(self, effort: Effort) -> None:
        """The book's training: seconds of the last epoch and final losses."""
        # The surrogate has the real rows' loss surface, and needs neither a file nor a network.
        job = book_job(
            self.case.implementation,
            self.case.device,
            self.case.dtype,
            threads=self.case.threads,
            data="surrogate",
            seeds=range(effort.book_runs),
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

    def record(self, environment: Environment, watch: Watch) -> BenchRecord:
        """What is stored of it."""
        status, reason = self.ended or ("measured", None)
        record = BenchRecord(environment, self.case, status, reason, None, (), ())
        if self.ended:
            return record
        steps: dict[Quantity, tuple[float, ...]] = {"step": tuple(self.seconds)}
        return replace(
            record,
            measurement=Measurement(
                self.case.elements, len(self.case.shapes), self.steps, steps | self.samples, self.ceiling
            ),
            notes=tuple(self.notes),
            warnings=watch.warnings(self.seconds, self.steps),
        )


def _take_turns(runs: Sequence[_Run], effort: Effort) -> None:
    """A sample of each, round after round; another one begins each round."""

    def play(number: int) -> None:
        first = number % max(1, len(runs))
        for run in (*runs[first:], *runs[:first]):
            run.attempt(run.turn)

    begin = time.perf_counter()
    play(0)
    rounds = int(effort.case_seconds * len(runs) / (time.perf_counter() - begin))
    for run in runs:
        run.seconds.clear()  # the first round only shows how long one takes
    for number in range(min(MAX_SAMPLES, max(MIN_SAMPLES, rounds))):
        play(number)


def _fitting(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """The cases of one point in groups that the memory holds at once; one needs working copies at a time."""
    waiting = list(cases)
    while waiting:
        copies = memory_needed(waiting[0]) - memory_kept(waiting[0])
        room = (memory_available(waiting[0].device) - copies) // max(1, memory_kept(waiting[0]))
        together = max(1, room - 1)  # the five passes keep as much as a case
        yield waiting[:together]
        waiting = waiting[together:]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _run_name(environment: Environment) -> str:
    state = "-dirty" if environment.dirty else ""
    return f"{short_commit(environment)}{state}-torch{environment.versions['torch']}"


def _name(case: Case) -> str:
    """Of the case's record; records of later runs stand beside it with a number."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", case.id)


def _measured_before(folder: Path, case: Case, environment: Environment) -> BenchRecord | None:
    """The latest record of the case, if it holds numbers that another run here would give again.

    What was skipped or failed is tried again, and someone else's optimizer, which may have changed.
    """
    if environment.dirty or case.implementation not in IMPLEMENTATIONS:
        return None
    latest = None
    for path in itertools.takewhile(Path.exists, new_names(folder, _name(case))):
        try:
            latest = read_bench(path)
        except ValueError:
            continue  # damaged: measured anew, and named by whoever reads all
    if latest is None or latest.status != "measured" or latest.axes != case:
        return None
    then, now = latest.environment, environment
    return (
        latest
        if (then.python, then.threads, then.versions) == (now.python, now.threads, now.versions)
        else None
    )


def _line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
