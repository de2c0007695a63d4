"""How many times as fast as another an implementation is, from times that were taken in turns."""

import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import stats

from rmsprop.suite.case import REFERENCE, Case
from rmsprop.suite.records.bench import BenchRecord, Measurement
from rmsprop.suite.words import each_warning, factor, kind

LEAST_PROCESSES = 3
"""Fewer say nothing of how much processes differ."""
WIDE = 0.25
"""A ratio whose interval reaches further than this from it may be quite another one in the next run."""
_OF_BOTH = {"unstable", "busy", "stolen", "clock"}
"""Warnings of what meets both in turns. `timer` and `few` are not: they can make an interval narrow."""
_CONFIDENCE = 0.95
_FURTHER = 1.2
"""How many times as far as Student's t an interval reaches: processes of one run are more alike than of two.

With it the intervals of studies/results/coverage and coverage-idle hold the ratio of another run as often as
95% intervals do. It was not chosen on studies/results/coverage-later, where they do as well: four runs of the
profile smoke that began within four minutes, at a load of 1.2 to 1.9.
"""


@dataclass(frozen=True)
class SpeedUp:
    """How many times as fast as the reference an implementation is.

    Attributes
    ----------
    ratio
        The reference's time over the implementation's: above 1 the implementation is faster. The geometric
        mean over the processes, in each of which it is the ratio of the two medians.
    interval
        Student's 95% interval of the logarithm over the processes, `_FURTHER` times as far. None where fewer
        than three measured: the samples of one process say little of the next one. studies/coverage.py says
        how often it holds.
    """

    ratio: float
    interval: tuple[float, float] | None

    @property
    def reach(self) -> float | None:
        """How far the interval reaches from the ratio, as a change; None without one."""
        return self.interval[1] / self.ratio - 1 if self.interval else None

    @property
    def warning(self) -> str | None:
        """Behind a keyword, and with what to do; None where the interval is narrow, or there is none."""
        if self.interval is None or not self.reach or self.reach <= WIDE:
            return None
        low, high = map(factor, self.interval)
        return (
            f"wide: the 95% interval of the speed-up {factor(self.ratio)} is {low} to {high}; "
            "measure again with a longer profile or on a quieter machine, and trust no difference within it"
        )

    def is_trusted(self, *warnings: str | None) -> bool:
        """Whether no warning speaks against the ratio; `warnings` are those of the two times, each joined.

        What slows both down, in turns, leaves the ratio as it is, and what does not makes its interval wider.
        So such warnings count only where there is no interval.
        """
        kinds = {kind(one) for joined in warnings for one in each_warning(joined)}
        return not kinds if self.interval is None else self.warning is None and kinds <= _OF_BOTH


def speed_up(
    reference: Sequence[float] | np.ndarray, own: Sequence[float] | np.ndarray, processes: int = 1
) -> SpeedUp:
    """Compare the times of two implementations that were measured in turns.

    Parameters
    ----------
    reference, own
        Samples in seconds, one at least and all above 0.
    processes
        How many took them: equally many each, one process after the other.
    """
    medians = _medians(reference, processes), _medians(own, processes)
    if processes > 1 and min(map(np.min, medians)) <= 0:  # the timer saw nothing pass in one of them
        return speed_up(reference, own)
    logs = np.log(medians[0]) - np.log(medians[1])
    middle, interval = float(logs.mean()), None
    if processes >= LEAST_PROCESSES:
        reach = _FURTHER * stats.t.ppf((1 + _CONFIDENCE) / 2, processes - 1)
        half = reach * logs.std(ddof=1) / math.sqrt(processes)
        interval = math.exp(middle - half), math.exp(middle + half)
    return SpeedUp(math.exp(middle), interval)


def _medians(samples: Sequence[float] | np.ndarray, processes: int) -> np.ndarray:
    """Of each process."""
    medians: np.ndarray = np.median(np.asarray(samples, dtype=float).reshape(processes, -1), axis=1)
    return medians


def speed_ups(records: Iterable[BenchRecord]) -> dict[Case, SpeedUp]:
    """The speed-up of each measured case whose reference was measured in turns with it."""
    turns: dict[Any, dict[Case, Measurement]] = defaultdict(dict)
    for record in records:
        if record.measurement:
            turn = (record.environment.machine, record.run, record.environment.started)
            turns[turn][record.axes] = record.measurement
    found = {}
    for measured in turns.values():
        for axes, own in measured.items():
            reference = measured.get(replace(axes, implementation=REFERENCE))
            if reference and statistics.median(own.samples["step"]) > 0:
                both = {reference.processes, own.processes}
                found[axes] = speed_up(
                    reference.samples["step"], own.samples["step"], own.processes if len(both) == 1 else 1
                )
    return found
