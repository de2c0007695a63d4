"""A grid is every combination that its optimizers have, and chunks are the grid, whatever their size."""

import math
import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmsprop.book import airfoil
from rmsprop.book.chapter import OPTIMIZERS as CHAPTER
from rmsprop.book.programs import PROGRAMS
from rmsprop.errors import UserError
from rmsprop.suite.records import sweep as records
from rmsprop.suite.report.pages import sweep as pages
from rmsprop.suite.sweep import grid as module
from rmsprop.suite.sweep import work
from rmsprop.suite.sweep.grid import AXES, DEFAULTS, OPTIMIZERS, PROFILES, Grid, chunks, values_of
from rmsprop.suite.sweep.jobs import JOBS
from rmsprop.suite.verdicts import sweep as verdicts

ANOTHER_BOOK = """
from dataclasses import replace
from rmsprop.book.programs import PROGRAMS
book = PROGRAMS["rmsprop-scratch"]
given = {"lr": 0.5, "gamma": 0.25, "eps": 0.125}
PROGRAMS["rmsprop-scratch"] = replace(book, hyperparameters=given, batch_size=7, num_epochs=3)
from rmsprop.suite.sweep.grid import Grid
grid = Grid()
found = (*grid.lr, *grid.gamma, *grid.eps, *grid.batch_size, *grid.epochs)
assert found == (0.5, 0.25, 0.125, 7, 3), found
from rmsprop.suite.peers.compare import GIVEN
assert GIVEN == {"lr": 0.5, "decay": 0.25, "eps": 0.125}, GIVEN
"""


@pytest.mark.slow
def test_the_books_hyperparameters_stand_in_the_book_alone():
    """Where they are read from it, another book changes them; a copy would stay."""
    answer = subprocess.run([sys.executable, "-c", ANOTHER_BOOK], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def some(*values):
    return st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True).map(tuple)


GRIDS = st.builds(
    Grid,
    optimizer=some(*OPTIMIZERS),
    lr=some(1e-3, 0.1, 3.0),
    gamma=some(0.0, 0.5, 0.999),
    eps=some(0.0, 1e-6, 1e-2),
    momentum=some(0.0, 0.9),
    batch_size=some(1, 10, 1500),
    epochs=some(1, 2),
    dtype=some("float32", "float64"),
    seeds=st.integers(1, 600),
    job=st.sampled_from(list(JOBS)),
)


@given(GRIDS, st.integers(128, 100_000))
def test_chunks_hold_each_training_once(grid, most):
    made = list(chunks(grid, most))
    assert [chunk.number for chunk in made] == list(range(len(made)))
    assert sum(chunk.trainings for chunk in made) == grid.trainings
    seeds = {}
    for chunk in made:
        assert chunk.trainings <= max(most, JOBS[grid.job].lanes)
        assert chunk.job == grid.job
        for point in chunk.points:
            seeds.setdefault(point, []).extend(chunk.seeds)
    assert list(seeds) == list(range(grid.points))
    assert all(found == list(range(grid.seeds)) for found in seeds.values())


@given(GRIDS, st.integers(128, 100_000))
def test_a_chunk_has_the_values_of_its_points(grid, most):
    found = {}
    for chunk in chunks(grid, most):
        for number, point in enumerate(chunk.points):
            values = {name: given[number] for name, given in chunk.settings.items()}
            program = chunk.program
            assert set(values) == set(program.hyperparameters)
            job = (program.optimizer, program.batch_size, program.num_epochs, chunk.dtype)
            found[point] = (*job, *values.items())
    assert len(set(found.values())) == grid.points


def test_the_optimizers_are_those_of_the_chapter_that_train_with_the_books_hyperparameters():
    assert list(OPTIMIZERS) == [name for name, one in CHAPTER.items() if one.step]
    for name, axes in OPTIMIZERS.items():
        program = next(one for one in PROGRAMS.values() if (one.optimizer, one.loop) == (name, "scratch"))
        assert len(axes) == len(program.hyperparameters)


