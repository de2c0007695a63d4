"""What holds for every page of the site, and for the folder as a whole."""

import errno
import os
import re
import subprocess
import sys
from html import unescape

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.page import MAX_BYTES
from rmsprop.suite.report.pages import performance_tables, reproduction

MARKUP = "<script>alert(1)</script> | *x* [y](http://example.org) `z`"


@pytest.fixture(scope="module")
def site(whole):
    return whole / "reports"


@pytest.fixture(scope="module")
def every(site, page_of):
    """Each page by its name."""
    return {path.stem: page_of(site, path.stem) for path in site.glob("*.html")}


def tree(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.slow
def test_all_pages_and_figures_are_written_and_named(tmp_path, results):
    report = build_report(results, tmp_path / "new" / "reports")
    written = set(tree(tmp_path / "new" / "reports"))
    assert {path.relative_to(tmp_path / "new" / "reports").as_posix() for path in report.paths} == written
    assert {"index.html", "reproduction.html", "problems.html", "README.md"} <= written
    assert len([name for name in written if name.startswith("figures/")]) == 8
    assert report.problems == ()


def test_every_page_leads_to_every_other_and_says_where_one_is(every):
    for name, page in every.items():
        links = {link["href"] for link in page.all("a")}
        assert {f"{other}.html" for other in every} <= links
        assert [link["href"] for link in page.all("a") if link.get("aria-current")] == [f"{name}.html"]


@pytest.mark.slow
def test_two_builds_give_the_same_bytes_also_in_another_process_with_other_settings(tmp_path, whole):
    (tmp_path / "matplotlibrc").write_text("font.size: 20\nsvg.fonttype: path\n", encoding="utf-8")
    code = (
        "import sys, pathlib; from rmsprop.suite.report.build import build_report; "
        "build_report(*map(pathlib.Path, sys.argv[1:]))"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(whole / "results"), str(tmp_path / "there")],
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(tmp_path), "TZ": "Asia/Tokyo"},
    )
    assert tree(tmp_path / "there") == tree(whole / "reports")


@pytest.mark.slow
def test_markup_in_names_is_shown_not_obeyed(tmp_path, page_of, make_record, make_environment, put):
    for day in (1, 2):
        made = make_environment(
            processor=MARKUP,
            machine=MARKUP.replace("/", ""),
            started=f"2026-01-0{day}T00:00:00+00:00",
            versions={"torch": MARKUP, "rmsprop-bench": "0"},
        )
        write_reproduction(tmp_path / "results", make_record(environment=made))
    put(machine=MARKUP.replace("/", ""), commit=MARKUP.replace("/", ""), processor=MARKUP)
    folder = tmp_path / "results" / "reproduction"
    (folder / "<b>bad|name<b>.json").write_text("{", encoding="utf-8")
    build_report(tmp_path / "results", tmp_path / "reports")
    for name in ("index", "reproduction", "performance", "problems"):
        page = page_of(tmp_path / "reports", name)
        assert len(page.all("script")) == 1
        assert not page.all("b")
    assert MARKUP in page_of(tmp_path / "reports", "reproduction").text
    markdown = (tmp_path / "reports" / "README.md").read_text("utf-8")
    assert "<script" not in markdown
    assert "<b>" not in markdown
    shown = re.findall(r"alert\(1\).*?\\`z\\`", markdown, re.DOTALL)
    assert len(shown) == markdown.count("alert(1)") > 5
    for words in shown:
        line = " ".join(words.split()).replace("http:example", "http://example")
        assert line.endswith(r"\| \*x\* \[y\](http://example.org) \`z\`")


def test_no_page_asks_the_network_for_anything(site, every):
    for name, page in every.items():
        assert len(page.all("script")) == 1
        assert not page.all("script")[0].attrs
        for element in page.all(True):
            for attribute in ("src", "href", "xlink:href", "srcset", "action", "data"):
                value = element.get(attribute) or "#"
                target = value.partition("#")[0]
                link = element.name == "a" and target.startswith("https://")  # is followed, not loaded
                assert value == "data:," or link or not target or (site / target).is_file(), (name, element)
        text = (site / f"{name}.html").read_text("utf-8")
        assert not re.search(r"@import|url\((?!#)|fetch\(|XMLHttp|import\(", text)
        assert len(text.encode()) < MAX_BYTES


def test_every_page_is_readable_without_seeing_it(site, every):
    figures = 0
    for name, page in every.items():
        assert [root.attrs for root in page.all("html")] == [{"lang": "en"}]
        assert len(page.all("h1")) == len(page.all("main")) == 1
        ids = page.ids
        assert len(ids) == len(set(ids)), name
        for figure in page.all("svg"):
            figures += 1
            assert figure["role"] == "img"
            assert set(figure["aria-labelledby"].split()) <= set(ids)
        assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
        boxes = [box for box in page.all("div") if box.get("class") == ["scroll"]]
        assert len(page.all("caption")) == len(page.all("table")) == len(boxes)
        assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    assert figures > 8


def test_the_twin_shows_its_figures_with_what_they_say(site):
    markdown = (site / "README.md").read_text("utf-8")
    images = re.findall(r"!\[([^\n]+?)\]\((figures/[^)]+)\)", markdown)
    assert len(images) > 8
    assert {path for _, path in images} == {f"figures/{path.name}" for path in (site / "figures").iterdir()}
    for alt, path in images:
        described = (site / path).read_text("utf-8")
        assert unescape(alt).replace("\\", "") in unescape(described).replace("\\", "")


@pytest.mark.slow
def test_an_output_below_a_file_is_refused_in_one_line(tmp_path, results):
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(UserError, match=r"cannot write to .*file") as refusal:
        build_report(results, tmp_path / "file" / "reports")
    assert "\n" not in str(refusal.value)
    assert (tmp_path / "file").read_text("utf-8") == "mine"


@pytest.mark.slow
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
    monkeypatch.setattr(reproduction, "draw_reproduction", lambda one: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        build_report(results, tmp_path / "reports")
    assert tree(tmp_path / "reports") == before


@pytest.mark.slow
def test_pages_and_figures_of_a_former_site_that_are_no_more_are_removed_and_nothing_else(
    tmp_path, results, put
):
    put()
    build_report(tmp_path / "results", tmp_path / "reports")
    assert (tmp_path / "reports" / performance_tables.PATH).is_file()
    for mine in ("notes.txt", "figures/mine.png", "asv/index.html", "mine.html"):
        (tmp_path / "reports" / mine).parent.mkdir(exist_ok=True)
        (tmp_path / "reports" / mine).write_text("mine")
    build_report(results, tmp_path / "reports")
    left = set(tree(tmp_path / "reports"))
    assert performance_tables.PATH not in left
    assert not [name for name in left if name.startswith("figures/time-")]
    assert {"notes.txt", "figures/mine.png", "asv/index.html", "mine.html"} <= left
