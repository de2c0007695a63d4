"""`rmsprop alerts` and `rmsprop report` in one folder name the same alerts and leave out the same."""

import json

import pytest
from typer.testing import CliRunner

from rmsprop.suite.cli.main import app
from tests.repositories import commit, git, make_repository
from tests.suite.history.conftest import foreign
from tests.suite.report.conftest import Page

UNKNOWN = "e" * 40
OTHERS = "the history of the checkout in this folder has none of the measured commits"


@pytest.fixture
def measured(tmp_path):
    """A checkout, and where its results are: 30 commits of main, 4 of an open branch, one that it lacks.

    Main became 50% slower at its 16th commit. The others are slower still, and were measured last.
    """
    folder = make_repository(tmp_path / "checkout")
    main = [commit(folder, str(i)) for i in range(30)]
    git(folder, "checkout", "-q", "-b", "open")
    branch = [commit(folder, f"idea {i}") for i in range(4)]
    git(folder, "checkout", "-q", "main")
    seconds = [1.0] * 15 + [1.5] * 15 + [3.0] * 5
    foreign(tmp_path / "results", [*main, *branch, UNKNOWN], seconds)
    return folder, main, branch


@pytest.fixture
def both(tmp_path, monkeypatch):
    """What the two commands say in a folder: alerts and remarks of the one, pages of the other."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    def ask(folder):
        monkeypatch.chdir(folder)
        results = ["--results", str(tmp_path / "results")]
        answer = json.loads(CliRunner().invoke(app, ["alerts", *results, "--json"]).stdout)
        built = CliRunner().invoke(app, ["report", *results, "--output", str(tmp_path / "pages")])
        assert built.exit_code == 0, built.output
        pages = [Page((tmp_path / "pages" / f"{name}.html").read_text()) for name in ("index", "history")]
        return answer, *pages

    return ask


def commits_of(page):
    """Of each alert of the page, the last commit before and the first after."""
    return [tuple(row[6:8]) for row in page.table("Change points by commit")]


def commits_in(answer):
    return [(one["last_good"][:9], one["first_bad"][:9]) for one in answer["alerts"]]


def test_in_a_checkout_both_leave_out_what_is_not_of_its_history_and_say_so(both, measured):
    folder, main, branch = measured
    answer, overview, history = both(folder)
    assert commits_in(answer) == [(main[14][:9], main[15][:9])]
    assert commits_of(overview) == commits_of(history) == commits_in(answer)
    assert [remark.split(" that ")[0] for remark in answer["remarks"]] == [
        "left out 4 measurements of 4 commits",
        "left out 1 measurement of 1 commit",
    ]
    assert all(f"{remark}." in history.text for remark in answer["remarks"])
    for one in (*branch, UNKNOWN):
        assert one[:9] not in overview.text + history.text


@pytest.mark.parametrize("place", ["no checkout", "another project"])
def test_elsewhere_both_go_by_dates(both, measured, tmp_path, place):
    _, main, branch = measured
    (tmp_path / "elsewhere").mkdir()
    if place == "another project":
        git(tmp_path / "elsewhere", "init", "-q")
        commit(tmp_path / "elsewhere", "theirs")
    answer, overview, history = both(tmp_path / "elsewhere")
    assert set(commits_in(answer)) == {(main[14][:9], main[15][:9]), (main[29][:9], branch[0][:9])}
    assert commits_of(overview) == commits_of(history) == commits_in(answer)
    assert any(OTHERS in remark for remark in answer["remarks"]) is (place == "another project")
    assert all(f"{remark}." in history.text for remark in answer["remarks"])
