"""What the documents tell a reader to type is accepted, and what they link to is there."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from rmsprop.suite.cli import main
from rmsprop.suite.measure.session import EFFORTS

CHECKOUT = Path(__file__).parents[1]
HOW = CHECKOUT / "studies" / "gate" / "how.md"
"""A part of the page beside it."""
DOCUMENTS = [
    path
    for pattern in ("*.md", "docs/*.md", "studies/**/*.md")
    for path in sorted(CHECKOUT.glob(pattern))
    if path.name != "CHANGELOG.md"
]


def commands(document):
    """The words of each command in its shell blocks, and of each `python -m` in its text."""
    text = document.read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    cells = re.findall(r"`(python -m [^`]+)`", text)
    for line in "\n".join((*blocks, *cells)).replace("\\\n", " ").splitlines():
        words = shlex.split(re.sub(r'"?\$\([^)]*\)"?', "FILE", line), comments=True)
        command = []
        for word in (*words, "&&"):
            if word in {"&&", "|", ";"}:
                if command:
                    yield command
                command = []
            else:
                command.append(word)


NAMED = re.compile(r"(?<![\w./*-])(?:tests|tools|studies|benchmarks|rmsprop)/[\w./-]*\w")
CONFIGURED = {
    path
    for name in ("tox.ini", ".ci/run", "pyproject.toml", "asv.conf.json", "CONTRIBUTING.md")
    for path in NAMED.findall((CHECKOUT / name).read_text("utf-8"))
}


@pytest.mark.parametrize("path", sorted(CONFIGURED))
def test_a_file_that_the_configuration_names_is_there(path):
    assert (CHECKOUT / path).exists()


SHOWN = {
    shlex.join(command): command
    for document in DOCUMENTS
    for command in commands(document)
    if command[0] in {"rmsprop", "python"}
}


@pytest.fixture
def checked(monkeypatch):
    """The options of a command line, parsed and checked; the command itself is not run.

    What a document speaks of is taken to be there: folders of records, revisions, a place to write.
    """
    for kind in main.COMMANDS.values():
        monkeypatch.delattr(kind, "check_here", raising=False)

    def check(words):
        given = []
        monkeypatch.setattr(main, "import_module", lambda name: SimpleNamespace(run=given.append))
        monkeypatch.setattr("rmsprop.suite.cli.options.folder_there", lambda option, path, advice: None)
        answer = CliRunner().invoke(main.app, words)
        assert answer.exit_code == 0, answer.output
        return given[0] if given else None

    return check


@pytest.mark.parametrize("shown", SHOWN)
def test_a_command_that_a_document_shows_is_accepted(shown, checked):
    program, *words = SHOWN[shown]
    if program == "python":
        assert words[0] == "-m"
        assert words[1] in {"pip", "pytest"} or find_spec(words[1])
        return
    checked(words)


WRITING = ("run", "reproduce", "bench", "report", "peers", "sweep", "gate")
README = CHECKOUT / "README.md"
IN_TEXT = [shlex.split(words) for words in re.findall(r"`(rmsprop [^`]+)`", README.read_text("utf-8"))]
TYPED = [words for words in (*commands(README), *IN_TEXT) if words[0] == "rmsprop" and words[1] in WRITING]


@pytest.mark.parametrize("typed", TYPED, ids=shlex.join)
def test_what_the_readme_tells_to_type_writes_where_git_ignores_it(typed, checked):
    if typed == ["rmsprop", "report", "--readme", "README.md"]:  # the maintainers' command, named as such
        return
    assert checked(typed[1:]).output.parts[0] == "runs"
    assert "/runs/" in (CHECKOUT / ".gitignore").read_text().splitlines()


def test_the_page_on_benchmarks_says_how_many_processes_measure_a_case():
    assert {effort.processes for effort in EFFORTS.values()} == {5}
    assert "one after the other: five in every profile." in (CHECKOUT / "docs/benchmarks.md").read_text(
        "utf-8"
    )


def test_every_command_is_shown_in_a_document():
    shown = {command[1] for command in SHOWN.values() if command[0] == "rmsprop"}
    assert shown >= set(main.COMMANDS) - {"build"}


def test_the_site_names_every_document():
    index = CHECKOUT / "docs" / "index.md"
    named = {
        (index.parent / f"{line}.md").resolve() for line in index.read_text("utf-8").splitlines() if line
    }
    assert {*DOCUMENTS} - {index, HOW} <= named
