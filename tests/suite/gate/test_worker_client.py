"""The gate's end of the protocol, against processes that misbehave."""

import os
import sys
import time
from pathlib import Path

import pytest

from rmsprop.suite.gate.worker_client import Arm, StoppedError, WorkerClient, WorkerError

READ = "import sys, time, os\nsys.stdin.readline()\n"


@pytest.fixture
def arm(tmp_path):
    """An arm whose worker is the script that it is given."""

    def of(script, python=sys.executable):
        (tmp_path / "gate_worker.py").write_text(READ + script)
        return Arm("head", Path(python), tmp_path, tmp_path, "suite")

    return of


def test_an_answer_may_come_in_parts_and_two_at_once(arm):
    script = """
for part in ('{"a":', ' 1}\\n{"b"', ': 2}\\n'):
    sys.stdout.write(part); sys.stdout.flush(); time.sleep(0.05)
time.sleep(60)
"""
    with WorkerClient(arm(script)) as client:
        client.tell(do="anything")
        assert (client.answer(30), client.answer(30)) == ({"a": 1}, {"b": 2})


def test_a_process_that_dies_tells_how_and_what_it_said_last(arm):
    with WorkerClient(arm("print('first', file=sys.stderr); sys.exit('last words')")) as client:
        with pytest.raises(
            WorkerError, match=r"head: the measuring process died \(exit code 1\): last words"
        ):
            client.ask(do="anything")
        with pytest.raises(WorkerError, match="died"):
            client.ask(do="more")
    with (
        WorkerClient(arm("os.kill(os.getpid(), 11)")) as client,
        pytest.raises(WorkerError, match="SIGSEGV"),
    ):
        client.ask(do="anything")


def test_a_process_that_says_nothing_is_given_up(arm):
    with WorkerClient(arm("time.sleep(60)")) as client:
        client.tell(do="anything")
        with pytest.raises(WorkerError, match="head: no answer within 0 s"):
            client.answer(0.3)


def test_an_error_that_it_answers_names_the_side(arm):
    script = """print('{"error": "ValueError: no"}', flush=True)"""
    with WorkerClient(arm(script)) as client, pytest.raises(WorkerError, match="head: ValueError: no"):
        client.ask(do="anything")


def test_it_stops_when_it_is_told_to(arm):
    with WorkerClient(arm("time.sleep(60)"), stopped=lambda: True) as client, pytest.raises(StoppedError):
        client.ask(do="anything")


def test_an_interpreter_that_cannot_be_run_is_named(arm):
    with pytest.raises(WorkerError, match="head: cannot run /no/python: No such file"):
        WorkerClient(arm("", "/no/python"))


def test_it_is_killed_with_all_that_it_has_started(arm):
    script = """
import json, subprocess
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(json.dumps({"pids": [os.getpid(), child.pid]}), flush=True)
time.sleep(600)
"""
    with WorkerClient(arm(script)) as client:
        pids = client.ask(do="anything")["pids"]
    end = time.monotonic() + 30
    while any(map(_lives, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(map(_lives, pids))


def _lives(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_it_has_one_thread_its_own_hash_seed_and_the_harness_before_the_tree_on_its_path(arm, tmp_path):
    script = (
        "import json\nkeys = ('OMP_NUM_THREADS', 'PYTHONHASHSEED', 'PADDING', 'PYTHONPATH')\n"
        "print(json.dumps([os.environ[key] for key in keys]), flush=True)"
    )
    with WorkerClient(arm(script), hash_seed=7, padding=3) as client:
        client.tell(do="anything")
        threads, seed, padding, path = client.answer(30)
    assert (threads, seed, padding) == ("1", "7", "xxx")
    assert path.split(os.pathsep)[:3] == [str(tmp_path), str(tmp_path / "src"), str(tmp_path)]
