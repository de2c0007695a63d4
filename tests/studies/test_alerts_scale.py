"""The study of how long `rmsprop alerts` takes, where it is known what is found."""

import numpy as np
import pytest

from studies.alerts_scale import COMMITS, KINDS, ScaleTaken, levels, scale_page, steps, taken


def test_every_tenth_series_steps_up_and_levels_last_25_points():
    stepped = np.log(steps(20, np.random.default_rng(0)))
    rises = stepped[:, -20:].mean(1) - stepped[:, :40].mean(1)
    assert [number for number, rise in enumerate(rises) if rise > 0.05] == [0, 10]
    level = np.log(levels(4, np.random.default_rng(0))).reshape(4, -1, 25).mean(2)
    assert level.shape == (4, COMMITS // 25)
    assert np.abs(np.diff(level)).max() > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_call_is_timed_with_its_memory_and_finds_the_changes(kind):
    found = taken(kind, 20)
    assert (found.series, found.points) == (20, 20 * COMMITS)
    assert found.seconds > 0
    assert found.mebibytes > 10
    assert found.commits > 0


def test_the_page_has_a_row_for_each_size():
    text = scale_page([ScaleTaken("a kind", 2_000, 400_000, 40.0, 300.4, 7)], "box")
    assert "| a kind | 2,000 | 400,000 | 40 s | 100 µs | 300 MiB | 7 |" in text
