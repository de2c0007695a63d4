"""A signal ends a command with its documented code and words, whenever it comes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rmsprop.suite.cli.interrupts import catch_interrupts, put_off

CHECKOUT = Path(__file__).parents[3]
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def handlers():
    """Those of a process in a terminal: under nohup, or in the background, the tests' ignores some."""
    former = {number: signal.getsignal(number) for number in NUMBERS}
    for number in NUMBERS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_each_signal_interrupts_and_is_noted(number):
    came = catch_interrupts()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(number)
    assert came == [number]


def test_a_signal_that_is_ignored_stays_ignored():
    """nohup starts a command so."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    assert catch_interrupts() == []
    signal.raise_signal(signal.SIGHUP)
    with put_off():
        signal.raise_signal(signal.SIGHUP)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_interrupt_waits_for_the_end_of_the_block(number):
    catch_interrupts()
    done = []

    def put_off_and_do():
        with put_off():
            signal.raise_signal(number)
            done.append(number)

    with pytest.raises(KeyboardInterrupt):
        put_off_and_do()
    assert done == [number]
    with pytest.raises(KeyboardInterrupt):  # the former handlers are back
        signal.raise_signal(number)


def test_a_command_that_ends_is_not_interrupted_again():
    """A second Ctrl-C, while Python itself ended, gave the code of the signal in place of the command's."""
    program = (
        "import signal, sys\n"
        "from rmsprop.__main__ import main\n"
        "sys.argv = ['rmsprop', '--version']\n"
        "try:\n    main()\n"
        "finally:\n"
        "    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):\n"
        "        signal.raise_signal(number)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_an_interrupt_in_the_making_of_a_class_does_not_change_the_exit_code(tmp_path):
    """`python -m` ended by SIGINT, although the gate had answered."""
    (tmp_path / "interrupted.py").write_text(
        "import sys\n"
        "import rmsprop.__main__ as command\n"
        "def run():\n"
        "    try:\n        exec('raise KeyboardInterrupt')\n"
        "    except KeyboardInterrupt:\n        sys.exit(3)\n"
        "command._run = run\n"
        "command.main()\n"
    )
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    ended = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, env=environment, check=False)
    assert ended.returncode == 3


def catches(process, number):
    """Whether the process has installed a handler."""
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return True  # it has ended
    [caught] = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return bool(caught >> (number - 1) & 1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc to see the handlers")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("delay", [0.0, 2.0])
@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("reproduce", "--data", "surrogate", "--seeds", "100000"), {130}),
        (("bench", "--profile", "regular"), {130}),
        # Once it has begun, the gate calls what it has inconclusive, which is 3.
        (("gate", "--base", "HEAD", "--head", "HEAD"), {3, 130}),
    ],
)
def test_a_command_ends_with_its_code_whenever_the_signal_comes(tmp_path, command, code, number, delay):
    process = subprocess.Popen(
        [sys.executable, "-m", "rmsprop", *command, "--output", str(tmp_path / "results")],
        cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while not catches(process, signal.SIGHUP):
        time.sleep(0.01)
    time.sleep(delay)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode in code, err
    assert "internal error" not in err
    assert "Traceback" not in err
    assert "interrupted" in err + out
    assert not list(tmp_path.glob("rmsprop-gate-*"))
