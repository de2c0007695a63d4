"""Why a number cannot be trusted: unstable samples, a busy or stolen processor, a clock, a timer."""

import time
from collections.abc import Sequence
from statistics import quantiles

import psutil

from rmsprop.suite.words import unstable

STOLEN = 0.02
"""Share of processor time that the hypervisor may give to others."""
OTHERS = 0.10
"""Share of all processors that other processes may take."""
CLOCK = 0.90
"""Least clock at the end over the clock at the start."""
TICKS = 1_000
"""Least length of a sample in steps of the timer: the reading is then good to a thousandth."""


class Watch:
    """What the machine did between entering and leaving; `warnings` says what speaks against the samples."""

    def __enter__(self) -> "Watch":
        """Start to watch."""
        self._start = _readings()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop to watch."""
        self._end = _readings()

    def warnings(self, step_seconds: Sequence[float], steps_per_sample: int) -> tuple[str, ...]:
        """Each reason in a few words; none if the samples can be trusted."""
        spent = {name: self._end[name] - self._start[name] for name in self._start}
        return judge(
            step_seconds,
            steps_per_sample,
            stolen=spent["stolen"] / spent["all"] if spent["all"] else 0.0,
            others=max(0.0, spent["busy"] - spent["own"]) / spent["all"] if spent["all"] else 0.0,
            clock=self._end["clock"] / self._start["clock"] if self._start["clock"] else 1.0,
            tick=time.get_clock_info("perf_counter").resolution,
        )


def judge(
    step_seconds: Sequence[float],
    steps_per_sample: int,
    *,
    stolen: float,
    others: float,
    clock: float,
    tick: float,
) -> tuple[str, ...]:
    """The warnings, each behind a keyword, for samples taken under such a load and clock."""
    found = []
    if len(step_seconds) < 4:
        found.append(f"few: {len(step_seconds)} samples")
    else:
        q25, median, q75 = quantiles(step_seconds, n=4)
        if scatter := unstable(q25, median, q75):
            found.append(scatter)
    if min(step_seconds, default=1.0) * steps_per_sample < TICKS * tick:
        found.append(f"timer: too coarse, a sample is below {TICKS} of its steps of {tick:.0e} s")
    if stolen > STOLEN:
        found.append(f"stolen: the hypervisor took {stolen:.0%} of the processor time")
    if others > OTHERS:
        found.append(f"busy: other processes took {others:.0%} of the processors")
    if clock < CLOCK:
        found.append(f"clock: it fell to {clock:.0%}")
    return tuple(found)


def _readings() -> dict[str, float]:
    times, own = psutil.cpu_times(), psutil.Process().cpu_times()
    stolen = getattr(times, "steal", 0.0)
    idle = times.idle + getattr(times, "iowait", 0.0)
    # On Linux user already holds guest time, and irq times are nobody's processes.
    named = ("user", "nice", "system")
    busy = sum(getattr(times, name, 0.0) for name in named)
    frequency = psutil.cpu_freq() if hasattr(psutil, "cpu_freq") else None
    return {
        "all": busy + idle + stolen,
        "busy": busy,
        "stolen": stolen,
        "own": own.user + own.system,
        "clock": float(frequency.current) if frequency else 0.0,
    }
