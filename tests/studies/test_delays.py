"""The study of delays: what counts as clear, as found by then, and as an alarm."""

import json
import math

import numpy as np
import pytest

from rmsprop.errors import UserError
from studies import delays
from studies.changepoint_series import UNEVEN, clear_changes, young
from studies.delays import main, null, public, single_step, stepped, together, told_by


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
    count, to_new, slower = public("late", "x", [levels((0, 30), (0.1, 20))])
    assert count.changes == 1
    assert count.found == {3: 0, 6: 1, 8: 1, 12: 1}
    assert count.judged == dict.fromkeys((3, 6, 8, 12), 1)
    assert (to_new.changes, to_new.found) == (slower.changes, slower.found) == (1, count.found)


def test_what_has_not_happened_yet_is_not_judged(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "none", lambda values: [])
    count, *_ = public("none", "x", [levels((0, 30), (0.1, 7))])
    assert count.judged == {3: 1, 6: 1, 8: 0, 12: 0}


def test_a_change_to_a_level_that_one_point_had_is_none_to_a_new_level(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "none", lambda values: [])
    histories = [levels((0, 30), (0.1, 1), (0, 20), (0.1, 12)), levels((0, 30), (0.2, 12))]
    every, to_new, _ = public("none", "x", histories)
    assert (every.changes, to_new.changes) == (2, 1)
    both = together([every, to_new], "both")
    assert (both.family, both.changes, both.judged[12]) == ("both", 3, 3)


def test_a_change_is_told_by_its_alert_or_by_the_turn_of_another_or_not_at_all():
    there_and_back_and_there = levels((0, 30), (0.2, 20), (0, 20), (0.2, 20), sd=0.005)
    assert told_by(there_and_back_and_there[:38], 30, True) == "alerts"
    assert told_by(there_and_back_and_there[:38], 30, False) is None
    assert told_by(there_and_back_and_there[:58], 50, False) == "turns"
    assert told_by(there_and_back_and_there[:78], 70, True) == "turns"
    assert told_by(there_and_back_and_there[:31], 30, True) is None
    half_back = levels((0.1, 20), (0, 20), (0.2, 20), (0.1, 20), sd=0.005)
    assert told_by(half_back, 60, False) is None  # a known level, and half of the rise is left


def test_the_table_says_of_how_many_changes_the_alerts_tell(tmp_path, monkeypatch):
    history = levels((0, 30), (0.2, 20), (0, 20), (0.2, 4), sd=0.005)
    monkeypatch.setattr(delays, "fetch", lambda _: {"theirs": ("c" * 40, [history])})
    monkeypatch.setattr(delays, "NULLS", ())
    monkeypatch.setattr(delays, "MODES", ())
    monkeypatch.setattr(delays, "STAIRCASES", ())
    arguments = ["--series", "1", "--points", "20", "--only", "today", "--fetch", str(tmp_path)]
    main([*arguments, "--output", str(tmp_path)])
    table = (tmp_path / "README.md").read_text()
    assert "| theirs | 3 | 3 | 3 | 1 | 2 | 0 |" in table
    assert "| theirs | 8 | 2 | 2 | 1 | 1 | 0 |" in table
    assert "| all real histories, slower | 3 | 2 | 2 | 1 | 1 | 0 |" in table


@pytest.mark.parametrize("name", ["white", "sticky 0.95", UNEVEN])
def test_the_change_of_a_young_series_is_a_clear_one_after_10_to_25_points(name):
    for seed in range(5):
        values, at = young(name, 12, np.random.default_rng(seed))
        assert len(values) == at + 12
        assert 10 <= at <= 25
        assert (at, True) in clear_changes(values)


def test_an_alarm_the_wrong_way_finds_nothing(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "down", lambda values: [(100, False, len(values))])
    assert set(stepped("down", single_step, "x", 2, 1).found.values()) == {0}


