"""A sweep trains the book's programs, and a training's bits depend on its setting and its seed alone."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.ensemble import ensemble
from rmsprop.book.programs import PROGRAMS
from rmsprop.suite.sweep.grid import OPTIMIZERS
from rmsprop.suite.sweep.train import LANES, Setting, train

SCRATCH = [one for one in PROGRAMS.values() if one.loop == "scratch" and one.batch_size > 1]
RMSPROP = PROGRAMS["rmsprop-scratch"]
ROWS = load_airfoil("surrogate")


def trained(program, given, seeds, dtype=torch.float32, target=0.25):
    return train(program, given, *ROWS.to("cpu", dtype), seeds, target=target)


def of(program):
    return {name: (value,) for name, value in program.hyperparameters.items()}


@pytest.mark.parametrize("program", SCRATCH, ids=lambda program: program.name)
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-13), (torch.float32, 2e-6)], ids=["double", "single"]
)
def test_the_losses_are_those_of_the_ensemble(program, dtype, tolerance):
    seeds = range(5, 25)
    ends = trained(program, of(program), seeds, dtype)
    expected = ensemble(program, *ROWS.to("cpu", dtype), seeds).losses.numpy()
    np.testing.assert_allclose(ends.loss[0], expected[-1], rtol=tolerance)
    np.testing.assert_array_equal(ends.diverged[0], ~(expected[-1] < expected[0]))
    reached = np.where((expected <= 0.25).any(0), 100 * (expected <= 0.25).argmax(0), -1)
    if program.batch_size == 10:
        np.testing.assert_array_equal(ends.rows[0], reached)


def test_a_batch_that_divides_nothing_has_a_shorter_last_one_as_the_books_has():
    program = replace(RMSPROP, batch_size=64)
    x, y = ROWS.to("cpu", torch.float64)
    expected = ensemble(program, x, y, range(4))
    w = torch.cat([expected.weight, expected.bias[:, None]], 1)
    residual = torch.cat([x, x.new_ones(1500, 1)], 1) @ w.T - y[:, None]
    ends = trained(program, of(program), range(4), torch.float64)
    np.testing.assert_allclose(ends.loss[0], residual.square().mean(0).numpy() / 2, rtol=1e-12)


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(st.data(), st.sampled_from(sorted(OPTIMIZERS)))
def test_bits_do_not_depend_on_what_trains_beside(data, name):
    program = replace(next(one for one in SCRATCH if one.optimizer == name), num_epochs=1, batch_size=100)
    number, seeds = 40, list(range(LANES + 30))
    given_ = {
        axis: tuple(value * (0.9 + 0.002 * i) for i in range(number))
        for axis, value in program.hyperparameters.items()
    }
    whole = trained(program, given_, seeds)
    first = data.draw(st.integers(0, number - 1))
    last = data.draw(st.integers(first + 1, number))
    picked = data.draw(st.lists(st.sampled_from(seeds), min_size=1, max_size=140, unique=True))
    part = trained(program, {axis: values[first:last] for axis, values in given_.items()}, picked)
    for one, other in ((part.loss, whole.loss), (part.rows, whole.rows), (part.diverged, whole.diverged)):
        assert one.tobytes() == np.ascontiguousarray(other[first:last, picked]).tobytes()


def test_bits_do_not_depend_on_torchs_threads():
    found = []
    before = torch.get_num_threads()
    for threads in (1, 4):
        torch.set_num_threads(threads)
        found.append(trained(RMSPROP, of(RMSPROP), range(130)).loss.tobytes())
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_a_training_that_diverges_is_told_and_spoils_no_other():
    program = replace(PROGRAMS["sgd-scratch"], num_epochs=1)
    ends = trained(program, {"lr": (0.05, 1e30, 5.0)}, range(3))
    assert ends.diverged.tolist() == [[False] * 3, [True] * 3, [True] * 3]
    assert not np.isfinite(ends.loss[1]).any()
    assert (ends.rows[1:] == -1).all()
    assert ends.loss[0].tobytes() == trained(program, {"lr": (0.05,)}, range(3)).loss[0].tobytes()


def test_a_target_that_the_start_has_is_reached_at_once():
    ends = trained(replace(RMSPROP, num_epochs=1), of(RMSPROP), range(2), target=1e9)
    assert (ends.rows == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_setting_acts_beside_a_tensor_as_a_float_does(dtype):
    tensor = torch.rand(6, 1, 8, dtype=dtype) + 0.5
    for value in (0.9, 0.999, 1e-6, 3.0):
        one = Setting([value])
        assert torch.equal(one * tensor, value * tensor)
        assert torch.equal(tensor + one, tensor + value)
        assert torch.equal(tensor / one, tensor / value)
        assert torch.equal((1 - one) * tensor, (1 - value) * tensor)
        assert torch.equal(tensor / (1 - one**3), tensor / (1 - value**3))
