"""Throw-away repositories of somebody else, whose package says itself how long its steps take."""

import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
SUITE = """
import os
import random
from contextlib import contextmanager

import mine

PACKAGE = "mine"

def cases():
    return ["light", "heavy", "absent"]

@contextmanager
def make(case):
    if case == "absent":
        raise NotImplementedError("nobody has it")
    seconds, noise = getattr(mine, case), random.Random(os.getpid())
    yield lambda steps: steps * seconds * noise.gauss(1, 0.002)
"""
"""The clock is the suite's own, so that no test's result depends on how busy the machine is."""
MINE = "light = {light}\nheavy = {heavy}\n"
"""Seconds of a step of each case."""


def git(folder, *arguments):
    """What git prints."""
    return subprocess.run(
        [*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(folder, message):
    """Commit the whole folder, and say as what."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def make_repository(folder, light=1e-4, heavy=2e-4):
    """A repository with the package and the suite, in one commit."""
    (folder / "mine").mkdir(parents=True)
    write_mine(folder, light, heavy)
    (folder / "speed.py").write_text(SUITE)
    (folder / ".gitignore").write_text("results/\n__pycache__/\n")
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "as it is")
    return folder


def write_mine(folder, light=1e-4, heavy=2e-4):
    """The package, with so many seconds a step."""
    (folder / "mine" / "__init__.py").write_text(MINE.format(light=light, heavy=heavy))
