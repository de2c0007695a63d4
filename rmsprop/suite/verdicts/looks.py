"""A look at a stretch of a series: its clearest split, and how surprising that split is.

Each row of logs is one look, and all looks of one length are taken at once. `changepoints` says which looks
are taken and what becomes of them.
"""

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int_]

BEFORE, AFTER = 8, 3
"""Fewest points at the level that a change leaves, and at the one that it leads to."""

SHORTEST = BEFORE + AFTER
"""Fewest points of a series in which a change can be found."""

OF_SIZES = 0.1
"""The share of that which is allowed where sizes speak for a change, and the noise may have heavy tails."""

CLEAR = 0.02
"""Largest p-value of the ranks alone where sizes speak: three points cannot rank higher than highest."""

CAUTION = 8.0
"""Over the number of points: by how much the autocorrelation of residuals is put higher than its estimate."""

CAUTION_OF_DIFFERENCES = 2.5
"""Over the root of the number of points: the same for the estimate from differences, which scatters more."""

CAUTION_OF_SIZES = 2.0
"""Over the root of the number of points: by how much it is put higher still where sizes count, not ranks."""

LARGEST = 0.97
"""First-order autocorrelation of which none is put higher: histories that are nearly random walks."""

LOOKS = 5.5
"""Scale of the number of independent splits of a look."""

LIGHT = 1.0
"""Largest excess kurtosis of noise of which sizes may speak as ranks do."""

LONG = 40
"""Fewest points of a look that tell so much of the tails."""


def clearest(rows: Floats) -> tuple[Ints, Floats, Floats]:
    """Of each look, a row: its clearest split, the p-value among all its splits, the autocorrelation.

    Where the ranks are not even clear by themselves, the p-value is 1: the rest would only raise it.
    """
    number, n = rows.shape
    after = np.arange(n - BEFORE, AFTER - 1, -1)
    scores = normal_scores(rows)
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
        ranks = ndtr(-by_rank / np.sqrt(variance_inflation(after[None], n, phi[:, None])))
        sizes = np.where(by_rank >= clear, ndtr(-_by_size(rows, after, phi)), 1.0)
        light = (_kurtosis(rows, at) <= LIGHT) & (n >= LONG)
        of_sizes = np.where(light, 1.0, OF_SIZES)[:, None]
        p_of_splits = np.minimum(ranks, sizes / of_sizes)
        splits[those] = BEFORE + p_of_splits.argmin(axis=1)
        p_values[those] = np.minimum(p_of_splits.min(axis=1) * looks, 1.0)
        phis[those] = phi
    return splits, p_values, phis


def normal_scores(rows: Floats) -> Floats:
    """Normal scores of the ranks within each row; equal values share the mean of theirs."""
    n = rows.shape[1]
    order = rows.argsort(axis=1, kind="stable")
    table = ndtri((np.arange(n) + 0.5) / n)
    each = np.arange(len(rows))[:, None]
    ordered = rows[each, order]
    scores = np.empty(rows.shape)
    scores[each, order] = table
    for row in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):
        _, which, counts = np.unique(rows[row], return_inverse=True, return_counts=True)
        ends = np.cumsum(counts)
        scores[row] = ndtri((ends - counts + ends) / 2 / n)[which]
    return scores


def _by_size(rows: Floats, after: Ints, phis: Floats) -> Floats:
    """Student's t of each split by generalised least squares under AR(1), as normal deviates.

    Ranks cannot say by how much one level exceeds the other: a change of many standard deviations, which no
    autocorrelation explains, shows here in a few points already. A constant and a step are fitted to
    x[t] - phi x[t-1], in which the errors are independent. The higher phi is, the more the step rests on the
    difference between the two neighbours of the split. So a phi that is put too high, as it must be where
    points are few or where smaller changes lie among them, hides no sudden change.
    """
    n = rows.shape[1]
    phi = np.minimum(phis + CAUTION_OF_SIZES / math.sqrt(n), LARGEST)[:, None]
    rest = 1 - phi
    whitened = rows - rows.mean(axis=1, keepdims=True)
    whitened[:, 1:] -= phi * whitened[:, :-1]
    whitened[:, :1] *= np.sqrt(1 - phi**2)
    sums = np.cumsum(whitened[:, ::-1], axis=1)
    # Sums of products: c is the constant and s the step, both whitened; y are the points.
    first = whitened[:, n - after]
    sy = first + rest * (sums[:, after - 1] - first)
    cy = np.sqrt(1 - phi**2) * whitened[:, :1] + rest * sums[:, n - 2 : n - 1]
    cc, cs, ss = (1 - phi**2) + (n - 1) * rest**2, rest + (after - 1) * rest**2, 1 + (after - 1) * rest**2
    # What the constant leaves of the step and of the points.
    power = ss - cs**2 / cc
    steps = (sy - cs * cy / cc) / np.sqrt(power)
    around = (whitened**2).sum(axis=1, keepdims=True) - cy**2 / cc
    t = np.abs(steps) / np.sqrt(np.maximum(around - steps**2, 1e-24) / (n - 2))
    return np.asarray(-ndtri(np.maximum(stdtr(n - 2, -t), 1e-300)))


def _kurtosis(rows: Floats, splits: Ints) -> Floats:
    """Excess kurtosis of the points before the split of each row."""
    before = np.arange(rows.shape[1])[None] < splits[:, None]
    mean = np.where(before, rows, 0).sum(axis=1) / splits
    squares = np.where(before, rows - mean[:, None], 0) ** 2
    power = np.maximum(squares.sum(axis=1) / splits, 1e-30)
    return np.asarray((squares**2).sum(axis=1) / splits / power**2 - 3)


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
    return np.where(nothing_else, 0.0, np.clip(phis, 0.0, LARGEST))


def variance_inflation(after: Ints, n: int, phi: Floats | float) -> Floats:
    """Variance of the difference of the two means under AR(1), over that of independent points.

    It is measured against the scatter in the series itself, about one level, which autocorrelation makes too
    small.
    """
    before = n - after
    grown = (_mean_variance(before, phi) + _mean_variance(after, phi)) / (1 / before + 1 / after)
    return np.asarray(grown * (1 - 1 / n) / (1 - _mean_variance(np.asarray(n), phi)))


def _mean_variance(k: Ints, phi: Floats | float) -> Floats:
    """Variance of the mean of k neighbours of an AR(1) series of unit variance."""
    return np.asarray(((1 + phi) / (1 - phi) - 2 * phi * (1 - phi**k) / (k * (1 - phi) ** 2)) / k)
