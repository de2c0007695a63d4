"""Series -> alerts: change points that stand among all that were looked for.

With many series some look as if they had changed by chance. Of all that are found, those are alerts that
pass Benjamini and Hochberg's procedure over the series of a runner, in each direction by itself.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy import stats

from rmsprop.suite.children import deaf_children
from rmsprop.suite.history.series import LAUNCHES, History, Series
from rmsprop.suite.records.gate import Policy
from rmsprop.suite.verdicts.changepoints import SMALLEST, ChangePoint, find_change_points
from rmsprop.suite.verdicts.creep import creep

FOLLOWED = ("seconds", "bytes", "1")
"""Units of which more is worse; 1 are the gate's ratios."""

FALSE_DISCOVERIES = 0.1
"""Share of the alerts of a direction that may be false, on average."""

CERTAIN = 1e-3
"""Largest p-value of a ratio of the gate's."""

_WINDOW = 48
"""Most commits whose ratios are multiplied: a creep that is older is a matter of releases."""

_MANY_POINTS = 200_000


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
        The first commit at which the series was back at its former level; None while the change stands.
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
    together: int = 1

    @property
    def fails(self) -> bool:
        """Whether the change is one for the worse that stands: what a track_ counts may be good or bad."""
        return self.direction == "slower" and self.recovered is None and self.series.unit in FOLLOWED


def alerts_of(history: History, recent: int | None = None) -> tuple[Alert, ...]:
    """The change points of every series that stand among them all: those that last first, by size.

    With `recent`, those alone that first showed at one of the last so many commits of the checkout, or of
    the measured ones where there is no checkout.
    """
    found = [
        alert
        for runner in sorted({series.runner for series in history.series})
        for alert in _of_runner([series for series in history.series if series.runner == runner], history)
    ]
    if recent is not None:
        new = _last_commits(history, recent)
        found = [alert for alert in found if alert.first_bad in new]
    return tuple(sorted(found, key=_importance))


def _importance(alert: Alert) -> tuple[bool, bool, float]:
    return alert.recovered is not None, alert.direction != "slower", -abs(math.log(alert.ratio))


@dataclass(frozen=True)
class AlertGroup:
    """The alerts of one machine and runner between the same two commits, the largest first.

    Attributes
    ----------
    runner, machine
        Of all the series.
    last_good, first_bad, direction
        As in each alert.
    alerts
        Those that stand first, then by size.
    compared
        Series of the machine and runner that are long enough to show a change.
    """

    runner: str
    machine: str
    last_good: str
    first_bad: str
    direction: Literal["slower", "faster"]
    alerts: tuple[Alert, ...]
    compared: int

    @property
    def of_the_machine(self) -> bool:
        """Whether so many series changed at once that the machine is to be suspected before the code."""
        return len(self.alerts) > max(3, self.compared / 2)

    @property
    def stands(self) -> bool:
        """Whether a change of the group stands."""
        return any(alert.recovered is None for alert in self.alerts)


def by_commit(alerts: Iterable[Alert], history: History) -> list[AlertGroup]:
    """The alerts in groups, those that stand first, then by how many series they concern and how much."""
    together: dict[tuple[str, str, str, str, Literal["slower", "faster"]], list[Alert]] = {}
    for alert in alerts:
        one = alert.series
        key = (one.runner, one.machine, alert.last_good, alert.first_bad, alert.direction)
        together.setdefault(key, []).append(alert)
    long = Counter((one.runner, one.machine) for one in history.series if one.long_enough)
    groups = [
        AlertGroup(*key, tuple(sorted(found, key=_importance)), long[key[:2]])
        for key, found in together.items()
    ]
    return sorted(groups, key=lambda group: (not group.stands, *_importance(group.alerts[0])))


