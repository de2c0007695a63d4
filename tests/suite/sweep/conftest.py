"""A small sweep, and what it left."""

import numpy as np
import pytest

from rmsprop.book.airfoil import load_airfoil
from rmsprop.suite.records.sweep_files import CHUNKS, POINTS, TRAINING, read_chunk, read_points
from rmsprop.suite.sweep.engines import in_this_process
from rmsprop.suite.sweep.grid import Grid
from rmsprop.suite.sweep.session import carry_on, prepare

GRID = Grid(
    optimizer=("sgd", "rmsprop"),
    lr=(0.003, 0.1, 1e20),
    gamma=(0.5, 0.9),
    batch_size=(100,),
    epochs=(1,),
    seeds=300,
)
ROWS = load_airfoil("surrogate")


@pytest.fixture(scope="session")
def sweep():
    """Sweep GRID into a folder; its folder."""

    def run(output, engine=in_this_process, most=256, progress=lambda trainings: None):
        plan = prepare(GRID, ROWS, output, target=0.3, most=most)
        carry_on(plan, engine, progress)
        return plan.folder

    return run


@pytest.fixture(scope="session")
def bits():
    """All that a sweep found, whatever its chunks: each training in order, and the summary."""

    def read(folder):
        parts = [read_chunk(path)[0] for path in sorted((folder / CHUNKS).glob("*.parquet"))]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in TRAINING}
        order = np.lexsort((whole["seed"], whole["point"]))
        summary = read_points(
            folder / POINTS, prepare(GRID, ROWS, folder.parents[2], target=0.3, most=1).record
        )
        columns = [summary.points[name].to_numpy() for name in summary.points]
        numbers = [column.tobytes() if column.dtype != object else repr(list(column)) for column in columns]
        return [whole[name][order].tobytes() for name in TRAINING], numbers

    return read


@pytest.fixture(scope="session")
def expected(sweep, bits, tmp_path_factory):
    """What one process finds in chunks of 256."""
    return bits(sweep(tmp_path_factory.mktemp("expected")))
