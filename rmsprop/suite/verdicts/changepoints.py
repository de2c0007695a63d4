"""Change points: where a series of positive values changes its level, found as its points come in.

The points are looked at one after the other, as somebody does who looks at each commit. A look is at the last
24, 48, 96, ... points since the last change point, or at the stretch since then where that is shorter. Where
the stretch is young, a second look is at the last 96 points with all earlier levels brought to the present
one, so that the noise is known from more than a few points. An earlier level never hides a change, and a
change point that was found stays found: nothing that comes later takes part in finding it.

For each split of a look, the normal scores of the points after it (van der Waerden's rank test) say how
surprising it is that they lie so high, or so low, among all points. That holds for any noise whose points
are exchangeable: heavy tails, two modes, outliers. Neighbouring points of a history are often alike, and
then a few high points in a row surprise less: the deviate is shrunk by the first-order autocorrelation about
the two levels. Where the ranks are as clear as so few points allow, Student's t, shrunk likewise and
further, may speak for a change that is too large to be any autocorrelation's. The p-value of the clearest
split is raised for all the splits of the look.

A level at which the series has been twice before is a mode of its noise, as the processors of a hosted runner
are: a change to it is marked as one, and nobody is alerted.

`studies.changepoints` measures what this finds and what it alarms on, beside other detectors.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int_]

BEFORE, AFTER = 8, 3
"""Fewest points at the level that a change leaves, and at the one that it leads to."""

SHORTEST = BEFORE + AFTER
"""Fewest points of a series in which a change can be found."""

SMALLEST = 0.02
"""Least change, as a share of the level before; what is smaller is nobody's concern."""

WINDOWS = (24, 48, 96, 192, 384)
"""Points of the looks. What is longer is looked at in part, so that the cost is linear in the points."""

SIGNIFICANT = 2e-3
"""Largest p-value of a look. Looks at neighbouring points are alike, and there are several at each point."""

OF_SIZES = 0.1
"""The share of that which is allowed where sizes speak for a change, and not the ranks alone."""

CLEAR = 0.02
"""Largest p-value of the ranks alone where sizes speak: three points cannot rank higher than highest."""

CAUTION = 7.0
"""Over the number of points: by how much the autocorrelation of residuals is put higher than its estimate."""

CAUTION_OF_DIFFERENCES = 2.5
"""Over the root of the number of points: the same for the estimate from differences, which scatters more."""

CAUTION_OF_SIZES = 1.5
"""Over the root of the number of points: by how much it is put higher still where sizes count, not ranks."""

LOOKS = 5.5
"""Scale of the number of independent splits of a look."""

RETURNS = 2
"""Earlier stretches at a level that make it a mode of the noise."""

_YOUNG, _ALIGNED = 48, 96
"""A stretch of fewer points than the first is also looked at among so many points as the second."""

_NEAREST = 200
"""Points on either side from which the size of a change is estimated."""

_ROWS = 4096
"""Looks that are taken at once; bounds the memory."""


@dataclass(frozen=True)
class ChangePoint:
    """A change of level between two neighbouring points of a series.

    Attributes
    ----------
    index : int
        The first point after the change.
    ratio : float
        Level after over level before (Hodges-Lehmann, in logs), over all points up to the changes next to it.
    low, high : float
        95% confidence interval of the ratio.
    p_value : float
        Chance that a look without a change shows one as clear, in this direction.
    seen : int
        Points of the series when it was found: one looking at each point knew it from then on.
    mode : bool
        Whether it leads to a level that the series had visited twice before: a mode of its noise, no news.
    """

    index: int
    ratio: float
    low: float
    high: float
    p_value: float
    seen: int
    mode: bool = False


def find_change_points(
    values: Sequence[float] | Floats, *, significant: float = SIGNIFICANT, smallest: float = SMALLEST
) -> tuple[ChangePoint, ...]:
    """The change points of a series of positive values in the order of time, first to last.

    A change is of a share of at least `smallest` when it is found, and of at least half as much over all
    points that followed. Fewer than `SHORTEST` points hold none. ValueError where a value is not positive
    and finite.
    """
    levels = np.asarray(values, dtype=float)
    if levels.ndim != 1 or not np.all(np.isfinite(levels) & (levels > 0)):
        raise ValueError("expected a row of positive finite values; leave out what was not measured")
    logs = np.log(levels)
    cuts = _placed(logs, _cuts(logs, significant, smallest))
    ends = [0, *(cut.index for cut in cuts), logs.size]
    found = []
    for cut, start, end in zip(cuts, ends, ends[2:], strict=False):
        change = _change(logs[start : cut.index], logs[cut.index : end], cut.phi)
        ratio, low, high = (float(value) for value in np.exp(change))
        if abs(ratio - 1) >= smallest / 2:
            p_value = min(cut.p_value, _p_value(logs[max(start, end - WINDOWS[-1]) : end]))
            found.append(ChangePoint(cut.index, ratio, low, high, p_value, cut.seen, cut.mode))
    return tuple(found)


