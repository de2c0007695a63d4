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
    assert words.startswith("wide: the 95% interval of the speed-up 2.00 is 1.60 to 2.50; measure again")


@pytest.mark.parametrize(
    ("warnings", "narrow", "without"),
    [
        ((None, ""), True, True),
        (("", "unstable: a; measure again; busy: b"), True, False),
        (("stolen: a; b", "clock: c"), True, False),
        (("", "timer: too coarse; choose another clock"), False, False),
        (("few: 1 samples; choose a longer profile", None), False, False),
    ],
)
def test_the_interval_decides_but_of_few_samples_or_a_coarse_timer(warnings, narrow, without):
    assert SpeedUp(2.0, (4 / NARROW, NARROW)).is_trusted(*warnings) == narrow
    assert not SpeedUp(2.0, (4 / BROAD, BROAD)).is_trusted(*warnings)
    assert SpeedUp(2.0, None).is_trusted(*warnings) == without


@pytest.mark.parametrize("zero", [0, 1])
def test_a_process_in_which_the_timer_saw_nothing_pass_leaves_a_ratio_without_an_interval(zero):
    times = [[2.0] * 9, [1.0] * 9]
    times[zero][:3] = [0.0] * 3
    found = speed_up(*times, processes=3)
    assert (found.ratio, found.interval, found.warning) == (2.0, None, None)


def test_what_slows_both_in_turns_gives_no_warning_and_what_slows_one_does():
    host = np.repeat([1.0, 2.0, 1.3], 4)  # each process as fast as the machine was
    assert speed_up(3e-3 * host, 1e-3 * host, processes=3).warning is None
    found = speed_up(np.full(12, 3e-3), 1e-3 * host, processes=3)
    assert found.reach > WIDE
    assert found.warning
