"""A slow creep: ratios of commits to their parents, each too small to alarm, whose product is not. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rmsprop.suite.records.gate import Policy


@dataclass(frozen=True)
class Creep:
    """The window of commits, up to the last one, over which a case became slower.

    Attributes
    ----------
    first
        Index of the window's first ratio.
    change, low, high
        The product of the ratios less 1, and its 95% interval (Student's t).
    p_value
        That the product is at most the margin of one commit; by Bonferroni's correction over the windows.
    """

    first: int
    change: float
    low: float
    high: float
    p_value: float


def creep(
    ratios: Sequence[NDArray[np.float64]], policy: Policy, smallest: float | None = None
) -> Creep | None:
    """The window with the smallest p-value of those that reach `smallest` (the policy's alarm line), or None.

    `ratios` are each commit's log ratios to its parent, one for each launch, oldest first, without a gap: the
    product of those of a window is the last commit against the parent of the first. Their sum has the sum of
    their variances, with the degrees of freedom of Welch and Satterthwaite. None also if no product alarms at
    `policy.alpha`. Commits with fewer than two launches end the windows that they are part of.
    """
    line = math.log1p(policy.alarm if smallest is None else smallest)
    total = variance = freedom = 0.0
    found: list[Creep] = []
    windows = 0
    for first in range(len(ratios) - 1, -1, -1):
        launches = ratios[first]
        if len(launches) < 2:
            break
        of_mean = float(np.var(launches, ddof=1)) / len(launches)
        total, variance = total + float(np.mean(launches)), variance + of_mean
        freedom += of_mean**2 / (len(launches) - 1)
        if first == len(ratios) - 1 or not variance:
            continue  # one ratio is the gate's own to judge
        windows += 1
        if total < line:
            continue
        degrees = variance**2 / freedom
        spread = math.sqrt(variance)
        p_value = float(stats.t.sf((total - math.log1p(policy.margin)) / spread, degrees))
        reach = float(stats.t.ppf(0.975, degrees)) * spread
        low, high = math.expm1(total - reach), math.expm1(total + reach)
        found.append(Creep(first, math.expm1(total), low, high, p_value))
    best = min(found, key=lambda one: one.p_value, default=None)
    if best is None or best.p_value * windows > policy.alpha:
        return None
    return Creep(best.first, best.change, best.low, best.high, best.p_value * windows)
