"""All that was measured as one tidy frame, whoever measured it: `rmsprop bench`, asv or pytest-benchmark.

One row is one measured, skipped or failed quantity of one case or benchmark. `COLUMNS` documents each column,
and pandera checks the frame before anyone sees it.
"""

import math
from collections.abc import Callable, Iterator, Sequence
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
from rmsprop.suite.words import printable

__all__ = ["COLUMNS", "Row", "Rows", "read_frame", "read_rows"]

FOLDERS = ("bench", "asv", "pytest-benchmark", "gate", "reproduction", "peers", "sweep")
"""Of a results folder of this project. One that has none of them is somebody else's."""

_CONTRADICTION = "contradicts itself"


def _is_measured(frame: pd.DataFrame) -> "pd.Series[bool]":
    """A step that was measured has a time; a loss may be NaN."""
    time = (frame["median"] > 0) & (frame["median"] < math.inf)
    return (frame["status"] != "measured") | (frame["quantity"] != "step") | time


def _is_not_measured(frame: pd.DataFrame) -> "pd.Series[bool]":
    return (frame["status"] == "measured") | frame["median"].isna()


def _has_its_size(frame: pd.DataFrame) -> "pd.Series[bool]":
    sizes = frame["size"].map({size: _number(size) for size in frame["size"].unique()})
    return frame["elements"].isna() | sizes.isna() | (frame["elements"].astype(float) == sizes)


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
        "median": pa.Column(float, pa.Check.ge(0), nullable=True),
    },
    checks=[
        pa.Check(_is_measured, error=f"{_CONTRADICTION}: a step is called measured and has no time"),
        pa.Check(_is_not_measured, error=f"{_CONTRADICTION}: what was not measured has numbers"),
        pa.Check(_has_its_size, error=f"{_CONTRADICTION}: elements and size differ"),
    ],
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
        for rows in read_each(list_files(folder, problems), read, problems):
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
    """The checked frame of the rows of some files; a file whose values do not fit joins `problems`."""
    try:
        return SCHEMA.validate(_assembled(files, results))
    except _NO_ROWS:
        good = []
        for rows in files:
            if reason := _misfit(rows):
                problems.append(Problem(rows.file, reason))
            else:
                good.append(rows)
    frame = _assembled(good, results)
    try:
        return SCHEMA.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        # Each file that breaks a rule is named once, with the first rule that it breaks.
        broken: dict[str, str] = {}
        for check, index in zip(errors.failure_cases["check"], errors.failure_cases["index"], strict=True):
            for row in range(len(frame)) if pd.isna(index) else [int(index)]:
                broken.setdefault(frame["file"].iloc[row], _rule(str(check)))
        kept = []
        for rows in good:
            reason = broken.get(_name(rows, results))
            if reason:
                problems.append(Problem(rows.file, reason))
            else:
                kept.append(rows)
        return SCHEMA.validate(_assembled(kept, results))


_NO_ROWS = (pa.errors.SchemaError, ValueError, TypeError, OverflowError)
"""What pandas and pandera raise for values that do not fit their column."""


def _rule(check: str) -> str:
    if check.startswith(_CONTRADICTION):
        return check
    return f"a value that does not fit its column: {check}"


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


def _misfit(rows: Rows) -> str | None:
    """The first column of the file whose values are not of the column's kind, and such a value."""
    for name, (kind, _) in COLUMNS.items():
        for value in rows.columns.get(name) or [rows.shared.get(name)]:
            if not _fits(value, kind) or (value is None and name in _REQUIRED - {"file"}):
                return f"a value that does not fit its column: {name} is {str(value)[:60]!r}"
    return None


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