def _of_runner(series: list[Series], history: History) -> list[Alert]:
    positions = {commit: i for i, commit in enumerate(history.commits)}
    found, looks = [], 0
    found_in = _change_points([one for one in series if one.runner != "gate" and one.long_enough])
    for one in series:
        if not one.long_enough:
            continue
        if one.runner == "gate":
            alerts = [*_ratios(one, positions)]
            alerts += _creeps(one, positions, {alert.first_bad for alert in alerts})
            looks += 2 * len(one.commits)
        else:
            alerts = [*_changes(one, found_in[id(one)], positions)]
            looks += max(len(alerts), 1)
        found += alerts
    return [
        alert
        for direction in ("slower", "faster")
        for alert in _discoveries([alert for alert in found if alert.direction == direction], looks)
    ]


def _change_points(series: Sequence[Series]) -> dict[int, tuple[ChangePoint, ...]]:
    """The change points of each series by its identity; of thousands, in processes side by side."""
    values = [one.values for one in series]
    if sum(map(len, values)) < _MANY_POINTS:
        found = [find_change_points(one) for one in values]
    else:
        with ProcessPoolExecutor() as pool:
            with deaf_children():
                asked = pool.map(find_change_points, values, chunksize=64)
            found = list(asked)
    return {id(one): points for one, points in zip(series, found, strict=True)}


def _discoveries(alerts: list[Alert], looks: int) -> list[Alert]:
    """Benjamini and Hochberg 1995, among so many looks of which the others found nothing."""
    ordered = sorted(alerts, key=lambda alert: alert.p_value)
    passed = [
        rank
        for rank, alert in enumerate(ordered, start=1)
        if alert.p_value <= FALSE_DISCOVERIES * rank / looks
    ]
    return ordered[: max(passed, default=0)]


def _changes(series: Series, found: Sequence[ChangePoint], positions: dict[str, int]) -> Iterable[Alert]:
    ends = [0, *(point.index for point in found), len(series.values)]
    levels = [float(np.median(series.values[start:end])) for start, end in pairwise(ends)]
    for i, point in enumerate(found):
        if point.known:
            continue
        back = _back(levels, i)
        yield _alert(
            series, point.index, series.commits[point.index - 1], positions,
            (point.ratio, point.low, point.high), point.p_value,
            None if back is None else series.commits[found[back].index],
        )  # fmt: skip


def _back(levels: Sequence[float], i: int) -> int | None:
    """The change after which three quarters of change i are undone, or more."""
    before, after = math.log(levels[i]), math.log(levels[i + 1])
    for later in range(i + 2, len(levels)):
        if (math.log(levels[later]) - before) / (after - before) <= 0.25:
            return later - 1
    return None


def _ratios(series: Series, positions: dict[str, int]) -> Iterable[Alert]:
    """Ratios of `SMALLEST` or more: a t-test over the launches, against a change of the gate's margin.

    Two trees differ a little by where their code lies in memory, and enough launches would be sure of it.
    One in 1,000 ratios may be a false alarm.
    """
    margin = math.log1p(Policy().margin)
    for i, launches in enumerate(series.launches):
        d = np.asarray(launches)
        if d.size < LAUNCHES or abs(math.expm1(d.mean())) < SMALLEST:
            continue
        error = max(float(stats.sem(d)), 1e-12)
        half = float(stats.t.isf(0.025, d.size - 1)) * error
        ratio, low, high = (math.exp(d.mean() + shift) for shift in (0.0, -half, half))
        p_value = float(stats.t.sf((abs(d.mean()) - margin) / error, d.size - 1))
        if p_value > CERTAIN:
            continue
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
    recovered: str | None = None,
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
        "slower" if ratio > 1 else "faster", len(series.commits) - index, between, recovered,
    )  # fmt: skip


def _last_commits(history: History, recent: int) -> set[str]:
    if history.commits:
        return set(history.commits[-recent:])
    measured = {
        commit: time
        for series in history.series
        for commit, time in zip(series.commits, series.times, strict=True)
    }
    return set(sorted(measured, key=lambda commit: measured[commit])[-recent:])
