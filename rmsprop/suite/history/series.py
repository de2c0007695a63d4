"""Results -> a series per machine, environment and case in commit order -> alerts.

Two kinds of history are read. A series of asv's or of our own records holds measurements, one for each
commit, and `detect.find_steps` looks for changes of level. A series of the gate's records holds ratios of
commits to their parents, measured side by side: each is evidence by itself, and the machine may drift or be
replaced between two of them.

With many series some look as if they had a step by chance. Of all that are found, those are alerts that
pass Benjamini and Hochberg's procedure over the series of a runner, in each direction by itself.
"""

import math
import subprocess
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from rmsprop.suite.case import AXES, Case
from rmsprop.suite.records.files import Problem
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.records.gate import GateCase, GateRecord, Policy
from rmsprop.suite.records.store import read_gates
from rmsprop.suite.verdicts.changepoints import FALSE_ALARMS, SHORTEST, SMALLEST, find_steps
from rmsprop.suite.verdicts.gate import judge_gate

FALSE_DISCOVERIES = 0.1
"""Share of the alerts of a direction that may be false, on average."""

UNITS = ("seconds", "bytes")
"""Quantities in these units are followed: more of them is worse. A loss is not."""

LAUNCHES = 4
"""Fewest launches of the gate from which a ratio is evidence."""


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of one case on one machine in one environment, at one commit after the other."""

    machine: str
    environment: str
    """Python and packages, as the runner names them."""
    case: str
    quantity: str
    unit: str
    """seconds or bytes; 1 for the gate's ratios."""
    runner: str
    """asv, bench or gate."""
    commits: tuple[str, ...]
    """Full hashes, oldest first."""
    times: tuple[datetime, ...]
    """UTC: of the commits where they are known, else of the measurements."""
    values: NDArray[np.float64]
    """Medians; the gate's are ratios of each commit to its base."""
    bases: tuple[str, ...] = ()
    """The gate's: what each commit was compared with."""
    launches: tuple[tuple[float, ...], ...] = ()
    """The gate's: the log ratio of each pair of processes."""

    @property
    def long_enough(self) -> bool:
        """Whether a step could be found in it: the gate's ratios need no past."""
        if self.runner == "gate":
            return any(len(launches) >= LAUNCHES for launches in self.launches)
        return len(self.commits) >= SHORTEST


@dataclass(frozen=True)
class History:
    """All series, and what could not be read."""

    series: tuple[Series, ...]
    problems: tuple[Problem, ...]
    commits: tuple[str, ...] = field(default=(), repr=False)
    """The checkout's history, oldest first; empty where there is none."""


@dataclass(frozen=True)
class Alert:
    """A step of one series, and between which commits it lies."""

    series: Series
    last_good: str
    first_bad: str
    ratio: float
    low: float
    high: float
    p_value: float
    """Chance of such a step in such a series without any, in this direction."""
    direction: Literal["slower", "faster"]
    """slower also stands for more bytes."""
    points_after: int
    """Measured commits since, with the first."""
    unmeasured: int | None
    """Commits between the two that were not measured; None where the checkout does not know them."""


def read_history(results: Path, repo: Path | None) -> History:
    """Every series below `results`, its commits in the order of the history of `repo`.

    A commit that the checkout does not have, as in a shallow clone, stands where its date puts it. Without
    a checkout the dates of the commits (asv) or of the measurements decide.
    """
    frame, problems = read_frame(results)
    records, damaged = read_gates(results)
    return history_of(frame, records, (*problems, *damaged), repo)


def history_of(
    frame: pd.DataFrame,
    gates: Iterable[GateRecord],
    problems: tuple[Problem, ...] = (),
    repo: Path | None = None,
) -> History:
    """The same of what was read already: `read_frame`'s rows and the gate's records."""
    known = _git_log(repo)
    order = _Order(known)
    return History((*_measured(frame, order), *_paired(gates, order)), problems, tuple(known))


