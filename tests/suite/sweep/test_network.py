"""The digits by torch.func have the losses of one training at a time, and bits of their own alone."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from rmsprop.book.chapter import OPTIMIZERS as CHAPTER
from rmsprop.book.ensemble import one_thread
from rmsprop.suite.measure.digits import load_digits, train_digits
from rmsprop.suite.sweep.grid import OPTIMIZERS, Group
from rmsprop.suite.sweep.network import TILE, train

pytest.importorskip("sklearn")
PROGRAMS = {name: Group(name, 200, 2, "float32", 0, ()).program for name in OPTIMIZERS}
RMSPROP = PROGRAMS["rmsprop"]


@pytest.fixture(scope="module")
def rows():
    return load_digits()


def trained(rows, program, settings, seeds, dtype=torch.float32, target=0.5):
    return train(program, settings, rows.features.to(dtype), rows.labels, seeds, target=target)


def of(program, factor=1.0):
    values = program.hyperparameters.items()
    return {name: (value, value * factor) if name == "lr" else (value, value) for name, value in values}


class Scratch:
    """The chapter's step from scratch as what has `.step()`."""

    def __init__(self, params, name, hyperparameters):
        self.step = CHAPTER[name].from_scratch(params, hyperparameters)


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 5e-6)], ids=["double", "single"]
)
def test_the_losses_are_those_of_one_training_at_a_time(rows, name, dtype, tolerance):
    program, seeds = PROGRAMS[name], range(4, 7)
    settings = of(program, 0.5)
    ends = trained(rows, program, settings, seeds, dtype)
    for number in range(2):
        hyperparameters = {axis: values[number] for axis, values in settings.items()}
        with one_thread():
            runs = [
                train_digits(
                    partial(Scratch, name=name, hyperparameters=hyperparameters),
                    rows, "cpu", dtype, seed=seed, batch_size=200, epochs=2,
                )
                for seed in seeds
            ]  # fmt: skip
        losses = np.array([run.losses for run in runs])
        np.testing.assert_allclose(ends.loss[number], losses[:, -1], rtol=tolerance)
        np.testing.assert_array_equal(ends.diverged[number], losses[:, -1] >= losses[:, 0])
        below = losses <= 0.5
        reached = np.where(below.any(1), 1797 * below.argmax(1), -1)
        np.testing.assert_array_equal(ends.rows[number], reached)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_bits_do_not_depend_on_what_trains_beside(rows, dtype):
    program = replace(RMSPROP, num_epochs=1)
    settings = {"lr": tuple(0.002 * i for i in range(1, 7)), "gamma": (0.9,) * 6, "eps": (1e-6,) * 6}
    whole = trained(
        rows, program, settings, range(TILE // 3), dtype
    )  # more than one tile, the last one padded
    for first, last, seeds in ((0, 1, [20]), (2, 5, [3, 0, 7, 19]), (5, 6, range(10))):
        cut = {name: values[first:last] for name, values in settings.items()}
        part = trained(rows, program, cut, seeds, dtype)
        for one, other in ((part.loss, whole.loss), (part.rows, whole.rows), (part.diverged, whole.diverged)):
            assert one.tobytes() == np.ascontiguousarray(other[first:last, list(seeds)]).tobytes()


def test_bits_do_not_depend_on_torchs_threads(rows):
    found = []
    before = torch.get_num_threads()
    for threads in (1, 4):
        torch.set_num_threads(threads)
        found.append(trained(rows, replace(RMSPROP, num_epochs=1), of(RMSPROP), range(3)).loss.tobytes())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_a_training_that_diverges_is_told_and_spoils_no_other(rows):
    program = replace(PROGRAMS["sgd"], num_epochs=1)
    ends = trained(rows, program, {"lr": (0.05, 1e30, 50.0)}, range(3))
    assert ends.diverged.tolist() == [[False] * 3, [True] * 3, [True] * 3]
    assert (ends.rows[1:] == -1).all()
    assert ends.loss[0].tobytes() == trained(rows, program, {"lr": (0.05,)}, range(3)).loss[0].tobytes()


def test_a_target_that_the_start_has_is_reached_at_once(rows):
    ends = trained(rows, replace(RMSPROP, num_epochs=1), of(RMSPROP), range(2), target=1e9)
    assert (ends.rows == 0).all()