@dataclass(frozen=True)
class _Cut:
    """Where a look found a change."""

    index: int
    p_value: float
    phi: float
    seen: int
    mode: bool = False


def _cuts(logs: Floats, significant: float, smallest: float) -> list[_Cut]:
    """Every change of level, changes between modes included, in the order of time."""
    windows = _all_windows(logs, significant)
    flat = np.empty_like(logs)
    cuts: list[_Cut] = []
    levels: list[float] = []
    last, seen = 0, SHORTEST
    while seen <= logs.size:
        if seen - last < SHORTEST:
            seen = last + SHORTEST
            continue
        looks = _young_looks(logs, flat, last, seen) if seen - last < _YOUNG else []
        looks += [look for size, look in windows.get(seen, ()) if size <= seen - last]
        cut = min(looks, key=lambda look: look.p_value, default=None)
        if cut and cut.p_value <= significant:
            before, after = np.median(logs[last : cut.index]), np.median(logs[cut.index : seen])
            if abs(math.expm1(after - before)) >= smallest:
                visits = sum(abs(level - after) <= abs(after - before) / 4 for level in levels)
                levels.append(float(before))
                mode = bool(visits >= RETURNS)
                flat[last : cut.index] = logs[last : cut.index] - before
                cuts.append(_Cut(cut.index, cut.p_value, cut.phi, seen, mode))
                last = cut.index
        seen += 1
    return cuts


def _placed(logs: Floats, cuts: list[_Cut]) -> list[_Cut]:
    """The cuts where all points between their neighbours put them: the first look may be off by a few."""
    placed: list[_Cut] = []
    for i, cut in enumerate(cuts):
        start = max(placed[-1].index if placed else 0, cut.index - _NEAREST)
        end = min(cuts[i + 1].index if i + 1 < len(cuts) else logs.size, cut.index + _NEAREST)
        scores = _scores(logs[None, start:end])[0]
        places = np.arange(max(start + 1, cut.index - AFTER), min(end, cut.index + AFTER + 1))
        before = places - start
        gaps = np.abs(np.cumsum(scores)[before - 1]) / np.sqrt(before * (scores.size - before))
        placed.append(replace(cut, index=int(places[gaps.argmax()])))
    return placed


def _all_windows(logs: Floats, significant: float) -> dict[int, list[tuple[int, _Cut]]]:
    """By their last point plus one, the windows in which a split is significant, with their size."""
    found: dict[int, list[tuple[int, _Cut]]] = {}
    for size in WINDOWS:
        if size > logs.size:
            break
        rows = sliding_window_view(logs, size)
        for first in range(0, len(rows), _ROWS):
            splits, p_values, phis = _clearest(rows[first : first + _ROWS])
            for i in np.flatnonzero(p_values <= significant):
                start = first + int(i)
                cut = _Cut(start + int(splits[i]), float(p_values[i]), float(phis[i]), start + size)
                found.setdefault(start + size, []).append((size, cut))
    return found


def _young_looks(logs: Floats, flat: Floats, last: int, seen: int) -> list[_Cut]:
    """Looks at a stretch that began at `last`: at itself, and with what came before at its level."""
    stretch = logs[last:seen]
    rows = [stretch] if stretch.size < WINDOWS[0] else []
    start = max(0, seen - _ALIGNED)
    if start < last:
        rows.append(np.concatenate([flat[start:last], stretch - np.median(stretch)]))
    looks = []
    for row in rows:
        splits, p_values, phis = _clearest(row[None])
        index = seen - row.size + int(splits[0])
        if index - last >= BEFORE:
            looks.append(_Cut(index, float(p_values[0]), float(phis[0]), seen))
    return looks


def _p_value(logs: Floats) -> float:
    """Of the clearest split of a look; it may be surer of a change than the look that found it."""
    return float(_clearest(logs[None])[1][0]) if logs.size >= SHORTEST else 1.0


