"""Results -> a series per machine, environment and case or benchmark, in the order of commits.

Two kinds of history are read. A series of asv's, pytest-benchmark's or our own records holds measurements,
one for each commit, in which `rmsprop.suite.history.alerts` looks for change points. A series of the gate's
records holds ratios of commits to their parents, measured side by side: each is evidence by itself, and the
machine may drift or be replaced between two of them.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rmsprop.suite.case import AXES, Case
from rmsprop.suite.git import git_or_none
from rmsprop.suite.records.files import Problem
from rmsprop.suite.records.frame import Rows, read_rows
from rmsprop.suite.records.gate import GateCase, GateRecord
from rmsprop.suite.records.store import read_gates
from rmsprop.suite.verdicts.gate import JudgedRun, judge_gate
from rmsprop.suite.verdicts.looks import SHORTEST

UNFOLLOWED = ("1", "half mean squared error")
"""Units of quantities without a better direction, such as a loss."""

LAUNCHES = 4
"""Fewest launches of the gate from which a ratio is evidence."""


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of one case on one machine in one environment, at one commit after the other.

    Attributes
    ----------
    machine
        As the runner names it.
    environment
        Python and packages, as the runner names them.
    case
        The id of a case, or the name of another benchmark with its parameters.
    quantity
        What of it was measured, such as step or peak.
    unit
        seconds, bytes, or what a track_ of asv's counts; 1 for the gate's ratios.
    runner
        asv, bench, pytest-benchmark or gate.
    commits
        Full hashes, oldest first.
    times
        UTC: of the commits where they are known, else of the measurements.
    values
        Medians; the gate's are ratios of each commit to its base.
    bases
        The gate's: what each commit was compared with.
    launches
        The gate's: the log ratio of each pair of processes.
    version
        Of the benchmark: another one measures something else, and has a history of its own.
    """

    machine: str
    environment: str
    case: str
    quantity: str
    unit: str
    runner: str
    commits: tuple[str, ...]
    times: tuple[datetime, ...]
    values: NDArray[np.float64]
    bases: tuple[str, ...] = ()
    launches: tuple[tuple[float, ...], ...] = ()
    version: str = ""

    @property
    def long_enough(self) -> bool:
        """Whether a change could be found in it: the gate's ratios need no past."""
        if self.runner == "gate":
            return any(len(launches) >= LAUNCHES for launches in self.launches)
        return len(self.commits) >= SHORTEST


@dataclass(frozen=True)
class History:
    """All series, and what could not be read.

    Attributes
    ----------
    series
        Those of the benchmarks, then the gate's.
    problems
        Files that could not be read, and why.
    commits
        The checkout's history, oldest first; empty where there is none.
    elsewhere
        Measured commits of other branches of the checkout, which are no part of its history.
    """

    series: tuple[Series, ...]
    problems: tuple[Problem, ...]
    commits: tuple[str, ...] = field(default=(), repr=False)
    elsewhere: int = 0


def read_history(results: Path, repo: Path | None) -> History:
    """Every series below `results`, its commits in the order of the history of `repo`.

    A commit that the checkout does not have, as in a shallow clone, stands where its date puts it; one that
    it has on another branch alone is left out. Without a checkout the dates of the commits or of the
    measurements decide. `results` is a folder of this project, or anybody's results of asv or
    pytest-benchmark.
    """
    problems: list[Problem] = []
    points = _Points()
    for rows in read_rows(results, problems):
        points.add(rows)
    records, damaged = read_gates(results)
    gates = [JudgedRun(record, judge_gate(record)) for record in records]
    return _history(points, gates, (*problems, *damaged), repo)


def history_of(
    frame: pd.DataFrame,
    gates: Iterable[JudgedRun],
    problems: tuple[Problem, ...] = (),
    repo: Path | None = None,
) -> History:
    """The same of what was read already: `read_frame`'s rows and the gate's runs."""
    points = _Points()
    if len(frame):
        names = [*_KEYS, *AXES, "benchmark", "parameters", *_FACTS]
        plain = frame[names].astype(object).where(frame[names].notna(), None)
        points.add(Rows(Path(), {}, {name: plain[name].tolist() for name in names}))
    return _history(points, gates, problems, repo)


def _history(
    points: "_Points", gates: Iterable[JudgedRun], problems: tuple[Problem, ...], repo: Path | None
) -> History:
    known = _git_log(repo)
    order = _Order(known)
    elsewhere = (
        _elsewhere(repo, [commit for commit in points.dates if commit not in known]) if known else set()
    )
    series = (*points.series(order, elsewhere), *_paired(gates, order))
    return History(series, problems, tuple(known), len(elsewhere))


