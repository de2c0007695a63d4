"""Why a number cannot be trusted: processes that differ, a busy or stolen processor, a clock, a timer."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Self

import psutil

from rmsprop.suite.measure.known import known
from rmsprop.suite.words import scattered, unstable

STOLEN = 0.02
"""Share of processor time that the hypervisor may give to others."""
OTHERS = 0.10
"""Share of all processors that other processes may take."""
CLOCK = 0.90
"""Least clock at the end over the clock at the start."""
TICKS = 1_000
"""Least length of a sample in steps of the timer: the reading is then good to a thousandth."""
LEAST_SAMPLES = 4
"""Of a process."""


@dataclass(frozen=True)
class Spent:
    """What the processors did in a stretch of time.

    Attributes
    ----------
    all, busy, stolen, own
        Seconds of all processors together; busy with processes, taken by the hypervisor, and spent by us.
    clock
        The rate at the end over that at the start; 1 where unknown.
    """

    all: float
    busy: float
    stolen: float
    own: float
    clock: float

    @classmethod
    def together(cls, parts: Iterable[Self]) -> "Spent":
        """Of several stretches: the sums, and the lowest clock."""
        found = list(parts)
        names = ("all", "busy", "stolen", "own")
        sums = {name: sum(getattr(part, name) for part in found) for name in names}
        return Spent(**sums, clock=min(part.clock for part in found))


class Watch:
    """What the machine did between entering and leaving; `spent` tells it afterwards."""

    def __enter__(self) -> "Watch":
        """Start to watch."""
        self._start = _readings()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to watch."""
        self._end = _readings()
        if not (self._start["all"] and self._end["all"]):  # one of them is not known
            unknown = dict.fromkeys(("all", "busy", "stolen", "own"), 0.0)
            self._start, self._end = self._start | unknown, self._end | unknown

    @property
    def spent(self) -> Spent:
        """The readings at the end less those at the start."""
        start, end = self._start, self._end
        took = {name: end[name] - start[name] for name in ("all", "busy", "stolen", "own")}
        both = start["clock"] and end["clock"]
        return Spent(**took, clock=end["clock"] / start["clock"] if both else 1.0)

    def warnings(self, step_seconds: Sequence[float], steps_per_sample: int) -> tuple[str, ...]:
        """Each reason in a few words; none if the samples of this process can be trusted."""
        return warnings_of([step_seconds], steps_per_sample, self.spent)


def warnings_of(
    step_seconds: Sequence[Sequence[float]], steps_per_sample: int, spent: Spent, *, tick: float | None = None
) -> tuple[str, ...]:
    """The warnings, each behind a keyword and with what to do.

    Parameters
    ----------
    step_seconds
        The samples of each process.
    tick
        Seconds of a step of the timer; None for that of this system.
    """
    tick = tick or time.get_clock_info("perf_counter").resolution
    every = spent.all or 1.0
    others = max(0.0, spent.busy - spent.own) / every
    found = []
    fewest = min(map(len, step_seconds), default=0)
    if fewest < LEAST_SAMPLES:
        found.append(f"few: {fewest} samples of a process; choose a longer profile")
    elif len(step_seconds) == 1:
        q25, middle, q75 = quantiles(step_seconds[0], n=4)
        found += filter(None, [scattered(q25, middle, q75)])
    else:
        found += filter(None, [unstable([median(seconds) for seconds in step_seconds])])
    least = min((second for seconds in step_seconds for second in seconds), default=1.0)
    if least * steps_per_sample < TICKS * tick:
        found.append(
            f"timer: too coarse, a sample is below {TICKS} of its steps of {tick:.0e} s; choose another clock"
        )
    if spent.stolen / every > STOLEN:
        found.append(
            f"stolen: the hypervisor took {spent.stolen / every:.0%} of the processor time; "
            "measure on a machine of your own, or again later"
        )
    if others > OTHERS:
        found.append(f"busy: other processes took {others:.0%} of the processors; end them and measure again")
    if spent.clock < CLOCK:
        found.append(f"clock: it fell to {spent.clock:.0%}; fix the clock rate, or let the machine cool")
    return tuple(found)


def _readings() -> dict[str, float]:
    """Seconds since the start of the system and of this process, and the clock; 0 for what is not known."""
    frequency = known(lambda: float(psutil.cpu_freq().current))
    return (known(_times) or dict.fromkeys(("all", "busy", "stolen", "own"), 0.0)) | {
        "clock": frequency or 0.0
    }


def _times() -> dict[str, float]:
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    stolen = getattr(times, "steal", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    # On Linux user already holds guest time, and irq times are nobody's processes.
    named = ("user", "nice", "system")
    busy = sum(getattr(times, name, 0.0) for name in named)
    return {"all": busy + idle + stolen, "busy": busy, "stolen": stolen, "own": own.user + own.system}
