"""Each optimizer's best point is chosen on one half of the seeds and told by the other; maps are slices."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmsprop.suite.sweep.summary import point_of, quantile
from rmsprop.suite.verdicts.sweep import SeedShare, best_points, conditions_of, planes, within


def bowl(setting):
    """Lowest at lr 0.1 and, for RMSProp, gamma 0.9."""
    return 0.25 + abs(math.log10(setting["lr"]) + 1) + 0.5 * abs(setting.get("gamma", 0.9) - 0.9)


def test_the_best_of_each_optimizer_is_found_and_the_lowest_comes_first(make_sweep):
    points = make_sweep(lambda setting: bowl(setting) + 0.1 * (setting["optimizer"] == "sgd")).points
    [conditions] = conditions_of(points)
    first, second = best_points(points, conditions)
    assert (first.optimizer, second.optimizer) == ("rmsprop", "sgd")
    assert first.setting == {"lr": 0.1, "gamma": 0.9, "eps": 1e-6}
    assert second.setting == {"lr": 0.1}
    assert (first.among, second.among) == (6, 3)
    assert first.at_edge == second.at_edge == ()
    assert (first.against(second), second.against(first), first.against(first)) == (
        "lower",
        "higher",
        "not told apart",
    )


def test_a_best_point_at_the_end_of_an_axis_says_so(make_sweep):
    points = make_sweep(lambda setting: setting["lr"]).points
    assert {best.at_edge for best in best_points(points, conditions_of(points)[0])} == {("lr",)}


def test_the_half_that_chose_does_not_tell(make_sweep):
    """One point is lucky on the half that chooses: it is chosen, and told by the other half's losses."""
    points = make_sweep(bowl).points
    points.loc[0, "chosen_median"] = np.float32(0.1)
    best = next(one for one in best_points(points, conditions_of(points)[0]) if one.optimizer == "sgd")
    assert (best.point, round(best.chosen_median, 4)) == (0, 0.1)
    assert best.median == pytest.approx(bowl({"lr": 0.01}))


def test_points_are_compared_under_the_same_conditions(make_sweep):
    points = make_sweep(lambda setting: bowl(setting) + setting["batch_size"], batch_size=(1, 10)).points
    assert [one["batch_size"] for one in conditions_of(points)] == [1, 10]
    for one in conditions_of(points):
        assert all(best.median > one["batch_size"] for best in best_points(points, one))


def test_a_map_is_the_plane_through_the_best_point(make_sweep):
    gone = 37
    sweep = make_sweep(bowl, eps=(1e-8, 1e-6), diverged=lambda setting: gone * (setting["lr"] == 1.0))
    best = next(
        b for b in best_points(sweep.points, conditions_of(sweep.points)[0]) if b.optimizer == "rmsprop"
    )
    found = {(plane.x, plane.y): plane for plane in planes(sweep.points, best)}
    assert list(found) == [("lr", "gamma"), ("lr", "eps"), ("gamma", "eps")]
    plane = found["lr", "gamma"]
    assert (plane.xs, plane.ys, plane.at) == ((0.01, 0.1, 1.0), (0.5, 0.9), {"eps": best.setting["eps"]})
    for row, gamma in enumerate(plane.ys):
        for column, lr in enumerate(plane.xs):
            assert plane.grid("loss_median")[row, column] == pytest.approx(bowl({"lr": lr, "gamma": gamma}))
    assert plane.grid("share").tolist() == [[0, 0, gone / 100]] * 2
    assert (
        list(
            planes(sweep.points, best_points(within(sweep.points, {"optimizer": "sgd"}), best.conditions)[0])
        )
        == []
    )


def test_the_interval_of_a_share_is_clopper_and_pearsons():
    """Of 0 in n the upper end is 1 - 0.025^(1/n); the ends of 1 in 10 stand in every table."""
    assert SeedShare(0, 100).interval == pytest.approx((0, 1 - 0.025**0.01))
    assert SeedShare(1, 10).interval == pytest.approx((0.002529, 0.445016), abs=1e-6)
    assert SeedShare(0, 0).interval == (0, 1)


LOSSES = st.lists(st.floats(0, 1e30) | st.sampled_from([math.inf, math.nan]), min_size=1, max_size=60)


@given(LOSSES)
def test_no_summary_is_nan_but_where_there_are_too_few_seeds(losses):
    loss = np.array(losses, dtype=np.float32)
    diverged = ~(loss < 0.5)
    found = point_of(loss, diverged, np.where(diverged, -1, 600), of=1500)
    assert found["seeds"] == len(loss)
    assert found["diverged"] == np.count_nonzero(diverged)
    assert found["reached"] == np.count_nonzero(~diverged)
    assert found["loss_q05"] <= found["loss_median"] <= found["loss_q95"]
    assert found["chosen_seeds"] + found["held_seeds"] == len(loss)
    if found["held_seeds"] >= 6:
        assert found["held_low"] <= found["held_median"] <= found["held_high"]
    assert found["epochs_median"] in (0.4, math.inf)


def test_the_halves_are_the_even_and_the_odd_seeds():
    loss = np.arange(20, dtype=np.float32)
    found = point_of(loss, loss > 15, np.full(20, 150), of=1500)
    assert found["chosen_median"] == 8  # of 0, 2, .., 18 the lower middle one
    assert found["held_median"] == 9
    assert found["held_diverged"] == 2
    assert found["epochs_q95"] == 0.1


def test_a_quantile_is_one_of_the_values_and_infinity_spoils_no_finite_one():
    assert quantile(np.array([3.0, 1.0, math.inf, 2.0]), 0.5) == 2.0
    assert quantile(np.array([3.0, 1.0, math.inf, 2.0]), 1.0) == math.inf
    assert math.isnan(quantile(np.array([]), 0.5))
