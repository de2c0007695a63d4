"""A sample in which the process stood still (SIGSTOP, a frozen container, a suspended laptop) is taken again.

Then the clock on the wall goes on while the thread neither runs nor waits for a processor. The standard
library only: the gate copies this file beside the suite that it measures.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

STILL = 0.25
"""Seconds; what is shorter is left to the median over samples."""

T = TypeVar("T")


class Pauses:
    """Takes samples of one kind.

    Attributes
    ----------
    waits : float
        Seconds that a sample is known to wait by itself, as for a file or a device.
    """

    def __init__(self) -> None:
        self.waits = 0.0

    def undisturbed(self, sample: Callable[[], T]) -> T:
        """What `sample` returns. It is called once more if the process stood still in the first call.

        If it waits as long in the second call, it waits by itself, and later calls may too.
        """
        result, still = _observe(sample)
        if still <= STILL + 2 * self.waits:
            return result
        result, again = _observe(sample)
        self.waits = max(self.waits, min(still, again))
        return result


def _observe(sample: Callable[[], T]) -> tuple[T, float]:
    """The result, and the seconds that passed while the thread neither ran nor waited for a processor."""
    before = _idle()
    result = sample()
    return result, _idle() - before


def _idle() -> float:
    # On Linux perf_counter stands too while the machine is suspended.
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    wall = time.perf_counter() if boot is None else time.clock_gettime(boot)
    return wall - time.thread_time() - _queued()


def _queued() -> float:
    """Seconds in which the thread was ready and others had its processor; 0 where the system tells none."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0