_KEYS = ("runner", "machine", "environment", "quantity", "unit", "version")
_FACTS = ("status", "commit", "dirty", "median", "committed", "started")


class _Points:
    """The measured points, series by series, as they are read: some hundred bytes for each."""

    def __init__(self) -> None:
        self.dates: dict[str, datetime] = {}
        self._found: dict[tuple[str, ...], tuple[list[str], list[float]]] = {}

    def add(self, rows: Rows) -> None:
        """Take the measurements of a commit without local changes, in a unit that is followed."""
        number = len(rows)
        columns = {
            name: rows.columns.get(name) or [rows.shared.get(name)] * number
            for name in (*_KEYS, *_FACTS, "benchmark", "parameters", *AXES)
        }
        names = _names(columns)
        keys = zip(*(columns[name] for name in _KEYS), names, strict=True)
        facts = zip(*(columns[name] for name in _FACTS), strict=True)
        for key, (status, commit, dirty, median, committed, started) in zip(keys, facts, strict=True):
            if status != "measured" or not commit or dirty or key[4] in UNFOLLOWED:
                continue
            if median is None or not math.isfinite(median):
                continue
            date = committed or started or _UNDATED
            former = self.dates.get(commit)
            if former is None or date < former:
                self.dates[commit] = date
            commits, values = self._found.setdefault(key, ([], []))
            commits.append(commit)
            values.append(median)

    def series(self, order: "_Order", elsewhere: set[str]) -> Iterable[Series]:
        """Each series in the order of commits; of a commit that was measured again, the median."""
        dates = {commit: order.dates.get(commit, date) for commit, date in self.dates.items()}
        places = {commit: order.key(commit, date) for commit, date in dates.items()}
        for key in sorted(self._found, key=lambda key: tuple(str(part or "") for part in key)):
            runner, machine, environment, quantity, unit, version, name = key
            by_commit: dict[str, list[float]] = {}
            for commit, value in zip(*self._found[key], strict=True):
                if commit not in elsewhere:
                    by_commit.setdefault(commit, []).append(value)
            commits = sorted(by_commit, key=places.__getitem__)
            values = np.array(
                [v[0] if len(v) == 1 else float(np.median(v)) for v in map(by_commit.__getitem__, commits)]
            )
            if unit == "bytes":
                values = np.maximum(values, 1.0)  # a share of no bytes at all would be none
            if not commits or np.any(values <= 0):
                continue  # a share of nothing, or of less
            yield Series(
                machine=machine,
                environment=environment or "",
                case=name,
                quantity=quantity,
                unit=unit,
                runner=runner,
                commits=tuple(commits),
                times=tuple(dates[commit] for commit in commits),
                values=values,
                version=version or "",
            )


def _names(columns: dict[str, list[Any]]) -> Sequence[str]:
    """A case's id, or a benchmark's own name with its parameters."""
    axes = zip(*(columns[axis] for axis in AXES), strict=True)
    made: dict[tuple[Any, ...], str] = {}
    names = []
    for values, benchmark, parameters in zip(axes, columns["benchmark"], columns["parameters"], strict=True):
        key = values if values[0] is not None else (benchmark, parameters)
        if key not in made:
            own = f"{benchmark}({parameters})" if parameters else str(benchmark)
            made[key] = Case(*values).id if values[0] is not None else own
        names.append(made[key])
    return names


def _elsewhere(repo: Path | None, commits: list[str]) -> set[str]:
    """Of commits that are not in the checkout's history, those that it has on other branches."""
    if repo is None or not commits:
        return set()
    listed = git_or_none(repo, "rev-list", "--all", "--reflog", timeout=None)
    return set(commits) & set((listed or "").split())


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
    log = repo and git_or_none(repo, "log", "--topo-order", "--reverse", "--format=%H %ct", timeout=None)
    lines = (line.split() for line in (log or "").splitlines())
    return {commit: datetime.fromtimestamp(int(seconds), UTC) for commit, seconds in lines}


_UNDATED = datetime.fromtimestamp(0, UTC)
"""Where no file says when: before all others."""


def _paired(gates: Iterable[JudgedRun], order: _Order) -> Iterable[Series]:
    """The series of the gate's records of one clean commit against another."""
    found: defaultdict[tuple[str, str, str], dict[str, tuple[str, datetime, list[float]]]] = defaultdict(dict)
    for run in gates:
        record = run.record
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
        unsteady = {name for one in run.verdict.found("unsteady") for name in one.cases}
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
