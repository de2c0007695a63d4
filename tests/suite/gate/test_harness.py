"""The harness that measures is today's, whatever rmsprop is under test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rmsprop.suite.gate.prepare import prepare
from rmsprop.suite.gate.trees import prepared_trees
from rmsprop.suite.gate.worker_client import Arm
from tests.repositories import CHECKOUT, commit, git

OTHERS = {
    "rmsprop/errors.py": "",
    "rmsprop/suite/__init__.py": "",
    "rmsprop/suite/case.py": "raise AssertionError('the commit has a suite of its own')",
    "rmsprop/suite/measure/__init__.py": "",
    "rmsprop/suite/measure/workload.py": "raise AssertionError('the commit has a suite of its own')",
    "benchmarks/__init__.py": "",
    "benchmarks/suite.py": "raise AssertionError('the commit has a suite of its own')",
}
"""A suite with names of today's that is another one."""
NONE = {
    "rmsprop/optimizers/registry.py": "",
    "rmsprop/bench.py": "",
    "rmsprop/cli.py": "",
    "benchmarks/cases.py": "",
}
"""The files of 2623c63 in place of a suite; e103e06 had fewer still."""
WHERE = """
from importlib import import_module
import benchmarks
for name in ("errors", "suite", "suite.measure.workload", "optimizers.scratch"):
    print(import_module(f"rmsprop.{name}").__file__)
"""
PATTERN = "scratch-cpu-float32-6-book-1t"


def stand_in(folder, files):
    """An rmsprop with the book's optimizer alone, as every commit has it, and these files."""
    shutil.rmtree(folder / "rmsprop", ignore_errors=True)
    shutil.rmtree(folder / "benchmarks", ignore_errors=True)
    optimizers = folder / "rmsprop" / "optimizers"
    optimizers.mkdir(parents=True)
    shutil.copy(CHECKOUT / "rmsprop" / "optimizers" / "scratch.py", optimizers)
    for name in ("rmsprop/__init__.py", "rmsprop/optimizers/__init__.py"):
        (folder / name).touch()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content + "\n")


@pytest.mark.slow
def test_the_gate_measures_a_commit_that_has_another_suite_and_one_that_has_none(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    stand_in(folder, NONE)
    none = commit(folder, "no suite")
    stand_in(folder, OTHERS)
    other = commit(folder, "another suite")
    shutil.rmtree(folder / "rmsprop")
    for name in ("rmsprop", "benchmarks"):
        shutil.copytree(
            CHECKOUT / name, folder / name, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
    commit(folder, "today's suite")
    with prepared_trees(folder, {"base": none, "head": other}, "benchmarks.suite") as trees:
        for name, tree in (("base", trees.base), ("head", trees.head)):
            arm = Arm(name, Path(sys.executable), tree.path, trees.harness, trees.suite)
            opened = prepare(arm, [PATTERN, PATTERN.replace("scratch", "fused")], lambda: None).opened
            assert opened[PATTERN].failed is opened[PATTERN].skipped is None
            assert opened[PATTERN].steps
            (fused,) = set(opened) - {PATTERN}
            assert opened[fused].skipped == "not in this commit: fused"


def test_todays_suite_lists_its_cases_from_the_harness_alone(tmp_path):
    """With a tree of the book's optimizer alone: each file that benchmarks/ loads beside it must be there."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    stand_in(folder, NONE)
    none = commit(folder, "no suite")
    shutil.copytree(CHECKOUT / "benchmarks", folder / "benchmarks", dirs_exist_ok=True)
    with prepared_trees(folder, {"base": none, "head": none}, "benchmarks.suite") as trees:
        answer = subprocess.run(
            [sys.executable, "-P", "-c", "from benchmarks.suite import cases; print(*cases())"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (trees.harness, trees.base.path)))},
            capture_output=True,
            text=True,
            check=True,
        )
    listed = answer.stdout.split()
    assert len(listed) > 30
    assert not [case for case in listed if case.startswith("builtin-compiled")]  # its imports ate the budget


@pytest.mark.slow
@pytest.mark.parametrize("files", [NONE, OTHERS], ids=["none", "another"])
def test_asv_measures_an_installed_commit_with_todays_suite(tmp_path, files):
    stand_in(tmp_path / "site", files)
    shutil.rmtree(tmp_path / "site" / "benchmarks", ignore_errors=True)
    answer = subprocess.run(
        [sys.executable, "-P", "-c", WHERE],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path / "site", CHECKOUT)))},
        capture_output=True,
        text=True,
        check=True,
    )
    *harness, subject = answer.stdout.splitlines()
    assert all(file.startswith(f"{CHECKOUT}{os.sep}") for file in harness)
    assert subject.startswith(str(tmp_path / "site"))
