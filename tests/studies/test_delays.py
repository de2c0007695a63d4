"""The study of delays: what counts as clear, as found by then, and as an alarm."""

import json
import math

import numpy as np
import pytest

from rmsprop.errors import UserError
from studies import delays
from studies.delays import clear_changes, main, null, public, single_step, stepped


def levels(*runs, sd=0.001):
    logs = np.repeat([level for level, _ in runs], [length for _, length in runs]).astype(float)
    return np.exp(logs + sd * np.random.default_rng(0).standard_normal(logs.size))


def test_clear_changes_are_of_5_percent_and_six_standard_deviations():
    assert list(clear_changes(levels((0, 30), (0.1, 20), (-0.2, 20)))) == [(30, True), (50, False)]
    assert list(clear_changes(levels((0, 30), (0.04, 20)))) == []
    assert list(clear_changes(levels((0, 30), (0.1, 20), sd=0.03))) == []
    assert list(clear_changes(levels((0, 30), (0.1, 2)))) == []


def test_a_change_counts_as_found_only_if_it_was_raised_by_then(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "late", lambda values: [(30, True, 36)])
    count = public("late", "x", [levels((0, 30), (0.1, 20))])
    assert count.changes == 1
    assert count.found == {3: 0, 6: 1, 8: 1, 12: 1}
    assert count.judged == dict.fromkeys((3, 6, 8, 12), 1)


def test_what_has_not_happened_yet_is_not_judged(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "none", lambda values: [])
    assert public("none", "x", [levels((0, 30), (0.1, 7))]).judged == {3: 1, 6: 1, 8: 0, 12: 0}


def test_an_alarm_the_wrong_way_finds_nothing(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "down", lambda values: [(100, False, len(values))])
    assert set(stepped("down", single_step, "x", 2, 1).found.values()) == {0}


def test_all_alarms_without_a_change_are_counted(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "two", lambda values: [(20, True, 30), (40, False, 50)])
    count = null("two", "white", 3, 100, 1)
    assert (count.points, count.alarms, count.slower) == (300, 6, 3)


def test_the_former_detector_asked_after_each_point_says_a_thing_once():
    [(place, up, seen)] = delays.former(levels((0, 30), (math.log(1.3), 10)))
    assert (place, up) == (30, True)
    assert 33 <= seen < 40


@pytest.mark.slow
def test_the_record_has_every_family_and_detector(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(delays, "NULLS", ("white",))
    monkeypatch.setattr(delays, "MODES", ())
    main(["--series", "1", "--points", "40", "--output", str(tmp_path)])
    [path] = tmp_path.glob("*/*.json")
    record = json.loads(path.read_text())
    assert {count["family"] for count in record["counts"]} == {
        "white", "staircase +10%, sd 0.05%", "staircase +5%, sd 0.50%", "staircase +5%, sd 0.80%",
        "step +5%, sd 2%",
    }  # fmt: skip
    assert record["sources"] == {}
    table = (tmp_path / "README.md").read_text()
    assert str(path) in capsys.readouterr().out
    assert table.count("| 2623c63, once |") == 5
    one = next(one for one in record["counts"] if one["changes"] and one["found"]["12"])
    assert f"| {one['family']} | {one['detector']} |" in table
    assert f"| {one['found']['12'] / one['judged']['12']:.1%} (" in table
    (tmp_path / "README.md").unlink()
    main(["--page", "--output", str(tmp_path)])
    assert (tmp_path / "README.md").read_text() == table


def test_no_series_is_wrong_use(tmp_path):
    with pytest.raises(UserError, match="--series"):
        main(["--series", "0", "--output", str(tmp_path)])
