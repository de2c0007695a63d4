"""The surrogate's rows have the real rows' moments, so a linear model cannot tell them apart."""

import hashlib
import math
import random
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.surrogate import FACTOR, surrogate_rows

FLOOR, AT_ZERO = 0.241688, 0.493259
"""Half the mean squared error of least squares and of zero weights on the real rows."""


def with_ones(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.column_stack([np.ones(len(rows)), rows])


def moments(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Single products and exactly rounded sums: the same bits with every BLAS and processor."""
    columns = with_ones(rows).T
    return np.array([[math.fsum(a * b) / len(rows) for b in columns] for a in columns])


def cholesky(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The lower factor, without LAPACK, whose last bits differ between processors."""
    factor = np.zeros_like(matrix)
    for i in range(len(matrix)):
        for j in range(i + 1):
            rest = math.fsum([matrix[i, j], *(-factor[i, :j] * factor[j, :j])])
            factor[i, j] = math.sqrt(rest) if i == j else rest / factor[j, j]
    return factor


def half_mse(rows: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    return float(np.mean((with_ones(rows[:, :-1]) @ weights - rows[:, -1]) ** 2) / 2)


@pytest.fixture(scope="module")
def real_rows(real_data: Path) -> npt.NDArray[np.float64]:
    airfoil = load_airfoil(real_data)
    return np.column_stack([airfoil.features.numpy(), airfoil.labels.numpy()])


def test_the_factor_is_made_again_from_the_real_rows(real_rows):
    factor = cholesky(moments(real_rows))
    for made, printed in zip(factor, FACTOR, strict=True):
        np.testing.assert_allclose(made[: len(printed)], printed, rtol=0, atol=1e-14)


def test_the_moments_are_those_of_the_factor():
    factor = np.array([(*row, *[0.0] * (7 - len(row))) for row in FACTOR])
    product = np.array([[math.fsum(a * b) for b in factor] for a in factor])
    np.testing.assert_allclose(moments(surrogate_rows()), product, rtol=0, atol=2e-15)


def test_the_moments_are_those_of_the_real_rows(real_rows):
    """FACTOR was made by a BLAS, which sums 1500 products in an order of its own: up to
    1500 · 2⁻⁵³ · mean |a b| from the exact moment, and no mean |a b| is above 1.01 here. (With exact sums on
    both sides the largest difference is 3.3e-15. A BLAS on both sides hid it where both erred alike.)
    """
    np.testing.assert_allclose(
        moments(surrogate_rows()), moments(real_rows), rtol=0, atol=1500 * 2**-53 * 1.01
    )


def test_the_loss_is_that_of_the_real_rows_at_any_weights(real_rows):
    """1e-12: six products and a mean of 1500 squares in any order lose less than 1e-13 of it."""
    rows = surrogate_rows()
    for weights in np.random.default_rng(0).normal(size=(100, 6)):
        assert half_mse(rows, weights) == pytest.approx(half_mse(real_rows, weights), rel=1e-12, abs=0)


@pytest.mark.parametrize("source", ["surrogate", "real"])
def test_the_loss_at_zero_weights_and_its_floor_are_the_recorded_ones(source, request):
    rows = surrogate_rows() if source == "surrogate" else request.getfixturevalue("real_rows")
    best = np.linalg.lstsq(with_ones(rows[:, :-1]), rows[:, -1], rcond=None)[0]
    assert half_mse(rows, best) == pytest.approx(FLOOR, abs=1e-6)
    assert half_mse(rows, np.zeros(6)) == pytest.approx(AT_ZERO, abs=1e-6)


def test_the_bits_are_the_same_everywhere():
    digest = hashlib.sha256(surrogate_rows().astype("<f8").tobytes()).hexdigest()
    assert digest == "55f3e7188d5a068df9ec7229223f1ab9f15680eb222cd62addc9bd24ac78483d"


def test_the_global_random_state_is_left_as_it_was():
    np.random.seed(3)  # noqa: NPY002 (the global state is what is tested)
    before = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state())  # noqa: NPY002
    surrogate_rows()
    after = (random.getstate(), np.random.get_state()[1].tobytes(), torch.get_rng_state())  # noqa: NPY002
    assert before[:2] == after[:2]
    assert torch.equal(before[2], after[2])
