"""All measured cases as one tidy frame, whoever measured them: `rmsprop bench`, asv or pytest-benchmark.

One row is one measured, skipped or failed quantity of one case. `COLUMNS` documents each column, and
pandera checks the frame before anyone sees it.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import pandas as pd
import pandera.pandas as pa

from rmsprop.suite.case import AXES, MEANINGS, Case
from rmsprop.suite.records.bench import UNITS, BenchRecord, Quantity
from rmsprop.suite.records.files import Problem, read_folder, read_json
from rmsprop.suite.records.store import read_bench

COLUMNS: dict[str, tuple[type | str, str]] = {
    "runner": (str, "who measured: bench, asv or pytest-benchmark"),
    "file": (str, "the file below results/"),
    "machine": (str, "folder name of the machine"),
    "processor": (str, "as the system names it"),
    "gpu": (str, "name of the GPU; missing where there is none"),
    "cpus": ("Int64", "logical processors"),
    "governor": (str, "CPU frequency governor; missing where unknown"),
    "load": (float, "load average over a minute at the start; missing where unknown"),
    "python": (str, "version"),
    "torch": (str, "version"),
    "commit": (str, "of the rmsprop under test; missing for an installed wheel"),
    "dirty": ("boolean", "whether it had local changes; missing where unknown"),
    "committed": ("datetime64[ns, UTC]", "date of the commit; missing where the file does not say"),
    "started": ("datetime64[ns, UTC]", "when the measurement started"),
    **{axis: ("Int64" if kind is int else kind, meaning) for axis, (kind, meaning) in MEANINGS.items()},
    "quantity": (str, "what was measured: step, peak, epoch, loss, import, first_step, compile"),
    "unit": (str, "of the numbers: seconds, bytes, or 1 for a loss"),
    "status": (str, "measured, skipped or failed"),
    "reason": (str, "why it was skipped or failed"),
    "median": (float, "of the samples"),
    "q25": (float, "lower quartile"),
    "q75": (float, "upper quartile"),
    "minimum": (float, "of the samples"),
    "count": ("Int64", "number of samples"),
    "samples": (object, "the raw samples, an array; empty where the file keeps none"),
    "elements": ("Int64", "parameters of the case; missing where the file does not say"),
    "ceiling": (float, "seconds of five passes over as many elements in the same run"),
    "notes": (str, "what a reader of the numbers must know, such as another ε, joined by '; '"),
    "warnings": (
        str,
        "why the numbers cannot be trusted, joined by '; '; empty when nothing speaks against them (asv does "
        "not watch the machine: there, only the spread of its samples can)",
    ),
}
"""Column name -> (type, meaning), in the order of the frame."""

UNSTABLE = 0.10
"""Distance of the samples' quartiles over their median that is too much."""

Row = dict[str, Any]

_CONTRADICTION = "contradicts itself"


def _is_measured(frame: pd.DataFrame) -> "pd.Series[bool]":
    """A step that was measured has a time; a loss may be NaN."""
    return (frame["status"] != "measured") | (frame["quantity"] != "step") | frame["median"].notna()


def _is_not_measured(frame: pd.DataFrame) -> "pd.Series[bool]":
    return (frame["status"] == "measured") | frame["median"].isna()


def _has_its_size(frame: pd.DataFrame) -> "pd.Series[bool]":
    sizes = frame["size"].map({size: _number(size) for size in frame["size"].unique()})
    return frame["elements"].isna() | sizes.isna() | (frame["elements"].astype(float) == sizes)


