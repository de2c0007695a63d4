"""asv: one step of each implementation over the regular profile, both jobs, and the book's chapter.

The parameters are the same on every machine and for every commit; what cannot run is skipped in `setup`. A
sample is one call of `time_step`: `steps` steps in a row, so that a step of 10 us is measured and not a call.
asv's `timer` runs slower by as much, so that asv's results and pages are of one step. (asv's `number` would
call `setup` before each of them.)
"""

from collections.abc import Callable
from time import perf_counter

# Constructing the first optimizer imports this for a second: asv's fork server does so once for all.
import torch._dynamo  # noqa: F401

from rmsprop.book.programs import PROGRAMS
from rmsprop.suite.case import IMPLEMENTATIONS, Case
from rmsprop.suite.measure.matrix import cases, others
from rmsprop.suite.measure.metrics import book_job, digits_job, peak_extra_bytes, program_job
from rmsprop.suite.measure.workload import Workload

_NAMES = (*IMPLEMENTATIONS, *others())
_CASES = cases("regular", others=_NAMES)
_IDS = {case.id for case in _CASES}


def _points(above: float, up_to: float) -> list[str]:
    """All axes but the implementation, for the cases of such numbers of elements."""
    chosen = (case for case in _CASES if above < case.elements <= up_to)
    return list(dict.fromkeys(case.point for case in chosen))


def _timer_of(steps: int) -> Callable[[], float]:
    """A clock of which a second lasts `steps` seconds: it tells the time of one of so many steps."""
    return lambda: perf_counter() / steps


class _Matrix:
    """Implementation x point. asv runs each combination in a process of its own."""

    param_names = ("implementation", "point")
    version = "1"
    timeout = 600

    def setup(self, implementation: str, point: str) -> None:
        # asv sets up anew before each sample; the workload is checked and warm, and stays so.
        if hasattr(self, "workload"):
            self.workload.rotate()
            return
        if f"{implementation}-{point}" not in _IDS:
            raise NotImplementedError("not in the regular profile")
        workload = Workload(Case.at(implementation, point))
        workload.__enter__()
        self.workload = workload


class _Timed(_Matrix):
    """One step, as the mean of `steps` in a row."""

    steps: int
    timer: Callable[[], float]

    def __init_subclass__(cls, steps: int) -> None:
        super().__init_subclass__()
        cls.steps = steps
        cls.timer = staticmethod(_timer_of(steps))

    def time_step(self, implementation: str, point: str) -> None:
        self.workload.run(self.steps)
        self.workload.synchronize()


class Small(_Timed, steps=1000):
    """Up to 1,000 elements: what a call costs."""

    params = (_NAMES, _points(0, 1e3))


class Medium(_Timed, steps=100):
    """Up to 100,000 elements: in the cache."""

    params = (_NAMES, _points(1e3, 1e5))


class Large(_Timed, steps=10):
    """Up to a million elements: at the edge of the cache, in other dtypes, or in many tensors."""

    params = (_NAMES, _points(1e5, 1e6))


class Huge(_Timed, steps=2):
    """More: memory's speed."""

    params = (_NAMES, _points(1e6, 1e9))
    # To prepare such a case takes longer than to time it: once, not once in each of two rounds.
    rounds = 1


class Memory(_Matrix):
    """The largest extra memory alive during a step, at a million elements."""

    params = (_NAMES, _points(5e5, 2e6))

    def track_peak(self, implementation: str, point: str) -> int | None:
        return peak_extra_bytes(self.workload)

    track_peak.unit = "bytes"  # type: ignore[attr-defined]


class Book:
    """Section 7.6's job: two epochs of linear regression on 1500 rows, in batches of 10."""

    param_names = ("implementation", "point")
    params = (_NAMES, ["cpu-float32-6-book-all", "cuda-float32-6-book-all"])
    version = "1"
    timeout = 600

    def setup(self, implementation: str, point: str) -> None:
        if not hasattr(self, "job"):
            case = Case.at(implementation, point)
            # The surrogate everywhere: a commit must not be compared with another on other rows.
            self.job = book_job(implementation, case.device, case.dtype, data="surrogate", seeds=range(5))

    def track_epoch(self, implementation: str, point: str) -> float:
        return sorted(self.job.epoch_seconds)[len(self.job.epoch_seconds) // 2]

    def track_loss(self, implementation: str, point: str) -> float:
        return sum(self.job.losses) / len(self.job.losses)

    track_epoch.unit = "seconds"  # type: ignore[attr-defined]
    track_loss.unit = "half mean squared error"  # type: ignore[attr-defined]


class Digits:
    """The second job: five epochs of a network of 2,410 parameters on 1,797 digits, in batches of 32."""

    param_names = ("implementation", "point")
    params = (_NAMES, ["cpu-float32-2410-digits-1t", "cuda-float32-2410-digits-1t"])
    version = "1"
    timeout = 600

    def setup(self, implementation: str, point: str) -> None:
        if not hasattr(self, "job"):
            case = Case.at(implementation, point)
            try:
                self.job = digits_job(
                    implementation, case.device, case.dtype, threads=case.threads, seeds=range(5)
                )
            except ModuleNotFoundError as absent:
                raise NotImplementedError(str(absent)) from None

    def track_epoch(self, implementation: str, point: str) -> float:
        return sorted(self.job.epoch_seconds)[len(self.job.epoch_seconds) // 2]

    def track_loss(self, implementation: str, point: str) -> float:
        return sum(self.job.losses) / len(self.job.losses)

    track_epoch.unit = "seconds"  # type: ignore[attr-defined]
    track_loss.unit = "mean cross-entropy"  # type: ignore[attr-defined]


class Chapter:
    """A training of the book's chapter on optimization as its section calls it, on a CPU in float32."""

    param_names = ("program",)
    params = (list(PROGRAMS),)
    version = "1"
    timeout = 600

    def setup(self, program: str) -> None:
        if not hasattr(self, "job"):
            self.job = program_job(program, data="surrogate", seeds=range(5))

    def track_epoch(self, program: str) -> float:
        return sorted(self.job.epoch_seconds)[len(self.job.epoch_seconds) // 2]

    def track_loss(self, program: str) -> float:
        return sum(self.job.losses) / len(self.job.losses)

    track_epoch.unit = "seconds"  # type: ignore[attr-defined]
    track_loss.unit = "half mean squared error"  # type: ignore[attr-defined]
