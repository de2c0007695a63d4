"""What pairs of runs say, where the truth is known."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rmsprop.suite.case import AXES
from studies.coverage import Coverage, coverage, page, steps_by_run

CASES = 400
RESULTS = Path(__file__).parents[2] / "studies" / "results"


def run(draw, *, processes=5, drift=0.0, sd=0.05):
    """Speed-ups of a made-up run: normal over processes, with `drift` between runs."""
    logs = draw.normal(0, drift, (CASES, 1)) + draw.normal(0, sd, (CASES, processes))
    half = stats.t.ppf(0.975, processes - 1) * logs.std(1, ddof=1) / np.sqrt(processes)
    middle = logs.mean(1)
    axes = dict.fromkeys(AXES, "x") | {"implementation": [f"one{number}" for number in range(CASES)]}
    numbers = {
        "ratio": np.exp(middle),
        "low": np.exp(middle - half),
        "high": np.exp(middle + half),
        "median": np.exp(middle),
        "processes": processes,
        "trusted": np.abs(middle) < 0.1,
        "ratio_trusted": np.abs(middle) < 0.05,
    }
    return pd.DataFrame(axes | numbers)


def test_runs_of_one_distribution_cover_each_other_as_expected():
    draw = np.random.default_rng(0)
    found = coverage([run(draw) for _ in range(4)])
    assert found.ratios == 12 * CASES
    assert found.expected == pytest.approx(2 * stats.t.cdf(stats.t.ppf(0.975, 4) / 2**0.5, 4) - 1)
    assert found.covered / found.ratios == pytest.approx(found.expected, abs=0.02)
    assert found.between[0] < found.expected < found.between[1]


def test_runs_that_drift_cover_less_and_are_more_often_disjoint():
    draw = np.random.default_rng(0)
    still, drifting = (coverage([run(draw, drift=drift) for _ in range(4)]) for drift in (0.0, 0.2))
    assert drifting.covered < 0.6 * still.covered
    assert drifting.between[1] < still.between[0]
    assert drifting.disjoint > 3 * still.disjoint


@pytest.mark.parametrize("study", ["coverage", "coverage-idle", "coverage-later"])
def test_the_interval_of_a_committed_run_holds_as_often_as_it_says(study):
    found = coverage(steps_by_run(RESULTS / study)[0])
    assert found.ratios > 100
    assert found.between[0] < found.expected < found.between[1]


def test_the_reference_is_compared_with_nothing():
    draw = np.random.default_rng(0)
    runs = [run(draw).assign(implementation="builtin-loop", layout=range(CASES)) for _ in range(3)]
    assert coverage(runs).ratios == 0


def test_the_page_states_the_counts():
    changes = {"above 20%": (10, 9)}, {"below 5%": (20, 3)}
    text = page(Coverage(100, 83, (0.75, 0.9), 0.88, 4, *changes), ["a: load 1.0 to 2.0, 3 processes"])
    assert (
        "83 of 100 (83%, 75% to 90% over cases; 88% is what a 95% interval for the true ratio holds)" in text
    )
    assert "| a warning stands at a step's time that changed by above 20% | 9 of 10 |" in text
    assert "| a warning stands at a speed-up that changed by below 5% | 3 of 20 |" in text


def test_warnings_are_counted_by_the_size_of_the_change_of_what_they_speak_of():
    one = run(np.random.default_rng(0), sd=0.0).iloc[:3]
    times = one.assign(median=(1.0, 1.1, 1.3), ratio=(1.3, 1.01, 1.1), trusted=(True, False, True))
    found = coverage([one, times.assign(ratio_trusted=(False, True, False))])
    assert found.times == {"above 20%": (1, 0), "5% to 20%": (1, 1), "below 5%": (1, 0)}
    assert found.speed_ups == {"above 20%": (1, 1), "5% to 20%": (1, 1), "below 5%": (1, 0)}
