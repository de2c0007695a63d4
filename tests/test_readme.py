"""The README's commands are the ones that CI runs, and what it points to is there."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.pages.reproduction import BOOK
from tests.test_ci import fake, script

CHECKOUT = Path(__file__).parents[1]
READMES = (CHECKOUT / "README.md", CHECKOUT / "README.zh-CN.md")
DOCUMENTS = [*READMES, CHECKOUT / "CONTRIBUTING.md", *sorted((CHECKOUT / "docs").glob("*.md"))]


def commands(document):
    """The lines of the document's shell blocks, without their comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```", document.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.join(shlex.split(line, comments=True)) for line in lines if line.strip()]


LINK = re.compile(r"\]\(([^)\s]+)\)")


def links(document):
    """The targets of the document's links and images."""
    return LINK.findall(document.read_text("utf-8"))


def run_ci(folder, mypy="exit 0"):
    """`.ci/run` where every other command succeeds and `rmsprop` asks for its extra; and what it calls."""
    (folder / "checkout").mkdir()
    commands = folder / "bin"
    for name in ("python", "python3", "ruff", "lint-imports", "sphinx-build", "check-jsonschema", "chromium"):
        fake(commands, name, "exit 0")
    fake(commands, "mypy", mypy)
    fake(commands, "rmsprop", "echo \"install 'rmsprop-bench[suite]'\"; exit 2")
    answer = script("run", cwd=folder / "checkout", path=commands)
    return answer, (commands / "calls.txt").read_text().splitlines()


@pytest.fixture
def calls_of_ci(tmp_path):
    answer, calls = run_ci(tmp_path)
    assert answer.returncode == 0, answer.stderr
    return calls


def test_what_fails_beside_the_tests_fails_ci_and_is_shown_after_them(tmp_path):
    answer, calls = run_ci(tmp_path, mypy="echo 'x.py:1: error'; exit 1")
    assert answer.returncode == 1
    assert "x.py:1: error" in answer.stdout
    assert "python -m pytest -m slow -n 3 --dist loadfile" in calls


def test_ci_runs_the_readmes_test_command_and_the_slow_tests(calls_of_ci, tmp_path):
    [line] = [command for command in commands(READMES[0]) if "pytest" in command]
    typed = fake(tmp_path / "typed", "python", "exit 0")
    subprocess.run(
        ["sh", "-c", line.replace("'&&'", "&&")], env={"PATH": f"{typed}:/usr/bin:/bin"}, check=True
    )
    wanted = (typed / "calls.txt").read_text().splitlines()
    assert len(wanted) == 2
    assert calls_of_ci.index(wanted[0]) < calls_of_ci.index(wanted[1])
    assert "python -m pytest -m slow -n 3 --dist loadfile" in calls_of_ci
    assert "lint-imports" in [call.strip() for call in calls_of_ci]


def test_ci_installs_the_distribution_alone_before_anything_else(calls_of_ci):
    installed = [call for call in calls_of_ci if "pip install" in call]
    assert installed[0] == "python -m pip install -c constraints.txt ."


def test_both_readmes_give_the_same_commands():
    assert commands(READMES[0]) == commands(READMES[1])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_what_a_document_links_to_is_there(document):
    for target in links(document):
        if not target.startswith(("http", "#")):
            assert (document.parent / target.partition("#")[0]).exists(), target


def test_the_wheel_links_to_what_is_public_and_to_no_file_of_the_repository():
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]
    urls = project["urls"].values()
    assert BOOK in urls
    assert all(url.startswith("https://") for url in (*urls, *LINK.findall(project["readme"]["text"])))
    port = next(link for link in links(READMES[0]) if link.startswith("https://github.com"))
    assert port in urls


def test_the_tree_that_the_architecture_draws_is_the_one_that_is_there():
    text = (CHECKOUT / "docs" / "architecture.md").read_text("utf-8")
    [tree] = re.findall(r"^## The tree\n```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    folders = [CHECKOUT]
    for line in tree.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        names = re.split(r"\s{2,}", line.strip())[0].split()
        for name in names:
            assert (folders[depth] / name).exists(), line
        folders[depth + 1 :] = [folders[depth] / names[0]]


def test_the_readme_shows_figures_that_the_report_has():
    figures = [target for target in links(READMES[0]) if target.startswith("reports/figures/")]
    assert len(figures) >= 2


@pytest.mark.slow
def test_the_table_is_renewed_between_the_markers_and_nothing_else(tmp_path, make_record):
    write_reproduction(tmp_path / "results", make_record())
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- made by x -->\nstale words\n<!-- end -->\nafter\n")
    texts = []
    for _ in range(2):
        build_report(tmp_path / "results", tmp_path / "reports", readme)
        texts.append(readme.read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith(
        "before\n<!-- made by x -->\n\nYes: 2 of 2 printed coordinates to the last digit; "
    )
    assert "\n\n**What the book prints," in texts[0]
    assert texts[0].endswith("\n<!-- end -->\nafter\n")
    assert "0.243452" in texts[0]
    assert "How fast is a step?" in texts[0]
    assert "stale words" not in texts[0]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["no markers\n", "<!-- made by x -->\nno end\n"])
def test_a_readme_without_its_markers_is_refused_and_left_as_it_was(tmp_path, make_record, text):
    write_reproduction(tmp_path / "results", make_record())
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(UserError, match="must hold one"):
        build_report(tmp_path / "results", tmp_path / "reports", readme)
    assert readme.read_text() == text
    assert not (tmp_path / "reports").exists()
