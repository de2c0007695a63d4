"""A sweep's folder: sweep.json, chunks/, points.parquet. pyarrow is loaded where it is needed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from rmsprop.errors import UserError
from rmsprop.suite.records.files import (
    LARGEST,
    Problem,
    claiming,
    read_folder,
    replacing,
    write_atomically,
)
from rmsprop.suite.records.store import new_folder, read_record, short_commit, stamp
from rmsprop.suite.records.sweep import AXES, COLUMNS, SCHEMA, ChunkTime, Sweep, SweepRecord

HEAD, POINTS, CHUNKS = "sweep.json", "points.parquet", "chunks"
"""In a sweep's folder."""
TRAINING = {"point": "int32", "seed": "int32", "loss": "float32", "diverged": "bool", "rows": "int32"}
"""The columns of a chunk: `rows` were met when the loss was first at or below the target; null for never."""
_HEAD = TypeAdapter(SweepRecord)


@cache
def arrow() -> Any:
    """pyarrow with its parquet; UserError where it is not installed."""
    try:
        import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise UserError(
            "sweeps are stored as parquet, which needs pyarrow: python -m pip install 'rmsprop-bench[sweep]'"
        ) from None
    return import_module("pyarrow")


def begin_sweep(results: Path, record: SweepRecord) -> Path:
    """Make the folder of a new sweep below results/sweep/<machine>/, with its head, whose id is its name."""
    environment = record.environment
    name = f"{stamp(environment)}-{short_commit(environment)}-{record.identity[:8]}"
    folder = new_folder(results / "sweep" / environment.machine, name)
    head = _HEAD.dump_json(replace(record, id=folder.name)).decode()
    write_atomically(folder / HEAD, head + "\n")
    return folder


def last_sweep(results: Path, machine: str, identity: str) -> Path | None:
    """The folder of the newest sweep of that identity on this machine; None where there is none."""
    heads = sorted((results / "sweep" / machine).glob(f"*-{identity[:8]}*/{HEAD}"), reverse=True)
    for path in heads:
        try:
            if read_head(path).identity == identity:
                return path.parent
        except (OSError, ValueError):
            continue  # whoever reads all names it
    return None