def test_what_is_stated_twice_is_equal():
    assert JOBS["book"].rows == airfoil.ROWS
    assert set(JOBS) == set(DEFAULTS) == set(pages.JOBS) == set(work.TRAINERS)
    assert all(set(JOBS) == set(profile) for profile in PROFILES.values())
    assert all(
        grid.job == name for profile in (DEFAULTS, *PROFILES.values()) for name, grid in profile.items()
    )
    assert (*AXES,) == (*records.AXES,)
    assert module.SETTINGS == verdicts.SETTINGS
    assert set(module.SHARED) == {"optimizer", *verdicts.CONDITIONS}


@pytest.mark.parametrize(
    ("axis", "text", "values"),
    [
        ("lr", "0.1", (0.1,)),
        ("lr", "1e-4..1:5", (1e-4, 1e-3, 1e-2, 0.1, 1.0)),
        ("lr", "0.01,1e-2..1:3,5", (0.01, 0.1, 1.0, 5.0)),
        ("batch_size", "1,10", (1, 10)),
        ("optimizer", "adam, sgd", ("adam", "sgd")),
    ],
)
def test_values_are_lists_and_ranges(axis, text, values):
    assert values_of(axis, text) == values


@given(st.floats(1e-8, 1e3), st.floats(1.01, 1e6), st.integers(2, 50))
def test_a_range_ascends_from_end_to_end_by_one_factor(low, factor, number):
    low = float(f"{low:.6g}")
    high = float(f"{low * factor:.6g}")
    found = values_of("lr", f"{low!r}..{high!r}:{number}")
    assert (found[0], found[-1]) == (low, high)
    ratios = [after / before for before, after in pairwise(found)]
    if len(found) == number:  # neighbours may be equal to six digits
        assert all(math.isclose(ratio, ratios[0], rel_tol=1e-4) for ratio in ratios)


WRONG = {
    "depth=3": "choose from optimizer, lr, gamma",
    "optimizer=lion": "one of sgd, momentum, adagrad, rmsprop, adadelta, adam",
    "lr=fast": "1e-4..1:9",
    "lr=": "expected numbers or a range",
    "lr=0": "above 0",
    "lr=inf": "above 0",
    "lr=1..0.1:3": "1e-4..1:9",
    "lr=1e-4..1": "1e-4..1:9",
    "lr=1e-4..1:1": "1e-4..1:9",
    "lr=1e-4..1:9999999999": "1e-4..1:9",
    "gamma=1": "from 0 to below 1",
    "gamma=nan": "from 0 to below 1",
    "eps=-1e-9": "0 or above",
    "momentum=1.5": "from 0 to below 1",
    "batch_size=0": "from 1 to 1,500",
    "batch_size=2.5": "whole numbers",
    "batch_size=1501": "from 1 to 1,500",
    "epochs=0": "from 1 to",
    "dtype=float16": "float32, float64",
}


@pytest.mark.parametrize("word", WRONG)
def test_a_wrong_value_names_what_is_expected(word):
    axis, _, text = word.partition("=")
    with pytest.raises(UserError) as refused:
        Grid(**{axis: values_of(axis, text)})
    assert WRONG[word] in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_profiles_are_as_large_as_they_are_said_to_be():
    assert PROFILES["smoke"]["book"].trainings == 12_032
    assert PROFILES["smoke"]["digits"].trainings == 360
    assert PROFILES["map"]["book"].trainings == 1_423_104
    assert PROFILES["map"]["digits"].trainings == 10_464


def test_a_batch_has_at_most_the_rows_of_its_job():
    assert Grid(batch_size=(1797,), job="digits").points == 1
    with pytest.raises(UserError, match=r"batch_size=1797: expected a whole number from 1 to 1,500"):
        Grid(batch_size=(10, 1797))
