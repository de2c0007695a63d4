"""A small sweep of each job, and what it left."""

from functools import partial

import numpy as np
import pytest

from rmsprop.book.airfoil import load_airfoil
from rmsprop.suite.measure.digits import load_digits
from rmsprop.suite.records.sweep_files import (
    CHUNKS,
    HEAD,
    POINTS,
    TRAINING,
    read_chunk,
    read_head,
    read_points,
)
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
DIGITS = Grid(
    optimizer=("sgd", "rmsprop"), lr=(0.01, 1e30), batch_size=(600,), epochs=(1,), seeds=40, job="digits"
)


@pytest.fixture(scope="session")
def sweep():
    """Sweep GRID into a folder; its folder."""
    return partial(swept, GRID, ROWS)


@pytest.fixture(scope="session")
def sweep_digits():
    """Sweep DIGITS into a folder; its folder."""
    pytest.importorskip("sklearn")
    return partial(swept, DIGITS, load_digits())


def swept(grid, rows, output, engine=in_this_process, most=256, progress=lambda trainings: None):
    plan = prepare(grid, rows, output, target=0.3, most=most)
    carry_on(plan, engine, progress)
    return plan.folder


@pytest.fixture(scope="session")
def bits():
    """All that a sweep found, whatever its chunks: each training in order, and the summary."""

    def read(folder):
        parts = [read_chunk(path)[0] for path in sorted((folder / CHUNKS).glob("*.parquet"))]
        whole = {name: np.concatenate([part[name] for part in parts]) for name in TRAINING}
        order = np.lexsort((whole["seed"], whole["point"]))
        summary = read_points(folder / POINTS, read_head(folder / HEAD))
        columns = [summary.points[name].to_numpy() for name in summary.points]
        numbers = [column.tobytes() if column.dtype != object else repr(list(column)) for column in columns]
        return [whole[name][order].tobytes() for name in TRAINING], numbers

    return read


@pytest.fixture(scope="session")
def expected(sweep, bits, tmp_path_factory):
    """What one process finds in chunks of 256."""
    return bits(sweep(tmp_path_factory.mktemp("expected")))


@pytest.fixture(scope="session")
def expected_digits(sweep_digits, bits, tmp_path_factory):
    """The same of DIGITS."""
    return bits(sweep_digits(tmp_path_factory.mktemp("expected-digits")))
