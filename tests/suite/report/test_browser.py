"""The site in a real browser: Debian's Chromium, driven by Playwright."""

import os
import re
import shutil
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib import get_data_path

from rmsprop.book.claims import CHAPTER
from rmsprop.suite.records.files import read_folder
from rmsprop.suite.records.store import read_reproduction
from rmsprop.suite.report.build import build_report
from tests.suite.report.conftest import MARKUP

sync_api = pytest.importorskip("playwright.sync_api", reason="needs the package playwright")

pytestmark = pytest.mark.slow
PHONE, DESKTOP = 375, 1280
PAGES = ("index", "reproduction", "chapter", "performance", "sweep", "problems")
RESULTS = Path(__file__).parents[3] / "results"


FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>{folder}/fonts/ttf</dir>
  <cachedir>{cache}</cachedir>
  <alias><family>sans-serif</family><prefer><family>DejaVu Sans</family></prefer></alias>
  <alias><family>monospace</family><prefer><family>DejaVu Sans Mono</family></prefer></alias>
</fontconfig>
"""
"""matplotlib's fonts alone, whose widths the figures are laid out for: no result depends on the machine's."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium or Chrome on PATH")
    fonts = tmp_path_factory.mktemp("fonts")
    (fonts / "fonts.conf").write_text(FONTS.format(folder=get_data_path(), cache=fonts))
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox"],
            env={**os.environ, "FONTCONFIG_FILE": str(fonts / "fonts.conf")},
        )
        yield started
        started.close()


@pytest.fixture(scope="module", params=[(PHONE, "light"), (DESKTOP, "dark")], ids=["phone", "desktop"])
def screen(request, browser):
    """A window; what it logs and asks for is kept in `logged` and `asked`."""
    width, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    page.width, page.scheme, page.logged, page.asked = width, scheme, [], []
    page.on("console", lambda message: page.logged.append(message.text))
    page.on("pageerror", lambda error: page.logged.append(str(error)))
    page.on("request", lambda request: page.asked.append(request.url))
    yield page
    context.close()


@pytest.fixture(scope="module")
def with_chapter(tmp_path_factory):
    """results/ and reports/ of the newest record of the chapter that the checkout has."""
    folder = tmp_path_factory.mktemp("chapter")
    records, _ = read_folder(RESULTS / "reproduction", lambda path: (read_reproduction(path), path))
    found = [(record.environment.started, path) for record, path in records if record.section == CHAPTER]
    if not found:
        pytest.skip("needs the checkout's record of the chapter")
    (folder / "results" / "reproduction").mkdir(parents=True)
    shutil.copy(max(found)[1], folder / "results" / "reproduction")
    build_report(folder / "results", folder / "reports")
    return folder


@pytest.fixture(params=PAGES)
def page(request, screen):
    """A page of the site in that window."""
    site = request.getfixturevalue("with_chapter" if request.param == "chapter" else "whole")
    screen.logged.clear()
    screen.asked.clear()
    screen.goto((site / "reports" / f"{request.param}.html").as_uri())
    screen.name = request.param
    return screen


def test_a_page_logs_no_error_and_asks_for_nothing_but_itself(page):
    assert page.logged == []
    assert page.asked == [page.url]


def test_no_page_scrolls_sideways_and_at_a_desktop_no_table_does(page):
    assert page.evaluate("document.documentElement.scrollWidth") == page.width
    if page.width == DESKTOP:
        for table in page.locator(".scroll").all():
            needed, there = table.evaluate("box => [box.scrollWidth, box.clientWidth]")
            assert needed <= there, table.get_attribute("aria-label")


BOXES = """texts => texts.map(text => [text.textContent, text.getBoundingClientRect().toJSON()])"""


def test_a_figure_is_shown_named_and_its_words_stand_inside_and_clear_of_each_other(page):
    figures = page.locator("figure svg").all()
    assert len(figures) == {"reproduction": 8, "chapter": 17, "performance": 6, "sweep": 4}.get(page.name, 0)
    for figure in figures:
        name = figure.locator("title").first.text_content()
        outer = figure.bounding_box()
        assert outer["height"] > 50, name
        texts = figure.locator("text").evaluate_all(BOXES)
        for words, box in texts:
            assert box["x"] >= outer["x"] - 1, (name, words)
            assert box["x"] + box["width"] <= outer["x"] + outer["width"] + 1, (name, words)
        for (one, a), (other, b) in combinations(texts, 2):
            assert overlap(a, b, "x", "width") <= 2 or overlap(a, b, "y", "height") <= 4, (name, one, other)


def overlap(a, b, start, size):
    return min(a[start] + a[size], b[start] + b[size]) - max(a[start], b[start])


def test_colours_follow_what_the_reader_prefers(page):
    paper, ink = page.evaluate(
        "(({backgroundColor, color}) => [backgroundColor, color])(getComputedStyle(document.body))"
    )
    light = sum(map(int, re.findall(r"\d+", paper)[:3])) > sum(map(int, re.findall(r"\d+", ink)[:3]))
    assert light == (page.scheme == "light")


COLUMN = """(table, number) => [...table.tBodies].flatMap(body => [...body.rows])
    .filter(row => row.checkVisibility())
    .map(row => [row.cells[number].dataset.key ?? null, row.cells[number].textContent])"""


def column(table, number):
    """What the shown rows are sorted by in a column: numbers where they have one, else text."""
    return [text if key is None else float(key) for key, text in table.evaluate(COLUMN, number)]


def test_every_table_sorts_up_and_down_by_each_column(page):
    tables = [table for table in page.locator("table").all() if table.locator("tbody tr").count() > 1]
    assert tables or page.name == "problems"
    for table in tables:
        for number, head in enumerate(table.locator("thead th").all()):
            head.locator("button").click()
            up, said = column(table, number), head.get_attribute("aria-sort")
            head.locator("button").click()
            down = column(table, number)
            assert (said, head.get_attribute("aria-sort")) == ("ascending", "descending")
            rising, falling = ([key for key in keys if isinstance(key, float)] for keys in (up, down))
            assert rising == sorted(rising)
            assert falling == rising[::-1]
            assert sorted(map(str, up)) == sorted(map(str, down))


def test_a_long_table_is_filtered_by_words_and_comes_back(screen, whole):
    screen.goto((whole / "reports" / "reproduction.html").as_uri())
    table = screen.locator("table").filter(has_text="what each edition printed").first
    rows = table.locator("tbody tr")
    every = rows.count()
    box = screen.get_by_label(re.compile("Filter the rows of: RMSProp from scratch: what each edition"))
    box.fill("mxnet d2l-en")
    kept = [row.text_content() for row in rows.filter(visible=True).all()]
    assert 0 < len(kept) < every
    assert all("MXNet" in row and "d2l-en" in row for row in kept)
    assert screen.locator("output").filter(has_text=f"{len(kept)} of {every} rows").count() == 1
    box.fill("")
    assert rows.filter(visible=True).count() == every


def test_somebody_elses_name_is_shown_as_it_is(screen, whole):
    screen.goto((whole / "reports" / "performance.html").as_uri())
    assert screen.get_by_text(MARKUP).count() > 0


@pytest.mark.parametrize(
    "name", ["trajectories", "distribution-rmsprop-scratch", "time-example-2cpu-cpu-1-thread"]
)
def test_a_figures_file_stands_alone(screen, whole, name):
    screen.logged.clear()
    screen.goto((whole / "reports" / "figures" / f"{name}.svg").as_uri())
    assert screen.locator("svg > title").count() == 1
    assert screen.locator("parsererror").count() == 0
    assert screen.logged == []
