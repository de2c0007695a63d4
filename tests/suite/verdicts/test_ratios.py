"""A speed-up says how sure it is."""

import numpy as np
import pytest

from rmsprop.suite.verdicts.ratios import WIDE, SpeedUp, speed_up

NARROW = 2.0 * (1 + WIDE) * 0.999
BROAD = 2.0 * (1 + WIDE) * 1.001


def test_an_interval_that_reaches_further_than_the_limit_gives_a_warning_with_what_to_do():
    assert SpeedUp(2.0, (4 / NARROW, NARROW)).warning is None
    words = SpeedUp(2.0, (4 / BROAD, BROAD)).warning
    assert words is not None
    assert words.startswith("wide: the 95% interval of the speed-up 2 is 1.67 to 2.4; measure again")


@pytest.mark.parametrize("times", [True, False])
def test_the_interval_decides_and_without_one_the_warnings_of_the_times(times):
    assert SpeedUp(2.0, (4 / NARROW, NARROW)).is_trusted(times=times)
    assert not SpeedUp(2.0, (4 / BROAD, BROAD)).is_trusted(times=times)
    assert SpeedUp(2.0, None).is_trusted(times=times) == times


def test_what_slows_both_in_turns_gives_no_warning_and_what_slows_one_does():
    host = np.repeat([1.0, 2.0, 1.3], 4)  # each process as fast as the machine was
    assert speed_up(3e-3 * host, 1e-3 * host, processes=3).warning is None
    found = speed_up(np.full(12, 3e-3), 1e-3 * host, processes=3)
    assert found.reach > WIDE
    assert found.warning
