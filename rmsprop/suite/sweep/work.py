"""What one worker does with one chunk: the same function in this process, in another and on a cluster."""

import hashlib
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch

import rmsprop
from rmsprop.errors import UserError
from rmsprop.suite.measure import digits
from rmsprop.suite.measure.trained import code
from rmsprop.suite.records.sweep import ChunkTime, Software
from rmsprop.suite.sweep import network, train
from rmsprop.suite.sweep.grid import Chunk
from rmsprop.suite.sweep.jobs import JobName

TRAINERS = {"book": train.train, "digits": network.train}
"""By job."""


@dataclass(frozen=True, eq=False)
class ChunkTask:
    """A chunk with all that a worker needs; a worker reads no file.

    Attributes
    ----------
    chunk
        What is to train.
    features, labels
        (rows, features) float64, and (rows,): float64, or int64 for classes.
    target
        The loss to which rows are counted.
    software
        What the worker must have.
    """

    chunk: Chunk
    features: np.ndarray
    labels: np.ndarray
    target: float
    software: Software


@dataclass(frozen=True, eq=False)
class TrainedChunk:
    """A finished chunk, small enough to be sent: nine bytes a training.

    Attributes
    ----------
    chunk : Chunk
    loss, diverged, rows : array
        (points, seeds) float32, bool and int32, as `train.Ends`.
    time : ChunkTime
    """

    chunk: Chunk
    loss: np.ndarray
    diverged: np.ndarray
    rows: np.ndarray
    time: ChunkTime

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """Those of `records.sweep_files.TRAINING`, a row a training."""
        points, seeds = (
            np.array(numbers, dtype=np.int32) for numbers in (self.chunk.points, self.chunk.seeds)
        )
        return {
            "point": np.repeat(points, len(seeds)),
            "seed": np.tile(seeds, len(points)),
            "loss": self.loss.ravel(),
            "diverged": self.diverged.ravel(),
            "rows": self.rows.ravel(),
        }


def carry_out(task: ChunkTask) -> TrainedChunk:
    """Train a chunk; UserError where this worker would give other bits than the process that asks."""
    found = software(task.chunk.job)
    if found != task.software:
        raise UserError(f"a worker has {_words(found)}; the sweep needs {_words(task.software)}")
    start, cpu = time.perf_counter(), time.thread_time()
    chunk, dtype = task.chunk, getattr(torch, task.chunk.dtype)
    features, labels = (torch.from_numpy(np.array(rows)) for rows in (task.features, task.labels))
    features, labels = features.to(dtype), labels.to(dtype) if labels.is_floating_point() else labels
    ends = TRAINERS[chunk.job](
        chunk.program, chunk.settings, features, labels, chunk.seeds, target=task.target
    )
    with np.errstate(over="ignore"):  # beyond float32 is infinity
        loss = ends.loss.astype(np.float32)
    spent = ChunkTime(chunk.trainings, time.perf_counter() - start, time.thread_time() - cpu)
    return TrainedChunk(chunk, loss, ends.diverged, ends.rows.astype(np.int32), spent)


@cache
def software(job: JobName) -> Software:
    """Of this process, as far as the job depends on it."""
    mine = ("grid.py", "jobs.py", "network.py", "train.py", "work.py")
    files = [Path(digits.__file__), *(Path(__file__).parent / name for name in mine)]
    sources = code() + b"".join(file.read_bytes() for file in files)
    return Software(
        package=rmsprop.__version__,
        torch=torch.__version__,
        code=hashlib.sha256(sources).hexdigest()[:16],
        capability=torch.backends.cpu.get_cpu_capability(),
        products=network.products() if job == "digits" else "",
    )


def _words(one: Software) -> str:
    products = f", whose products of matrices have the bits {one.products}" if one.products else ""
    return (
        f"rmsprop-bench {one.package} (code {one.code}), torch {one.torch} and kernels for {one.capability}"
        f"{products}"
    )
