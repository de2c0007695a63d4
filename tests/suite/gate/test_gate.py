"""The real command on throw-away repositories: real processes, small matrices."""

import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from tests.repositories import CHECKOUT, MINE, SUITE, commit, git, write_mine


def worktrees(folder):
    listed = subprocess.run(
        ["git", "worktree", "list"], cwd=folder, capture_output=True, text=True, check=True
    )
    return len(listed.stdout.splitlines())


@pytest.fixture
def left_behind(tmp_path, monkeypatch):
    """What is left in a folder for temporary files of its own."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return lambda: [path.name for path in folder.iterdir() if path.name.startswith("rmsprop-gate")]


QUICK = ("--suite", "speed", "--budget", "5m", "--aim", "20%", "--format", "json")


@pytest.mark.slow
def test_someone_elses_suite_is_gated_and_only_what_slowed_is_named(gate, theirs, left_behind):
    write_mine(theirs, heavy=2.2e-4)
    commit(theirs, "a tenth slower")
    answer = gate(theirs, *QUICK, "--base", "HEAD~1")
    assert answer.code == 1, answer.err
    verdict = json.loads(answer.out)
    cases = {case["id"]: case for case in verdict["cases"]}
    assert cases["heavy"]["verdict"] == "slower"
    assert cases["heavy"]["change"] == pytest.approx(0.1, abs=0.01)
    assert cases["light"]["verdict"] is None
    assert cases["absent"]["reason"] == "nobody has it"
    assert "smallest detectable slowdown (assumed noise): all" in answer.err
    assert len(list(theirs.glob("results/gate/*/*.json"))) == 1
    assert worktrees(theirs) == 1
    assert left_behind() == []


COUNTED = """
from contextlib import contextmanager

import mine

PACKAGE = "mine"

def cases():
    return ["step", "never"]

def uncounted(case):
    return None if case == "step" else "it runs elsewhere"

@contextmanager
def make(case):
    run = lambda steps: [mine.step() for _ in range(steps)]
    run.result = lambda: float(mine.step()).hex()
    yield run
