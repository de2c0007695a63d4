"""All that was measured as one tidy frame, whoever measured it: `rmsprop bench`, asv or pytest-benchmark.

One row is one measured, skipped or failed quantity of one case or benchmark. `COLUMNS` documents each column,
and pandera checks the frame before anyone sees it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pandera.pandas as pa

from rmsprop.suite.records.columns import COLUMNS
from rmsprop.suite.records.files import Problem, json_files, read_each
from rmsprop.suite.records.readers.asv import AsvReader
from rmsprop.suite.records.readers.bench import bench_rows
from rmsprop.suite.records.readers.foreign import ForeignReader
from rmsprop.suite.records.readers.pytest_benchmark import pytest_rows
from rmsprop.suite.records.readers.rows import Row, Rows
from rmsprop.suite.records.store import case_files
from rmsprop.suite.words import count, printable

__all__ = ["COLUMNS", "Row", "Rows", "read_frame", "read_rows"]

FOLDERS = ("bench", "asv", "pytest-benchmark", "gate", "reproduction", "peers", "sweep")
"""Of a results folder of this project. One that has none of them is somebody else's."""

_CONFIGURATION = "asv.conf.json"
"""It may lie among the results. It has none, and its comments are no JSON."""

_CONTRADICTION = "contradicts itself"
_MISFIT = "a value that does not fit its column"
_NOT_BELOW_ZERO = ("median", "q25", "q75", "minimum")
"""Of seconds and bytes. What a track_ of asv's counts may be below zero."""


def _is_measured(frame: pd.DataFrame) -> "pd.Series[bool]":
    """A step that was measured has a time; a loss may be NaN."""
    time = (frame["median"] > 0) & (frame["median"] < math.inf)
    return (frame["status"] != "measured") | (frame["quantity"] != "step") | time


def _is_not_measured(frame: pd.DataFrame) -> "pd.Series[bool]":
    return (frame["status"] == "measured") | frame["median"].isna()


def _has_its_size(frame: pd.DataFrame) -> "pd.Series[bool]":
    sizes = frame["size"].map({size: _number(size) for size in frame["size"].unique()})
    return frame["elements"].isna() | sizes.isna() | (frame["elements"].astype(float) == sizes)


def _has_equal_shares(frame: pd.DataFrame) -> "pd.Series[bool]":
    """Each process took equally many of the samples; where the file keeps none, their median is one."""
    told = frame.loc[frame["processes"].notna(), ["processes", "samples"]]
    processes, samples = told["processes"].astype(int), told["samples"].map(len).clip(1)
    fits = (processes > 0) & (samples % processes.clip(1) == 0)
    return fits.reindex(frame.index, fill_value=True)


def _is_not_below_zero(column: str) -> Callable[[pd.DataFrame], "pd.Series[bool]"]:
    def check(frame: pd.DataFrame) -> "pd.Series[bool]":
        return ~((frame[column] < 0) & frame["unit"].isin(["seconds", "bytes"]))

    return check


RULES: dict[str, Callable[[pd.DataFrame], "pd.Series[bool]"]] = {
    f"{_CONTRADICTION}: a step is called measured and has no time": _is_measured,
    f"{_CONTRADICTION}: what was not measured has numbers": _is_not_measured,
    f"{_CONTRADICTION}: elements and size differ": _has_its_size,
    f"{_CONTRADICTION}: its samples are not of so many processes, equally many each": _has_equal_shares,
    **{column: _is_not_below_zero(column) for column in _NOT_BELOW_ZERO},
}
"""What a row must keep, beside the kinds of its columns: in words, or the name of the column."""

_REQUIRED = {"runner", "file", "machine", "quantity", "unit", "status"}

SCHEMA = pa.DataFrameSchema(
    {
        name: pa.Column(
            None if kind is object else kind,
            nullable=name not in _REQUIRED,
        )
        for name, (kind, _) in COLUMNS.items()
    }
    | {
        "runner": pa.Column(str, pa.Check.isin(["bench", "asv", "pytest-benchmark"])),
        "status": pa.Column(str, pa.Check.isin(["measured", "skipped", "failed"])),
    },
    checks=[pa.Check(keeps, error=rule) for rule, keeps in RULES.items()],
    strict=True,
    ordered=False,
)


def read_rows(results: Path, problems: list[Problem]) -> Iterator[Rows]:
    """The rows of each file below `results`, file by file; what cannot be read joins `problems`.

    `results` is a folder of this project, a results folder of asv, or a folder of pytest-benchmark's files.
    """
    readers: tuple[tuple[Path, Callable[[Path], Rows]], ...]
    if any((results / name).exists() for name in FOLDERS) or not results.is_dir():
        readers = (
            (results / "bench", bench_rows),
            (results / "asv", AsvReader()),
            (results / "pytest-benchmark", pytest_rows),
        )
    else:
        readers = ((results, ForeignReader()),)
    left_out: dict[str, list[Path]] = {}
    for folder, read in readers:
        list_files = case_files if read is bench_rows else json_files
        files = [path for path in list_files(folder, problems) if path.name != _CONFIGURATION]
        for rows in read_each(files, read, problems):
            problems += [Problem(rows.file, f"{odd}; the rest is read") for odd in rows.odd]
            for reason in rows.left_out:
                left_out.setdefault(reason, []).append(rows.file)
            if len(rows):
                yield rows
    for reason, files in left_out.items():
        also = f" (in {len(files)} files)" if len(files) > 1 else ""
        problems.append(Problem(files[0], f"left out: {reason}{also}"))


