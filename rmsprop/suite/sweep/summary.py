"""What the trainings of each point come to: counts, quantiles, and both halves of the seeds."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rmsprop.suite.records.sweep import AXES, COLUMNS, ChunkTime
from rmsprop.suite.records.sweep_files import chunk_path, read_chunk
from rmsprop.suite.sweep.grid import SETTINGS, Chunk, Grid, chunks
from rmsprop.suite.sweep.jobs import JOBS
from rmsprop.suite.verdicts.medians import median_interval


def summarise(
    folder: Path, grid: Grid, most: int, progress: Callable[[int], None] = lambda done: None
) -> tuple[pd.DataFrame, list[ChunkTime]]:
    """A row for each point, from the chunks of a finished sweep, and the times of all chunks.

    Chunks of the same points are read together, one after the other, so that memory holds no more.
    """
    rows: list[dict[str, Any]] = []
    waiting: list[Chunk] = []
    times: list[ChunkTime] = []

    def take() -> None:
        parts = [read_chunk(chunk_path(folder, chunk.number)) for chunk in waiting]
        times.extend(time for _, time in parts)
        shape = len(waiting[0].points), -1
        whole = {
            name: np.concatenate([columns[name].reshape(shape) for columns, _ in parts], axis=1)
            for name in ("loss", "diverged", "rows")
        }
        for number in range(shape[0]):
            ends = (whole[name][number] for name in ("loss", "diverged", "rows"))
            rows.append(point_of(*ends, of=JOBS[grid.job].rows))
        progress(len(waiting))
        waiting.clear()

    for chunk in chunks(grid, most):
        if waiting and chunk.points != waiting[0].points:
            take()
        waiting.append(chunk)
    take()
    axes: list[Mapping[str, Any]] = [
        {
            "optimizer": group.optimizer,
            **{axis: setting.get(axis) for axis in SETTINGS},
            "batch_size": group.batch_size,
            "epochs": group.epochs,
            "dtype": group.dtype,
        }
        for group in grid.groups
        for setting in group.settings
    ]
    frame = pd.concat([pd.DataFrame(axes, columns=[*AXES]), pd.DataFrame(rows)], axis=1)
    kinds = {
        **dict.fromkeys(SETTINGS, "float64"),
        **dict.fromkeys(("batch_size", "epochs"), "int32"),
        **COLUMNS,
    }
    return frame.assign(point=np.arange(len(frame)))[[*AXES, *COLUMNS]].astype(kinds), times


def point_of(loss: np.ndarray, diverged: np.ndarray, rows: np.ndarray, *, of: int) -> dict[str, Any]:
    """The columns of a point but its number and axes; the arrays are (seeds,), `of` rows an epoch."""
    loss = np.where(np.isnan(loss), np.inf, loss)
    epochs = np.where(rows < 0, np.inf, rows / of)
    chosen, held = loss[::2], loss[1::2]
    interval = median_interval(held) or (np.nan, np.nan)
    found = {
        "seeds": len(loss),
        "diverged": np.count_nonzero(diverged),
        "reached": np.count_nonzero(rows >= 0),
        "chosen_seeds": len(chosen),
        "chosen_median": quantile(chosen, 0.5),
        "held_seeds": len(held),
        "held_diverged": np.count_nonzero(diverged[1::2]),
        "held_low": interval[0],
        "held_high": interval[1],
    }
    for name, values in (("loss", loss), ("epochs", epochs), ("held", held)):
        for level, q in (("q05", 0.05), ("median", 0.5), ("q95", 0.95)):
            found[f"{name}_{level}"] = quantile(values, q)
    return found


def quantile(values: np.ndarray, q: float) -> float:
    """The lower order statistic at q; NaN of nothing. No mean is taken, so infinity spoils no finite one."""
    if not len(values):
        return float("nan")
    return float(np.sort(values)[int(q * (len(values) - 1))])
