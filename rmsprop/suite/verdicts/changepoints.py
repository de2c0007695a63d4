"""Change points: where a series of positive values changes its level, found as its points come in.

The points are looked at one after the other, as somebody does who looks at each commit. A look is at the last
24, 48, 96, ... points since the last change point. Where the stretch since then is young, it is looked at
whole, and among the last 96 points with all earlier levels brought to the present one, so that the noise is
known from more than a few points; there five points at the present level are enough. An earlier level never
hides a change, and what was found stays found, at its place: nothing that comes later takes part in it. A
change whose level comes back without another change has faded, and stays so.

For each split of a look, the normal scores of the points after it (van der Waerden's rank test) say how
surprising it is that they lie so high, or so low, among all points. That holds for any noise whose points
are exchangeable: heavy tails, two modes, outliers. Neighbouring points of a history are often alike, and
then a few high points in a row surprise less: the deviate is shrunk by the first-order autocorrelation about
the two levels. Where the ranks are as clear as so few points allow, Student's t of generalised least squares
may speak for a change that is too large and too sudden to be any autocorrelation's. The p-value of the
clearest split is raised for all the splits of the look.

A change to a level at which three neighbours of the series lay before is marked as known: such are the modes
of a hosted runner's noise, and the end of a change that was reported before. Nobody is alerted of it.

`studies.changepoints` measures what this finds and what it alarms on, beside other detectors.
"""

import math
from bisect import insort
from collections import defaultdict
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import stdtr

from rmsprop.suite.verdicts.looks import (
    AFTER,
    BEFORE,
    SHORTEST,
    Floats,
    clearest,
    variance_inflation,
)

SMALLEST = 0.02
"""Least change, as a share of the level before; what is smaller is nobody's concern."""

WINDOWS = (24, 48, 96, 192, 384)
"""Points of the looks. What is longer is looked at in part, so that the cost is linear in the points."""

SIGNIFICANT = 1e-3
"""Largest p-value of a look. Looks at neighbouring points are alike, and there are several at each point."""

NEAR = 2.5
"""Standard deviations by which three neighbours that were at a level may miss it."""

NEAR_OF_GAP = 0.25
"""The part of the change by which they may miss it at most."""

FAR = 6.0
"""Standard deviations of the next points by which a series' first point is none of their level."""

APART = 1e-4
"""Largest p-value of Student's t by the points next to a cut."""

SHORT = 5
"""Fewest points of a level that began with a change point: the noise is known from before it."""

