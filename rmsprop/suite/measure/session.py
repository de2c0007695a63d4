"""Measures cases as one run, and stores a record of each as soon as it ends.

Each point of the matrix is measured in several processes, one after the other. In each of them the point's
implementations take turns (`measure.point`), so that their ratios are of one machine at one time.
"""

import itertools
import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from rmsprop.suite.case import IMPLEMENTATIONS, REFERENCE, Case
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.known import load_average
from rmsprop.suite.measure.point import Doing, Part, Parts, PointTask
from rmsprop.suite.measure.processes import DiedError, Processes
from rmsprop.suite.measure.subject import memory_available, memory_kept, memory_needed
from rmsprop.suite.measure.trust import Spent, warnings_of
from rmsprop.suite.records.bench import BenchRecord, Measurement, Quantity
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import new_names
from rmsprop.suite.records.store import begin_run, last_run, read_bench, write_bench

_log = logging.getLogger(__name__)
CaseProgress = Callable[[Case, BenchRecord | None], None]
"""Called with a case and None before it is measured, and with its record when that is on disk."""
CaseCount = Callable[[Case, int], None]
"""Called with the case at work, and how many measurements have ended since the last call: one is of one case
in one of its processes. One that is lost, because its process died, is taken back."""


@dataclass(frozen=True)
class Effort:
    """What a profile spends on a case.

    Attributes
    ----------
    case_seconds
        Aimed at, for the samples of one case in all processes together.
    job_runs
        Trainings for each case of the layouts `book` and `digits`: of the book's job, and of the digits.
    cold
        Whether the cold start is measured too, in a process of its own, for cases of the book's layout.
    processes
        Each case is measured in so many.
    """

    case_seconds: float
    job_runs: int
    cold: bool
    processes: int = 5


EFFORTS = {
    "smoke": Effort(case_seconds=0.3, job_runs=1, cold=False),
    "regular": Effort(case_seconds=1.0, job_runs=5, cold=True),
    "fused": Effort(case_seconds=1.0, job_runs=5, cold=True),
    "full": Effort(case_seconds=2.0, job_runs=10, cold=True),
}


@dataclass(frozen=True)
class Benched:
    """What a run left.

    Attributes
    ----------
    folder
        Of the run; its name is the run's id.
    continued
        Whether it goes on with a run that was interrupted.
    records
        Of the cases that were asked for, in order; those that the interrupted run left are among them.
    """

    folder: Path
    continued: bool
    records: tuple[BenchRecord, ...]


def bench(
    cases: Iterable[Case],
    results: Path,
    effort: Effort,
    *,
    profile: str = "",
    again: bool = False,
    progress: CaseProgress = lambda case, record: None,
    count: CaseCount = lambda case, ended: None,
) -> Benched:
    """Measure the cases as one run; the records of one point are on disk before the next begins.

    If the newest run that was asked for the same cases, on this machine and with the same commit and
    versions, was interrupted, this one goes on with it, unless `again`: points that are whole are kept, and a
    point that lacks a case is measured anew, whole. A run is locked while it is measured: nobody else goes on
    with it. With local changes, or with somebody else's optimizer, nobody knows what has changed since, and a
    new run begins.
    """
    asked = list(cases)
    names = tuple(case.id for case in asked)
    environment = capture_environment()
    known = not environment.dirty and all(case.implementation in IMPLEMENTATIONS for case in asked)
    former = last_run(results, environment, profile, names) if known and not again else None
    if former and _whole(former[0], asked):
        former[1].close()
        former = None
    continued = former is not None
    folder, locked = former or begin_run(results, environment, profile, names)
    records: list[BenchRecord] = []

    def keep(case: Case, record: BenchRecord) -> None:
        records.append(record)
        progress(case, record)

    with locked, Processes(effort.processes) as processes:
        for _, point in itertools.groupby(asked, key=lambda case: case.point):
            of_point = list(point)
            if continued and (kept := _measured(folder, of_point)) is not None:
                for case, record in zip(of_point, kept, strict=True):
                    keep(case, record)
                count(of_point[-1], len(of_point) * effort.processes)
                continue
            for together, shown in _fitting(of_point):
                progress(together[0], None)
                measured = measure(together, environment, effort, processes, shown, count)
                for case, found in measured.items():
                    record = replace(found, run=folder.name)
                    write_bench(folder / f"{_name(case)}.json", record)
                    if case in shown:
                        keep(case, record)
    return Benched(folder, continued, tuple(records))