SCHEMA = pa.DataFrameSchema(
    {
        name: pa.Column(
            None if kind is object else kind,
            nullable=name not in {"runner", "file", "machine", *AXES, "quantity", "unit", "status", "count"},
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


@dataclass(frozen=True)
class _Rows:
    """The rows of one file: what they share, and the columns in which they differ, all of one length."""

    file: Path
    shared: Row
    columns: dict[str, list[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))


class _Statistics(NamedTuple):
    median: float | None
    q25: float | None
    q75: float | None
    minimum: float | None
    number: int | None
    samples: np.ndarray


_STATISTICS = ("median", "q25", "q75", "minimum", "count", "samples")
"""The columns that its fields are."""
_EMPTY = np.empty(0)
_NOTHING = _Statistics(None, None, None, None, 0, _EMPTY)


def read_frame(results: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """The frame of everything below `results`, and the files that could not be read, with reasons.

    Time and memory grow linearly with the rows.
    """
    files: list[_Rows] = []
    problems: list[Problem] = []
    readers: tuple[tuple[str, Callable[[Path], _Rows]], ...] = (
        ("bench", _bench_rows),
        ("asv", _asv_rows),
        ("pytest-benchmark", _pytest_rows),
    )
    for folder, read in readers:
        found, damaged = read_folder(results / folder, read)
        files += [rows for rows in found if len(rows)]
        problems += damaged
    try:
        return _frame(files, results), problems
    except _NO_ROWS:
        good = list(_good(files, results, problems))
        return _frame(good, results), problems


_NO_ROWS = (pa.errors.SchemaError, ValueError, TypeError)
"""What pandas and pandera raise for values that do not fit their column."""


def _good(files: Sequence[_Rows], results: Path, problems: list[Problem]) -> Iterable[_Rows]:
    """The files whose values fit; the others, found by halving, are named as problems."""
    try:
        _frame(files, results)
    except _NO_ROWS as error:
        if len(files) == 1:
            problems.append(Problem(files[0].file, _reason(error)))
        else:
            middle = len(files) // 2
            yield from _good(files[:middle], results, problems)
            yield from _good(files[middle:], results, problems)
    else:
        yield from files


def _frame(files: Sequence[_Rows], results: Path) -> pd.DataFrame:
    columns = {}
    for name, (kind, _) in COLUMNS.items():
        values: list[Any] = []
        for rows in files:
            if name == "file":
                values += [rows.file.relative_to(results).as_posix()] * len(rows)
            else:
                values += rows.columns.get(name) or [rows.shared.get(name)] * len(rows)
        columns[name] = _column(values, kind)
    return SCHEMA.validate(pd.DataFrame(columns))


def _column(values: list[Any], kind: type | str) -> "pd.Series[Any]":
    if kind is object:
        return pd.Series(values, dtype=object)
    if isinstance(kind, str) and kind.startswith("datetime64"):
        return pd.Series(pd.to_datetime(pd.Series(values, dtype=object), utc=True)).astype(cast(Any, kind))
    return pd.Series(values, dtype="str" if kind is str else cast(Any, kind))


def _reason(error: Exception) -> str:
    check = getattr(getattr(error, "check", None), "error", None)
    if check and check.startswith(_CONTRADICTION):
        return str(check)
    return f"a value that does not fit its column: {str(error).strip().splitlines()[0]}"


def _bench_rows(path: Path) -> _Rows:
    record: BenchRecord = read_bench(path)
    environment, axes, measured = record.environment, record.axes, record.measurement
    shared: Row = {
        "runner": "bench",
        "machine": environment.machine,
        "processor": environment.processor,
        "gpu": environment.gpu,
        "cpus": environment.cpus,
        "governor": environment.governor,
        "load": environment.load,
        "python": environment.python,
        "torch": environment.versions["torch"],
        "commit": environment.commit,
        "dirty": environment.dirty,
        "started": _time(environment.started),
        **{name: getattr(axes, name) for name in AXES},
        "status": record.status,
        "reason": record.reason,
        "elements": measured.elements if measured else None,
        "notes": "; ".join(record.notes),
        "warnings": "; ".join(record.warnings),
    }
    samples: dict[Quantity, tuple[float, ...]] = measured.samples if measured else {"step": ()}
    ceiling = measured.ceiling_seconds if measured else None
    columns: dict[str, list[Any]] = {
        "quantity": list(samples),
        "unit": [UNITS[quantity] for quantity in samples],
        "ceiling": [ceiling if quantity == "step" else None for quantity in samples],
    }
    return _Rows(path, shared, columns | _columns_of(map(_statistics, samples.values())))


def _statistics(samples: Sequence[float]) -> _Statistics:
    """Quartiles by linear interpolation, as numpy's default."""
    if len(samples) == 0:
        return _NOTHING
    values = np.asarray(samples, dtype=float)
    if values.size == 1:
        only = float(values[0])
        return _Statistics(only, only, only, only, 1, values)
    ordered = np.sort(values)
    q25, median, q75 = np.interp((0.25, 0.5, 0.75), np.linspace(0, 1, values.size), ordered)
    return _Statistics(float(median), float(q25), float(q75), float(ordered[0]), values.size, values)


def _columns_of(statistics: Iterable[_Statistics]) -> dict[str, list[Any]]:
    return dict(zip(_STATISTICS, map(list, zip(*statistics, strict=True)), strict=False))


_ASV_TRACKED: dict[str, Quantity] = {"track_epoch": "epoch", "track_loss": "loss", "track_peak": "peak"}
_ASV_STEPS = re.compile(r"time_(\d+)_steps")


def _asv_rows(path: Path) -> _Rows:
    """One asv result file, version 2; machine.json beside it tells the machine."""
    if path.name in ("machine.json", "benchmarks.json"):
        return _Rows(path, {}, {})
    content = read_json(path)
    if content.get("version") != 2 or "result_columns" not in content:
        raise ValueError(f"not an asv result of version 2: version is {content.get('version')!r}")
    machine_file = path.with_name("machine.json")
    machine = read_json(machine_file) if machine_file.exists() else {}
    shared: Row = {
        "runner": "asv",
        "machine": path.parent.name,
        "processor": machine.get("cpu") or None,
        "cpus": int(machine["num_cpu"]) if machine.get("num_cpu") else None,
        "python": content.get("python"),
        "torch": next((v for k, v in content.get("params", {}).items() if k.endswith("torch")), None),
        "commit": content["commit_hash"],
        "committed": _time(content["date"]) if content.get("date") else None,
        "dirty": False,
        "notes": "",
    }
    columns: dict[str, list[Any]] = {}
    for name, values in content["results"].items():
        function = name.rpartition(".")[2]
        steps = _ASV_STEPS.fullmatch(function)
        quantity = "step" if steps else _ASV_TRACKED.get(function)
        if quantity is None:
            continue  # someone else's benchmark, without our axes
        results = dict(zip(content["result_columns"], values, strict=False))
        for column, more in _asv_columns(results, quantity, int(steps[1]) if steps else 1).items():
            columns.setdefault(column, []).extend(more)
    return _Rows(path, shared, columns)


def _asv_columns(results: dict[str, Any], quantity: Quantity, steps: int) -> dict[str, list[Any]]:
    """One benchmark: a row for each combination of its parameters, which asv stores as repr."""
    combinations = list(product(*results["params"]))
    number = len(combinations)
    started = results.get("started_at")
    cases = [_asv_case(*names) for names in combinations]
    # asv drops trailing nulls: a null result failed, NaN was skipped.
    found = [*(results.get("result") or ()), *[None] * number][:number]
    statistics = [_asv_statistics(result, results, i, steps) for i, result in enumerate(found)]
    statuses = [_asv_status(result) for result in found]
    return {
        "started": [_time(started) if started else None] * number,
        **{axis: [getattr(case, axis) for case in cases] for axis in AXES},
        "quantity": [quantity] * number,
        "unit": [UNITS[quantity]] * number,
        "status": statuses,
        "reason": [None if status == "measured" else "asv keeps no reason" for status in statuses],
        **_columns_of(statistics),
        "warnings": [_unstable(one) for one in statistics],
    }


def _asv_status(result: float | None) -> str:
    if result is None:
        return "failed"
    return "skipped" if math.isnan(result) else "measured"


def _asv_statistics(result: float | None, results: dict[str, Any], i: int, steps: int) -> _Statistics:
    """asv keeps samples only with --record-samples, else their median and quartiles; all of `steps` steps."""
    samples = _item(results.get("samples"), i)
    if samples:
        return _statistics([sample / steps for sample in samples])
    if result is None or math.isnan(result):
        return _NOTHING
    q25, q75 = _item(results.get("stats_q_25"), i), _item(results.get("stats_q_75"), i)
    if q25 is None or q75 is None:
        return _statistics([result / steps])
    return _Statistics(
        result / steps, q25 / steps, q75 / steps, None, _item(results.get("stats_repeat"), i), _EMPTY
    )


def _unstable(found: _Statistics) -> str:
    """The one warning that asv's numbers allow: it does not watch the machine."""
    if not found.median or found.q25 is None or found.q75 is None:
        return ""
    spread = (found.q75 - found.q25) / found.median
    return f"unstable: quartiles {spread:.0%} of the median apart" if spread > UNSTABLE else ""


@cache
def _asv_case(implementation: str, point: str) -> Case:
    """asv keeps all axes but one under one name, and both as their repr."""
    return Case.at(implementation.strip("'"), point.strip("'"))


def _pytest_rows(path: Path) -> _Rows:
    """One JSON file of pytest-benchmark; benchmarks without our axes in extra_info are left out."""
    content = read_json(path)
    if "benchmarks" not in content or "machine_info" not in content:
        raise ValueError("not a file of pytest-benchmark: benchmarks or machine_info are absent")
    commit = content["commit_info"]
    shared: Row = {
        "runner": "pytest-benchmark",
        "commit": commit.get("id"),
        "committed": _time(commit["time"]) if commit.get("time") else None,
        "dirty": commit.get("dirty"),
        "started": _time(content["datetime"]),
        "python": content["machine_info"].get("python_version"),
        "status": "measured",
    }
    rows = [row for benchmark in content["benchmarks"] for row in _pytest_benchmark(benchmark)]
    return _Rows(
        path, shared, {name: [row.get(name) for row in rows] for name in COLUMNS if name not in shared}
    )


def _pytest_benchmark(benchmark: dict[str, Any]) -> Iterable[Row]:
    extra, stats = benchmark["extra_info"], benchmark["stats"]
    if not set(AXES) <= set(extra):
        return
    row: Row = {name: value for name, value in extra.items() if name in COLUMNS}
    row |= {
        "threads": int(extra["threads"]),
        "notes": "; ".join(extra.get("notes", ())),
        "warnings": extra.get("warnings", ""),
    }
    yield row | {
        "quantity": "step",
        "unit": UNITS["step"],
        "median": float(stats["median"]),
        "q25": float(stats["q1"]),
        "q75": float(stats["q3"]),
        "minimum": float(stats["min"]),
        "count": int(stats["rounds"]),
        "samples": np.asarray(stats.get("data", ()), dtype=float),
    }
    if extra.get("peak_extra_bytes") is not None:
        peak = {"quantity": "peak", "unit": UNITS["peak"], "ceiling": None}
        found = _statistics([float(extra["peak_extra_bytes"])])
        yield row | peak | dict(zip(_STATISTICS, found, strict=True))


def _time(when: str | float) -> pd.Timestamp:
    """UTC; from ISO 8601, or from asv's milliseconds."""
    time = pd.Timestamp(when) if isinstance(when, str) else pd.Timestamp(when, unit="ms")
    return time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")


def _number(size: str) -> float:
    try:
        return float(size)
    except ValueError:
        return math.nan


def _item(values: list[Any] | None, i: int) -> Any:
    return values[i] if values is not None and i < len(values) else None
