"""Measures cases of the checkout's benchmarks/ and stores a record of each as soon as it ends.

Runs from a checkout, with its root on the path: the harness comes from there, not from the wheel.
"""

import itertools
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeVar

from benchmarks.cases import IMPLEMENTATIONS, Case
from benchmarks.cold_start import cold_start
from benchmarks.metrics import Ceilings, book_job, peak_extra_bytes
from benchmarks.trust import Watch
from benchmarks.workload import CaseSkippedError, Workload
from rmsprop.records.bench import Axes, BenchRecord, Measurement, Quantity
from rmsprop.records.environment import Environment, capture_environment
from rmsprop.records.store import read_bench, short_commit, write_bench

SAMPLE_SECONDS = 0.005
"""A sample takes as many steps as fill this time: far above the timer, and small against a case's time."""
MIN_SAMPLES, MAX_SAMPLES = 7, 60

Result = TypeVar("Result")
Progress = Callable[[Case, BenchRecord | None], None]
"""Called with a case and None before it is measured, and with its record when that is on disk."""


@dataclass(frozen=True)
class Effort:
    """What a profile spends on a case."""

    case_seconds: float
    """Aimed at, for the samples of one case."""
    book_runs: int
    """Trainings of the book's job for each case of the book's layout."""
    cold: bool
    """Whether the cold start is measured too, in a process of its own, for cases of the book's layout."""


EFFORTS = {
    "smoke": Effort(case_seconds=0.25, book_runs=1, cold=False),
    "regular": Effort(case_seconds=1.0, book_runs=5, cold=True),
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
    """Measure the cases; the record of each is below results/bench/ before the next begins.

    A case that was measured for this commit, machine and versions is read instead, unless `again`. With
    local changes there is no commit to go by, and all are measured.
    """
    environment = capture_environment()
    folder = results / "bench" / environment.machine / _run_name(environment)
    ceilings = Ceilings()
    records = []
    for case in cases:
        record = None if again else _measured_before(folder, case, environment)
        if record is None:
            progress(case, None)
            record = measure(case, environment, effort, ceilings)
            write_bench(next(path for path in _paths(folder, case) if not path.exists()), record)
        progress(case, record)
        records.append(record)
    return records


def measure(
    case: Case,
    environment: Environment,
    effort: Effort,
    ceilings: Ceilings,
) -> BenchRecord:
    """One case: checked, timed, or skipped or failed with its reason. Whatever it raises is its own failure.

    `ceilings` keeps what the cases of one run share.
    """
    record = BenchRecord(
        environment=replace(environment, started=_now(), load=round(os.getloadavg()[0], 2)),
        axes=Axes(**asdict(case)),
        status="measured",
        reason=None,
        measurement=None,
        notes=(),
        warnings=(),
    )
    try:
        with Workload(case) as workload:
            steps = workload.steps_for(SAMPLE_SECONDS)
            with Watch() as watch:
                seconds = _samples(workload, steps, effort.case_seconds)
            samples: dict[Quantity, tuple[float, ...]] = {"step": seconds}
            notes = list(workload.notes)
            if (peak := _beside(notes, "peak memory", lambda: peak_extra_bytes(workload))) is not None:
                samples["peak"] = (float(peak),)
        ceiling = _beside(notes, "ceiling", lambda: ceilings.seconds(case))
        if case.layout == "book":
            samples |= _beside(notes, "book's job", lambda: _book_job(case, effort)) or {}
            if effort.cold:
                samples |= _beside(notes, "cold start", lambda: _cold_start(case)) or {}
    except CaseSkippedError as reason:
        return replace(record, status="skipped", reason=str(reason))
    except (Exception, SystemExit) as error:  # someone else's optimizer may raise anything, and fails alone
        return replace(record, status="failed", reason=_line(error))
    measurement = Measurement(case.elements, len(case.shapes), steps, samples, ceiling)
    warnings = watch.warnings(seconds, steps)
    return replace(record, measurement=measurement, notes=tuple(notes), warnings=warnings)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _samples(workload: Workload, steps: int, seconds: float) -> tuple[float, ...]:
    first = workload.time(steps)
    count = min(MAX_SAMPLES, max(MIN_SAMPLES, int(seconds / first)))
    return tuple(workload.time(steps) / steps for _ in range(count))


def _beside(notes: list[str], name: str, action: Callable[[], Result]) -> Result | None:
    """What the action gives; None, and a note, where it fails: the steps were measured all the same."""
    try:
        return action()
    except Exception as error:
        notes.append(f"{name} not measured: {_line(error)}")
        return None


def _book_job(case: Case, effort: Effort) -> dict[Quantity, tuple[float, ...]]:
    # The surrogate has the real rows' loss surface, and needs neither a file nor a network.
    job = book_job(
        case.implementation,
        case.device,
        case.dtype,
        threads=case.threads,
        data="surrogate",
        seeds=range(effort.book_runs),
    )
    return {"epoch": job.epoch_seconds, "loss": job.losses}


def _cold_start(case: Case) -> dict[Quantity, tuple[float, ...]]:
    cold = cold_start(case)
    return {
        "import": (cold.import_torch + cold.import_rmsprop,),
        "first_step": (cold.construct + cold.first_step,),
        "compile": (cold.compile,),
    }


def _run_name(environment: Environment) -> str:
    state = "-dirty" if environment.dirty else ""
    return f"{short_commit(environment)}{state}-torch{environment.versions['torch']}"


def _paths(folder: Path, case: Case) -> Iterable[Path]:
    """Where records of a case stand: the first, and those of later runs beside it."""
    name = re.sub(r"[^A-Za-z0-9.+-]+", "_", case.id)
    yield folder / f"{name}.json"
    for number in itertools.count(2):
        yield folder / f"{name}-{number}.json"


def _measured_before(folder: Path, case: Case, environment: Environment) -> BenchRecord | None:
    """The latest record of the case, if it holds numbers that another run here would give again.

    What was skipped or failed is tried again, and someone else's optimizer, which may have changed.
    """
    if environment.dirty or case.implementation not in IMPLEMENTATIONS:
        return None
    latest = None
    for path in itertools.takewhile(Path.exists, _paths(folder, case)):
        try:
            latest = read_bench(path)
        except ValueError:
            continue  # damaged: measured anew, and named by whoever reads all
    if latest is None or latest.status != "measured" or latest.axes != Axes(**asdict(case)):
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
