"""Series -> alerts: the change points of each series to a level that is new, and what became of each.

Each series is judged by itself, so that no alert depends on which other benchmarks there are.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from multiprocessing import get_context, resource_tracker
from typing import Literal

import numpy as np
from scipy import stats

from rmsprop.suite.children import deaf_children
from rmsprop.suite.history.series import LAUNCHES, History, Series
from rmsprop.suite.records.gate import Policy
from rmsprop.suite.verdicts.changepoints import SMALLEST, ChangePoint, find_in_each
from rmsprop.suite.verdicts.creep import creep

CERTAIN = 5e-4
"""Largest p-value of a ratio of the gate's, or of a creep: it is of one of two directions."""

_WINDOW = 48
"""Most commits whose ratios are multiplied: a creep that is older is a matter of releases."""

_MANY_POINTS = 200_000

_TOGETHER = 200
"""Series that one process searches at once."""

_UNDONE = 0.25
"""The part of a change, in logs, that may be left where it counts as undone."""

_LAST = 3
"""Commits of its runner and machine at which a series must have been measured, or it has ended."""


@dataclass(frozen=True)
class Alert:
    """A change point of one series, and between which commits it lies.

    Attributes
    ----------
    series
        The one that changed.
    last_good, first_bad
        Full hashes of the two measured commits.
    ratio, low, high
        Level after over level before, and its 95% interval.
    p_value
        Chance of such a change in such a series without any, in this direction.
    direction
        slower also stands for more bytes, or more of what a track_ counts.
    points_after
        Measured commits since, with the first.
    unmeasured
        Commits between the two that were not measured; None where the checkout does not know them.
    recovered
        Since when the series is back at its former level; None while the change stands.
    again
        Since when the change stands again; None where it was not undone in between.
    faded
        Since when the series is back at its former level without another change, so that the first one was
        none, or was undone little by little; None where it is not.
    ended
        The last commit at which the series was measured; None where it still is.
    together
        How many measured commits make the change together, none of which could be named by itself: more than
        1 for a creep.
    """

    series: Series
    last_good: str
    first_bad: str
    ratio: float
    low: float
    high: float
    p_value: float
    direction: Literal["slower", "faster"]
    points_after: int
    unmeasured: int | None
    recovered: str | None = None
    again: str | None = None
    faded: str | None = None
    ended: str | None = None
    together: int = 1

    @property
    def stands(self) -> bool:
        """Whether the series is at the new level still, as far as is known."""
        return self.recovered is None and self.faded is None and self.ended is None

    @property
    def timed(self) -> bool:
        """Whether it is of time: `slower` and `faster` are words for nothing else."""
        return self.series.unit == "seconds" or self.series.runner == "gate"

    @property
    def followed(self) -> bool:
        """Whether more is worse: what a track_ counts may be good or bad."""
        return self.timed or self.series.unit == "bytes"

    @property
    def fails(self) -> bool:
        """Whether the series is worse now: by a change that stands, or by an improvement that was lost."""
        worse = (self.direction == "slower") == (self.recovered is None)
        return worse and self.followed and self.faded is None and self.ended is None

    @property
    def turned(self) -> str:
        """The commit of the last turn: of the change itself, or of what undid it or brought it back."""
        return self.recovered or self.faded or self.again or self.first_bad

    @property
    def since(self) -> str:
        """What became of the change, such as `back since 0123abcde`; empty where it just stands."""
        lost = self.direction == "faster" and self.followed
        turns = (
            ("lost since" if lost else "back since", self.recovered),
            ("again since", self.again),
            ("faded since", self.faded),
            ("not measured since", self.ended),
        )
        return ", ".join(f"{words} {commit[:9]}" for words, commit in turns if commit)


def searched(history: History) -> list[Series]:
    """The series in which change points are looked for."""
    return [one for one in history.series if one.runner != "gate" and one.long_enough]


