"""What nobody reads any more costs the output, not the exit code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(params=["closed pipe", "full disk"])
def nowhere(request):
    """A descriptor that cannot be written to."""
    if request.param == "full disk":
        if not Path("/dev/full").exists():
            pytest.skip("needs /dev/full")
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        read, out = os.pipe()
        os.close(read)
    yield out
    os.close(out)


def told(out, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "rmsprop", *arguments], stdout=out, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("alerts", "--results", "{empty}"), 3),
        (("alerts", "--results", "{empty}", "--json"), 3),
        (("bench", "--list"), 0),
        (("alerts", "--unknown"), 2),
        (("report", "--results", "{empty}/none"), 2),
    ],
)
def test_the_exit_code_is_the_answers_where_nobody_reads(tmp_path, nowhere, arguments, code):
    given = [argument.format(empty=tmp_path) for argument in arguments]
    answer = told(nowhere, *given)
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    assert "Exception ignored" not in answer.stderr
