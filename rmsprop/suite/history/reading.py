"""Results -> their history, read file by file."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from rmsprop.suite.case import AXES
from rmsprop.suite.history.order import order_of
from rmsprop.suite.history.points import FACTS, KEYS, Points
from rmsprop.suite.history.ratios import of_commits, ratios, started
from rmsprop.suite.history.series import History, Series
from rmsprop.suite.records.files import Problem
from rmsprop.suite.records.frame import Rows, read_rows
from rmsprop.suite.records.store import read_gates
from rmsprop.suite.verdicts.gate import JudgedRun, judge_gate
from rmsprop.suite.words import count


def read_history(
    results: Path, repo: Path | None, progress: Callable[[int], None] = lambda _files: None
) -> History:
    """Every series below `results`, its commits in the order that `rmsprop.suite.history.order` explains.

    `results` is a folder of this project, or anybody's results of asv or pytest-benchmark. `progress` is told
    of each file.
    """
    problems: list[Problem] = []
    points = Points()
    for rows in read_rows(results, problems):
        points.add(rows)
        progress(1)
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
    points = Points()
    if len(frame):
        names = [*KEYS, *AXES, "benchmark", "parameters", *FACTS]
        plain = frame[names].astype(object).where(frame[names].notna(), None)
        points.add(Rows(Path(), {}, {name: plain[name].tolist() for name in names}))
    return _history(points, list(gates), problems, repo)


def _history(
    points: Points, gates: Sequence[JudgedRun], problems: tuple[Problem, ...], repo: Path | None
) -> History:
    compared = list(of_commits(gates))
    dates = dict(points.dates)
    measurements = points.measurements.copy()
    for run in compared:
        head = run.record.head.commit or ""
        dates[head] = dates.get(head) or started(run)
        measurements[head] += len(run.record.cases)
    order = order_of(dates, repo)
    series = (*points.series(order), *ratios(compared, order))
    remarks = [*order.remarks, *order.remarks_on(measurements), *points.remarks()]
    if others := len(gates) - len(compared):
        remarks.append(
            f"left out {count(others, 'run')} of the gate with local changes, without two commits, or under "
            "two interpreters"
        )
    measured = order.sorted(dict.fromkeys(commit for one in series for commit in one.commits))
    if lone := _lone_machines(series):
        remarks.append(
            f"{lone:,} machines have one commit each, so that there is nothing to compare on them: "
            "a runner whose name changes from run to run makes no history"
        )
    return History(series, problems, order.commits, tuple(measured), tuple(remarks), points.hardware)


def _lone_machines(series: Sequence[Series]) -> int:
    """How many machines have one commit, where that is why no series is long enough; else 0."""
    measured: defaultdict[str, set[str]] = defaultdict(set)
    for one in series:
        measured[one.machine].update(one.commits)
    lone = sum(len(commits) == 1 for commits in measured.values())
    return lone if lone > 1 and not any(one.long_enough for one in series) else 0
