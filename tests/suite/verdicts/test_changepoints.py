"""The step detector: finds steps, keeps silent otherwise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmsprop.suite.verdicts.changepoints import find_change_points, find_in_each
from rmsprop.suite.verdicts.looks import SHORTEST
from studies.changepoint_series import MODES, NULLS, UNEVEN, SeriesSetting, draw, noise, staircase, young
from studies.changepoints import find, score
from studies.delays import null


def white(n, sd=0.02, seed=0):
    return np.exp(sd * np.random.default_rng(seed).standard_normal(n))


def stepped(n, at, ratio, sd=0.02, seed=0):
    values = white(n, sd, seed)
    values[at:] *= ratio
    return values


def test_a_step_is_found_where_it_is_with_its_size_and_its_interval():
    [step] = find_change_points(stepped(100, 60, 1.1))
    assert step.index == 60
    assert step.low < 1.1 < step.high
    assert step.low < step.ratio < step.high
    assert step.p_value < 1e-6


def test_a_step_down_is_found_alike():
    [up] = find_change_points(stepped(100, 60, 1.1))
    [down] = find_change_points(1 / stepped(100, 60, 1.1))
    assert down.index == up.index
    assert down.ratio == pytest.approx(1 / up.ratio)
    assert (down.low, down.high) == pytest.approx((1 / up.high, 1 / up.low))
    assert down.p_value == pytest.approx(up.p_value)


def test_steps_up_and_back_down_are_both_found_in_order():
    values = white(120)
    values[40:80] *= 1.1
    first, second = find_change_points(values)
    assert (first.index, second.index) == (40, 80)
    assert first.ratio > 1 > second.ratio


STICKY = [kind for kind in MODES if kind.startswith("sticky")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "points"),
    [
        *((kind, 1000) for kind in (*NULLS, *MODES)),
        *((kind, 40) for kind in (*NULLS, *MODES) if kind not in STICKY),
    ],
)
def test_no_kind_of_noise_raises_more_than_one_false_alarm_in_1000_points(kind, points):
    # The study counts four times as many. There, 2623c63, asked after each point, raised 9 to 35 in 1,000.
    count = null("today", kind, 10_000 // points, points, seeds=5)
    assert count.alarms <= count.points / 1000


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["AR(1) 0.9", "changing 4"])
def test_of_two_kinds_of_noise_series_of_200_points_raise_up_to_two_false_alarms_in_1000(kind):
    # One is wanted. The stricter thresholds that were tried, and that bring it, find 41 instead of 43 clear
    # changes of msprime after 8 points (AR(1) 0.9), or fewer steps of 2.5 standard deviations (changing 4).
    count = null("today", kind, 50, 200, seeds=5)
    assert count.alarms <= 2 * count.points / 1000


@pytest.mark.slow
@pytest.mark.parametrize("kind", STICKY)
def test_short_series_that_stay_in_one_of_two_modes_alarm_at_the_first_visit_to_the_second(kind):
    # For all that anybody can know then, it is a change of level: 12 to 14 in 1,000 points. What alarms again
    # would be wrong in any case.
    count = null("today", kind, 250, 40, seeds=5)
    assert count.alarms <= 15 * count.points / 1000
    assert count.again <= count.points / 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sd", "rise", "after", "least"),
    [
        (0.0005, 0.1, 3, 0.95),
        (0.0005, 0.1, 8, 0.98),
        (0.008, 0.05, 3, 0.9),
        (0.008, 0.05, 8, 0.95),
    ],
)
def test_earlier_levels_do_not_hide_a_clear_change(sd, rise, after, least):
    found = 0
    for seed in range(60):
        values, at = staircase(after, sd, rise, np.random.default_rng([5, seed]))
        found += any(
            abs(one.index - at) <= 1 and one.ratio > 1 and not one.known for one in find_change_points(values)
        )
    assert found / 60 >= least


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*NULLS, *MODES, UNEVEN])
def test_a_clear_change_of_a_young_series_is_found_after_three_points(kind):
    delays = []
    for seed in range(60):
        values, at = young(kind, 12, np.random.default_rng([5, seed]))
        seen = [
            one.seen - at
            for one in find_change_points(values)
            if abs(one.index - at) <= 2 and one.ratio > 1 and not one.known
        ]
        delays.append(min(seen, default=np.inf))
    # Before sizes spoke by generalised least squares: 10% (AR(1) 0.6) to 73% after 3 points.
    assert np.mean(np.array(delays) <= 3) >= 0.85
    assert np.mean(np.array(delays) <= 8) >= 0.95


def test_a_change_after_ten_points_is_found_three_points_later():
    values = stepped(13, 10, 1.15, sd=0.01)
    assert [one.index for one in find_change_points(values)] == [10]


def test_a_first_point_that_lies_apart_hides_no_change():
    """Not even one to its own level, at which the series was for one point alone: that is no known level."""
    values = white(18, sd=0.01)
    values[0] *= 3.9
    values[10:] *= 3.9
    [change] = find_change_points(values)
    assert (change.index, change.known) == (10, False)
    assert change.seen == 13


def test_a_change_soon_after_another_one_is_found():
    values = white(43, 0.01)
    values[30:35] *= 1.2
    values[35:] *= 1.5
    assert [(one.index, one.seen) for one in find_change_points(values)] == [(30, 33), (35, 38)]


@pytest.mark.slow
@pytest.mark.parametrize(("after", "least"), [(3, 0.15), (6, 0.75), (12, 0.93)])
def test_5_percent_steps_are_found_at_sd_2_percent(after, least):
    # 2623c63 found 90% after 3 points by one look at the whole series. Each commit is a look now, and at most
    # one false alarm is wanted in 1,000 of them, also where the scatter changes and also if the alarm fades
    # later (a quarter was found after 3 points before that was asked). A step of 2.5 standard deviations is
    # no clear one.
    cell = score("", find, SeriesSetting("step", "white", step=0.05, after=after), 100, seeds=3)
    assert cell.found / cell.steps >= least


def replayed(values):
    """The change points after each point: where, in which direction, since when known, and whether faded."""
    for end in range(SHORTEST, len(values) + 1):
        yield {
            one.index: (one.slower, one.seen, one.known, one.faded)
            for one in find_change_points(values[:end])
        }


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        staircase(12, 0.005, 0.1, np.random.default_rng(1))[0],
        *(
            np.exp(0.04 * noise(family, 250, np.random.default_rng([8, seed])))
            for family in ("sticky 0.95", "changing 4", "AR(1) 0.9", "bimodal 0.1")
            for seed in range(2)
        ),
    ],
    ids=lambda values: str(len(values)),
)
def test_what_was_found_stays_found_at_its_place_and_what_faded_stays_faded(values):
    """As points come in nothing moves, vanishes, turns its direction, or comes back."""
    known = {}
    for found in replayed(values):
        for index, facts in known.items():
            assert found[index][:3] == facts[:3]
            assert facts[3] is None or found[index][3] == facts[3]
        known = found


def test_a_change_of_a_few_points_fades_where_half_of_the_points_since_are_back():
    """Three points make no level that another change could end: the third point back makes it half of six."""
    values = white(60, sd=0.001)
    values[30:33] *= 1.5
    [change] = find_change_points(values[:36])
    assert (change.index, change.slower, change.faded) == (30, True, None)
    [faded] = find_change_points(values)
    assert (faded.index, faded.slower, faded.faded) == (30, True, 37)
    assert faded.ratio == pytest.approx(1.5, rel=0.01)  # as it was told


def test_a_change_says_after_how_many_points_it_was_known():
    values = stepped(100, 60, 1.2)
    [change] = find_change_points(values)
    assert 63 <= change.seen <= 66
    assert find_change_points(values[: change.seen - 1]) == ()
    assert len(find_change_points(values[: change.seen])) == 1


def test_only_the_first_visit_to_a_mode_of_the_noise_alarms():
    """A hosted runner is one of two machines for days: 97% of the commits meet the same as the one before."""
    rng = np.random.default_rng(3)
    lower = np.cumsum(rng.random(1000) > 0.97) % 2 == 0
    values = np.exp(0.005 * rng.standard_normal(1000)) * np.where(lower, 1.0, 1.1)
    switches = np.count_nonzero(np.diff(lower.astype(int)))
    assert switches > 20
    found = find_change_points(values)
    assert len(found) > 10
    assert sum(not one.known for one in found) <= 1


@pytest.mark.parametrize("seed", [14, 23])
def test_modes_that_stay_alarm_once(seed):
    # In each of these a mode that had been met was not known again, by three points that missed its level.
    values = np.exp(0.04 * noise("sticky 0.97", 1000, np.random.default_rng([12, seed])))
    assert sum(not one.known for one in find_change_points(values)) <= 1


def test_a_change_that_is_undone_ends_at_a_known_level():
    values = white(90)
    values[30:60] *= 1.3
    first, second = find_change_points(values)
    assert (first.known, second.known) == (False, True)


def test_a_level_that_nothing_was_at_is_not_known_however_long_the_history():
    values = stepped(400, 390, 1.15)
    assert [one.known for one in find_change_points(values)] == [False]


@pytest.mark.slow
def test_the_interval_covers_the_true_ratio_in_19_of_20_found_steps():
    covered = []
    for seed in range(200):
        values, [(at, _)] = draw(
            SeriesSetting("step", "AR(1) 0.3", step=0.1, after=30), np.random.default_rng([4, seed])
        )
        covered += [
            step.low <= 1.1 <= step.high for step in find_change_points(values) if abs(step.index - at) < 3
        ]
    assert len(covered) > 150
    assert np.mean(covered) > 0.9


def test_one_or_two_outliers_are_no_step():
    values = white(100)
    values[[50, 98, 99]] *= 3
    assert find_change_points(values) == ()


def test_what_is_smaller_than_the_smallest_step_is_not_named():
    values = stepped(100, 50, 1.01, sd=0.001)
    assert find_change_points(values) == ()
    assert len(find_change_points(values, smallest=0.005)) == 1


def test_fewer_false_alarms_can_be_asked_for():
    values = stepped(100, 94, 1.05, seed=2)
    assert len(find_change_points(values)) == 1
    assert find_change_points(values, significant=1e-9) == ()


def test_a_constant_series_has_no_step_and_a_constant_one_that_jumps_has_one():
    assert find_change_points(np.ones(50)) == ()
    values = np.ones(50)
    values[47:] = 2
    [step] = find_change_points(values)
    assert (step.index, step.ratio, step.low, step.high) == (47, 2, 2, 2)


@pytest.mark.parametrize("n", [0, 1, SHORTEST - 1])
def test_a_series_that_is_too_short_has_no_step(n):
    assert find_change_points(stepped(n, n // 2, 10)) == ()


@pytest.mark.parametrize("bad", [0.0, -1.0, float("nan"), float("inf")])
def test_a_value_that_is_no_measurement_is_refused(bad):
    with pytest.raises(ValueError, match="positive finite"):
        find_change_points([1.0] * 20 + [bad])


@settings(deadline=None, max_examples=60)
@given(
    values=st.lists(st.floats(1e-9, 1e9), max_size=60),
    scale=st.floats(1e-3, 1e3),
)
def test_steps_lie_inside_the_series_in_order_and_do_not_depend_on_the_unit(values, scale):
    steps = find_change_points(values)
    places = [step.index for step in steps]
    assert places == sorted(set(places))
    assert all(0 < place < len(values) for place in places)
    assert all(step.low <= step.ratio <= step.high and 0 <= step.p_value <= 1 for step in steps)
    # A power of two changes no rank by rounding.
    again = find_change_points([value * 2.0 ** round(np.log2(scale)) for value in values])
    assert [step.index for step in again] == places


def test_the_detector_draws_nothing_at_random():
    state = np.random.get_state()[1].copy()  # noqa: NPY002 (the global one, on purpose)
    values = stepped(100, 60, 1.1)
    assert find_change_points(values) == find_change_points(values)
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002


def test_series_that_are_searched_together_have_the_change_points_that_each_has_alone():
    rng = np.random.default_rng(7)
    logs = [0.02 * rng.standard_normal(length) for length in (0, 5, 11, 40, 200, 200, 90)]
    for row in logs[3:]:
        for at in range(17, row.size, 25):
            row[at:] += rng.uniform(-0.1, 0.1)
    series = [np.exp(row) for row in logs]
    alone = [find_change_points(values) for values in series]
    assert sum(map(len, alone)) > 10
    assert find_in_each(series) == alone
    assert find_in_each([]) == []
