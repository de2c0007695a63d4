"""The study of step detectors: its series, its counting and its record."""

import json

import numpy as np
import pytest

from studies import changepoints as study
from studies.changepoint_series import MODES, NULLS, SeriesSetting, draw, noise, staircase
from studies.changepoints import ScoreCell, f1, find, main, score, t_scan


@pytest.mark.parametrize("name", [name for name in NULLS if not name.startswith("spikes")])
def test_each_family_of_noise_has_mean_zero_and_unit_variance(name):
    rng = np.random.default_rng(1)
    drawn = np.concatenate([noise(name, 100, rng) for _ in range(2000)])
    assert abs(drawn.mean()) < 0.05
    assert drawn.std() == pytest.approx(1, abs=0.1)


def test_unknown_noise_is_refused():
    with pytest.raises(ValueError, match="no noise 'pink'"):
        noise("pink", 10, np.random.default_rng(0))


def test_a_step_lies_where_the_setting_says():
    values, true = draw(SeriesSetting("step", "white", step=0.1, sd=1e-6, after=12), np.random.default_rng(0))
    assert true == [(88, True)]
    assert values[87:89] == pytest.approx([1, 1.1], rel=1e-4)


def test_several_steps_alternate_with_25_points_or_more_between():
    for seed in range(20):
        setting = SeriesSetting("steps", "white", step=0.1, sd=1e-9, points=300)
        values, true = draw(setting, np.random.default_rng(seed))
        assert np.diff([0, *(at for at, _ in true), 300]).min() >= 25
        assert [up for _, up in true] == [True, False, True, False]
        for at, up in true:
            assert values[at] / values[at - 1] == pytest.approx(1.1 if up else 1 / 1.1)


def test_a_hit_counts_once_within_the_tolerance_and_in_its_direction_alone():
    setting = SeriesSetting("step", "white", step=0.05, after=20)

    def at(place, up):
        return score("", lambda values: [(place, up)], setting, 4)

    assert (at(80, True).found, at(80, True).exact, at(80, True).false_slower) == (4, 4, 0)
    assert (at(76, True).found, at(76, True).exact) == (4, 0)
    assert (at(60, True).found, at(60, True).false_slower) == (0, 4)
    assert (at(80, False).found, at(80, False).false_faster) == (0, 4)


def test_f1_is_the_harmonic_mean_of_precision_and_recall():
    cell = ScoreCell(
        "", SeriesSetting("steps", "white"), 1, 10, 5, 5, slower=6, faster=2, false_slower=2, false_faster=1
    )
    assert f1(cell) == pytest.approx(2 * (5 / 8) * 0.5 / (5 / 8 + 0.5))


def test_the_same_series_are_drawn_for_every_detector_and_others_to_calibrate():
    seen = {}
    for seeds in (1, 1, 2):
        drawn = seen.setdefault(seeds, [])
        score(
            "",
            lambda values, drawn=drawn: drawn.append(values.tolist()) or [],
            SeriesSetting("null", "white"),
            1,
            seeds,
        )
    assert seen[1][0] == seen[1][1]
    assert seen[1][0] != seen[2][0]


def test_looking_after_every_point_counts_an_alarm_once():
    setting = SeriesSetting("every commit", "white")
    assert score("", lambda values: [(10, True)], setting, 1).slower == 1


@pytest.mark.slow
def test_the_t_scan_alarms_on_alike_neighbours_where_the_detector_does_not():
    setting = SeriesSetting("null", "AR(1) 0.9", sd=0.04)
    blind = score("", lambda values: t_scan(values, 0.05), setting, 50)
    assert blind.false_slower > 10 * max(score("", find, setting, 50).false_slower, 1)


@pytest.mark.slow
def test_the_record_keeps_every_count_and_the_summary_names_every_detector(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "RIVALS", study.RIVALS[:1])
    monkeypatch.setattr(study, "NULLS", ("white",))
    main(["--series", "2", "--output", str(tmp_path)])
    [path] = tmp_path.glob("*/*.json")
    record = json.loads(path.read_text())
    assert record["kind"] == "alerts-study"
    assert {cell["setting"]["family"] for cell in record["cells"]} == {
        "null", "step", "steps", "ramp", "every commit",
    }  # fmt: skip
    printed = capsys.readouterr().out
    assert all(cell["detector"] in printed for cell in record["cells"])


def test_a_detector_that_is_not_installed_is_named_as_absent(monkeypatch):
    def missing(values, **threshold):
        raise ImportError("No module named 'otava'")

    rival = study.Rival("otava", missing, "p_value", (0.1,), 0.1)
    monkeypatch.setattr(study, "RIVALS", (rival,))
    chosen, absent = study.detectors(1)
    assert list(chosen) == ["rmsprop"]
    assert absent == ["otava: No module named 'otava'"]


@pytest.mark.parametrize("name", MODES)
def test_noise_with_modes_has_mean_zero(name):
    rng = np.random.default_rng(1)
    drawn = np.concatenate([noise(name, 100, rng) for _ in range(1000)])
    assert abs(drawn.mean()) < 0.1


def test_sticky_noise_stays_with_its_probability():
    drawn = noise("sticky 0.9", 20_000, np.random.default_rng(1)) > 0
    assert np.mean(drawn[1:] == drawn[:-1]) == pytest.approx(0.9, abs=0.01)


def test_a_staircase_ends_at_a_level_that_is_new():
    for seed in range(20):
        values, at = staircase(12, 1e-9, 0.1, np.random.default_rng(seed))
        assert values[at] / values[at - 1] == pytest.approx(1.1)
        assert np.min(np.abs(np.log(values[:at] / values[at]))) >= 0.0299
        assert len(values) == at + 12