def measure(
    cases: Sequence[Case],
    environment: Environment,
    effort: Effort,
    processes: Processes,
    shown: Sequence[Case],
    count: CaseCount,
) -> dict[Case, BenchRecord]:
    """Cases of one point in turns, in each process: each checked, timed, or skipped or failed.

    Those that are `shown` are counted.
    """
    environment = replace(environment, started=_now(), load=load_average())
    parts: dict[Case, list[Part]] = {case: [] for case in cases}
    failed: dict[Case, BenchRecord] = {}
    answers: list[Parts] = []
    told = 0
    seen: set[tuple[int, Doing]] = set()

    def at(doing: Doing) -> None:
        nonlocal told
        # In its turns a case is given control every few milliseconds: to tell that would disturb the next.
        if doing.number < 0 or (number, doing) in seen:
            return
        seen.add((number, doing))
        over = playing[: doing.ended]
        ended = sum(effort.processes if case in failed else number + (case in over) for case in shown)
        count(playing[doing.number], ended - told)
        told = ended

    for number in range(effort.processes):
        answer = None
        while answer is None and (playing := [case for case in cases if case not in failed]):
            try:
                answer = processes.measure(number, _task(playing, effort, answers), at)
            except DiedError as died:
                blamed = playing if died.at is None or died.at < 0 else [playing[died.at]]
                for case in blamed:
                    failed[case] = BenchRecord(environment, case, "failed", str(died), None, (), ())
        if answer is None:
            break
        answers.append(answer)
        for case, part in zip(playing, answer.parts, strict=True):
            parts[case].append(part)
            if part.ended:
                if part.trace:
                    _log.debug("%s failed:\n%s", case.id, part.trace)
                failed[case] = BenchRecord(environment, case, *part.ended, None, (), ())
    count(shown[-1], len(shown) * effort.processes - told)
    return {case: failed.get(case) or _record(environment, case, parts[case], answers) for case in cases}


def _task(cases: Sequence[Case], effort: Effort, answers: Sequence[Parts]) -> PointTask:
    """What the next process does: the first finds out how many samples to take, and measures the rest too."""
    first = not answers
    return PointTask(
        tuple(cases),
        effort.case_seconds / effort.processes,
        None if first else answers[0].rounds,
        effort.job_runs if first else 0,
        effort.cold and first,
    )


def _record(
    environment: Environment, case: Case, parts: Sequence[Part], answers: Sequence[Parts]
) -> BenchRecord:
    seconds = [second for part in parts for second in part.seconds]
    steps: dict[Quantity, tuple[float, ...]] = {"step": tuple(seconds)}
    notes = dict.fromkeys(note for part in parts for note in part.notes)
    without = next((answer.passes.ended for answer in answers if answer.passes.ended), None)
    if without:
        notes[f"five plain passes not measured: {without[1]}"] = None
    return BenchRecord(
        environment=environment,
        axes=case,
        status="measured",
        reason=None,
        measurement=Measurement(
            elements=case.elements,
            tensors=len(case.shapes),
            steps_per_sample=parts[0].steps,
            samples=steps | parts[0].samples,
            ceiling_seconds=None if without else median(median(one.passes.seconds) for one in answers),
            processes=len(parts),
        ),
        notes=tuple(notes),
        warnings=warnings_of(
            [part.seconds for part in parts],
            min(part.steps for part in parts),
            Spent.together(answer.spent for answer in answers),
        ),
    )


def _fitting(cases: Sequence[Case]) -> Iterator[tuple[list[Case], list[Case]]]:
    """The cases of one point in groups that the memory holds at once, and which of each are new.

    The reference is measured again in each group: a ratio is of one turn. One case needs working copies at a
    time.
    """
    waiting = list(cases)
    reference = [case for case in cases if case.implementation == REFERENCE]
    while waiting:
        copies = memory_needed(waiting[0]) - memory_kept(waiting[0])
        room = (memory_available(waiting[0].device) - copies) // max(1, memory_kept(waiting[0]))
        # The five passes keep as much as a case.
        beside = [case for case in reference if case not in waiting and room > 2]
        shown = waiting[: max(1, room - 1 - len(beside))]
        yield beside + shown, shown
        waiting = waiting[len(shown) :]


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _name(case: Case) -> str:
    """Of the case's record; a later record of the same case stands beside it with a number."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", case.id)


def _whole(folder: Path, cases: Iterable[Case]) -> bool:
    """Whether the run has a record of each case; the folder is listed, and no record is read."""
    there = {path.name for path in folder.glob("*.json")}
    return all(f"{_name(case)}.json" in there for case in cases)


def _measured(folder: Path, point: Sequence[Case]) -> list[BenchRecord] | None:
    """The newest records of a point in this run; None where one is absent or damaged."""
    records = []
    for case in point:
        paths = list(itertools.takewhile(Path.exists, new_names(folder, _name(case))))
        try:
            records.append(read_bench(paths[-1]))
        except (IndexError, OSError, ValueError):
            return None  # a damaged one is named by whoever reads all
    return records