def test_all_alarms_without_a_change_are_counted(monkeypatch):
    monkeypatch.setitem(delays.DETECTORS, "two", lambda values: [(20, True, 30), (40, False, 50)])
    count = null("two", "white", 3, 100, 1)
    assert (count.points, count.alarms, count.slower, count.again) == (300, 6, 3, 3)


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
        "white", "white, 200 points", "white, 40 points", "young, white", "young, uneven",
        "staircase +10%, sd 0.05%", "staircase +5%, sd 0.50%", "staircase +5%, sd 0.80%",
        "step +5%, sd 2%",
    }  # fmt: skip
    assert record["sources"] == {}
    table = (tmp_path / "README.md").read_text()
    assert str(path) in capsys.readouterr().out
    assert table.count("| 2623c63, once |") == 9
    one = next(one for one in record["counts"] if one["changes"] and one["found"]["12"])
    assert f"| {one['family']} | {one['detector']} |" in table
    assert f"| {one['found']['12'] / one['judged']['12']:.1%} (" in table
    (tmp_path / "README.md").unlink()
    main(["--page", "--output", str(tmp_path)])
    assert (tmp_path / "README.md").read_text() == table


def test_no_series_is_wrong_use(tmp_path):
    with pytest.raises(UserError, match="--series"):
        main(["--series", "0", "--output", str(tmp_path)])


def test_the_table_shows_today_beside_the_record_before(tmp_path, monkeypatch):
    monkeypatch.setattr(
        delays, "study", lambda *_: {"schema": 3, "sources": {}, "counts": counts, **environment}
    )
    one = {"family": "young, white", "points": 30, "alarms": 0, "slower": 0, "changes": 4, "alerts": {}}
    for commit, found in (("a" * 40, 1), ("b" * 40, 3)):
        shares = {"found": dict.fromkeys(("3", "6", "8", "12"), found)}
        counts = [one | shares | {"judged": dict.fromkeys(("3", "6", "8", "12"), 4), "detector": "today"}]
        started = f"2026-01-0{found}T00:00:00+0000"
        environment = {"environment": {"commit": commit, "dirty": False, "machine": "m", "started": started}}
        main(["--output", str(tmp_path)])
    rows = [line for line in (tmp_path / "README.md").read_text().splitlines() if "young, white" in line]
    assert [row.split(" | ")[1] for row in rows] == ["today", "today at aaaaaaaaa"]
    assert "75.0%" in rows[0]
    assert "25.0%" in rows[1]


def test_what_was_not_asked_again_is_shown_from_the_record_before(tmp_path):
    environment = {"commit": "c" * 40, "dirty": False, "machine": "m"}
    one = {
        "family": "white",
        "points": 1000,
        "alarms": 1,
        "slower": 1,
        "changes": 0,
        "found": {},
        "judged": {},
    }
    former = {"detector": "2623c63", "alarms": 9}
    for name, schema, counts in (
        ("1", 1, [one | {"detector": "today"}, one | former]),
        ("2", 2, [one | {"detector": "today", "alarms": 2, "again": 0}]),
        ("3", 3, [one | {"detector": "today", "alarms": 3, "again": 0, "alerts": {}}]),
    ):
        record = {"schema": schema, "sources": {}, "counts": counts, "environment": environment}
        (tmp_path / "m").mkdir(exist_ok=True)
        (tmp_path / "m" / f"{name}.json").write_text(json.dumps(record))
    main(["--page", "--output", str(tmp_path)])
    rows = [
        line.split(" | ") for line in (tmp_path / "README.md").read_text().splitlines() if "| white |" in line
    ]
    assert [row[1] for row in rows] == ["today", "today at ccccccccc", "2623c63"]
    assert [row[3].split()[0] for row in rows] == ["3.00", "2.00", "9.00"]


def test_without_a_record_there_is_no_table(tmp_path):
    with pytest.raises(UserError, match="schema 3"):
        main(["--page", "--output", str(tmp_path)])
