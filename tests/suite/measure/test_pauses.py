"""A process that stood still in the middle of a sample takes it again."""

import os
import signal
import subprocess
import sys
import time

import pytest

from rmsprop.suite.case import Case
from rmsprop.suite.measure.pauses import STILL, Pauses
from rmsprop.suite.measure.workload import Workload


def calls(waits):
    """A sample that waits as told, call by call, and returns the number of the call."""
    numbered = enumerate(waits, 1)

    def sample():
        number, seconds = next(numbered)
        time.sleep(seconds)
        return number

    return sample


def test_a_sample_without_a_pause_is_taken_once():
    assert Pauses().undisturbed(calls([0.0])) == 1


@pytest.mark.slow
def test_a_sample_with_a_pause_is_taken_again():
    pauses = Pauses()
    sample = calls([2 * STILL, 0.0, 2 * STILL, 0.0])
    assert [pauses.undisturbed(sample), pauses.undisturbed(sample)] == [2, 4]


@pytest.mark.slow
def test_what_waits_by_itself_is_told_from_a_pause_after_two_calls():
    pauses = Pauses()
    sample = calls([2 * STILL] * 4)
    assert [pauses.undisturbed(sample) for _ in range(3)] == [2, 3, 4]


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="needs a system with SIGSTOP")
def test_a_process_that_was_stopped_and_continued_takes_its_sample_again():
    child = """
import os, signal
from rmsprop.suite.measure.pauses import Pauses
calls = 0
def sample():
    global calls
    calls += 1
    if calls == 1:
        os.kill(os.getpid(), signal.SIGSTOP)
    return calls
print(Pauses().undisturbed(sample))
"""
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        time.sleep(2 * STILL)
        process.send_signal(signal.SIGCONT)
        answer, _ = process.communicate(timeout=60)
    assert answer == "2\n"


def test_the_time_of_steps_is_taken_again_too():
    with Workload(Case.parse("fused-cpu-float32-1e3-single-1t")) as workload:
        run, took = workload.run, []

        def first_stands(steps):
            took.append(steps)
            time.sleep(2 * STILL * (len(took) == 1))
            run(steps)

        workload.run = first_stands
        workload.time(3)
    assert took == [3, 3]
