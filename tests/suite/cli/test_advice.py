"""What is advised is about the folders of the run: whoever follows it changes no committed file."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmsprop.suite.cli.main import app
from tests.repositories import git
from tests.suite.report.conftest import Page

CHECKOUT = Path(__file__).parents[3]
COMMAND = Path(sys.executable).with_name("rmsprop")
LITTLE = {
    "reproduce": "--seeds 50 --runs 1 --no-others --data surrogate",
    "bench": "--implementation builtin-loop --size 1e5 --layout single --device cpu --threads 1",
}
"""Options that leave a command its folders, and take less time."""


def follow(command, checkout):
    """Do what is advised, with little work; the exit code says that it was no wrong use."""
    _, name, *options = shlex.split(command)
    typed = [COMMAND, name, *options, *LITTLE.get(name, "").split()]
    done = subprocess.run(typed, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 3), f"{command}: {done.stderr}"


def advised(pages):
    """The commands on the pages of a site."""
    found = (code.get_text() for path in pages.glob("*.html") for code in Page(path.read_text()).all("code"))
    return {text for text in found if text.startswith("rmsprop ")}


@pytest.mark.slow
def test_whoever_follows_the_pages_of_a_run_in_a_checkout_changes_nothing_that_git_sees(tmp_path):
    git(tmp_path, "clone", "-q", "--shared", CHECKOUT, "checkout")
    checkout = tmp_path / "checkout"
    (checkout / "runs" / "my results").mkdir(parents=True)
    report = "rmsprop report --results 'runs/my results' --output runs/report"
    follow(report, checkout)
    followed: set[str] = set()
    while commands := advised(checkout / "runs" / "report") - followed:
        for command in (*commands, report):
            follow(command, checkout)
        followed |= commands
    assert {shlex.split(command)[1] for command in followed} == {"reproduce", "bench", "report", "export"}
    assert "on record. The command" not in (checkout / "runs" / "report" / "README.md").read_text()
    assert git(checkout, "status", "--porcelain") == ""


@pytest.mark.parametrize("command", ["report", "export"])
def test_a_folder_of_records_that_is_not_there_is_the_one_that_is_to_be_filled(command, tmp_path):
    refused = CliRunner().invoke(app, [command, "--results", str(tmp_path / "mine")])
    [advice] = re.findall("`(.*?)`", str(refused.exception))
    assert advice.endswith(f" --output {tmp_path / 'mine'}")
