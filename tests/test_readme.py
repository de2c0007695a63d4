"""The README's commands are the ones that CI runs, and its table is made by `rmsprop report --readme`."""

import re
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.pages import build_report

CHECKOUT = Path(__file__).parents[1]
README = CHECKOUT / "README.md"


def command(wanted: str) -> str:
    """The line of the README's shell blocks that holds `wanted`."""
    [line] = [
        line for line in README.read_text().splitlines() if wanted in line and line.startswith("python")
    ]
    return line


def test_ci_runs_the_readmes_test_command():
    assert command("python -m pytest") in (CHECKOUT / ".ci" / "run").read_text().splitlines()


def test_the_readme_shows_figures_that_the_report_has():
    figures = re.findall(r"\]\((reports/figures/[^)]+)\)", README.read_text())
    assert len(figures) >= 2
    assert all((CHECKOUT / figure).is_file() for figure in figures)


def test_the_table_is_renewed_between_the_markers_and_nothing_else(tmp_path, make_record):
    write_reproduction(tmp_path / "results", make_record())
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- made by x -->\nstale words\n<!-- end -->\nafter\n")
    texts = []
    for _ in range(2):
        build_report(tmp_path / "results", tmp_path / "reports", readme)
        texts.append(readme.read_text())
    assert texts[0] == texts[1]
    assert texts[0].startswith("before\n<!-- made by x -->\n\n| claim |")
    assert texts[0].endswith("\n<!-- end -->\nafter\n")
    assert "0.243452" in texts[0]
    assert "How fast is a step?" in texts[0]
    assert "stale words" not in texts[0]


@pytest.mark.parametrize("text", ["no markers\n", "<!-- made by x -->\nno end\n"])
def test_a_readme_without_its_markers_is_refused_and_left_as_it_was(tmp_path, make_record, text):
    write_reproduction(tmp_path / "results", make_record())
    readme = tmp_path / "README.md"
    readme.write_text(text)
    with pytest.raises(UserError, match="must hold one"):
        build_report(tmp_path / "results", tmp_path / "reports", readme)
    assert readme.read_text() == text
    assert not (tmp_path / "reports").exists()