def alerts_of(history: History, recent: int | None = None) -> tuple[Alert, ...]:
    """The steps of every series that stand among them all, the surest first.

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
    return tuple(sorted(found, key=lambda alert: (alert.direction != "slower", alert.p_value)))


def _of_runner(series: list[Series], history: History) -> list[Alert]:
    positions = {commit: i for i, commit in enumerate(history.commits)}
    found, looks = [], 0
    for one in series:
        if not one.long_enough:
            continue
        alerts = list(_ratios(one, positions) if one.runner == "gate" else _steps(one, positions))
        found += alerts
        looks += len(one.commits) if one.runner == "gate" else max(len(alerts), 1)
    return [
        alert
        for direction in ("slower", "faster")
        for alert in _discoveries([alert for alert in found if alert.direction == direction], looks)
    ]


def _discoveries(alerts: list[Alert], looks: int) -> list[Alert]:
    """Benjamini and Hochberg 1995, among so many looks of which the others found nothing."""
    ordered = sorted(alerts, key=lambda alert: alert.p_value)
    passed = [
        rank
        for rank, alert in enumerate(ordered, start=1)
        if alert.p_value <= FALSE_DISCOVERIES * rank / looks
    ]
    return ordered[: max(passed, default=0)]


def _steps(series: Series, positions: dict[str, int]) -> Iterable[Alert]:
    for step in find_steps(series.values):
        yield _alert(
            series, step.index, series.commits[step.index - 1], positions,
            (step.ratio, step.low, step.high), step.p_value,
        )  # fmt: skip


def _ratios(series: Series, positions: dict[str, int]) -> Iterable[Alert]:
    """Ratios of `SMALLEST` or more: a t-test over the launches, against a change of the gate's margin.

    Two trees differ a little by where their code lies in memory, and enough launches would be sure of it.
    Each ratio is allowed as many false alarms as a point of a measured series.
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
        if p_value > FALSE_ALARMS / 1000:
            continue
        yield _alert(series, i, series.bases[i], positions, (ratio, low, high), p_value)


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
    if history.commits:
        return set(history.commits[-recent:])
    measured = {
        commit: time
        for series in history.series
        for commit, time in zip(series.commits, series.times, strict=True)
    }
    return set(sorted(measured, key=lambda commit: measured[commit])[-recent:])


class _Order:
    """Where commits stand: by the checkout's history, and by date between its commits."""

    def __init__(self, log: dict[str, datetime]) -> None:
        self.dates = log
        self._positions = {commit: i for i, commit in enumerate(log)}
        # Dates need not grow along a history; the newest so far does.
        self._newest = np.maximum.accumulate([date.timestamp() for date in log.values()] or [0.0])

    def key(self, commit: str, date: datetime) -> tuple[float, float, str]:
        """Sorts commits, oldest first."""
        if commit in self._positions:
            return self._positions[commit], 0.0, commit
        before = int(np.searchsorted(self._newest, date.timestamp(), side="right")) if self.dates else 0
        return before - 0.5, date.timestamp(), commit


