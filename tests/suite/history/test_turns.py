"""What became of a change: it was undone, it came back, or nobody measures the series any more."""

import numpy as np
import pytest

from rmsprop.suite.history.alerts import alerts_of
from rmsprop.suite.history.reading import read_history
from rmsprop.suite.history.series import History, Series
from tests.suite.history.conftest import foreign

COMMITS = [f"{i:08x}" * 5 for i in range(120)]


@pytest.fixture
def alerts_on(tmp_path):
    """The alerts on a series that stays at each of these levels for 20 commits, by direction."""

    def find(*levels, recent=None):
        seconds = [level for level in levels for _ in range(20)]
        foreign(tmp_path, COMMITS[: len(seconds)], seconds)
        return alerts_of(read_history(tmp_path, None), recent)

    return find


def test_a_change_that_was_undone_says_since_when_and_fails_nothing(alerts_on):
    [alert] = alerts_on(1.0, 1.2, 1.0)  # back at a level that is known: no news of its own
    assert (alert.direction, alert.recovered, alert.again) == ("slower", COMMITS[40], None)
    assert alert.since == f"back since {COMMITS[40][:9]}"
    assert not alert.fails


def test_a_change_that_was_undone_and_came_back_stands(alerts_on):
    """The second rise is to a known level, and has no alert of its own."""
    [alert] = alerts_on(1.0, 1.5, 1.0, 1.5)
    assert (alert.first_bad, alert.recovered, alert.again) == (COMMITS[20], None, COMMITS[60])
    assert alert.since == f"again since {COMMITS[60][:9]}"
    assert alert.fails


def test_the_last_turn_of_a_change_counts(alerts_on):
    [alert] = alerts_on(1.0, 1.5, 1.0, 1.5, 1.0)
    assert (alert.recovered, alert.again, alert.fails) == (COMMITS[80], None, False)


def test_a_rise_to_a_known_level_between_is_no_recovery(alerts_on):
    """Of 50% three fifths are there again: the fall to that level was news, the rise to it is none."""
    alerts = {alert.direction: alert for alert in alerts_on(1.0, 1.5, 1.28, 1.0, 1.28)}
    assert (alerts["slower"].recovered, alerts["slower"].again) == (None, COMMITS[80])
    assert alerts["slower"].fails


def test_a_smaller_rise_to_a_new_level_has_its_own_alert(alerts_on):
    alerts = {alert.first_bad: alert for alert in alerts_on(1.0, 2.0, 1.0, 1.2)}
    assert (alerts[COMMITS[20]].fails, alerts[COMMITS[60]].fails) == (False, True)


def test_an_improvement_that_was_lost_fails(alerts_on):
    """It is slower than it was, and the rise to the level before has no alert of its own."""
    [alert] = alerts_on(1.5, 1.0, 1.5)
    assert (alert.direction, alert.since) == ("faster", f"lost since {COMMITS[40][:9]}")
    assert alert.fails


def test_an_improvement_that_was_lost_and_came_back_fails_nothing(alerts_on):
    [alert] = alerts_on(1.5, 1.0, 1.5, 1.0)
    assert (alert.since, alert.fails) == (f"again since {COMMITS[60][:9]}", False)


@pytest.mark.parametrize("levels", [(1.0, 1.5, 1.0, 1.5), (1.5, 1.0, 1.5)])
def test_a_change_that_came_back_or_was_lost_at_a_recent_commit_is_recent(alerts_on, levels):
    assert len(alerts_on(*levels, recent=20)) == 1
    assert alerts_on(*levels, recent=19) == ()


def test_a_series_that_is_no_longer_measured_says_so_and_fails_nothing(tmp_path):
    """Of another version of the benchmark three newer commits are measured."""
    foreign(tmp_path, COMMITS[:43], [1.0] * 20 + [1.5] * 23, versions=["1"] * 40 + ["2"] * 3)
    [alert] = alerts_of(read_history(tmp_path, None))
    assert (alert.ended, alert.fails) == (COMMITS[39], False)
    assert alert.since == f"not measured since {COMMITS[39][:9]}"


def test_a_series_that_two_commits_do_not_have_fails_still(tmp_path):
    """Who measured one benchmark alone at the newest commit has not mended the others."""
    foreign(tmp_path, COMMITS[:42], [1.0] * 20 + [1.5] * 22, versions=["1"] * 40 + ["2"] * 2)
    [alert] = alerts_of(read_history(tmp_path, None))
    assert (alert.ended, alert.fails) == (None, True)


def test_another_machine_that_goes_on_ends_no_series(tmp_path):
    foreign(tmp_path, COMMITS[:40], [1.0] * 20 + [1.5] * 20)
    (tmp_path / "box").rename(tmp_path / "old")
    foreign(tmp_path, COMMITS[:60], [1.0] * 60)
    [alert] = alerts_of(read_history(tmp_path, None))
    assert (alert.series.machine, alert.ended, alert.fails) == ("old", None, True)


@pytest.mark.parametrize(("level", "direction"), [(1.5, "slower"), (0.6, "faster")])
def test_a_change_that_fades_says_since_when_and_fails_nothing(tmp_path, level, direction):
    seconds = [1.0] * 30 + [level] * 3 + [1.0] * 27
    foreign(tmp_path, COMMITS[:60], seconds)
    [alert] = alerts_of(read_history(tmp_path, None))
    assert (alert.direction, alert.first_bad, alert.faded) == (direction, COMMITS[30], COMMITS[36])
    assert alert.since == f"faded since {COMMITS[36][:9]}"
    assert not alert.stands
    assert not alert.fails


def test_a_change_between_modes_whose_ratio_is_one_is_told_like_any_other():
    """Of two values, as of bytes, most are the lower one before the change, and the higher one after it."""
    rng = np.random.default_rng(11)
    before, after = np.where(rng.random(60) < 0.6, 1.0, 1.5), np.where(rng.random(80) < 0.6, 1.5, 1.0)
    after[:10] = 1.5
    values = np.concatenate([before, after, [4.0] * 20])
    commits = tuple(str(place) for place in range(len(values)))
    series = Series("machine", "environment", "case", "", "bytes", "asv", commits, (), values)
    found = {alert.first_bad: alert for alert in alerts_of(History((series,), ()))}
    assert (found["60"].ratio, found["60"].direction, found["60"].stands) == (1.0, "slower", True)
    assert found["140"].stands


def test_a_change_that_faded_and_comes_back_stands_again(tmp_path):
    seconds = [1.0] * 30 + [1.5] * 3 + [1.0] * 27 + [1.5] * 20
    foreign(tmp_path, COMMITS[:80], seconds)
    [alert] = alerts_of(read_history(tmp_path, None))
    assert (alert.faded, alert.again, alert.fails) == (None, COMMITS[60], True)
