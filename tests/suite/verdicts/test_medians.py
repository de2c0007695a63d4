import numpy as np
import pytest
from scipy import stats

from rmsprop.suite.verdicts.medians import median_interval


@pytest.mark.parametrize("confidence", [0.95, 0.975])
@pytest.mark.parametrize("number", [*range(1, 12), 25, 60])
@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_the_interval_is_scipys_with_ties_and_few_samples(number, confidence, decimals):
    samples = np.random.default_rng(number).normal(size=number).round(decimals)
    expected = stats.quantile_test(samples, p=0.5).confidence_interval(confidence)
    found = median_interval(samples, confidence)
    if found is None:
        assert np.isnan([expected.low, expected.high]).all()
    else:
        assert found == (expected.low, expected.high)


def test_it_takes_six_samples_for_95_percent_and_seven_for_97_5():
    numbers = range(10)
    known = {c: [n for n in numbers if median_interval(np.arange(n), c)] for c in (0.95, 0.975)}
    assert known == {0.95: [6, 7, 8, 9], 0.975: [7, 8, 9]}


def test_it_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(20261127)
    draws = rng.exponential(size=(4_000, 15))
    intervals = [median_interval(draw) for draw in draws]
    covered = np.mean([low <= np.log(2) <= high for low, high in intervals])
    exact = 1 - 2 * stats.binom.cdf(3, 15, 0.5)
    assert covered == pytest.approx(exact, abs=3 * np.sqrt(exact * (1 - exact) / 4_000))
    assert exact > 0.95