def _git_log(repo: Path | None) -> dict[str, datetime]:
    """Commit -> its date, along the history of HEAD, oldest first; empty without git or a checkout."""
    if repo is None:
        return {}
    command = ["git", "-C", str(repo), "log", "--topo-order", "--reverse", "--format=%H %ct"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return {}
    lines = (line.split() for line in found.stdout.splitlines())
    return {commit: datetime.fromtimestamp(int(seconds), UTC) for commit, seconds in lines}


def _measured(frame: pd.DataFrame, order: _Order) -> Iterable[Series]:
    """The series of asv's and of our own records: a median for each commit."""
    usable = frame[
        (frame["status"] == "measured")
        & frame["implementation"].notna()
        & frame["runner"].isin(["asv", "bench"])
        & frame["commit"].notna()
        & ~frame["dirty"].fillna(False).astype(bool)
        & frame["unit"].isin(UNITS)
        & np.isfinite(frame["median"])
    ]
    usable = usable.assign(environment=_environments(usable))
    keys = ["runner", "machine", "environment", *AXES, "quantity", "unit"]
    # One pass over the rows; what is left is a point for each commit of each series.
    points = usable.groupby([*keys, "commit"], sort=True, as_index=False).agg(
        median=("median", "median"), committed=("committed", "min"), started=("started", "min")
    )
    dated = points["committed"].fillna(points["started"]).fillna(_UNDATED)
    known = points["commit"].map(order.dates)
    points["time"] = pd.to_datetime(known, utc=True).fillna(dated) if len(order.dates) else dated
    places = [order.key(commit, time) for commit, time in zip(points["commit"], points["time"], strict=True)]
    points = points.iloc[sorted(range(len(places)), key=places.__getitem__)]
    for key, rows in points.groupby(keys, sort=True):
        named: dict[str, Any] = dict(zip(keys, key, strict=True))
        values = rows["median"].to_numpy()
        if named["unit"] == "bytes":
            values = np.maximum(values, 1.0)  # a share of no bytes at all would be none
        if np.any(values <= 0):
            continue
        yield Series(
            machine=named["machine"],
            environment=named["environment"],
            case=Case(**{name: named[name] for name in AXES}).id,
            quantity=named["quantity"],
            unit=named["unit"],
            runner=named["runner"],
            commits=tuple(rows["commit"]),
            times=tuple(rows["time"].dt.to_pydatetime()),
            values=values,
        )


_UNDATED = pd.Timestamp(0, unit="s", tz="UTC")
"""Where no file says when: before all others."""


def _environments(rows: pd.DataFrame) -> list[str]:
    """asv writes it into the file's name; ours is the interpreter and torch."""
    of_file = {file: str(Path(file).stem.partition("-")[2]) for file in rows["file"].unique()}
    return [
        of_file[file] if runner == "asv" else f"py{python}-torch{torch}"
        for runner, file, python, torch in zip(
            rows["runner"], rows["file"], rows["python"], rows["torch"], strict=True
        )
    ]


def _paired(records: Iterable[GateRecord], order: _Order) -> Iterable[Series]:
    """The series of the gate's records of one clean commit against another."""
    found: defaultdict[tuple[str, str, str], dict[str, tuple[str, datetime, list[float]]]] = defaultdict(dict)
    for record in records:
        base, head = record.base, record.head
        same = base.python == head.python and base.versions == head.versions
        if (
            not (same and base.commit and head.commit)
            or base.dirty
            or head.dirty
            or base.commit == head.commit
        ):
            continue
        date = order.dates.get(head.commit) or datetime.fromisoformat(record.environment.started)
        environment = f"py{head.python}-torch{head.versions.get('torch')}"
        unsteady = {name for one in judge_gate(record).found("unsteady") for name in one.cases}
        for case in record.cases:
            key = (record.environment.machine, environment, case.id)
            launches = [] if case.id in unsteady else _launches(record, case)
            former = found[key].get(head.commit)
            if launches and (former is None or former[0] == base.commit):
                found[key][head.commit] = (base.commit, date, [*(former[2] if former else ()), *launches])
    for (machine, environment, case_id), points in sorted(found.items()):
        commits = sorted(points, key=lambda commit: order.key(commit, points[commit][1]))
        yield Series(
            machine=machine,
            environment=environment,
            case=case_id,
            quantity="step",
            unit="1",
            runner="gate",
            commits=tuple(commits),
            times=tuple(points[commit][1] for commit in commits),
            values=np.exp([np.mean(points[commit][2]) for commit in commits]),
            bases=tuple(points[commit][0] for commit in commits),
            launches=tuple(tuple(points[commit][2]) for commit in commits),
        )


def _launches(record: GateRecord, case: GateCase) -> list[float]:
    """log(head / base) of each launch: of the confirming ones alone where there are any.

    The screen chose what was confirmed, so that its launches of those cases look too large.
    """
    if case.status != "compared":
        return []
    by_stage: dict[str, list[float]] = {"confirm": [], "screen": []}
    for sample in case.samples:
        by_stage[record.launches[sample.launch].stage].append(sample.log_ratio)
    return by_stage["confirm"] or by_stage["screen"]
