"""All measured cases as one tidy frame, whoever measured them: `rmsprop bench`, asv or pytest-benchmark.

One row is one measured, skipped or failed quantity of one case. `COLUMNS` documents each column, and
pandera checks the frame before anyone sees it.
"""

import re
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pandera.pandas as pa

from rmsprop.records.bench import UNITS, BenchRecord, Quantity
from rmsprop.records.store import Problem, read_bench, read_folder, read_json

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
    "started": ("datetime64[ns, UTC]", "when the measurement started"),
    "implementation": (str, "name in the registry"),
    "device": (str, "cpu, cuda, mps"),
    "dtype": (str, "float64, float32, bfloat16, float16"),
    "layout": (str, "single, book, resnet50, gpt2, many"),
    "size": (str, "elements as the matrix names them, such as 1e5"),
    "threads": ("Int64", "torch's intra-op threads; 0 stands for all"),
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

AXES = ("implementation", "device", "dtype", "layout", "size", "threads")

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
    strict=True,
    ordered=False,
)

UNSTABLE = 0.10
"""Distance of the samples' quartiles over their median that is too much."""

Row = dict[str, Any]


def read_frame(results: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """The frame of everything below `results`, and the files that could not be read, with reasons."""
    tables: list[list[Row]] = []
    problems: list[Problem] = []
    readers: tuple[tuple[str, Callable[[Path], list[Row]]], ...] = (
        ("bench", _bench_rows),
        ("asv", _asv_rows),
        ("pytest-benchmark", _pytest_rows),
    )
    for folder, read in readers:
        found, damaged = read_folder(results / folder, read)
        tables += [table for table in found if table]
        problems += damaged
    try:
        return _frame(tables, results), problems
    except _NO_ROWS:
        # Some file holds what no column can: look at each by itself, which takes longer, and leave it out.
        good = []
        for table in tables:
            try:
                _frame([table], results)
            except _NO_ROWS as error:
                problems.append(Problem(table[0]["file"], _first_line(error)))
            else:
                good.append(table)
        return _frame(good, results), problems


_NO_ROWS = (pa.errors.SchemaError, ValueError, TypeError)
"""What pandas and pandera raise for values that do not fit their column."""


def _frame(tables: list[list[Row]], results: Path) -> pd.DataFrame:
    rows = [row for table in tables for row in table]
    columns = {name: [row.get(name) for row in rows] for name in COLUMNS}
    columns["file"] = [row["file"].relative_to(results).as_posix() for row in rows]
    frame = pd.DataFrame(columns)
    for name, (kind, _) in COLUMNS.items():
        if name == "started":
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[ns, UTC]")
        elif kind is str:
            frame[name] = frame[name].astype("str")
        elif kind is not object:
            frame[name] = frame[name].astype(cast(Any, kind))
    return SCHEMA.validate(frame)


def _first_line(error: Exception) -> str:
    return f"a value that does not fit its column: {str(error).strip().splitlines()[0]}"


def _bench_rows(path: Path) -> list[Row]:
    record: BenchRecord = read_bench(path)
    environment, axes, measured = record.environment, record.axes, record.measurement
    row: Row = {
        "runner": "bench",
        "file": path,
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
        "notes": "; ".join(record.notes),
        "warnings": "; ".join(record.warnings),
    }
    if measured is None:
        return [row | {"quantity": "step", "unit": UNITS["step"]} | _statistics(())]
    row["elements"] = measured.elements
    return [
        row
        | {"quantity": quantity, "unit": UNITS[quantity], **_statistics(samples)}
        | {"ceiling": measured.ceiling_seconds if quantity == "step" else None}
        for quantity, samples in measured.samples.items()
    ]


def _statistics(samples: tuple[float, ...] | list[float]) -> Row:
    values = np.asarray(samples, dtype=float)
    if not values.size:
        return {"count": 0, "samples": values}
    q25, median, q75 = np.quantile(values, (0.25, 0.5, 0.75))
    return {
        "median": float(median),
        "q25": float(q25),
        "q75": float(q75),
        "minimum": float(values.min()),
        "count": values.size,
        "samples": values,
    }


_ASV_TRACKED: dict[str, Quantity] = {"track_epoch": "epoch", "track_loss": "loss", "track_peak": "peak"}
_ASV_STEPS = re.compile(r"time_(\d+)_steps")


def _asv_rows(path: Path) -> list[Row]:
    """One asv result file, version 2; machine.json beside it tells the machine."""
    if path.name in ("machine.json", "benchmarks.json"):
        return []
    content = read_json(path)
    if content.get("version") != 2 or "result_columns" not in content:
        raise ValueError(f"not an asv result of version 2: version is {content.get('version')!r}")
    machine_file = path.with_name("machine.json")
    machine = read_json(machine_file) if machine_file.exists() else {}
    common: Row = {
        "runner": "asv",
        "file": path,
        "machine": path.parent.name,
        "processor": machine.get("cpu") or None,
        "cpus": int(machine["num_cpu"]) if machine.get("num_cpu") else None,
        "python": content.get("python"),
        "torch": next((v for k, v in content.get("params", {}).items() if k.endswith("torch")), None),
        "commit": content["commit_hash"],
        "dirty": False,
        "notes": "",
    }
    rows: list[Row] = []
    for name, values in content["results"].items():
        function = name.rpartition(".")[2]
        steps = _ASV_STEPS.fullmatch(function)
        quantity = "step" if steps else _ASV_TRACKED.get(function)
        if quantity is None:
            continue  # someone else's benchmark, without our axes
        columns = dict(zip(content["result_columns"], values, strict=False))
        for i, (implementation, point) in enumerate(product(*columns["params"])):
            # asv stores parameters as repr, and drops trailing nulls: a null result failed, NaN was skipped.
            result = _item(columns.get("result"), i)
            started = columns.get("started_at")
            rows.append(
                common
                | {
                    "started": _time(started) if started else None,
                    "implementation": implementation.strip("'"),
                    **parse_point(point.strip("'")),
                    "quantity": quantity,
                    "unit": UNITS[quantity],
                    **_asv_status(result),
                    **_asv_statistics(result, columns, i, int(steps[1]) if steps else 1),
                }
            )
    return rows


def _asv_statistics(result: float | None, columns: dict[str, Any], i: int, steps: int) -> Row:
    """asv keeps samples only with --record-samples, else their median and quartiles; all of `steps` steps."""
    samples = _item(columns.get("samples"), i)
    if samples or result is None or np.isnan(result):
        row = _statistics([sample / steps for sample in samples or ()])
        return row | {"warnings": _unstable(row)}
    row = _statistics([result / steps])
    q25, q75 = _item(columns.get("stats_q_25"), i), _item(columns.get("stats_q_75"), i)
    if q25 is not None and q75 is not None:
        row |= {"q25": q25 / steps, "q75": q75 / steps, "minimum": None, "samples": np.empty(0)}
        row["count"] = _item(columns.get("stats_repeat"), i)
    return row | {"warnings": _unstable(row)}


def _unstable(row: Row) -> str:
    """The one warning that asv's numbers allow: it does not watch the machine."""
    spread = (row["q75"] - row["q25"]) / row["median"] if row.get("median") else 0.0
    return f"unstable: quartiles {spread:.0%} of the median apart" if spread > UNSTABLE else ""


def parse_point(point: str) -> Row:
    """`cpu-float32-1e5-single-1t` -> its axes; the name under which asv keeps all axes but one."""
    try:
        device, dtype, size, layout, threads = point.split("-")
    except ValueError as error:
        raise ValueError(f"{point!r} is no point of the matrix such as cpu-float32-1e5-single-1t") from error
    return {
        "device": device,
        "dtype": dtype,
        "layout": layout,
        "size": size,
        "threads": 0 if threads == "all" else int(threads.removesuffix("t")),
    }


def _asv_status(result: float | None) -> Row:
    if result is None:
        return {"status": "failed", "reason": "asv keeps no reason"}
    if np.isnan(result):
        return {"status": "skipped", "reason": "asv keeps no reason"}
    return {"status": "measured", "reason": None}


def _pytest_rows(path: Path) -> list[Row]:
    """One JSON file of pytest-benchmark; benchmarks without our axes in extra_info are left out."""
    content = read_json(path)
    if "benchmarks" not in content or "machine_info" not in content:
        raise ValueError("not a file of pytest-benchmark: benchmarks or machine_info are absent")
    rows: list[Row] = []
    for benchmark in content["benchmarks"]:
        extra, stats = benchmark["extra_info"], benchmark["stats"]
        if not set(AXES) <= set(extra):
            continue
        row: Row = {
            "runner": "pytest-benchmark",
            "file": path,
            "commit": content["commit_info"].get("id"),
            "dirty": content["commit_info"].get("dirty"),
            "started": _time(content["datetime"]),
            "python": content["machine_info"].get("python_version"),
            "status": "measured",
            "warnings": "",
        }
        row |= {name: value for name, value in extra.items() if name in COLUMNS}
        row |= {"threads": int(extra["threads"]), "notes": "; ".join(extra.get("notes", ()))}
        step = {
            "quantity": "step",
            "unit": UNITS["step"],
            "median": float(stats["median"]),
            "q25": float(stats["q1"]),
            "q75": float(stats["q3"]),
            "minimum": float(stats["min"]),
            "count": int(stats["rounds"]),
            "samples": np.asarray(stats.get("data", ()), dtype=float),
        }
        rows.append(row | step)
        if extra.get("peak_extra_bytes") is not None:
            peak = {"quantity": "peak", "unit": UNITS["peak"], "ceiling": None}
            rows.append(row | peak | _statistics([float(extra["peak_extra_bytes"])]))
    return rows


def _time(when: str | int) -> pd.Timestamp:
    """UTC; from ISO 8601, or from asv's milliseconds."""
    time = pd.Timestamp(when, unit="ms") if isinstance(when, int) else pd.Timestamp(when)
    return time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")


def _item(values: list[Any] | None, i: int) -> Any:
    return values[i] if values is not None and i < len(values) else None
