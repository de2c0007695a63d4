"""Anybody's files of pytest-benchmark, of its versions 3 to 5, as rows of the frame."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from rmsprop.suite.case import AXES, MEANINGS, REQUIRED, Case
from rmsprop.suite.records.bench import UNITS
from rmsprop.suite.records.columns import COLUMNS
from rmsprop.suite.records.files import read_json
from rmsprop.suite.records.readers.rows import (
    Row,
    Rows,
    Statistics,
    columns_of,
    hardware_of,
    number_of,
    possible,
    spread_warning,
    statistics_of,
    told_time,
)

_NO_COMMIT = ("unversioned", "unknown")
"""What pytest-benchmark writes for the id of a commit without a repository, and after an error."""


def pytest_rows(path: Path) -> Rows:
    """The rows of one file: a row for each benchmark's time, and one for the memory that ours tell."""
    return rows_of(path, read_json(path))


def rows_of(path: Path, content: dict[str, Any]) -> Rows:
    """The same of what the file holds."""
    if not isinstance(content.get("benchmarks"), list) or not isinstance(content.get("machine_info"), dict):
        raise ValueError("not a file of pytest-benchmark: benchmarks or machine_info are absent")
    machine, commit = content["machine_info"], content.get("commit_info") or {}
    cpu = machine.get("cpu") if isinstance(machine.get("cpu"), dict) else {}
    dirty = commit.get("dirty")
    python = _text(machine.get("python_version"))
    odd: list[str] = []
    shared: Row = {
        "runner": "pytest-benchmark",
        "environment": f"py{'.'.join(python.split('.')[:2])}" if python else "",
        "commit": None if commit.get("id") in _NO_COMMIT else _text(commit.get("id")),
        "committed": told_time("commit_info.time", commit.get("time"), odd),
        "dirty": dirty if isinstance(dirty, bool) else None,
        "started": told_time("datetime", content.get("datetime"), odd),
        "python": python,
        "status": "measured",
        "version": None,
    }
    processor = _text(cpu.get("brand_raw") or cpu.get("brand"))
    shared["hardware"] = hardware_of(
        {"arch": machine.get("machine"), "cpu": processor, "num_cpu": cpu.get("count")}
    )
    defaults = {"machine": _text(machine.get("node")) or path.parent.name, "processor": processor}
    rows, left_out = [], []
    for number, benchmark in enumerate(content["benchmarks"]):
        try:
            rows += [defaults | row for row in _benchmark(benchmark)]
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            name = benchmark.get("fullname") if isinstance(benchmark, dict) else None
            left_out.append(f"{name or f'benchmark {number}'}: {type(error).__name__} {error}")
    names = [name for name in COLUMNS if name not in shared]
    columns = {name: [row.get(name) for row in rows] for name in names}
    return Rows(path, shared, columns, tuple(left_out), tuple(odd))


def _benchmark(benchmark: dict[str, Any]) -> Iterator[Row]:
    extra, stats = benchmark.get("extra_info") or {}, benchmark["stats"]
    found = _statistics(stats)
    time = dict(zip(columns_of([found]), (values[0] for values in columns_of([found]).values()), strict=True))
    if not set(REQUIRED) <= set(extra):
        yield {
            "benchmark": str(benchmark.get("fullname") or benchmark["name"]),
            "parameters": None,  # the name ends in them
            "quantity": "time",
            "unit": "seconds",
            "notes": "",
            "warnings": spread_warning(found),
        } | time
        return
    case = _case(extra)
    row: Row = {name: value for name, value in extra.items() if name in COLUMNS}
    row |= asdict(case) | {
        "benchmark": benchmark.get("fullname"),
        "notes": "; ".join(extra.get("notes", ())),
        "warnings": extra.get("warnings", ""),
    }
    yield row | {"quantity": "step", "unit": UNITS["step"]} | time
    if extra.get("peak_extra_bytes") is not None:
        peak = {"quantity": "peak", "unit": UNITS["peak"], "ceiling": None}
        of_peak = columns_of([statistics_of([float(extra["peak_extra_bytes"])])])
        yield row | peak | {name: values[0] for name, values in of_peak.items()}


def _case(extra: dict[str, Any]) -> Case:
    axes = {axis: extra[axis] for axis in AXES if axis in extra}
    for axis, value in axes.items():
        kind = MEANINGS[axis][0]
        if isinstance(value, bool) or not isinstance(value, int | float if kind is float else kind):
            raise ValueError(f"{axis} is {value!r}, which does not fit its column")
    return Case(**axes)


def _statistics(stats: dict[str, Any]) -> Statistics:
    median = number_of(stats["median"])
    if median is None or not possible(median, "seconds"):
        raise ValueError(f"a median of {stats['median']!r} seconds")
    data = stats.get("data") or ()
    samples = np.asarray(data, dtype=float)
    if samples.ndim != 1 or not np.all(np.isfinite(samples)):
        raise ValueError("its samples are no row of finite numbers")
    rounds = stats.get("rounds")
    return Statistics(
        median,
        number_of(stats.get("q1")),
        number_of(stats.get("q3")),
        number_of(stats.get("min")),
        rounds if isinstance(rounds, int) else None,
        samples,
    )


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
