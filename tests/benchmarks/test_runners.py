"""The real asv and the real pytest-benchmark see a commit that was slowed on purpose."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rmsprop.suite.records.frame import read_frame

pytestmark = pytest.mark.slow

CHECKOUT = Path(__file__).parents[2]
STEP = "        s.data = gamma * s.data"
SLOWED = "        __import__('time').sleep(0.002)\n" + STEP
"""A sleep is never shorter, and a step takes microseconds: no load of the machine hides it or feigns it."""


def run(*command, cwd, **environment):
    answer = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
        timeout=900,
    )
    assert answer.returncode == 0, answer.stdout[-3000:] + answer.stderr[-3000:]
    return answer.stdout


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A throw-away repository of this tree, with two commits: as it is, and with a slower scratch step."""
    folder = tmp_path_factory.mktemp("repository")
    for name in ("rmsprop", "benchmarks"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("asv.conf.json", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)
    # The digits alone need this package, and asv would install it.
    conf = folder / "asv.conf.json"
    conf.write_text(re.sub(r'\n *"scikit-learn": .*', "", conf.read_text()))
    git = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")
    run(*git, "init", "-q", "-b", "main", cwd=folder)
    run(*git, "add", "-A", cwd=folder)
    run(*git, "commit", "-q", "-m", "as it is", cwd=folder)
    scratch = folder / "rmsprop" / "optimizers" / "scratch.py"
    text = scratch.read_text()
    assert text.count(STEP) == 1
    scratch.write_text(text.replace(STEP, SLOWED))
    run(*git, "commit", "-q", "-a", "-m", "slower", cwd=folder)
    return folder


def commits(repository):
    return run("git", "rev-list", "--reverse", "HEAD", cwd=repository).split()


def medians(results, repository):
    """Median step of scratch by commit, oldest first."""
    frame, problems = read_frame(results)
    assert problems == []
    rows = frame[
        (frame.quantity == "step") & (frame.implementation == "scratch") & (frame.status == "measured")
    ]
    by_commit = rows.groupby("commit")["median"].first()
    return [by_commit[commit] for commit in commits(repository)]


def test_pytest_benchmark_sees_the_slowed_commit(repository, tmp_path):
    for commit in commits(repository):
        run("git", "checkout", "-q", commit, cwd=repository)
        run(
            sys.executable, "-m", "pytest", "-q", "benchmarks/bench_steps.py", "--profile", "smoke",
            "--implementation", "scratch", "--device", "cpu", "--layout", "book",
            f"--benchmark-storage=file://{tmp_path}/pytest-benchmark/here",
            cwd=repository,
        )  # fmt: skip
    run("git", "checkout", "-q", "main", cwd=repository)
    before, after = medians(tmp_path, repository)
    assert after > 1.5 * before


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--device", "mps", "--layout", "book"), 0, "no device"),
        (("--device", "toaster"), 4, "choose from cpu, cuda, mps"),
    ],
)
def test_pytest_benchmark_without_a_case_to_time_says_so(tmp_path, arguments, code, words):
    if torch.backends.mps.is_available():
        pytest.skip("there is an mps device here")
    storage = f"--benchmark-storage=file://{tmp_path}"
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "benchmarks/bench_steps.py", "--profile", "smoke"]
    answer = subprocess.run(
        [*command, *arguments, storage], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert words in answer.stdout + answer.stderr
    assert "INTERNALERROR" not in answer.stdout + answer.stderr


def test_asv_builds_both_commits_and_sees_the_slowed_one(repository):
    """In a virtual environment that asv makes itself, as a user's `asv run` over commits does."""

    def asv(*arguments):
        run(sys.executable, "-m", "asv", *arguments, cwd=repository, HOME=str(repository))

    describe = (sys.executable, "-m", "rmsprop", "machine", "--asv")
    here = run(*describe, cwd=CHECKOUT, HOME=str(repository)).strip()
    case = r"Small.time_step\('scratch', 'cpu-float32-6-book-1t'\)"
    for revisions in ("HEAD~1^!", "HEAD~1..HEAD"):
        asv("run", "--quick", "--bench", case, revisions)
    before, after = medians(repository / "results", repository)
    assert after > 1.5 * before
    frame, _ = read_frame(repository / "results")
    assert set(frame.machine) == {here}
    assert frame.processor.notna().all()
    asv("publish")
    assert (repository / "reports" / "asv" / "index.html").is_file()