def alerts_of(
    history: History, recent: int | None = None, progress: Callable[[int], None] = lambda _series: None
) -> tuple[Alert, ...]:
    """The alerts of every series: those that fail first, then those that last, by size.

    With `recent`, those alone that showed, were undone or came back at one of the last so many commits: of
    the checkout, or of the measured ones where it does not have all of them. `progress` is told of each of
    the `searched` series.
    """
    found_in = _change_points(searched(history), progress)
    positions = {commit: i for i, commit in enumerate(history.commits)}
    found = [
        alert
        for one in history.series
        if one.long_enough
        for alert in (
            _of_gate(one, positions) if one.runner == "gate" else _changes(one, found_in[id(one)], positions)
        )
    ]
    if recent is not None:
        new = _last_commits(history, recent)
        found = [alert for alert in found if alert.turned in new]
    ended = _ended(history)
    found = [replace(alert, ended=ended.get(id(alert.series))) for alert in found]
    return tuple(sorted(found, key=importance))


def importance(alert: Alert) -> tuple[bool, bool, bool, float]:
    """Sorts alerts: those that fail, those that stand, what is slower, then by size."""
    return not alert.fails, not alert.stands, alert.direction != "slower", -abs(math.log(alert.ratio))


def _change_points(
    series: Sequence[Series], progress: Callable[[int], None] = lambda _series: None
) -> dict[int, tuple[ChangePoint, ...]]:
    """The change points of each series by its identity; of thousands, in processes side by side."""
    values = [one.values for one in series]
    parts = [values[first : first + _TOGETHER] for first in range(0, len(values), _TOGETHER)]
    found: list[tuple[ChangePoint, ...]] = []
    asked: Iterable[list[tuple[ChangePoint, ...]]] = map(find_in_each, parts)
    with ExitStack() as stack:
        if sum(map(len, values)) >= _MANY_POINTS:
            # Threads that show progress may be at work: a fork would take their locks along.
            pool = stack.enter_context(ProcessPoolExecutor(mp_context=get_context("spawn")))
            with deaf_children(resource_tracker.ensure_running):
                asked = pool.map(find_in_each, parts)
        for of_part in asked:
            found += of_part
            progress(len(of_part))
    return {id(one): points for one, points in zip(series, found, strict=True)}


def _changes(series: Series, found: Sequence[ChangePoint], positions: dict[str, int]) -> Iterable[Alert]:
    ends = [0, *(point.index for point in found), len(series.values)]
    levels = [float(np.median(series.values[start:end])) for start, end in pairwise(ends)]
    for i, point in enumerate(found):
        if point.known:
            continue
        recovered, again, faded = (
            None if at is None else series.commits[at] for at in _turns(levels, found, i)
        )
        alert = _alert(
            series, point.index, series.commits[point.index - 1], positions,
            (point.ratio, point.low, point.high), point.p_value,
        )  # fmt: skip
        direction: Literal["slower", "faster"] = "slower" if point.slower else "faster"
        yield replace(alert, direction=direction, recovered=recovered, again=again, faded=faded)


def _turns(
    levels: Sequence[float], found: Sequence[ChangePoint], i: int
) -> tuple[int | None, int | None, int | None]:
    """Since which point change i is undone for good, stands again, or has faded: at most one of them.

    It is undone where three quarters of it are. It stands again where three quarters are there again, or
    more than a quarter by a change that is no alert itself, since its level is known.
    """
    change = found[i]
    size = abs(math.log(change.ratio))  # may be 0: medians of two modes can differ where the ratio is 1
    faded = None if change.faded is None else change.faded - 1
    back = again = None
    for later in range(i + 1, len(found)):
        left = math.log(levels[later + 1] / levels[i]) * (1 if change.slower else -1)
        undone = back is not None or faded is not None
        if not undone and left <= _UNDONE * size:
            back, again = found[later].index, None
        elif undone and (left >= (1 - _UNDONE) * size or (left > _UNDONE * size and found[later].known)):
            back, again, faded = None, found[later].index, None
    return back, again, faded


