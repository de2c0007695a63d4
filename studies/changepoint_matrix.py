"""What the alerts of a whole matrix say: change points that must stand among those of many series."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from rmsprop.suite.history.alerts import alerts_of
from rmsprop.suite.history.series import History, Series
from rmsprop.suite.verdicts.changepoints import find_change_points
from studies.changepoint_series import REPORT, Floats, Found, SeriesSetting, draw


@dataclass(frozen=True)
class Matrix:
    """What `alerts_of` does with the series of a whole matrix."""

    series: int
    """In a run."""
    stepped: int
    """How many of them have a 5% step at sd 2%."""
    after: int
    """Points after the step."""
    runs: int
    """Matrices that were drawn."""
    runs_with_false_alarm: int
    """Those with an alert on a series that has no step."""
    found: int
    """Stepped series that are alerted on, over all runs."""
    alone_runs_with_false_alarm: int
    """The same without correction for the number of series."""
    alone_found: int
    """Likewise."""


def find(values: Floats) -> Found:
    """`find_change_points`."""
    return [(one.index, one.ratio > 1) for one in find_change_points(values) if not one.known]


def matrix(series: int, stepped: int, after: int, runs: int) -> Matrix:
    """`alerts_of` on the histories of many cases, of which some have a 5% step at sd 2%."""
    counts = np.zeros(4, dtype=int)
    commits = tuple(f"{i:040x}" for i in range(100))
    times = tuple(datetime.fromtimestamp(i, UTC) for i in range(100))
    step, null = SeriesSetting("step", "white", step=0.05, after=after), SeriesSetting("null", "white")
    for run in range(runs):
        rng = np.random.default_rng([REPORT, series, stepped, after, run])
        rows = tuple(
            Series("m", "e", str(i), "step", "seconds", "asv", commits, times, values)
            for i in range(series)
            for values, _ in [draw(step if i < stepped else null, rng)]
        )
        together = {int(a.series.case) for a in alerts_of(History(rows, ())) if a.direction == "slower"}
        alone = {int(one.case) for one in rows if any(up for _, up in find(one.values))}
        for column, alerted in ((0, together), (2, alone)):
            counts[column] += any(case >= stepped for case in alerted)
            counts[column + 1] += sum(case < stepped for case in alerted)
    return Matrix(series, stepped, after, runs, *(int(count) for count in counts))
