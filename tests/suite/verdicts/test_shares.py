"""The interval of a share is the exact one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from rmsprop.suite.verdicts.shares import exact_interval


@given(st.integers(1, 100_000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_it_is_scipys_which_searches_for_it(counted):
    count, of = counted
    found = stats.binomtest(count, of).proportion_ci(0.95, method="exact")
    assert exact_interval(count, of) == pytest.approx((found.low, found.high), rel=1e-9, abs=1e-12)


def test_no_trial_says_nothing():
    assert exact_interval(0, 0) == (0.0, 1.0)