def _of_gate(series: Series, positions: dict[str, int]) -> list[Alert]:
    alone = list(_ratios(series, positions))
    return alone + list(_creeps(series, positions, {alert.first_bad for alert in alone}))


def _ratios(series: Series, positions: dict[str, int]) -> Iterable[Alert]:
    """Ratios of `SMALLEST` or more: a t-test over the launches, against a change of the gate's margin.

    Two trees differ a little by where their code lies in memory, and enough launches would be sure of it.
    One in 1,000 ratios may be a false alarm: one in 2,000 in either direction.
    """
    margin = math.log1p(Policy().margin)
    for i, launches in enumerate(series.launches):
        d = np.asarray(launches)
        if d.size < LAUNCHES or abs(math.expm1(d.mean())) < SMALLEST:
            continue
        error = max(float(stats.sem(d)), 1e-12)
        p_value = float(stats.t.sf((abs(d.mean()) - margin) / error, d.size - 1))
        if p_value > CERTAIN:
            continue
        half = float(stats.t.isf(0.025, d.size - 1)) * error
        ratio, low, high = (math.exp(d.mean() + shift) for shift in (0.0, -half, half))
        yield _alert(series, i, series.bases[i], positions, (ratio, low, high), p_value)


def _creeps(series: Series, positions: dict[str, int], named: set[str]) -> Iterable[Alert]:
    """Where the product of neighbouring ratios, none of which is `named` by itself, first shows a slowdown.

    Each commit is looked back from, over at most `_WINDOW` commits that were each compared with the one
    before. What one look found is no part of a later one.
    """
    policy = replace(Policy(), alpha=CERTAIN)
    ratios = [np.asarray(one if len(one) >= LAUNCHES else ()) for one in series.launches]
    begin = 0
    for i, commit in enumerate(series.commits):
        if i and series.bases[i] != series.commits[i - 1]:
            begin = i  # some commits between are not measured
        if commit in named:
            begin = i + 1
            continue
        first = max(begin, i + 1 - _WINDOW)
        if crept := creep(ratios[first : i + 1], policy):
            first, begin = first + crept.first, i + 1
            change = (1 + crept.change, 1 + crept.low, 1 + crept.high)
            alert = _alert(series, i, series.bases[first], positions, change, crept.p_value)
            unmeasured = None if alert.unmeasured is None else alert.unmeasured - (i - first)
            yield replace(alert, unmeasured=unmeasured, together=i + 1 - first)


def _alert(
    series: Series,
    index: int,
    last_good: str,
    positions: dict[str, int],
    change: tuple[float, float, float],
    p_value: float,
) -> Alert:
    first_bad = series.commits[index]
    ratio, low, high = change
    between = (
        positions[first_bad] - positions[last_good] - 1
        if first_bad in positions and last_good in positions
        else None
    )
    return Alert(
        series, last_good, first_bad, ratio, low, high, p_value,
        "slower" if ratio > 1 else "faster", len(series.commits) - index, between,
    )  # fmt: skip


def _last_commits(history: History, recent: int) -> set[str]:
    complete = set(history.measured) <= set(history.commits)
    return set((history.commits if history.commits and complete else history.measured)[-recent:])


def _ended(history: History) -> dict[int, str]:
    """Series that were not measured at any of the last commits of their runner and machine -> their last one.

    By identity. A former version of a benchmark is such a series, and a benchmark that was removed.
    """
    if not history.measured:  # made by hand: nobody said in which order
        return {}
    places = {commit: i for i, commit in enumerate(history.measured)}
    measured: dict[tuple[str, str], set[str]] = {}
    for one in history.series:
        measured.setdefault((one.runner, one.machine), set()).update(one.commits)
    last = {
        key: set(sorted(commits, key=lambda commit: places[commit])[-_LAST:])
        for key, commits in measured.items()
    }
    return {
        id(one): one.commits[-1]
        for one in history.series
        if not last[one.runner, one.machine].intersection(one.commits)
    }
