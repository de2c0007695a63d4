"""What starts in the block does not hear what a terminal sends to all processes at once."""

import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing import resource_tracker
from pathlib import Path
from types import SimpleNamespace

import pytest

from rmsprop.suite.children import deaf_children
from rmsprop.suite.history import alerts
from rmsprop.suite.measure.processes import Processes
from rmsprop.suite.sweep.engines import in_processes

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
SENT = {signal.SIGINT, signal.SIGHUP}


def blocked(pid=None):
    """The signals that the process blocks, as the kernel says."""
    lines = Path(f"/proc/{pid or os.getpid()}/status").read_text().splitlines()
    [mask] = [int(line.split()[1], 16) for line in lines if line.startswith("SigBlk:")]
    return {number for number in signal.Signals if mask >> (number - 1) & 1}


def blocked_there(_task):
    return blocked()


def stop_the_tracker():
    resource_tracker._resource_tracker._stop()


def test_a_child_blocks_them_and_this_process_does_not():
    code = "import signal; print(*signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    with deaf_children():
        answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {int(number) for number in answer.stdout.split()} >= SENT
    assert not blocked() & SENT


def test_this_process_gets_one_that_comes_meanwhile():
    came = []
    former = signal.signal(signal.SIGINT, lambda number, frame: came.append(number))
    try:
        with deaf_children():
            os.kill(os.getpid(), signal.SIGINT)
        assert came == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, former)


def test_a_resource_tracker_that_starts_with_the_child_does_not_let_them_through():
    stop_the_tracker()
    with deaf_children(resource_tracker.ensure_running):
        child = multiprocessing.get_context("spawn").Process(target=stop_the_tracker)
        child.start()
    try:
        assert blocked(child.pid) >= SENT
    finally:
        child.kill()
        child.join()


def test_the_processes_that_measure_do_not_hear_them():
    stop_the_tracker()
    with Processes(2) as processes:
        assert all(blocked(process.pid) >= SENT for process, _ in processes._living)


@pytest.mark.slow
def test_the_processes_of_a_sweep_do_not_hear_them():
    loky = pytest.importorskip("joblib.externals.loky")
    loky.get_reusable_executor().shutdown()  # an earlier test may have left its processes
    stop_the_tracker()
    assert all(found >= SENT for found in in_processes(2, range(4), blocked_there))


def blocked_in_each(series):
    return [blocked_there(one) for one in series]


def test_the_processes_that_search_long_histories_do_not_hear_them(monkeypatch):
    monkeypatch.setattr(alerts, "_MANY_POINTS", 0)
    monkeypatch.setattr(alerts, "_TOGETHER", 1)
    monkeypatch.setattr(alerts, "find_in_each", blocked_in_each)
    series = [SimpleNamespace(values=(1.0, 2.0)) for _ in range(3)]
    found = alerts._change_points(series)
    assert len(found) == 3
    assert all(signals >= SENT for signals in found.values())
