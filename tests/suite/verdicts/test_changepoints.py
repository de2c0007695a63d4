"""The step detector: finds steps, keeps silent otherwise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmsprop.suite.verdicts.changepoints import SHORTEST, find_steps
from studies.changepoints import NULLS, Setting, draw, find, score


def white(n, sd=0.02, seed=0):
    return np.exp(sd * np.random.default_rng(seed).standard_normal(n))


def stepped(n, at, ratio, sd=0.02, seed=0):
    values = white(n, sd, seed)
    values[at:] *= ratio
    return values


def test_a_step_is_found_where_it_is_with_its_size_and_its_interval():
    [step] = find_steps(stepped(100, 60, 1.1))
    assert step.index == 60
    assert step.low < 1.1 < step.high
    assert step.low < step.ratio < step.high
    assert step.p_value < 1e-6


def test_a_step_down_is_found_alike():
    [up] = find_steps(stepped(100, 60, 1.1))
    [down] = find_steps(1 / stepped(100, 60, 1.1))
    assert down.index == up.index
    assert down.ratio == pytest.approx(1 / up.ratio)
    assert (down.low, down.high) == pytest.approx((1 / up.high, 1 / up.low))
    assert down.p_value == pytest.approx(up.p_value)


def test_steps_up_and_back_down_are_both_found_in_order():
    values = white(120)
    values[40:80] *= 1.1
    first, second = find_steps(values)
    assert (first.index, second.index) == (40, 80)
    assert first.ratio > 1 > second.ratio


@pytest.mark.parametrize("noise", NULLS)
def test_no_kind_of_noise_raises_more_than_two_false_alarms_in_1000_points(noise):
    # The study counts ten times as many points; here a broken correction must show (none: 10 to 60).
    cell = score("", find, Setting("null", noise, sd=0.04), 150, seeds=3)
    assert cell.false_slower <= 2 * 15
    assert cell.false_faster <= 2 * 15


def test_nine_in_ten_5_percent_steps_are_found_three_points_after_at_sd_2_percent():
    cell = score("", find, Setting("step", "white", step=0.05, after=3), 300, seeds=3)
    assert 0.84 <= cell.found / cell.steps <= 0.95


def test_the_interval_covers_the_true_ratio_in_19_of_20_found_steps():
    covered = []
    for seed in range(200):
        values, [(at, _)] = draw(
            Setting("step", "AR(1) 0.3", step=0.1, after=30), np.random.default_rng([4, seed])
        )
        covered += [step.low <= 1.1 <= step.high for step in find_steps(values) if abs(step.index - at) < 3]
    assert len(covered) > 150
    assert np.mean(covered) > 0.9


def test_one_or_two_outliers_are_no_step():
    values = white(100)
    values[[50, 98, 99]] *= 3
    assert find_steps(values) == ()


def test_what_is_smaller_than_the_smallest_step_is_not_named():
    values = stepped(100, 50, 1.01, sd=0.001)
    assert find_steps(values) == ()
    assert len(find_steps(values, smallest=0.005)) == 1


def test_fewer_false_alarms_can_be_asked_for():
    values = stepped(100, 97, 1.05, seed=2)
    assert len(find_steps(values)) == 1
    assert find_steps(values, false_alarms=1e-3) == ()


def test_a_constant_series_has_no_step_and_a_constant_one_that_jumps_has_one():
    assert find_steps(np.ones(50)) == ()
    values = np.ones(50)
    values[47:] = 2
    [step] = find_steps(values)
    assert (step.index, step.ratio, step.low, step.high) == (47, 2, 2, 2)


@pytest.mark.parametrize("n", [0, 1, SHORTEST - 1])
def test_a_series_that_is_too_short_has_no_step(n):
    assert find_steps(stepped(n, n // 2, 10)) == ()


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_value_that_is_no_measurement_is_refused(bad):
    with pytest.raises(ValueError, match="positive finite"):
        find_steps([1.0] * 20 + [bad])


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.floats(1e-9, 1e9), max_size=60),
    scale=st.floats(1e-3, 1e3),
)
def test_steps_lie_inside_the_series_in_order_and_do_not_depend_on_the_unit(values, scale):
    steps = find_steps(values)
    places = [step.index for step in steps]
    assert places == sorted(set(places))
    assert all(0 < place < len(values) for place in places)
    assert all(step.low <= step.ratio <= step.high and 0 <= step.p_value <= 1 for step in steps)
    # A power of two changes no rank by rounding.
    again = find_steps([value * 2.0 ** round(np.log2(scale)) for value in values])
    assert [step.index for step in again] == places


def test_the_detector_draws_nothing_at_random():
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global one, on purpose)
    values = stepped(100, 60, 1.1)
    assert find_steps(values) == find_steps(values)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
