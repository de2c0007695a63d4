import errno
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape

import pytest

from rmsprop.book.references import PRIMARY, claims
from rmsprop.book.verdicts import judge
from rmsprop.errors import UserError
from rmsprop.records.store import write_reproduction
from rmsprop.report import pages
from rmsprop.report.pages import build_report

MARKUP = "<script>alert(1)</script> | *x* [y](http://example.org) `z`"


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_both_pages_and_all_figures_are_written_and_named(tmp_path, results):
    report = build_report(results, tmp_path / "new" / "reports")
    written = set(tree(tmp_path / "new" / "reports"))
    assert {path.relative_to(tmp_path / "new" / "reports").as_posix() for path in report.paths} == written
    assert {"index.html", "README.md", "figures/trajectories.svg"} <= written
    assert len(written) == 10
    assert report.problems == ()


def test_each_primary_claim_has_a_sentence_with_book_here_and_verdict(reports, page_of, make_record):
    text = page_of(reports).text
    for verdict in judge(make_record()):
        if verdict.claim.edition == PRIMARY:
            assert re.search(
                rf"{verdict.status}: [^.]*.*?the book prints {verdict.claim.printed}, here (median )?"
                rf"{verdict.here:.6f}; {re.escape(verdict.words)}\.",
                text,
            )


def test_every_editions_values_stand_in_both_pages(reports, page_of):
    html, markdown = page_of(reports).text, (reports / "README.md").read_text(encoding="utf-8")
    for claim in claims():
        assert claim.printed in html
        assert claim.printed in markdown
        assert claim.source in html
        assert claim.source in markdown.replace("\\", "")


def test_the_page_says_on_what_it_was_run(reports, page_of):
    text = page_of(reports).text
    for fact in ("real, file given by path", "2026-01-02 03:04 UTC", "torch 2.13.0", "012345678", "float32"):
        assert fact in text
    assert "with local changes" not in text
    assert "surrogate" not in text


def test_a_surrogate_and_local_changes_are_said(tmp_path, page_of, make_record, make_environment):
    record = make_record(environment=make_environment(dirty=True))
    surrogate = replace(record.data, source="surrogate", detail="made", sha256=None)
    write_reproduction(tmp_path, replace(record, data=surrogate))
    build_report(tmp_path, tmp_path / "reports")
    text = page_of(tmp_path / "reports").text
    assert "These numbers are from the moment-matched surrogate" in text
    assert "with local changes" in text


def test_a_reversed_order_is_said_in_words(reports, page_of):
    expected = "from scratch is faster here"
    assert expected in page_of(reports).text
    assert expected in (reports / "README.md").read_text(encoding="utf-8")


def test_disagreement_of_loop_and_ensemble_is_said(tmp_path, page_of, make_record):
    record = make_record()
    moved = replace(record.programs["concise"], losses=((0.5, 0.26),) * 40)
    write_reproduction(tmp_path, replace(record, programs={**record.programs, "concise": moved}))
    build_report(tmp_path, tmp_path / "reports")
    text = page_of(tmp_path / "reports").text
    assert "They disagree" in text
    assert "Nothing says that they differ" in text


def test_the_newest_record_that_decides_is_shown_and_the_others_listed(
    tmp_path, page_of, make_record, make_environment, interrupted
):
    def at(day, record):
        started = f"2026-01-{day:02}T00:00:00+00:00"
        write_reproduction(tmp_path, replace(record, environment=make_environment(started=started)))

    at(1, make_record(mean=0.3))
    at(2, make_record())
    at(3, interrupted)
    build_report(tmp_path, tmp_path / "reports")
    shown, listed = page_of(tmp_path / "reports").text.split("Other records", 1)
    assert "2026-01-02 00:00 UTC" in shown
    assert listed.index("2026-01-03 00:00 UTC") < listed.index("2026-01-01 00:00 UTC")
    assert "4 of 6 reproduced, 2 not reproduced" in listed


def test_an_interrupted_run_alone_is_shown_with_what_it_has(tmp_path, page_of, interrupted):
    write_reproduction(tmp_path, interrupted)
    build_report(tmp_path, tmp_path / "reports")
    text = page_of(tmp_path / "reports").text
    assert "This run was interrupted" in text
    assert "not run: RMSProp from scratch, final loss: the book prints 0.243452, here nothing" in text
    assert "nan" not in text


def test_seeds_without_a_finite_loss_are_said(tmp_path, page_of, make_record):
    record = make_record(dtype="float16")
    scratch = record.programs["scratch"]
    lost = replace(
        scratch.ensemble,
        not_finite=scratch.ensemble.seeds,
        mean=float("nan"),
        sd=float("nan"),
        **dict.fromkeys(("quantiles", "histogram_edges", "histogram_counts", "curve"), ()),
    )
    program = replace(scratch, ensemble=lost, losses=((float("nan"),) * 31,) * 40)
    write_reproduction(tmp_path, replace(record, programs={**record.programs, "scratch": program}))
    build_report(tmp_path, tmp_path / "reports")
    text = page_of(tmp_path / "reports").text
    assert "no seed gave a finite loss" in text
    assert "10,000 ended without a finite loss" in text


