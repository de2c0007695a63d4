import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from rmsprop.suite.history.alerts import Alert
from rmsprop.suite.history.series import History, Series
from rmsprop.suite.report import markdown
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.report.page import drawings_of
from rmsprop.suite.report.pages import history
from tests.suite.report.conftest import page_from

NUMBER = 12


def series(case="scratch-cpu-float32-1e5-single-1t", step=None, number=NUMBER, **changes):
    values = np.full(number, 1e-4)
    if step is not None:
        values[step:] *= 2
    return Series(
        **{
            "machine": "example-2cpu",
            "environment": "torch2.13",
            "case": case,
            "quantity": "step",
            "unit": "seconds",
            "runner": "asv",
            "commits": tuple(f"{i:040x}" for i in range(number)),
            "times": tuple(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(number)),
            "values": values,
        }
        | changes
    )


def alert(one, at):
    return Alert(one, one.commits[at - 1], one.commits[at], 2.0, 1.9, 2.1, 1e-4, "slower", NUMBER - at, 0)


@pytest.fixture
def page_with(tmp_path):
    """The page of these series and alerts."""

    def make(found, alerts=(), **changes):
        inputs = replace(
            read_inputs(tmp_path), history=History(tuple(found), ()), alerts=tuple(alerts), **changes
        )
        pages = list(history.pages(inputs))
        return page_from(pages[0].blocks) if pages else None

    return make


def test_a_change_point_is_marked_in_the_figure_and_leads_to_its_commit(page_with):
    one = series(step=8)
    page = page_with([one], [alert(one, 8)])
    anchor = f"commit-{one.commits[8][:12]}"
    assert f"#{anchor}" in {link.get("xlink:href") for link in page.soup.svg.find_all("a")}
    assert page.soup.find("th", id=anchor).get_text() == one.commits[8][:9]
    assert "2.00×" in [text.get_text().strip() for text in page.all("text")]
    assert page.soup.find(class_="status").get_text() == "100% slower"
    assert "A triangle marks the first commit after a change point." in page.text
    assert f"to 2.00 times at {one.commits[8][:9]}" in page.text


def test_change_points_stand_by_commit_with_the_largest_that_stands_first(page_with):
    """As `rmsprop alerts` shows them, from the same groups."""
    many = [series(f"scratch-cpu-float32-{size}-single-1t", step=8) for size in range(1, 5)]
    undone = replace(alert(many[0], 8), ratio=3.0, recovered=many[0].commits[10])
    standing = [replace(alert(one, 6), ratio=1.5 + i / 10) for i, one in enumerate(many)]
    page = page_with(many, [undone, *standing])
    groups = page.table("Commits that changed something")
    names = [many[0].commits[i][:9] for i in (6, 8)]
    assert [row[0] for row in groups] == names
    assert [row[4] for row in groups] == ["4 of 4", "0 of 1"]
    assert groups[0][5] == f"80% slower: {many[3].case}"
    assert groups[0][6] == "4 of 4 series changed here; suspect the machine before the code"
    rows = page.table("Change points by commit")
    assert [row[3] for row in rows] == [f"{n}% slower" for n in (80, 70, 60, 50, 200)]
    assert [row[4] for row in rows] == ["still so"] * 4 + [f"back since {many[0].commits[10][:9]}"]
    assert "5 change points, 4 of them still so, in 4 series over commits" in page.text


def test_an_improvement_that_was_lost_says_so(page_with):
    one = series(step=8)
    lost = replace(alert(one, 4), ratio=0.5, direction="faster", recovered=one.commits[8])
    page = page_with([one], [lost])
    assert page.soup.find(class_="status").get_text() == f"lost since {one.commits[8][:9]}"


def test_commits_lead_to_where_they_can_be_read(page_with):
    one = series(step=8)
    page = page_with([one], [alert(one, 8)], commit_url="https://a.example/c/")
    links = {link.get("href") for link in page.all("a")}
    assert {f"https://a.example/c/{one.commits[i]}" for i in (7, 8)} <= links


def test_what_was_measured_and_is_in_no_series_is_named(tmp_path):
    remark = "left out 3 measurements with local changes, which no commit stands for"
    inputs = replace(read_inputs(tmp_path), history=History((series(),), (), remarks=(remark,)), alerts=())
    [page] = history.pages(inputs)
    assert f"{remark}." in page_from(page.blocks).text
    nothing = replace(inputs, history=History((), (), remarks=(remark,)))
    assert history.changed(nothing) == f"No history of commits is on record; {remark}"


def test_more_memory_is_not_called_slower(page_with):
    one = series(step=8, quantity="peak", unit="bytes")
    assert page_with([one], [alert(one, 8)]).soup.find(class_="status").get_text() == "100% more"


def test_more_of_what_is_counted_is_called_neither_slower_nor_bad(page_with):
    one = series(case="b.track_up", quantity="track", unit="1")
    page = page_with([one], [alert(one, 8)])
    assert page.table("Change points by commit")[0][3] == "100% more"
    assert page.soup.find(class_="status") is None
    assert "slower" not in page.text


def test_the_rows_of_two_environments_name_what_differs(page_with):
    both = [series("b.mem_o", environment=f"py3.{minor}-torch2.13") for minor in (11, 12)]
    page = page_with(both, [alert(one, 8) for one in both])
    rows = page.table("Change points by commit")
    assert [row[0] for row in rows] == ["b.mem_o in py3.11", "b.mem_o in py3.12"]


def test_without_a_change_point_the_page_says_so(page_with):
    text = page_with([series()]).text
    assert "No change point in 1 series over commits." in text
    assert "No change point was found." in text


