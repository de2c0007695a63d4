"""What asv shows is the time of one step, by asv's own class and by a clock that is made up."""

import pytest
from asv_runner.benchmarks.time import TimeBenchmark

from benchmarks import steps
from benchmarks.steps import Huge, Large, Medium, Small

STEP = 3e-5
"""Seconds of a step by the clock."""


class Clock:
    """Goes on by `STEP` for each step that is taken, and stands otherwise."""

    def __init__(self):
        self.taken = 0

    def __call__(self):
        return self.taken * STEP

    def run(self, number):
        self.taken += number

    def synchronize(self):
        pass

    def rotate(self):
        pass


@pytest.mark.parametrize(("timed", "in_a_row"), [(Small, 1000), (Medium, 100), (Large, 10), (Huge, 2)])
def test_asv_gives_the_seconds_of_one_step_however_many_a_sample_takes(monkeypatch, timed, in_a_row):
    clock = Clock()
    monkeypatch.setattr(steps, "perf_counter", clock)
    measured = timed()
    measured.workload = clock
    benchmark = TimeBenchmark("steps.time_step", measured.time_step, [measured])
    benchmark.repeat, benchmark.warmup_time = 3, 0
    benchmark.set_param_idx(0)
    found = benchmark.run(*benchmark._current_params)
    assert found == {"samples": [pytest.approx(STEP)] * 3, "number": 1}
    assert clock.taken % in_a_row == 0
    assert clock.taken >= 3 * in_a_row