def read_frame(results: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """The frame of everything below `results`, and the files that could not be read, with reasons.

    Time and memory grow linearly with the rows.
    """
    problems: list[Problem] = []
    return frame_of(list(read_rows(results, problems)), results, problems), problems


def frame_of(files: Sequence[Rows], results: Path, problems: list[Problem]) -> pd.DataFrame:
    """The checked frame of the rows of some files; what does not fit joins `problems`.

    That is one row of a file of asv or pytest-benchmark, and a whole record of the bench, which is one case.
    """
    left_out = _LeftOut()
    try:
        return SCHEMA.validate(_assembled(files, results))
    except _NO_ROWS:
        fitting = [_fitting(rows, left_out) for rows in files]
    frame = _assembled(fitting, results)
    paths = {_name(rows, results): rows.file for rows in files}
    broken = pd.Series(False, index=frame.index)
    for rule, keeps in RULES.items():
        breaks = ~keeps(frame) & ~broken
        for row in frame[breaks].itertuples():
            column = rule if rule in _NOT_BELOW_ZERO else None
            reason = f"{_MISFIT}: {column} is {getattr(row, column):g} {row.unit}" if column else rule
            left_out.add(paths[str(row.file)], row.benchmark, rule, reason)
        broken |= breaks
    records = frame["file"].isin(frame["file"][broken & (frame["runner"] == "bench")])
    problems += left_out.problems
    return SCHEMA.validate(frame[~broken & ~records].reset_index(drop=True))


class _LeftOut:
    """Rows that are left out, named once for each benchmark and rule, with the first such file and value."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, str], tuple[Path, str, int]] = {}

    def add(self, file: Path, benchmark: Any, rule: str, reason: str) -> None:
        """One row more; without a benchmark the file is named."""
        if isinstance(benchmark, str):
            path, words, number = self._found.get((benchmark, rule), (file, f"{benchmark}: {reason}", 0))
            self._found[benchmark, rule] = path, words, number + 1
        else:
            self._found.setdefault((file, ""), (file, reason, 1))

    @property
    def problems(self) -> Iterator[Problem]:
        for path, words, number in self._found.values():
            also = f" (and {count(number - 1, 'more row')})" if number > 1 else ""
            yield Problem(path, words + also)


_NO_ROWS = (pa.errors.SchemaError, ValueError, TypeError, OverflowError)
"""What pandas and pandera raise for values that do not fit their column."""


def _name(rows: Rows, results: Path) -> str:
    return printable(rows.file.relative_to(results).as_posix())


def _assembled(files: Sequence[Rows], results: Path) -> pd.DataFrame:
    columns = {}
    for name, (kind, _) in COLUMNS.items():
        values: list[Any] = []
        for rows in files:
            if name == "file":
                values += [_name(rows, results)] * len(rows)
            else:
                values += rows.columns.get(name) or [rows.shared.get(name)] * len(rows)
        columns[name] = _column(values, kind)
    return pd.DataFrame(columns)


def _fitting(rows: Rows, left_out: _LeftOut) -> Rows:
    """The file without the rows that hold a value of another kind than its column's."""
    number = len(rows)
    benchmarks = rows.columns.get("benchmark") or [rows.shared.get("benchmark")] * number
    kept = [True] * number
    for name, (kind, _) in COLUMNS.items():
        own = rows.columns.get(name)
        for i, value in enumerate(own or [rows.shared.get(name)]):
            if _fits(value, kind) and not (value is None and name in _REQUIRED - {"file"}):
                continue
            reason = f"{_MISFIT}: {name} is {str(value)[:60]!r}"
            if not own or rows.shared.get("runner") == "bench":
                left_out.add(rows.file, None, name, reason)
                return Rows(rows.file, {}, {})
            if kept[i]:
                left_out.add(rows.file, benchmarks[i], name, reason)
                kept[i] = False
    columns = {name: list(compress(values, kept)) for name, values in rows.columns.items()}
    return rows if all(kept) else Rows(rows.file, rows.shared, columns)


def _fits(value: Any, kind: type | str) -> bool:
    if value is None or kind is object:
        return True
    if kind is str:
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(kind, str) and kind.startswith("datetime64"):
        return isinstance(value, pd.Timestamp)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return kind is float or (float(value).is_integer() and abs(value) < 2**63)


def _column(values: list[Any], kind: type | str) -> "pd.Series[Any]":
    if kind is object:
        return pd.Series(values, dtype=object)
    if isinstance(kind, str) and kind.startswith("datetime64"):
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True)).astype(cast(Any, kind))
    return pd.Series(values, dtype="str" if kind is str else cast(Any, kind))


def _number(size: str) -> float:
    try:
        return float(size)
    except (ValueError, TypeError):
        return math.nan