def read_head(path: Path) -> SweepRecord:
    """One head; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return read_record(path, _HEAD, "sweep", SCHEMA)


def chunk_path(folder: Path, number: int) -> Path:
    """Where the chunk of that number is."""
    return folder / CHUNKS / f"{number:06d}.parquet"


def write_chunk(path: Path, columns: dict[str, np.ndarray], identity: str, time: ChunkTime) -> None:
    """Store a chunk whole, unless it is there; `columns` are those of `TRAINING`, with -1 for null rows."""
    pa = arrow()
    arrays = {
        name: pa.array(columns[name].astype(kind), mask=columns[name] < 0 if name == "rows" else None)
        for name, kind in TRAINING.items()
    }
    table = pa.table(arrays).replace_schema_metadata(
        {"identity": identity, "seconds": repr(time.seconds), "cpu_seconds": repr(time.cpu_seconds)}
    )
    repeated = ["point", "seed", "rows"]  # losses are not: a dictionary of them costs time and space
    with claiming(path) as partial:
        pa.parquet.write_table(table, partial, compression="zstd", use_dictionary=repeated)


def chunk_is_whole(path: Path, identity: str, trainings: int) -> bool:
    """Whether the file is a chunk of that sweep with so many trainings. A damaged one is removed."""
    if not path.is_file():
        return False
    pa = arrow()
    try:
        found = pa.parquet.read_metadata(path)
        belongs = (found.metadata or {}).get(b"identity") == identity.encode()
        if belongs and found.num_rows == trainings and found.num_columns == len(TRAINING):
            return True
    except (OSError, pa.ArrowException):
        pass
    path.unlink()
    return False


def read_chunk(path: Path) -> tuple[dict[str, np.ndarray], ChunkTime]:
    """The columns of a chunk, null rows as -1, and its times; UserError where it is damaged."""
    pa = arrow()
    try:
        table = pa.parquet.read_table(path)
        columns = {name: table[name].combine_chunks() for name in TRAINING}
        columns["rows"] = columns["rows"].fill_null(-1)
        arrays = {name: column.to_numpy(zero_copy_only=False) for name, column in columns.items()}
        spent = (float(table.schema.metadata[name]) for name in (b"seconds", b"cpu_seconds"))
        return arrays, ChunkTime(table.num_rows, *spent)
    except (OSError, KeyError, ValueError, TypeError, pa.ArrowException) as error:
        raise UserError(
            f"{path} is damaged ({' '.join(str(error).split())[:80]}): delete it and run the command again"
        ) from None


def write_points(folder: Path, points: pd.DataFrame, chunks: Sequence[ChunkTime]) -> None:
    """Store the summaries and what each chunk took, which makes the sweep whole."""
    pa = arrow()
    table = pa.Table.from_pandas(points.astype(COLUMNS), preserve_index=False)
    times = json.dumps([[one.trainings, one.seconds, one.cpu_seconds] for one in chunks])
    table = table.replace_schema_metadata({"chunks": times})
    with replacing(folder / POINTS) as partial:
        pa.parquet.write_table(table, partial, compression="zstd")


def read_sweeps(results: Path) -> tuple[list[Sweep], list[Problem]]:
    """All finished sweeps below results/sweep/, oldest first, and the files that are none."""
    found, problems = read_folder(results / "sweep", lambda path: (path.parent, read_head(path)))
    sweeps = []
    for folder, record in sorted(found, key=lambda one: one[1].environment.started):
        path = folder / POINTS
        if not path.exists():
            continue  # interrupted, or still at work
        try:
            sweeps.append(read_points(path, record))
        except (OSError, ValueError, UserError) as error:
            problems.append(Problem(path, str(error)))
    return sweeps, problems


def read_points(path: Path, record: SweepRecord) -> Sweep:
    """A finished sweep; ValueError with the reason, in one line, where its points are damaged."""
    pa = arrow()
    if not path.is_file() or path.stat().st_size > LARGEST:
        raise ValueError("not a regular file of a usual size")
    try:
        table = pa.parquet.read_table(path)
        points = table.to_pandas()
        times = json.loads((table.schema.metadata or {})[b"chunks"])
        chunks = tuple(ChunkTime(int(n), float(seconds), float(cpu)) for n, seconds, cpu in times)
    except (pa.ArrowException, KeyError, OSError, TypeError, ValueError) as error:
        raise ValueError(f"no summary of a sweep: {str(error)[:80]}") from error
    if list(points.columns) != [*AXES, *COLUMNS]:
        raise ValueError(f"other columns than expected: {', '.join(map(str, points.columns))[:80]}")
    _check(points, record)
    return Sweep(record, points, chunks)


def _check(points: pd.DataFrame, record: SweepRecord) -> None:
    """ValueError where the summary contradicts itself or its head."""
    if any(points[column].dtype != kind for column, kind in COLUMNS.items()):
        raise ValueError("a column has another type than expected")
    if len(points) != record.points or not (points["point"] == np.arange(len(points))).all():
        raise ValueError(f"{len(points):,} points, the head says {record.points:,}")
    counted: Sequence[tuple[str, str]] = (
        ("diverged", "seeds"),
        ("reached", "seeds"),
        ("held_diverged", "held_seeds"),
    )
    if not (points["seeds"] == record.seeds).all():
        raise ValueError("other seeds than the head says")
    for part, whole in counted:
        if not ((points[part] >= 0) & (points[part] <= points[whole])).all():
            raise ValueError(f"{part} is not a part of {whole}")
    for low, high in (
        ("loss_q05", "loss_median"),
        ("loss_median", "loss_q95"),
        ("held_q05", "held_median"),
        ("held_median", "held_q95"),
        ("epochs_q05", "epochs_median"),
        ("epochs_median", "epochs_q95"),
    ):
        if (points[low] > points[high]).any():
            raise ValueError(f"{low} is above {high}")
