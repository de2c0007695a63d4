"""The step detector of commit 2623c63, unchanged, for comparison: it looks at a whole series once.

For each split of a series, the normal scores of the points after it (van der Waerden's rank test) say how
surprising it is that they lie so high, or so low, among all points. That holds for any noise whose points
are exchangeable: heavy tails, two modes, outliers. Neighbouring points of a history are often alike, and
then a few high points in a row surprise less: the deviate is shrunk by the first-order autocorrelation of
the series itself. Only where the ranks alone are clear may Student's t, shrunk likewise and further,
speak for a step that is too large to be any autocorrelation's. The p-value of the clearest split is raised
for all the splits that were looked at; where it is small enough the series is cut there, and both parts are
searched likewise (binary segmentation).

`studies.changepoints` measured what this finds and what it alarms on, beside other detectors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr
from scipy.stats import rankdata

Floats: TypeAlias = NDArray[np.float64]

BEFORE, AFTER = 8, 3
"""Fewest points at the level that a step leaves, and at the one that it leads to."""

SHORTEST = BEFORE + AFTER
"""Fewest points of a series in which a step can be found."""

FALSE_ALARMS = 1.0
"""Steps in one direction that may be found in 1,000 points without any."""

LONGEST = 100
"""A longer series may spend no more false alarms than one of so many points."""

SMALLEST = 0.02
"""Least change of a step, as a share of the level before; what is smaller is nobody's concern."""

CAUTION = 7.0
"""Over the number of points: by how much the autocorrelation of residuals is put higher than its estimate."""

CAUTION_OF_DIFFERENCES = 2.5
"""Over the root of the number of points: the same for the estimate from differences, which scatters more."""

CAUTION_OF_SIZES = 1.5
"""Over the root of the number of points: by how much it is put higher still where sizes count, not ranks."""

LOOKS = 5.5
"""Scale of the number of independent looks. This and the cautions are chosen on series that the study does
not report on: the least that keeps to `FALSE_ALARMS` under every noise of the study."""

_NEAREST = 200
"""Points on either side from which the size of a step is estimated."""


@dataclass(frozen=True)
class FormerStep:
    """A change of level between two neighbouring points of a series."""

    index: int
    """The first point after the step."""
    ratio: float
    """Level after over level before (Hodges-Lehmann, in logs)."""
    low: float
    """Lower end of the 95% confidence interval of the ratio."""
    high: float
    """Upper end."""
    p_value: float
    """Chance that a series without a step shows one as clear, anywhere, in this direction."""


def find_steps(
    values: Sequence[float] | Floats, *, false_alarms: float = FALSE_ALARMS, smallest: float = SMALLEST
) -> tuple[FormerStep, ...]:
    """The steps of a series of positive values in the order of time, first to last.

    About `false_alarms` in each direction are allowed to 1,000 points without a step, and a step changes
    the level by a share of at least `smallest`. Fewer than `SHORTEST` points hold none. ValueError where a
    value is not positive and finite.
    """
    levels = np.asarray(values, dtype=float)
    if levels.ndim != 1 or not np.all(np.isfinite(levels) & (levels > 0)):
        raise ValueError("expected a row of positive finite values; leave out what was not measured")
    logs = np.log(levels)
    cuts = _cut(logs, false_alarms)
    ends = [0, *(cut for cut, _, _ in cuts), logs.size]
    steps = []
    for (cut, p_value, phi), start, end in zip(cuts, ends, ends[2:], strict=False):
        change = _change(logs[start:cut], logs[cut:end], phi)
        ratio, low, high = (float(value) for value in np.exp(change))
        if abs(ratio - 1) >= smallest:
            steps.append(FormerStep(cut, ratio, low, high, p_value))
    return tuple(steps)


def _cut(logs: Floats, false_alarms: float) -> list[tuple[int, float, float]]:
    """Binary segmentation: (first point after the step, p-value, autocorrelation) of each."""
    cuts = []
    parts = [(0, logs.size)]
    while parts:
        start, end = parts.pop()
        n = end - start
        if n < SHORTEST:
            continue
        split, p_value, phi = _clearest(logs[start:end])
        if p_value <= _allowed(n, false_alarms):
            cuts.append((start + split, p_value, phi))
            parts += [(start, start + split), (start + split, end)]
    cuts.sort()
    for i in range(len(cuts)):
        # When a step was found, the later ones stood in the way of its place.
        start = cuts[i - 1][0] if i else 0
        end = cuts[i + 1][0] if i + 1 < len(cuts) else logs.size
        if end - start >= SHORTEST:
            split, p_value, phi = _clearest(logs[start:end])
            if p_value <= _allowed(end - start, false_alarms):
                cuts[i] = (start + split, p_value, phi)
    return cuts


def _allowed(n: int, false_alarms: float) -> float:
    """The largest p-value of a step in n points."""
    return false_alarms * min(n, LONGEST) / 1000


