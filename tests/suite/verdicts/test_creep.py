import math

import numpy as np
import pytest

from rmsprop.suite.records.gate import Policy
from rmsprop.suite.verdicts.creep import creep

POLICY = Policy()


def commits(rng, number, change, launches=6, sd=0.012):
    return [rng.normal(math.log1p(change), sd, launches) for _ in range(number)]


def test_24_commits_of_one_percent_are_a_creep_of_27_percent(rng):
    found = creep(commits(rng, 24, 0.01), POLICY)
    assert found is not None
    assert found.low < 1.01**24 - 1 < found.high or found.first > 0
    assert found.change > 0.1
    assert found.p_value < 1e-6


def test_one_percent_each_is_found_long_before_the_24th_commit(rng):
    first = [
        next(n for n in range(2, 25) if creep(history[:n], POLICY))
        for history in (commits(rng, 24, 0.01) for _ in range(20))
    ]
    assert max(first) <= 12


def test_no_change_is_a_creep_in_at_most_a_hundredth_of_histories(rng):
    found = sum(creep(commits(rng, 24, 0.0), POLICY) is not None for _ in range(500))
    assert found <= 500 * POLICY.alpha


def test_what_was_won_back_is_no_creep(rng):
    assert creep([*commits(rng, 12, 0.01), *commits(rng, 1, -0.13), *commits(rng, 2, 0.0)], POLICY) is None


def test_a_step_of_one_commit_is_in_the_window_that_begins_there(rng):
    found = creep([*commits(rng, 10, 0.0), *commits(rng, 1, 0.2), *commits(rng, 3, 0.0)], POLICY)
    assert found is not None
    assert found.first <= 10
    assert found.change == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("ratios", [[], [np.array([0.5, 0.5, 0.6])], [np.array([]), np.array([0.1, 0.2])]])
def test_too_little_says_nothing(ratios):
    assert creep(ratios, POLICY) is None
