"""Each reason against a number is found, and a good number has none."""

import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import replace

import psutil
import pytest

from rmsprop.suite.measure.trust import Spent, Watch, warnings_of

STEADY = [1e-5, 1.01e-5, 1.02e-5, 1.0e-5, 1.03e-5]
QUIET = Spent(all=10.0, busy=1.0, stolen=0.0, own=1.0, clock=1.0)


def test_steady_samples_on_a_quiet_machine_have_no_warning():
    assert warnings_of([STEADY], 100, QUIET) == ()
    assert warnings_of([STEADY] * 3, 100, QUIET) == ()


@pytest.mark.parametrize(
    ("samples", "steps", "changes", "tick", "expected"),
    [
        ([[1e-5, 1e-5, 2e-5, 2e-5, 3e-5]], 100, {}, 1e-9, "unstable: quartiles"),
        ([STEADY, STEADY, [2e-5] * 5], 100, {}, 1e-9, "unstable: the processes differ by"),
        ([STEADY, [1e-5]], 100, {}, 1e-9, "few: 1 samples"),
        ([STEADY], 1, {}, 1e-6, "timer: too coarse"),
        ([STEADY], 100, {"stolen": 0.5}, 1e-9, "stolen: the hypervisor took 5%"),
        ([STEADY], 100, {"busy": 5.0}, 1e-9, "busy: other processes took 40%"),
        ([STEADY], 100, {"clock": 0.5}, 1e-9, "clock: it fell to 50%"),
    ],
)
def test_each_reason_is_said_with_what_to_do(samples, steps, changes, tick, expected):
    [warning] = warnings_of(samples, steps, replace(QUIET, **changes), tick=tick)
    assert expected in warning
    assert "; " in warning


def test_samples_that_scatter_in_each_process_alike_are_no_reason():
    assert warnings_of([[1e-5, 2e-5, 3e-5, 2e-5, 2e-5]] * 3, 100, QUIET) == ()


def test_stretches_of_time_add_up_and_the_lowest_clock_counts():
    found = Spent.together([QUIET, replace(QUIET, busy=3.0, clock=0.5)])
    assert found == Spent(all=20.0, busy=4.0, stolen=0.0, own=2.0, clock=0.5)


@pytest.mark.slow
def test_a_watch_sees_the_work_of_other_processes():
    spin = "print(flush=True)\nwhile True: pass"
    with ExitStack() as stack:
        for _ in range(psutil.cpu_count() // 5 + 1):
            other = stack.enter_context(
                subprocess.Popen([sys.executable, "-c", spin], stdout=subprocess.PIPE)
            )
            stack.callback(other.kill)
            other.stdout.readline()
        with Watch() as watch:
            time.sleep(1)
    assert any("other processes" in warning for warning in watch.warnings(STEADY, 100))
