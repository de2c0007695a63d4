"""A sweep from its grid to its record: what fits, what is done already, and what is left to train."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from rmsprop.book.airfoil import Airfoil
from rmsprop.errors import UserError
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.digits import DigitRows
from rmsprop.suite.measure.memory import host_memory
from rmsprop.suite.records.reproduction import DataSource
from rmsprop.suite.records.sweep import SweepRecord
from rmsprop.suite.records.sweep_files import (
    HEAD,
    POINTS,
    begin_sweep,
    chunk_is_whole,
    chunk_path,
    last_sweep,
    read_head,
    write_chunk,
    write_points,
)
from rmsprop.suite.sweep import network, train
from rmsprop.suite.sweep.engines import Engine
from rmsprop.suite.sweep.grid import Chunk, Grid, chunks, slices
from rmsprop.suite.sweep.jobs import JOBS
from rmsprop.suite.sweep.summary import summarise
from rmsprop.suite.sweep.work import ChunkTask, software

DISK_BYTES = 12
"""Of a training in a chunk's file, at most: float32 losses hardly compress, and all else does."""
PROCESS_BYTES = 400 * 2**20
"""Of a process that has loaded torch."""
TRAINING_BYTES = {"float32": 320, "float64": 560}
"""Of a training while its chunk is at work and its columns are sent."""


@dataclass(frozen=True)
class SweepPlan:
    """A sweep that is about to run.

    Attributes
    ----------
    folder : Path
    record : SweepRecord
    grid : Grid
        What was asked for.
    data : Airfoil or DigitRows
        The rows, as the job has them.
    left : tuple of Chunk
        What is still to train, in order.
    """

    folder: Path
    record: SweepRecord
    grid: Grid
    data: Airfoil | DigitRows
    left: tuple[Chunk, ...]

    @property
    def trainings(self) -> int:
        """That are left."""
        return sum(chunk.trainings for chunk in self.left)

    @property
    def whole(self) -> bool:
        """Whether nothing is left to do."""
        return (self.folder / POINTS).exists()

    def tasks(self) -> Iterator[ChunkTask]:
        """What is left, as workers take it."""
        features, labels = self.data.features.numpy(), self.data.labels.numpy()
        for chunk in self.left:
            yield ChunkTask(chunk, features, labels, self.record.target, self.record.software)


def check_size(grid: Grid, output: Path, most: int, jobs: int) -> None:
    """Raise a UserError for a sweep that fits neither in memory nor on the disk of `output`.

    `jobs` is how many processes of this machine train; 0 for a cluster, whose memory is its own.
    """
    existing = next(folder for folder in (output, *output.absolute().parents) if folder.exists())
    size = f"{grid.points:,} points x {grid.seeds:,} seeds = {grid.trainings:,} trainings"
    needed, free = grid.trainings * DISK_BYTES, shutil.disk_usage(existing).free
    if needed > free:
        raise UserError(
            f"{size} take about {_gib(needed)} on the disk, where {_gib(free)} are free: "
            "ask for fewer seeds or values, or choose another --output"
        )
    # The process that asks holds all seeds of the points of a chunk while it makes their summary.
    lanes = JOBS[grid.job].lanes
    together = max(len(next(slices(group, most, lanes))) for group in grid.groups)
    needed = PROCESS_BYTES + 40 * together * grid.seeds + 2000 * grid.points
    needed += jobs * (PROCESS_BYTES + max(_worker_bytes(grid, dtype, most) for dtype in grid.dtype))
    free = host_memory()
    if needed > free:
        raise UserError(
            f"{size} take about {_gib(needed)} of memory, where {_gib(free)} are free: "
            "ask for fewer seeds, values or epochs, for fewer --jobs, or for a smaller --chunk"
        )


def _worker_bytes(grid: Grid, dtype: str, most: int) -> int:
    itemsize = torch.finfo(getattr(torch, dtype)).bits // 8
    job, epochs = JOBS[grid.job], max(grid.epochs)
    if grid.job == "digits":
        work = network.memory_needed(max(grid.batch_size), epochs, itemsize, job.rows)
    else:
        work = train.memory_needed(min(grid.batch_size), epochs, itemsize, 5, job.rows)
    return work + TRAINING_BYTES[dtype] * max(most, job.lanes)


def _gib(number: int) -> str:
    return f"{number / 2**30:,.1f} GiB"


def prepare(
    grid: Grid, data: Airfoil | DigitRows, output: Path, *, target: float, most: int, again: bool = False
) -> SweepPlan:
    """Find the sweep that this one goes on with, or begin a new one.

    A sweep goes on where job, grid, target, rows, torch, code and commit are the same. Its chunks keep their
    size.
    """
    environment = capture_environment()
    rows = hashlib.sha256(data.features.numpy().tobytes() + data.labels.numpy().tobytes()).hexdigest()
    found = software(grid.job)
    facts = [
        grid.job,
        grid.axes,
        grid.seeds,
        target,
        rows,
        asdict(found),
        environment.commit,
        environment.dirty,
    ]
    identity = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    folder = None if again else last_sweep(output, environment.machine, identity)
    if folder is None:
        record = SweepRecord(
            id="",
            identity=identity,
            environment=environment,
            software=found,
            data=DataSource(data.source, data.detail, data.sha256),
            rows=rows,
            job=grid.job,
            axes=grid.axes,
            seeds=grid.seeds,
            target=target,
            points=grid.points,
            chunk=most,
        )
        folder = begin_sweep(output, record)
    record = read_head(folder / HEAD)
    if (folder / POINTS).exists():
        return SweepPlan(folder, record, grid, data, ())
    left = tuple(
        chunk
        for chunk in chunks(grid, record.chunk)
        if not chunk_is_whole(chunk_path(folder, chunk.number), identity, chunk.trainings)
    )
    return SweepPlan(folder, record, grid, data, left)


def carry_on(
    plan: SweepPlan, engine: Engine, progress: Callable[[int], None] = lambda trainings: None
) -> None:
    """Train what is left of the plan and store the summary; `progress` is told of trainings.

    A chunk is on disk when it ends. Whatever stops this, the next `prepare` finds what was finished.
    """
    for done in engine(plan.tasks()):
        path = chunk_path(plan.folder, done.chunk.number)
        write_chunk(path, done.columns, plan.record.identity, done.time)
        progress(done.chunk.trainings)
    if not plan.whole:
        points, times = summarise(plan.folder, plan.grid, plan.record.chunk)
        write_points(plan.folder, points, times)
