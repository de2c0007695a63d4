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

from benchmarks.cases import Case
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

    A case that was measured for this commit, torch and machine is read instead, unless `again`. With
    local changes there is no commit to go by, and all are measured.
    """
    environment = capture_environment()
    folder = results / "bench" / environment.machine / _run_name(environment)
    ceilings = Ceilings()
    records = []
    for case in cases:
        record = None if again or environment.dirty else _measured_before(folder, case)
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
            if (peak := peak_extra_bytes(workload)) is not None:
                samples["peak"] = (float(peak),)
            notes = tuple(workload.notes)
        ceiling = ceilings.seconds(case)
        if case.layout == "book":
            samples |= _book(case, effort)
    except CaseSkippedError as reason:
        return replace(record, status="skipped", reason=str(reason))
    except Exception as error:  # someone else's optimizer may raise anything, and fails its own case alone
        return replace(record, status="failed", reason=_line(error))
    measurement = Measurement(case.elements, len(case.shapes), steps, samples, ceiling)
    warnings = watch.warnings(seconds, steps)
    return replace(record, measurement=measurement, notes=notes, warnings=warnings)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())


def _samples(workload: Workload, steps: int, seconds: float) -> tuple[float, ...]:
    first = workload.time(steps)
    count = min(MAX_SAMPLES, max(MIN_SAMPLES, int(seconds / first)))
    return tuple(workload.time(steps) / steps for _ in range(count))


def _book(case: Case, effort: Effort) -> dict[Quantity, tuple[float, ...]]:
    """The book's job with the case's implementation, and the cold start where the effort has it."""
    # The surrogate has the real rows' loss surface, and needs neither a file nor a network.
    job = book_job(
        case.implementation, case.device, case.dtype, data="surrogate", seeds=range(effort.book_runs)
    )
    samples: dict[Quantity, tuple[float, ...]] = {"epoch": job.epoch_seconds, "loss": job.losses}
    if effort.cold:
        cold = cold_start(case)
        samples["import"] = (cold.import_torch + cold.import_rmsprop,)
        samples["first_step"] = (cold.construct + cold.first_step,)
    return samples


def _run_name(environment: Environment) -> str:
    state = "-dirty" if environment.dirty else ""
    return f"{short_commit(environment)}{state}-torch{environment.versions['torch']}"


def _paths(folder: Path, case: Case) -> Iterable[Path]:
    """Where records of a case stand: the first, and those of later runs beside it."""
    name = re.sub(r"[^A-Za-z0-9.+-]+", "_", case.id)
    yield folder / f"{name}.json"
    for number in itertools.count(2):
        yield folder / f"{name}-{number}.json"


def _measured_before(folder: Path, case: Case) -> BenchRecord | None:
    """The latest record of the case, if it holds numbers: what was skipped or failed is tried again."""
    latest = None
    for path in itertools.takewhile(Path.exists, _paths(folder, case)):
        try:
            latest = read_bench(path)
        except ValueError:
            continue  # damaged: measured anew, and named by whoever reads all
    return latest if latest and latest.status == "measured" else None


def _line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]