def _clearest(logs: Floats) -> tuple[int, float, float]:
    """The clearest split of a series, its p-value among all splits, and the autocorrelation."""
    n = logs.size
    scores = ndtri((rankdata(logs) - 0.5) / n)
    power = float(scores @ scores)
    if power == 0:  # all points are equal
        return BEFORE, 1.0, 0.0
    after = np.arange(n - BEFORE, AFTER - 1, -1)
    by_rank = _split_deviates(scores, after)
    by_rank /= np.sqrt(np.mean(scores**2) * n / (n - 1))
    phi = _autocorrelation(scores, BEFORE + int(np.argmax(by_rank)))
    deviates = np.maximum(
        by_rank / np.sqrt(_inflation(after, n, phi)), np.minimum(by_rank, _by_size(logs, after, phi))
    )
    best = int(np.argmax(deviates))
    return BEFORE + best, min(float(ndtr(-deviates[best])) * _looks(n), 1.0), phi


def _split_deviates(values: Floats, after: NDArray[np.int_]) -> Floats:
    """|mean after - mean before| of each split, over its standard error at unit variance."""
    n = values.size
    sums = np.cumsum((values - values.mean())[::-1])[after - 1]
    return np.asarray(np.abs(sums) / np.sqrt(after * (n - after) / n))


def _by_size(logs: Floats, after: NDArray[np.int_], phi: float) -> Floats:
    """Student's t of each split under AR(1), as normal deviates.

    Ranks cannot say by how much one level exceeds the other: a step of many standard deviations, which no
    autocorrelation explains, shows here in a short series already.
    """
    n = logs.size
    phi = min(phi + CAUTION_OF_SIZES / math.sqrt(n), 0.99)
    gaps = _split_deviates(logs, after)
    centred = logs - logs.mean()
    within = np.maximum(centred @ centred - gaps**2, 1e-24) / (n - 2)
    t = gaps / np.sqrt(within * _inflation(after, n, phi, fitted=True))
    return np.asarray(-ndtri(np.maximum(stdtr(n - 2, -t), 1e-300)))


def _looks(n: int) -> float:
    """Independent splits that are as likely to give a small p-value as all of a series of n points.

    Neighbouring splits share most of their points, so that the number grows with the logarithm: fitted to
    white noise of 11 to 1,000 points, rather too high than too low.
    """
    return max(1.0, LOOKS * math.log1p((n - SHORTEST + 1) / 10))


def _autocorrelation(scores: Floats, split: int) -> float:
    """Of first order, put rather too high, never negative: the lower of two estimates.

    That of the residuals about the levels on either side of a split is the sharper one, but further steps
    of the series raise it. That of the differences, Var(x[t+2] - x[t]) = (1 + phi) Var(x[t+1] - x[t]) under
    AR(1), hardly sees any steps.
    """
    n = scores.size
    residuals = scores.copy()
    residuals[:split] -= residuals[:split].mean()
    residuals[split:] -= residuals[split:].mean()
    power = float(residuals @ residuals)
    if power <= 1e-12 * n:  # nothing but the step
        return 0.0
    of_residuals = (n * float(residuals[1:] @ residuals[:-1]) / power + 1) / (n - 4)  # Marriott and Pope 1954
    one, two = scores[1:] - scores[:-1], scores[2:] - scores[:-2]
    of_differences = float(np.mean(two**2) / np.mean(one**2)) - 1
    phi = min(of_residuals + CAUTION / n, of_differences + CAUTION_OF_DIFFERENCES / math.sqrt(n))
    return min(max(phi, 0.0), 0.97)


def _inflation(after: NDArray[np.int_], n: int, phi: float, fitted: bool = False) -> Floats:
    """Variance of the difference of the two means under AR(1), over that of independent points.

    It is measured against the scatter in the series itself, about one level or (`fitted`) two, which
    autocorrelation makes too small.
    """
    before = n - after
    of_before, of_after = _mean_variance(before, phi), _mean_variance(after, phi)
    grown = (of_before + of_after) / (1 / before + 1 / after)
    if fitted:
        return np.asarray(grown * (1 - 2 / n) / (1 - (before * of_before + after * of_after) / n))
    return np.asarray(grown * (1 - 1 / n) / (1 - _mean_variance(np.asarray(n), phi)))


def _mean_variance(k: NDArray[np.int_], phi: float) -> Floats:
    """Variance of the mean of k neighbours of an AR(1) series of unit variance."""
    return np.asarray(((1 + phi) / (1 - phi) - 2 * phi * (1 - phi**k) / (k * (1 - phi) ** 2)) / k)


def _change(before: Floats, after: Floats, phi: float) -> Floats:
    """The shift from `before` to `after` and its 95% interval: median and quantiles of the differences."""
    before, after = before[-_NEAREST:], after[:_NEAREST]
    differences = np.subtract.outer(after, before).ravel()
    n = before.size + after.size
    inflation = float(_inflation(np.asarray([after.size]), n, phi)[0])
    half = 1.96 * math.sqrt((n + 1) / (12 * differences.size) * inflation)
    shift: Floats = np.quantile(differences, (0.5, max(0.5 - half, 0.0), min(0.5 + half, 1.0)))
    return shift