"""


@pytest.mark.slow
def test_counters_alone_name_more_operations_with_both_numbers_and_take_no_time(gate, theirs):
    (theirs / "speed.py").write_text(COUNTED)
    mine = theirs / "mine" / "__init__.py"
    mine.write_text("import torch\nx = torch.ones(10)\ndef step():\n    return x.add(1).sum()\n")
    commit(theirs, "one addition")
    mine.write_text("import torch\nx = torch.ones(10)\ndef step():\n    return x.add(1).add(1).sum()\n")
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD", "--format", "json")
    assert answer.code == 1, answer.err
    verdict = json.loads(answer.out)
    found = {change["counter"]: change for change in verdict["counters"]}
    assert found["operations"]["detail"] == "aten.add.Tensor +1"
    assert (found["operations"]["base"], found["operations"]["head"]) == ("2", "3")
    assert (found["result"]["base"], found["result"]["head"]) == (
        "0x1.4000000000000p+4",
        "0x1.e000000000000p+4",
    )
    never = verdict["cases"][1]
    assert (never["status"], never["reason"]) == ("skipped", "not counted: it runs elsewhere")
    record = json.loads(next(theirs.glob("results/gate/*/*.json")).read_text())
    assert (record["timed"], record["launches"]) == (False, [])
    answer = gate(theirs, "--counters", "--suite", "speed", "--base", "HEAD", "--head", "HEAD")
    assert answer.code == 0
    assert "No more work; 1 case counted, 0 of them differ; base and head are the same commit" in answer.out


@pytest.mark.slow
def test_swapped_sides_make_it_faster_and_that_passes(gate, theirs):
    write_mine(theirs, heavy=1.8e-4)
    answer = gate(theirs, *QUICK, "--base", "HEAD")
    assert answer.code == 0, answer.err
    verdicts = {case["id"]: case["verdict"] for case in json.loads(answer.out)["cases"]}
    assert verdicts == {"light": None, "heavy": "faster", "absent": None}


@pytest.fixture
def interrupted(theirs):
    """The command in a process of its own, sent a signal once it has said something: code, out and err."""

    def run(number, said):
        arguments = ("--suite", "speed", "--base", "HEAD", "--format", "json")
        with subprocess.Popen(
            [sys.executable, "-m", "rmsprop", "gate", *arguments],
            cwd=theirs,
            env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            while said not in process.stderr.readline():
                assert process.poll() is None
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    return run


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_gives_what_there_is_as_inconclusive_and_leaves_nothing_behind(
    interrupted, theirs, left_behind, number
):
    code, out, err = interrupted(number, "smallest detectable")
    assert code == 3, err
    assert json.loads(out)["outcome"] == "inconclusive"
    assert "interrupted" in json.loads(out)["reasons"]
    assert len(list(theirs.glob("results/gate/*/*.json"))) == 1
    assert worktrees(theirs) == 1
    assert left_behind() == []


@pytest.mark.slow
def test_a_signal_before_anything_is_measured_leaves_nothing_behind_either(interrupted, theirs, left_behind):
    code, out, err = interrupted(signal.SIGTERM, "preparing both sides")
    assert code == 3, err
    assert "interrupted before anything was measured: inconclusive" in err
    assert out == ""
    assert worktrees(theirs) == 1
    assert left_behind() == []


def test_a_dirty_tree_is_measured_as_it_is_and_said_so(gate, theirs):
    (theirs / "mine" / "__init__.py").write_text("raise SystemExit(3)\n")
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD")
    assert answer.code == 2
    assert "nothing can be measured: head: SystemExit: 3" in answer.err
    write_mine(theirs)
    (theirs / "mine" / "more.py").write_text("")
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD", "--case", "absent", "--format", "markdown")
    assert answer.code == 3
    assert "with local changes, measured as it is" in answer.out
    assert "nothing was measured" in answer.out
    assert "skipped: nobody has it" in answer.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--base", "nowhere"), "git knows no commit 'nowhere' here; see `git branch"),
        (("--base", "--help"), "git knows no commit '--help'"),
        ((), "there is nothing to compare with: give --base REVISION"),
        (("--base", ""), "--base is empty: expected a revision such as origin/main"),
        (("--base", "HEAD", "--head", " "), "--head is empty: expected a revision such as origin/main"),
        (("--base", "HEAD", "--budget", "soon"), "--budget 'soon': expected a time such as 8m"),
        (("--base", "HEAD", "--aim", "0"), "--aim '0': expected a slowdown such as 3%"),
        (("--base", "HEAD", "--suite", "nothing.here"), "there is no suite 'nothing.here' here"),
        (("--base", "HEAD", "--case", "dark*"), "no case of speed matches dark*; it has light, heavy"),
        (("--base", "HEAD", "--format", "yaml"), "--format 'yaml': choose one of table, github"),
        (("--base-python", "/no/python"), "there is no interpreter /no/python"),
        (("--base", "HEAD", "--budget", "0.01s"), "budget of 0.01 s "),
    ],
)
def test_wrong_use_is_a_line_that_says_what_to_do(gate, theirs, left_behind, arguments, words):
    default = () if "--suite" in arguments else ("--suite", "speed")
    answer = gate(theirs, *default, *arguments)
    assert answer.code == 2
    assert words in answer.err.splitlines()[-1]
    assert "Traceback" not in answer.err
    assert worktrees(theirs) == 1
    assert left_behind() == []


def test_outside_of_a_repository_there_is_nothing_to_compare(gate, theirs):
    shutil.rmtree(theirs / ".git")
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD")
    assert answer.code == 2
    assert "lies in no git repository" in answer.err


def test_a_shallow_clone_says_how_to_deepen_it(gate, theirs, tmp_path):
    commit_twice = theirs / "more.txt"
    commit_twice.write_text("more")
    commit(theirs, "more")
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{theirs}", "shallow")
    answer = gate(tmp_path / "shallow", "--suite", "speed", "--base", "HEAD~1")
    assert answer.code == 2
    assert "this clone is shallow: `git fetch --unshallow`, or fetch-depth: 0" in answer.err


def test_a_base_without_the_package_says_so(gate, theirs):
    shutil.move(theirs / "mine", theirs / "ours")
    commit(theirs, "gone")
    shutil.move(theirs / "ours", theirs / "mine")
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD")
    assert answer.code == 2
    assert "base: ModuleNotFoundError: No module named 'mine'" in answer.err


@pytest.mark.parametrize(
    ("broken", "status", "code", "words"),
    [
        (
            "head",
            "failed",
            2,
            "head: AttributeError: module 'mine' has no attribute 'heavy' (speed.py, line 17)",
        ),
        (
            "base",
            "failed",
            2,
            "base: AttributeError: module 'mine' has no attribute 'heavy' (speed.py, line 17)",
        ),
    ],
)
def test_a_case_that_fails_on_one_side_only_fails_the_gate(gate, theirs, broken, status, code, words):
    whole = MINE.format(light=1e-4, heavy=2e-4)
    halved = whole.replace("heavy", "other")
    (theirs / "mine" / "__init__.py").write_text(halved if broken == "base" else whole)
    git(theirs, "add", "-A")
    git(theirs, "commit", "-q", "--allow-empty", "-m", "base")
    (theirs / "mine" / "__init__.py").write_text(halved if broken == "head" else whole)
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD", "--case", "heavy", "--format", "json")
    verdict = json.loads(answer.out)
    assert answer.code == code
    assert verdict["cases"][0]["status"] == status
    assert words in verdict["cases"][0]["reason"]


def test_what_fails_in_the_same_way_on_both_sides_is_said_once_with_its_place(gate, theirs, caplog):
    caplog.set_level(logging.DEBUG, "rmsprop")
    (theirs / "mine" / "__init__.py").write_text("def __getattr__(name):\n    raise ValueError('no rows')\n")
    commit(theirs, "broken")
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD", "--case", "heavy", "--format", "json")
    assert answer.code == 2
    verdict = json.loads(answer.out)
    assert verdict["cases"][0]["reason"] == "both sides: ValueError: no rows (__init__.py, line 2)"
    assert "heavy failed:\nTraceback" in caplog.text


@pytest.mark.slow
def test_a_case_that_kills_its_process_fails_alone(gate, theirs):
    killer = "def __getattr__(name):\n    import os\n    os.kill(os.getpid(), 9)\n"
    (theirs / "mine" / "__init__.py").write_text("light = 1e-4\n" + killer)
    answer = gate(theirs, *QUICK, "--base", "HEAD")
    verdict = json.loads(answer.out)
    assert answer.code == 2
    statuses = {case["id"]: case["status"] for case in verdict["cases"]}
    assert statuses == {"light": "compared", "heavy": "failed", "absent": "skipped"}
    assert "the measuring process died (SIGKILL)" in verdict["reasons"][0]


def test_a_package_that_does_not_come_from_the_tree_is_refused(gate, theirs):
    (theirs / "speed.py").write_text(SUITE.replace('PACKAGE = "mine"', 'PACKAGE = "json"'))
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD")
    assert answer.code == 2
    # Both sides lack it, and which of them says so first is chance.
    assert re.search(r"(base|head): ImportError: the tree has no package json", answer.err)


def test_a_package_below_src_is_found(gate, theirs):
    shutil.move(theirs / "mine", theirs / "src" / "mine")
    commit(theirs, "moved")
    answer = gate(theirs, "--suite", "speed.py", "--base", "HEAD", "--case", "absent")
    assert answer.code == 3
    assert "nothing was measured" in answer.out


def test_a_suite_that_lacks_a_part_of_the_protocol_says_which(gate, theirs):
    (theirs / "speed.py").write_text("def cases():\n    return []\n")
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD")
    assert answer.code == 2
    assert "the suite speed has no PACKAGE, make" in answer.err


@pytest.mark.slow
def test_the_same_code_under_two_interpreters_needs_no_revision(gate, theirs, tmp_path):
    other = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", other], check=True)
    arguments = ("--base-python", sys.executable, "--head-python", str(other / "bin" / "python"))
    answer = gate(theirs, *QUICK, *arguments)
    record = json.loads(next(theirs.glob("results/gate/*/*.json")).read_text())
    assert record["cases"][0]["samples"], answer.err
    assert record["base"]["versions"]["torch"]
    assert record["head"]["versions"] == {}  # that one has no packages
    assert answer.code == 0  # the same code


def test_an_interpreter_that_is_too_old_is_refused(gate, theirs, tmp_path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho False\n")
    old.chmod(0o755)
    answer = gate(theirs, "--suite", "speed", "--base-python", str(old))
    assert answer.code == 2
    assert f"{old} is no Python 3.11 or newer" in answer.err


def test_a_step_that_takes_no_time_fails_the_measurement_and_keeps_the_record(gate, theirs):
    (theirs / "speed.py").write_text(
        SUITE.replace("yield lambda steps: steps *", "yield lambda steps: 0.0 *")
    )
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD", "--budget", "2m", "--format", "json")
    assert answer.code == 2
    assert "which is no time to compare" in answer.err + answer.out


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("github", "::error title=Regression gate::The measurement failed: git knows no commit 'nowhere'"),
        ("markdown", "### The measurement failed: git knows no commit 'nowhere'"),
        ("json", '"outcome": "failed"'),
        ("junit", '<error message="git knows no commit'),
        ("bencher", ""),
    ],
)
def test_a_run_that_measured_nothing_says_so_in_the_format_too(gate, theirs, form, words):
    answer = gate(theirs, "--suite", "speed", "--base", "nowhere", "--format", form)
    assert answer.code == 2
    assert words in answer.out
    assert bool(answer.out) == bool(words)


@pytest.mark.slow
def test_a_case_that_takes_longer_than_the_budget_to_be_made_ready_ends_the_run(gate, theirs, left_behind):
    slow = SUITE.replace("    seconds,", "    import time; time.sleep(60)\n    seconds,")
    (theirs / "speed.py").write_text(slow)
    answer = gate(theirs, "--suite", "speed", "--base", "HEAD", "--budget", "4s")
    assert answer.code == 2
    assert "the budget of 4 s ended before every case was made ready once" in answer.err
    assert left_behind() == []