def test_nothing_measured_gives_a_page_that_says_what_to_run(tmp_path, page_of):
    (tmp_path / "empty").mkdir()
    report = build_report(tmp_path / "empty", tmp_path / "reports")
    assert [path.name for path in report.paths] == ["README.md", "index.html"]
    for text in (page_of(tmp_path / "reports").text, (tmp_path / "reports" / "README.md").read_text("utf-8")):
        assert "rmsprop reproduce" in text


def test_damaged_foreign_and_newer_files_are_named_and_the_rest_is_reported(tmp_path, page_of, make_record):
    good = write_reproduction(tmp_path / "results", make_record())
    content = json.loads(good.read_text("utf-8"))
    faults = {
        "cut.json": good.read_text("utf-8")[:1000],
        "foreign.json": "{}",
        "newer.json": json.dumps(content | {"schema": 99}),
        "wrong.json": json.dumps(content | {"device": 7}),
    }
    for name, text in faults.items():
        good.with_name(name).write_text(text, encoding="utf-8")
    report = build_report(tmp_path / "results", tmp_path / "reports")
    assert {problem.path.name for problem in report.problems} == set(faults)
    html = page_of(tmp_path / "reports").text
    markdown = unescape((tmp_path / "reports" / "README.md").read_text("utf-8"))
    for text in (html, markdown):
        assert "6 of 6 reproduced" in text
        for name in faults:
            assert f"reproduction/example-2cpu/{name}" in text
        assert "schema 99 is newer" in text
        assert str(tmp_path) not in text


def test_two_builds_give_the_same_bytes_also_in_another_process_with_other_settings(
    tmp_path, results, reports
):
    build_report(results, tmp_path / "here")
    assert tree(tmp_path / "here") == tree(reports)
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsvg.fonttype: path\n", encoding="utf-8")
    code = (
        "import sys, pathlib; from rmsprop.report.pages import build_report; "
        "build_report(*map(pathlib.Path, sys.argv[1:]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(results), str(tmp_path / "there")],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path), "TZ": "Asia/Tokyo"},
    )
    assert tree(tmp_path / "there") == tree(reports)


def test_markup_in_names_is_shown_not_obeyed(tmp_path, page_of, make_record, make_environment):
    for day in (1, 2):
        made = make_environment(
            processor=MARKUP,
            started=f"2026-01-0{day}T00:00:00+00:00",
            versions={"torch": MARKUP, "rmsprop-bench": "0"},
        )
        write_reproduction(tmp_path, make_record(environment=made))
    folder = tmp_path / "reproduction" / "example-2cpu"
    (folder / "<b>bad|name<b>.json").write_text("{", encoding="utf-8")
    build_report(tmp_path, tmp_path / "reports")
    page, markdown = page_of(tmp_path / "reports"), (tmp_path / "reports" / "README.md").read_text("utf-8")
    assert MARKUP in page.text
    assert not page.all("script")
    assert not page.all("b")
    assert "<script" not in markdown
    assert "<b>" not in markdown
    for line in markdown.splitlines():
        if "alert" in line:
            assert r"\*x\* \[y\](http://example.org) \`z\`" in line
            assert " | *x*" not in line


def test_the_page_asks_the_network_for_nothing_and_runs_no_script(reports, page_of):
    page = page_of(reports)
    assert not page.all("script")
    for tag, attributes in page.elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith("#") or value == "data:,", (tag, value)
    assert not re.search(r"@import|url\((?!#)", (reports / "index.html").read_text("utf-8"))
    assert len((reports / "index.html").read_bytes()) < 2_000_000


def test_the_page_is_readable_without_seeing_it(reports, page_of):
    page = page_of(reports)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("title")) == len(page.all("h1")) == 1
    figures = page.all("svg")
    assert len(figures) == 8
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table")) > 0
    markdown = (reports / "README.md").read_text("utf-8")
    images = re.findall(r"!\[([^\]]+)\]\((figures/[^)]+)\)", markdown)
    assert [alt for alt, _ in images] == [unescape(figure["aria-label"]) for figure in figures]
    assert all((reports / path).is_file() for _, path in images)


def test_an_output_below_a_file_is_refused_in_one_line(tmp_path, results):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot write to .*file") as refusal:
        build_report(results, tmp_path / "file" / "reports")
    assert "\n" not in str(refusal.value)
    assert (tmp_path / "file").read_text("utf-8") == "mine"


def test_a_folder_where_a_page_should_stand_is_refused(tmp_path, results):
    (tmp_path / "index.html").mkdir()
    with pytest.raises(UserError, match="cannot write"):
        build_report(results, tmp_path)


@pytest.mark.parametrize("failing", [0, 9])
def test_a_disk_that_fills_up_leaves_the_former_report_whole(tmp_path, results, monkeypatch, failing):
    (tmp_path / "empty").mkdir()
    build_report(tmp_path / "empty", tmp_path / "reports")
    before = tree(tmp_path / "reports")
    calls = iter(range(100))
    fsync = os.fsync

    def full(handle):
        if next(calls) == failing:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left"):
        build_report(results, tmp_path / "reports")
    assert tree(tmp_path / "reports") == before


def test_an_error_while_drawing_leaves_the_former_report_whole(tmp_path, results, monkeypatch):
    (tmp_path / "empty").mkdir()
    build_report(tmp_path / "empty", tmp_path / "reports")
    before = tree(tmp_path / "reports")
    monkeypatch.setattr(pages, "draw_all", lambda frames: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_report(results, tmp_path / "reports")
    assert tree(tmp_path / "reports") == before
