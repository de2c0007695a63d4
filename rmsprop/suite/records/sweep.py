"""The record of a sweep: sweep.json, a file a chunk while it runs, and points.parquet once it is whole.

A chunk's file has a row for each training. points.parquet has a row for each point: its axes, and what its
trainings came to over all seeds and over each half of them. Quantiles are order statistics, the lower one of
two, so that a loss of infinity is only ever one. `sweep_files` reads and
writes them.
"""

from dataclasses import dataclass as plain
from typing import Literal

import pandas as pd
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.reproduction import DataSource

SCHEMA = 1
AXES = ("optimizer", "lr", "gamma", "eps", "momentum", "batch_size", "epochs", "dtype")
"""Columns of points.parquet; a real axis that the optimizer lacks is null."""
COLUMNS = {
    "point": "int32",
    "seeds": "int32",
    "diverged": "int32",
    "reached": "int32",
    **dict.fromkeys(("loss_q05", "loss_median", "loss_q95"), "float32"),
    **dict.fromkeys(("epochs_q05", "epochs_median", "epochs_q95"), "float32"),
    "chosen_seeds": "int32",
    "chosen_median": "float32",
    "held_seeds": "int32",
    "held_diverged": "int32",
    **dict.fromkeys(("held_q05", "held_median", "held_q95", "held_low", "held_high"), "float32"),
}
"""The other columns. `chosen_` are of the seeds with even numbers, `held_` of those with odd ones; `low` and
`high` are the ends of the median's 95% interval, null for too few seeds. `epochs_` count to the target,
infinity for never; `reached` counts the trainings that reached it. A loss that is no number counts as
infinity."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Software:
    """What the bits of a training depend on beside its point, its seed and the rows.

    Attributes
    ----------
    package, torch : str
        Versions.
    code : str
        Hash of the sources that train.
    capability : str
        Which instruction set torch's kernels use, such as AVX2.
    products : str
        Hash of the bits of some products of matrices, where the job has any; records may lack it.
    """

    package: str
    torch: str
    code: str
    capability: str
    products: str = ""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class SweepRecord:
    """One sweep: written before anything is trained, and never edited.

    Attributes
    ----------
    id
        The name of the folder; unique on its machine.
    identity
        Hash of all that the results depend on, by which a rerun finds it.
    environment
        Of the process that was asked; workers have the same `software`.
    software
        What a worker must have: with other versions the bits may be others.
    data, rows
        Where the rows came from; hash of their numbers.
    axes
        Values by name.
    seeds
        How many a point, from 0 on.
    target
        The loss to which epochs are counted.
    points, chunk
        How many points; trainings of a chunk, at most about.
    job
        What was trained: the book's linear regression, or a network on digits. Records without the field are
        of the book's.
    kind, schema
        Which kind of record it is, and in which schema.
    """

    id: str
    identity: str
    environment: Environment
    software: Software
    data: DataSource
    rows: str
    axes: dict[str, tuple[int | float | str, ...]]
    seeds: int
    target: float
    points: int
    chunk: int
    job: Literal["book", "digits"] = "book"
    kind: Literal["sweep"] = "sweep"
    schema: int = SCHEMA

    @property
    def trainings(self) -> int:
        """Points times seeds."""
        return self.points * self.seeds


@plain(frozen=True)
class ChunkTime:
    """What a chunk took, in seconds.

    Attributes
    ----------
    trainings
        How many the chunk holds.
    seconds, cpu_seconds
        Wall time, and processor time of the thread that trained it.
    """

    trainings: int
    seconds: float
    cpu_seconds: float


@plain(frozen=True, eq=False)
class Sweep:
    """A finished sweep.

    Attributes
    ----------
    record : SweepRecord
    points : DataFrame
        `AXES` and `COLUMNS`.
    chunks : tuple of ChunkTime
        In the order of the points.
    """

    record: SweepRecord
    points: pd.DataFrame
    chunks: tuple[ChunkTime, ...]

    @property
    def seconds(self) -> float:
        """Wall time of all chunks together, one core each."""
        return sum(chunk.seconds for chunk in self.chunks)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all chunks together."""
        return sum(chunk.cpu_seconds for chunk in self.chunks)
