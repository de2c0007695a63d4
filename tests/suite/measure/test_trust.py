"""Each reason against a number is found, and a good number has none."""

import subprocess
import sys
import time

import pytest

from rmsprop.suite.measure.trust import Watch, judge

QUIET = {"stolen": 0.0, "others": 0.0, "clock": 1.0, "tick": 1e-9}
STEADY = [1e-5, 1.01e-5, 1.02e-5, 1.0e-5, 1.03e-5]


def test_steady_samples_on_a_quiet_machine_have_no_warning():
    assert judge(STEADY, 100, **QUIET) == ()


@pytest.mark.parametrize(
    ("samples", "steps", "changes", "expected"),
    [
        ([1e-5, 1e-5, 2e-5, 2e-5, 3e-5], 100, {}, "unstable"),
        ([1e-5], 100, {}, "few: 1 samples"),
        (STEADY, 1, {"tick": 1e-6}, "timer: too coarse"),
        (STEADY, 100, {"stolen": 0.05}, "stolen: the hypervisor took 5%"),
        (STEADY, 100, {"others": 0.4}, "busy: other processes took 40%"),
        (STEADY, 100, {"clock": 0.5}, "clock: it fell to 50%"),
    ],
)
def test_each_reason_is_said(samples, steps, changes, expected):
    [warning] = judge(samples, steps, **(QUIET | changes))
    assert expected in warning


def test_a_watch_sees_the_work_of_other_processes():
    spin = "import time\nend = time.time() + 20\nwhile time.time() < end: pass"
    with subprocess.Popen([sys.executable, "-c", spin]) as other:
        with Watch() as watch:
            time.sleep(1)
        other.kill()
    assert any("other processes" in warning for warning in watch.warnings(STEADY, 100))