def _clearest(rows: Floats) -> tuple[Ints, Floats, Floats]:
    """Of each look, a row: its clearest split, the p-value among all its splits, the autocorrelation.

    Where the ranks are not even clear by themselves, the p-value is 1: the rest would only raise it.
    """
    number, n = rows.shape
    after = np.arange(n - BEFORE, AFTER - 1, -1)
    scores = _scores(rows)
    sums = np.cumsum(scores[:, ::-1], axis=1)[:, after - 1]
    power = np.maximum((scores**2).sum(axis=1, keepdims=True), 1e-300)
    by_rank = np.abs(sums) / np.sqrt(after * (n - after) / n * power / (n - 1))
    splits = BEFORE + by_rank.argmax(axis=1)
    p_values, phis = np.ones(number), np.zeros(number)
    looks = _looks(n)
    clear = float(-ndtri(CLEAR / looks))
    those = np.flatnonzero(by_rank.max(axis=1) >= clear)
    if those.size:
        by_rank, rows, scores = by_rank[those], rows[those], scores[those]
        at = splits[those]
        phi = _autocorrelation(scores, at, sums[those, at - BEFORE])
        ranks = ndtr(-by_rank / np.sqrt(_inflation(after[None], n, phi[:, None])))
        sizes = np.where(by_rank >= clear, ndtr(-_by_size(rows, after, phi)), 1.0)
        p_of_splits = np.minimum(ranks, sizes / OF_SIZES)
        splits[those] = BEFORE + p_of_splits.argmin(axis=1)
        p_values[those] = np.minimum(p_of_splits.min(axis=1) * looks, 1.0)
        phis[those] = phi
    return splits, p_values, phis


def _scores(rows: Floats) -> Floats:
    """Normal scores of the ranks within each row; equal values share the mean of theirs."""
    n = rows.shape[1]
    order = rows.argsort(axis=1, kind="stable")
    table = ndtri((np.arange(n) + 0.5) / n)
    ordered = np.take_along_axis(rows, order, axis=1)
    scores = np.empty(rows.shape)
    np.put_along_axis(scores, order, np.broadcast_to(table, rows.shape), axis=1)
    for row in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):
        _, which, counts = np.unique(rows[row], return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        scores[row] = ndtri((ends - counts + ends) / 2 / n)[which]
    return scores


def _by_size(rows: Floats, after: Ints, phis: Floats) -> Floats:
    """Student's t of each split under AR(1), as normal deviates.

    Ranks cannot say by how much one level exceeds the other: a change of many standard deviations, which no
    autocorrelation explains, shows here in a few points already.
    """
    n = rows.shape[1]
    phis = np.minimum(phis + CAUTION_OF_SIZES / math.sqrt(n), 0.99)
    centred = rows - rows.mean(axis=1, keepdims=True)
    sums = np.cumsum(centred[:, ::-1], axis=1)[:, after - 1]
    gaps = np.abs(sums) / np.sqrt(after * (n - after) / n)
    within = np.maximum((centred**2).sum(axis=1, keepdims=True) - gaps**2, 1e-24) / (n - 2)
    t = gaps / np.sqrt(within * _inflation(after[None], n, phis[:, None], fitted=True))
    return np.asarray(-ndtri(np.maximum(stdtr(n - 2, -t), 1e-300)))


def _looks(n: int) -> float:
    """Independent splits that are as likely to give a small p-value as all of a series of n points.

    Neighbouring splits share most of their points, so that the number grows with the logarithm: fitted to
    white noise of 11 to 1,000 points, rather too high than too low.
    """
    return max(1.0, LOOKS * math.log1p((n - SHORTEST + 1) / 10))


def _autocorrelation(scores: Floats, splits: Ints, sums: Floats) -> Floats:
    """Of first order, put rather too high, never negative: the lower of two estimates.

    That of the residuals about the levels on either side of a split is the sharper one, but further changes
    of the series raise it. That of the differences, Var(x[t+2] - x[t]) = (1 + phi) Var(x[t+1] - x[t]) under
    AR(1), hardly sees any changes.
    """
    n = scores.shape[1]
    after = n - splits
    is_after = np.arange(n)[None] >= splits[:, None]
    residuals = scores - np.where(is_after, (sums / after)[:, None], (-sums / splits)[:, None])
    power = (residuals**2).sum(axis=1)
    lagged = (residuals[:, 1:] * residuals[:, :-1]).sum(axis=1)
    of_residuals = (n * lagged / np.maximum(power, 1e-300) + 1) / (n - 4)  # Marriott and Pope 1954
    one, two = scores[:, 1:] - scores[:, :-1], scores[:, 2:] - scores[:, :-2]
    ones = np.maximum((one**2).mean(axis=1), 1e-300)
    of_differences = (two**2).mean(axis=1) / ones - 1
    phis = np.minimum(of_residuals + CAUTION / n, of_differences + CAUTION_OF_DIFFERENCES / math.sqrt(n))
    nothing_else = power <= 1e-12 * n  # nothing but the change
    return np.where(nothing_else, 0.0, np.clip(phis, 0.0, 0.97))


def _inflation(after: Ints, n: int, phi: Floats | float, fitted: bool = False) -> Floats:
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


def _mean_variance(k: Ints, phi: Floats | float) -> Floats:
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