_LOCAL = 20

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
        Level after over level before (Hodges-Lehmann, in logs), over all points up to the changes next to it;
        of a change that faded, over those that were known when it was found.
    low, high : float
        95% confidence interval of the ratio.
    p_value : float
        Chance that a look without a change shows one as clear, in this direction.
    slower : bool
        Whether the level after it is the higher one, by the medians when it was found.
    seen : int
        Points of the series when it was found: one looking at each point knew it from then on.
    known : bool
        Whether it leads back to a level at which the series had been before: no news.
    faded : int or None
        Points of the series when the median since the change first was within half of `smallest` of the level
        before, if it ever was before the next change was found, and within 200 points.
    """

    index: int
    ratio: float
    low: float
    high: float
    p_value: float
    slower: bool
    seen: int
    known: bool = False
    faded: int | None = None


def find_change_points(
    values: Sequence[float] | Floats, *, significant: float = SIGNIFICANT, smallest: float = SMALLEST
) -> tuple[ChangePoint, ...]:
    """The change points of a series of positive values in the order of time, first to last.

    A change is of a share of at least `smallest` when it is found. Fewer than `SHORTEST` points hold none.
    ValueError where a value is not positive and finite.
    """
    [found] = find_in_each([values], significant=significant, smallest=smallest)
    return found


def find_in_each(
    series: Iterable[Sequence[float] | Floats],
    *,
    significant: float = SIGNIFICANT,
    smallest: float = SMALLEST,
) -> list[tuple[ChangePoint, ...]]:
    """The same of several series, whose looks are taken together: of hundreds in half the time."""
    each = [_logs(values) for values in series]
    cuts = _side_by_side([_cuts(logs, significant, smallest) for logs in each])
    return [_found(logs, of_one, smallest) for logs, of_one in zip(each, cuts, strict=True)]


def _logs(values: Sequence[float] | Floats) -> Floats:
    levels = np.asarray(values, dtype=float)
    if levels.ndim != 1 or not np.all(np.isfinite(levels) & (levels > 0)):
        raise ValueError("expected a row of positive finite values; leave out what was not measured")
    logs: Floats = np.log(levels)
    return logs


def _found(logs: Floats, cuts: Sequence["_Cut"], smallest: float) -> tuple[ChangePoint, ...]:
    """The cuts with the size of their change, and whether it lasted."""
    ends = [0, *(cut.index for cut in cuts), logs.size]
    # Up to where each cut was the last one that was known.
    unseen = [*(cut.seen - 1 for cut in cuts[1:]), logs.size]
    found = []
    for cut, start, end, until in zip(cuts, ends, ends[2:], unseen, strict=False):
        before = logs[start : cut.index]
        faded = _faded(before, logs[cut.index : until], cut, smallest / 2)
        change = _change(before, logs[cut.index : cut.seen if faded else end], cut.phi)
        ratio, low, high = (float(value) for value in np.exp(change))
        p_value = min(cut.p_value, _p_value(logs[max(start, end - WINDOWS[-1]) : end]))
        found.append(
            ChangePoint(cut.index, ratio, low, high, p_value, cut.slower, cut.seen, cut.known, faded)
        )
    return tuple(found)


@dataclass(frozen=True)
class _Cut:
    """Where a look found a change."""

    index: int
    p_value: float
    phi: float
    seen: int
    slower: bool = False
    known: bool = False


_Search = Generator[list[Floats], list[tuple[int, float, float]], list[_Cut]]
"""Asks for looks at rows, is told the clearest split of each with its p-value and phi, and ends with cuts."""


def _side_by_side(searches: Sequence[_Search]) -> list[list[_Cut]]:
    """Carry out all searches. What they ask for at the same time is looked at together, length by length."""
    ends: dict[int, list[_Cut]] = {}
    asked: dict[int, list[Floats]] = {}

    def go_on(number: int, told: list[tuple[int, float, float]] | None) -> None:
        try:
            asked[number] = next(searches[number]) if told is None else searches[number].send(told)
        except StopIteration as end:
            ends[number] = end.value

    for number in range(len(searches)):
        go_on(number, None)
    while asked:
        places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for number, rows in asked.items():
            for place, row in enumerate(rows):
                places[row.size].append((number, place))
        told: dict[int, dict[int, tuple[int, float, float]]] = {number: {} for number in asked}
        for those in places.values():
            looks = clearest(np.array([asked[number][place] for number, place in those]))
            for (number, place), split, p_value, phi in zip(those, *looks, strict=True):
                told[number][place] = int(split), float(p_value), float(phi)
        asked = {}
        for number, answers in told.items():
            go_on(number, [answers[place] for place in range(len(answers))])
    return [ends[number] for number in range(len(searches))]


def _cuts(logs: Floats, significant: float, smallest: float) -> _Search:
    """Every change of level, changes between modes included, in the order of time."""
    windows = _all_windows(logs, significant)
    flat = np.empty_like(logs)
    cuts: list[_Cut] = []
    last, seen = _begin(logs), SHORTEST
    while seen <= logs.size:
        if seen - last < SHORT + AFTER:
            seen = last + SHORT + AFTER
            continue
        looks = (yield from _young_looks(logs, flat, last, seen)) if seen - last < _YOUNG else []
        looks += [look for size, look in windows.get(seen, ()) if size <= seen - last]
        cut = min(looks, key=lambda look: look.p_value, default=None)
        if cut and cut.p_value <= significant:
            cut = replace(cut, index=_place(logs, max(last, cut.index - _LOCAL), cut.index, seen))
            if seen - cut.index < AFTER:  # a point of the former level was needed to find it
                seen += 1
                continue
            before, after = np.median(logs[last : cut.index]), np.median(logs[cut.index : seen])
            apart = _apart(logs[max(last, cut.index - _LOCAL) : cut.index], logs[cut.index : seen])
            if abs(math.expm1(after - before)) >= smallest and apart:
                known = _known(logs, last, cut.index, seen)
                flat[last : cut.index] = logs[last : cut.index] - before
                slower = bool(after > before)
                cuts.append(_Cut(cut.index, cut.p_value, cut.phi, seen, slower, known))
                last = cut.index
        seen += 1
    return cuts


def _begin(logs: Floats) -> int:
    """The first point of the first level: a first run that lies far from the next ones belongs to none."""
    level = logs[1 : 1 + BEFORE]
    return int(level.size == BEFORE and abs(logs[0] - np.median(level)) > FAR * level.std(ddof=1) + 1e-9)


def _place(logs: Floats, start: int, cut: int, end: int) -> int:
    """The split within a few points of a cut that leaves the least squares about the levels on its sides."""
    stretch = logs[start:end] - logs[start:end].mean()
    places = np.arange(max(start + 1, cut - BEFORE), min(end, cut + BEFORE + 1))
    before = places - start
    gains = np.cumsum(stretch)[before - 1] ** 2 / (before * (stretch.size - before))
    return int(places[gains.argmax()])


def _apart(before: Floats, after: Floats) -> bool:
    """Whether the levels are apart by the scatter next to the cut: the noise may have grown there."""
    n = before.size + after.size
    within = before.size * before.var() + after.size * after.var()
    pooled = float(within) / (n - 2) * (1 / before.size + 1 / after.size)
    grown = float(after.var(ddof=1)) / after.size  # where the scatter has grown, the points before say less
    error = math.sqrt(max(pooled, grown, 1e-24))
    return bool(stdtr(n - 2, -abs(after.mean() - before.mean()) / error) <= APART)


def _known(logs: Floats, last: int, cut: int, seen: int) -> bool:
    """Whether the level after a cut is one at which the series has been: some neighbours lay there before."""
    before, after = logs[last:cut], logs[cut:seen]
    level = np.median(after)
    gap = abs(level - np.median(before))
    scatter = np.concatenate([after - level, before[-_LOCAL:] - np.median(before[-_LOCAL:])])
    near = np.abs(logs[:cut] - level) <= min(NEAR_OF_GAP * gap, NEAR * float(scatter.std()) + 1e-9)
    return bool(np.any(near[2:] & near[1:-1] & near[:-2]))


def _faded(before: Floats, after: Floats, cut: "_Cut", smallest: float) -> int | None:
    """Points of the series at which the median since the cut first was within `smallest` of that before it.

    Only points after the look that found the change, and up to `_NEAREST` points after the change.
    """
    level = np.median(before[-_NEAREST:])
    towards = (after[:_NEAREST] - level) * (1 if cut.slower else -1)
    ordered: list[float] = sorted(towards[: cut.seen - cut.index])
    for n, value in enumerate(towards[len(ordered) :].tolist(), len(ordered) + 1):
        insort(ordered, value)
        if (ordered[(n - 1) // 2] + ordered[n // 2]) / 2 < math.log1p(smallest):
            return cut.index + n
    return None


def _all_windows(logs: Floats, significant: float) -> dict[int, list[tuple[int, _Cut]]]:
    """By their last point plus one, the windows in which a split is significant, with their size."""
    found: dict[int, list[tuple[int, _Cut]]] = {}
    for size in WINDOWS:
        if size > logs.size:
            break
        rows = sliding_window_view(logs, size)
        for first in range(0, len(rows), _ROWS):
            splits, p_values, phis = clearest(rows[first : first + _ROWS])
            for i in np.flatnonzero(p_values <= significant):
                start = first + int(i)
                cut = _Cut(start + int(splits[i]), float(p_values[i]), float(phis[i]), start + size)
                found.setdefault(start + size, []).append((size, cut))
    return found


def _young_looks(logs: Floats, flat: Floats, last: int, seen: int) -> _Search:
    """Looks at a stretch that began at `last`: at itself, and with what came before at its level."""
    stretch = logs[last:seen]
    rows = [(stretch, BEFORE)] if stretch.size >= SHORTEST else []
    start = max(0, seen - _ALIGNED)
    if start < last:
        level = np.median(stretch[: max(BEFORE, stretch.size // 2)])
        rows.append((np.concatenate([flat[start:last], stretch - level]), SHORT))
    told = yield [row for row, _ in rows]
    looks = []
    for (row, fewest), (split, p_value, phi) in zip(rows, told, strict=True):
        index = seen - row.size + split
        if index - last >= fewest:
            looks.append(_Cut(index, p_value, phi, seen))
    return looks


def _p_value(logs: Floats) -> float:
    """Of the clearest split of a look; it may be surer of a change than the look that found it."""
    return float(clearest(logs[None])[1][0]) if logs.size >= SHORTEST else 1.0


def _change(before: Floats, after: Floats, phi: float) -> Floats:
    """The shift from `before` to `after` and its 95% interval: median and quantiles of the differences."""
    before, after = before[-_NEAREST:], after[:_NEAREST]
    differences = np.subtract.outer(after, before).ravel()
    n = before.size + after.size
    inflation = float(variance_inflation(np.asarray([after.size]), n, phi)[0])
    half = 1.96 * math.sqrt((n + 1) / (12 * differences.size) * inflation)
    shift: Floats = np.quantile(differences, (0.5, max(0.5 - half, 0.0), min(0.5 + half, 1.0)))
    return shift
