"""The statistics of one look, beside plain formulas."""

import numpy as np
import pytest
from scipy import linalg, special

from rmsprop.suite.verdicts import looks
from rmsprop.suite.verdicts.looks import AFTER, BEFORE, clearest


@pytest.mark.parametrize("phi", [0.0, 0.4, 0.97])
@pytest.mark.parametrize("n", [13, 60])
def test_sizes_speak_by_generalised_least_squares_under_ar_1(monkeypatch, phi, n):
    monkeypatch.setattr(looks, "CAUTION_OF_SIZES", 0.0)
    values = np.random.default_rng(n).standard_normal(n)
    values[n // 2 :] += 2
    after = np.arange(n - BEFORE, AFTER - 1, -1)
    deviates = looks._by_size(values[None], after, np.array([phi]))[0]
    inverse = linalg.inv(linalg.toeplitz(phi ** np.arange(n)))
    for k, deviate in zip(after, deviates, strict=True):
        design = np.stack([np.ones(n), np.arange(n) >= n - k], axis=1).astype(float)
        covariance = linalg.inv(design.T @ inverse @ design)
        fitted = covariance @ design.T @ inverse @ values
        rest = values - design @ fitted
        t = fitted[1] / np.sqrt(covariance[1, 1] * (rest @ inverse @ rest) / (n - 2))
        assert special.ndtr(-deviate) == pytest.approx(special.stdtr(n - 2, -abs(t)), rel=1e-6)


def test_a_sudden_change_is_clear_after_three_points_though_a_smaller_one_lies_before_it():
    rng = np.random.default_rng(2)
    logs = 0.005 * rng.standard_normal(21)
    logs[:9] -= 0.025
    logs[18:] += 0.12
    [split], [p_value], _ = clearest(logs[None])
    assert (split, p_value < 1e-3) == (18, True)
