"""Rows of benchmarks -> the points of each series, as file after file is read."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import numpy as np

from rmsprop.suite.case import AXES, Case
from rmsprop.suite.history.order import CommitOrder
from rmsprop.suite.history.series import Series
from rmsprop.suite.records.readers.rows import IMPOSSIBLE, Rows, possible
from rmsprop.suite.words import count, few

UNFOLLOWED = ("loss", "curve")
"""Quantities of this project without a better direction."""

KEYS = ("runner", "machine", "environment", "quantity", "unit", "version")
"""Columns that tell series apart, beside the name."""
FACTS = ("status", "reason", "commit", "dirty", "median", "committed", "started", "hardware")
"""Columns of a point."""

_SUCH_AS = {"impossible": ", such as a text or a time of zero"}
"""What a kind of result is that has no point, where its name does not say so."""


class Points:
    """The measured points, series by series: some hundred bytes for each.

    Attributes
    ----------
    dates
        Each measured commit -> its date, or that of its first measurement; None where no file tells one.
    measurements
        Each measured commit -> how many points it has.
    hardware
        Machine and commit -> what the file says of the machine at that time, where it says anything.
    """

    def __init__(self) -> None:
        """Nothing is read yet."""
        self.dates: dict[str, datetime | None] = {}
        self.measurements: Counter[str] = Counter()
        self.hardware: dict[tuple[str, str], str] = {}
        self._found: dict[tuple[str, ...], tuple[list[str], list[float]]] = {}
        self._local_changes = self._no_commit = 0
        self._not_measured: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._not_positive: list[str] = []

    def add(self, rows: Rows) -> None:
        """Take what was measured of a commit without local changes; count what else is followed."""
        number = len(rows)
        columns = {
            name: rows.columns.get(name) or [rows.shared.get(name)] * number
            for name in (*KEYS, *FACTS, "benchmark", "parameters", *AXES)
        }
        names = _names(columns)
        keys = zip(*(columns[name] for name in KEYS), names, strict=True)
        facts = zip(*(columns[name] for name in FACTS), strict=True)
        called = map(_either, columns["benchmark"], columns["implementation"])
        for key, (status, reason, commit, dirty, median, committed, started, hardware), benchmark in zip(
            keys, facts, called, strict=True
        ):
            if key[3] in UNFOLLOWED:
                continue
            if status != "measured" or median is None or not possible(median, key[4]):
                odd = status == "measured" or (reason or "").startswith(IMPOSSIBLE)
                if odd or key[0] != "bench":  # why its cases failed or skipped stands on the page Performance
                    self._not_measured["impossible" if odd else status][benchmark] += 1
                continue
            if not commit or dirty:
                self._no_commit += not commit
                self._local_changes += bool(commit)
                continue
            date, former = committed or started, self.dates.get(commit)
            self.dates[commit] = min(date, former) if date and former else date or former
            self.measurements[commit] += 1
            if hardware:
                self.hardware[key[1], commit] = hardware
            commits, values = self._found.setdefault(key, ([], []))
            commits.append(commit)
            values.append(median)

    def series(self, order: CommitOrder) -> Iterator[Series]:
        """Each series in the order of commits; of a commit that was measured again, the median."""
        for key in sorted(self._found, key=lambda key: tuple(str(part or "") for part in key)):
            runner, machine, environment, quantity, unit, version, name = key
            by_commit: dict[str, list[float]] = {}
            for commit, value in zip(*self._found[key], strict=True):
                if commit not in order.left_out:
                    by_commit.setdefault(commit, []).append(value)
            commits = order.sorted(by_commit)
            values = np.array(
                [v[0] if len(v) == 1 else float(np.median(v)) for v in map(by_commit.__getitem__, commits)]
            )
            if unit == "bytes":
                values = np.maximum(values, 1.0)  # a share of no bytes at all would be none
            if np.any(values <= 0):
                self._not_positive.append(name)
            elif commits:
                yield Series(
                    machine=machine,
                    environment=environment or "",
                    case=name,
                    quantity=quantity,
                    unit=unit,
                    runner=runner,
                    commits=tuple(commits),
                    times=tuple(order.times[commit] for commit in commits),
                    values=values,
                    version=version or "",
                )

    def remarks(self) -> list[str]:
        """What is in no series for another reason than its commit, a sentence for each reason."""
        said = [
            f"left out {count(found.total(), f'{kind} result')}{_SUCH_AS.get(kind, '')}: {few(found)}"
            for kind, found in sorted(self._not_measured.items())
        ]
        if self._local_changes:
            number = count(self._local_changes, "measurement")
            said.append(f"left out {number} with local changes, which no commit stands for")
        if self._no_commit:
            number = count(self._no_commit, "measurement")
            said.append(f"left out {number} without a commit, such as of an installed wheel")
        if self._not_positive:
            benchmarks = few(name.partition("(")[0] for name in self._not_positive)
            said.append(
                f"left out {len(self._not_positive):,} series with values of zero or less, which a track_ "
                f"may have and of which no change is a share: {benchmarks}"
            )
        return said


def _either(benchmark: Any, implementation: Any) -> str:
    """What a row is named after, without its parameters or its point."""
    return str(benchmark or implementation)


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