def test_a_history_that_is_too_short_is_not_said_to_have_no_change_point(page_with):
    one = series()
    short = replace(one, commits=one.commits[:7], times=one.times[:7], values=one.values[:7])
    text = page_with([short]).text
    assert "The history is too short to say: it has 7 commits at most" in text
    assert "Too short for a change point." in text
    assert "No change point in" not in text


def test_a_change_point_that_the_gate_measured_in_one_pair_counts_its_series(page_with):
    one = series(number=2, runner="gate", unit="1", launches=((0.05,) * 4,) * 2)
    assert "1 change point in 1 series over commits" in page_with([one], [alert(one, 1)]).text


def test_without_a_history_there_is_no_page(page_with):
    assert page_with([]) is None


def test_implementations_of_one_point_share_a_figure(page_with):
    names = ("scratch", "builtin-loop", "made.up:Other")
    page = page_with([series(f"{name}-cpu-float32-1e5-single-1t") for name in names])
    assert len(page.all("svg")) == 1
    assert set(names) <= {text.get_text().strip() for text in page.all("text")}


@pytest.mark.slow
def test_figures_with_a_change_point_stand_first_and_what_is_beyond_the_cap_is_counted(page_with):
    many = [series(f"scratch-cpu-float32-{size}-single-1t") for size in range(1, 30)]
    stepped = series("scratch-cpu-float32-77-single-1t", step=8)
    page = page_with([*many, stepped], [alert(stepped, 8)])
    titles = [title.get_text() for title in page.all("title")]
    assert len(titles) == 24
    assert "float32 77 single" in titles[0]
    assert "6 further figures are left out" in page.text


@pytest.mark.slow
def test_the_markdown_has_few_figures_and_no_list_of_every_series(tmp_path):
    many = tuple(series(f"scratch-cpu-float32-{size}-single-1t") for size in range(1, 9))
    [page] = history.pages(replace(read_inputs(tmp_path), history=History(many, ()), alerts=()))
    assert len(list(drawings_of(page.blocks, details=True))) == 8
    assert len(list(drawings_of(page.blocks, details=False))) == 4
    assert "Every series" not in markdown.render(page.blocks)


@pytest.mark.slow
def test_figures_end_where_the_page_would_grow_too_large(page_with, monkeypatch):
    monkeypatch.setattr(history, "_FIGURES_BYTES", 50_000)
    page = page_with([series(f"scratch-cpu-float32-{size}-single-1t") for size in range(1, 10)])
    drawn = len(page.all("svg"))
    assert 0 < drawn < 9
    assert f"{9 - drawn} further figures are left out" in page.text
    assert len(str(page.soup)) < 80_000


def test_names_of_figures_differ_also_between_environments(tmp_path):
    both = tuple(series(environment=f"torch2.{minor}") for minor in (12, 13))
    [page] = history.pages(replace(read_inputs(tmp_path), history=History(both, ()), alerts=()))
    assert len({drawing.name for drawing in drawings_of(page.blocks, details=True)}) == 2


def test_a_thousand_commits_are_drawn_as_the_newest_two_hundred(page_with):
    page = page_with([series(number=1_000)])
    assert "over 200 commits" in page.text
    assert len(str(page.soup)) < 300_000


def test_commits_are_drawn_in_the_order_of_the_history_whatever_their_dates(tmp_path):
    commits = tuple(f"{i:07x}".ljust(40, "0") for i in range(NUMBER))
    one = series(commits=commits, times=series().times[::-1])
    found = History((one,), (), measured=commits)
    [page] = history.pages(replace(read_inputs(tmp_path), history=found, alerts=()))
    labels = [text.get_text().strip() for text in page_from(page.blocks).all("text")]
    drawn = [label for label in labels if label in {commit[:7] for commit in commits}]
    assert len(drawn) > 1
    assert drawn == sorted(drawn)


def test_asvs_own_site_is_linked_where_it_is_published(page_with):
    assert page_with([series()], asv_site=True).soup.find("a", href="asv/index.html")
    page = page_with([series()])
    assert not page.soup.find("a", href="asv/index.html")
    assert "asv publish" in page.text


def test_ratios_of_the_gate_are_a_series_of_their_own(page_with):
    ratios = series(runner="gate", unit="1", values=np.full(NUMBER, 1.01))
    page = page_with([series(), ratios])
    assert len(page.all("svg")) == 2
    assert "1.01" in {cell.get_text() for cell in page.all("td")}


def asv_file(commit, day, value):
    return {
        "commit_hash": commit,
        "date": int(datetime(2026, 1, day, tzinfo=UTC).timestamp() * 1000),
        "params": {"pip+torch": "2.13.0"},
        "result_columns": ["result", "params", "version", "started_at", "duration"],
        "results": {
            "steps.Small.time_100_steps": [
                [value], [["'scratch'"], ["'cpu-float32-1e5-single-1t'"]], "1", 1795406906639, 0.6,
            ]
        },
        "version": 2,
    }  # fmt: skip


@pytest.mark.slow
def test_a_change_point_in_asvs_results_is_found_shown_and_said_on_the_overview(tmp_path, page_of, twin_of):
    folder = tmp_path / "results" / "asv" / "m"
    folder.mkdir(parents=True)
    for day in range(1, 29):
        value = (1.0 + 0.01 * (day % 3)) * (2e-2 if day > 14 else 1e-2)
        content = asv_file(f"{day:02}" * 20, day, value)
        (folder / f"{day:02}-env.json").write_text(json.dumps(content))
    report = build_report(tmp_path / "results", tmp_path / "reports")
    assert "1 change point in 1 series over commits" in report.sentences[2]
    for name in ("index", "history"):
        text = page_of(tmp_path / "reports", name).text
        assert "slower" in text
        assert "151515151" in text
    assert "slower" in twin_of(tmp_path / "reports")
