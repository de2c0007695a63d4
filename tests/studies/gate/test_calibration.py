import math
from dataclasses import replace

import pytest

from studies.gate.calibration import calibration_table, calibrations
from studies.gate.scores import Live, Scenario

SLOWED = Scenario("inject", "family2", "work", 0.05)


def runs_of(simulate, matrix, rng, change, scenario=SLOWED):
    slower = {name: math.log1p(change) for name in matrix if name.startswith("family2-")}
    return [Live(scenario, "turns", simulate(rng, matrix | slower, sd=0.01)) for _ in range(3)]


def test_cases_above_their_minimum_detectable_slowdown_are_detected_as_promised(simulate, matrix, rng):
    runs = runs_of(simulate, matrix, rng, 0.08)
    found = calibrations(runs)
    assert all(one.low >= 1 for one in found)
    assert sum(one.found.of for one in found) == sum(len(run.slowed) for run in runs)
    assert sum(one.found.hits for one in found) >= 0.9 * sum(one.found.of for one in found)


def test_cases_far_below_it_stand_in_a_row_of_their_own(simulate, matrix, rng):
    [one] = calibrations(runs_of(simulate, matrix, rng, 0.005))
    assert one.high == 0.5
    assert one.found.hits == 0


@pytest.mark.parametrize("scenario", [Scenario("aa"), replace(SLOWED, how="every20")])
def test_runs_without_a_slower_case_or_with_one_now_and_then_say_nothing(simulate, matrix, rng, scenario):
    assert calibrations(runs_of(simulate, matrix, rng, 0.08, scenario)) == []


def test_the_table_says_what_was_promised(simulate, matrix, rng):
    runs = [
        *runs_of(simulate, matrix, rng, 0.08),
        *runs_of(simulate, matrix, rng, 0.005, replace(SLOWED, amount=0.005)),
    ]
    table = calibration_table(calibrations(runs))
    assert table.rows[0][1] == "less than 90%"
    assert table.rows[-1][1] == "90% or more"
