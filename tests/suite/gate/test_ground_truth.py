"""The real command on throw-away repositories of which the truth is known, and on what the docs say."""

import json
import os
import re
import subprocess
import sys

import pytest

from tests.repositories import CHECKOUT, SUITE, commit, git

NOW_AND_THEN = """
import os
import random
from contextlib import contextmanager

import mine

PACKAGE = "mine"

def cases():
    return ["steady", "changed"]

@contextmanager
def make(case):
    noise, taken = random.Random(os.getpid()), 0

    def run(steps):
        nonlocal taken
        seconds = 0.0
        for _ in range(steps):
            taken += 1
            slow = case == "changed" and taken % mine.every == 0
            seconds += 4e-3 * noise.gauss(1, 0.002) * (1 + (0.05 * mine.every if slow else 0))
        return seconds

    yield run
"""
"""A step fills a turn. Its clock is the suite's own."""


@pytest.mark.slow
@pytest.mark.parametrize("every", [20, 100])
def test_a_step_that_is_slow_now_and_then_is_named_and_nothing_else(gate, theirs, every):
    """5% on average, all of it in every 20th or 100th step."""
    (theirs / "speed.py").write_text(NOW_AND_THEN)
    (theirs / "mine" / "__init__.py").write_text("every = 10**9\n")
    commit(theirs, "no step is slow")
    (theirs / "mine" / "__init__.py").write_text(f"every = {every}\n")
    commit(theirs, "now and then")
    # An aim that no budget reaches takes 64 turns, of which half of the launches meet a slow step.
    answer = gate(theirs, "--suite", "speed", "--aim", "0.5%", "--format", "json", "--base", "HEAD~1")
    assert answer.code == 1, answer.err
    [reason] = json.loads(answer.out)["reasons"]
    assert reason.startswith("changed, now and then: +")


UNSTABLE = """
from contextlib import contextmanager
from itertools import count

import mine

PACKAGE = "mine"
called = count()

def cases():
    return ["wanders", "holds"]

@contextmanager
def make(case):
    def run(steps):
        for _ in range(steps):
            for _ in range(next(called) if case == "wanders" else 1):
                mine.work()

    yield run
"""


def test_counters_that_differ_from_step_to_step_are_named_and_not_gated(gate, theirs):
    """Head makes a call more in both, which is told of the case that holds still."""
    (theirs / "speed.py").write_text(UNSTABLE)
    mine = theirs / "mine" / "__init__.py"
    mine.write_text("def more():\n    pass\ndef work():\n    pass\n")
    commit(theirs, "base")
    mine.write_text("def more():\n    pass\ndef work():\n    more()\n")
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD")
    assert answer.code == 0, answer.err
    assert "wanders: Python calls unstable: two steps of one tree differ" in answer.out
    assert re.search(r"holds: Python calls (\d+) -> (\d+)", answer.out).groups() == ("1", "2")


def test_a_suite_that_loads_no_torch_has_its_calls_counted(gate, theirs):
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD", "--format", "json")
    assert answer.code == 0, answer.err
    record = json.loads(next(theirs.glob("results/gate/*/*.json")).read_text())
    counted = {case["id"]: case["base_counters"] for case in record["cases"]}
    assert counted["absent"] is None
    assert counted["light"]["operations"] is None
    assert counted["light"]["c_calls"] > 0


def test_a_suite_without_counters_is_inconclusive_where_they_alone_are_asked_for(gate, theirs):
    (theirs / "speed.py").write_text(SUITE + "\ndef uncounted(case):\n    return 'nobody counts it'\n")
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD")
    assert answer.code == 3
    assert "Inconclusive: no case was counted on both sides" in answer.out
    assert "skipped: not counted: nobody counts it" in answer.out


def test_a_tree_whose_epoch_cannot_run_fails_by_name_and_the_rest_is_counted(gate, theirs):
    epoch = "def light():\n    pass\ndef heavy():\n    {body}\n"
    (theirs / "speed.py").write_text(
        SUITE.replace("yield lambda steps: steps * seconds", "yield lambda steps: seconds() or steps * 1e-4")
    )
    (theirs / "mine" / "__init__.py").write_text(epoch.format(body="pass"))
    commit(theirs, "an epoch that runs")
    (theirs / "mine" / "__init__.py").write_text(epoch.format(body="raise ValueError('no rows')"))
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD")
    assert answer.code == 2
    assert "heavy: head: ValueError: no rows" in answer.out
    assert "1 case counted" in answer.out


def test_a_suite_that_init_wrote_runs(gate, theirs):
    (theirs / "speed.py").unlink()
    commit(theirs, "no suite")
    answer = gate(theirs, "--init")
    assert answer.code == 0
    assert "wrote" in answer.out
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD")
    assert answer.code == 0, answer.err
    assert "No more work; 1 case counted, 0 of them differ" in answer.out


def block_of(page, language):
    """The first fenced block of a language on a page of docs/."""
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    return re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)[1]


@pytest.mark.slow
def test_every_command_at_the_head_of_the_page_runs_as_it_stands(theirs, tmp_path):
    """In a repository that has what the page speaks of: a default suite, a main branch, two interpreters."""
    ours = tmp_path / "ours"
    ours.mkdir()
    (ours / "rmsprop").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m rmsprop "$@"\n')
    (ours / "rmsprop").chmod(0o755)
    for name in ("old", "new"):
        (theirs / name / "bin").mkdir(parents=True)
        (theirs / name / "bin" / "python").symlink_to(sys.executable)
    (theirs / "benchmarks").mkdir()
    suite = SUITE.replace('"light", "heavy", "absent"', '"scratch-light", "fused-heavy"')
    suite = suite.replace("getattr(mine, case)", "getattr(mine, case.split('-')[1])")
    (theirs / "benchmarks" / "__init__.py").touch()
    (theirs / "benchmarks" / "suite.py").write_text(suite)
    (theirs / "speed.py").unlink()
    with (theirs / ".gitignore").open("a") as ignored:
        ignored.write("old/\nnew/\n")
    commit(theirs, "a suite in its usual place")
    commit(theirs, "nothing")
    git(theirs, "update-ref", "refs/remotes/origin/main", "HEAD")
    lines = [line for line in block_of("gate.md", "sh").splitlines() if line]
    assert len(lines) > 5
    for line in lines:
        answer = subprocess.run(
            ["bash", "-c", line],
            cwd=theirs,
            env=os.environ
            | {"PYTHONPATH": str(CHECKOUT), "PATH": os.pathsep.join((str(ours), os.environ["PATH"]))},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert answer.returncode == 0, f"{line}\n{answer.stdout}{answer.stderr}"
    assert (theirs / "speed.py").exists()


def test_the_pages_suite_is_the_one_that_init_writes(gate, theirs):
    (theirs / "speed.py").unlink()
    gate(theirs, "--init")
    assert block_of("gate.md", "python") == (theirs / "speed.py").read_text()
