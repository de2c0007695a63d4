"""The site in a real browser, driven through Chromium's command line."""

import html
import json
import re
import shutil
import subprocess

import pytest

pytestmark = pytest.mark.slow

PHONE, DESKTOP = 360, 1280
PAGES = ("index", "reproduction", "performance", "problems")

HARNESS = """<!doctype html>%s<pre id="answer"></pre><script>
const look = (page) => {
  const shown = (element) => element.getBoundingClientRect().height > 50;
  const figures = [...page.querySelectorAll("svg")];
  const outside = (text) => {
    const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
    return inner.left < outer.left - 1 || inner.right > outer.right + 1;
  };
  const overlapping = (svg) => {
    const texts = [...svg.querySelectorAll("text")];
    const boxes = texts.map((text) => [text.getBoundingClientRect(), text.textContent]);
    return boxes.flatMap(([a, one], i) => boxes.slice(i + 1).filter(([b]) =>
      Math.min(a.right, b.right) - Math.max(a.left, b.left) > 2 &&
      Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4).map(([, other]) => `${one} / ${other}`));
  };
  return {
    width: page.documentElement.clientWidth,
    needed: page.documentElement.scrollWidth,
    drawn: figures.filter(shown).length,
    unnamed: figures.filter((svg) => svg.getAttribute("aria-labelledby").split(" ")
      .some((id) => !page.getElementById(id)?.textContent)).length,
    outside: [...page.querySelectorAll("svg text")].filter(outside).map((text) => text.textContent),
    overlapping: figures.flatMap(overlapping),
    paper: getComputedStyle(page.body).backgroundColor,
    ink: getComputedStyle(page.body).color,
    requests: page.defaultView.performance.getEntriesByType("resource").map((entry) => entry.name),
    tables: [...page.querySelectorAll("table")].map(use),
  };
};
const column = (table, number) => [...table.tBodies[0].rows].filter((row) => !row.hidden).map((row) => {
  const cell = row.cells[number];
  return cell.dataset.key === undefined ? cell.textContent.trim() : Number(cell.dataset.key);
});
const use = (table) => {
  const buttons = [...table.tHead.querySelectorAll("button")];
  const sorted = buttons.map((button, number) => {
    button.click();
    const up = column(table, number), said = button.parentElement.ariaSort;
    button.click();
    return { up, down: column(table, number), said: [said, button.parentElement.ariaSort] };
  });
  const rows = table.tBodies[0].rows;
  const box = table.closest(".scroll").previousElementSibling;
  const input = box?.classList.contains("tools") ? box.querySelector("input") : null;
  let kept = null;
  if (input) {
    input.value = rows[0].cells[0].textContent.trim();
    input.dispatchEvent(new Event("input"));
    kept = column(table, 0);
    input.value = "";
    input.dispatchEvent(new Event("input"));
  }
  return { caption: table.caption.textContent, rows: rows.length, back: column(table, 0).length, sorted, kept,
    first: rows.length ? rows[0].cells[0].textContent.trim() : null };
};
onload = () => {
  const frames = [...document.querySelectorAll("iframe")];
  document.getElementById("answer").textContent =
    JSON.stringify(Object.fromEntries(frames.map((frame) => [frame.id, look(frame.contentDocument)])));
};
</script>"""


@pytest.fixture(scope="session")
def chromium():
    """Loads a page; its DOM afterwards, and what Chromium logged."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium or Chrome on PATH")

    def load(path, profile, *options):
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
        command += [
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
        ]
        command += ["--virtual-time-budget=10000", *options, path.as_uri()]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
        return answer.stdout, answer.stderr

    return load


@pytest.fixture(scope="session", params=["phone, light", "desktop, dark"])
def seen(request, chromium, whole, tmp_path_factory):
    """What a browser finds on each page of a site, and what it logged; in two settings."""
    folder = tmp_path_factory.mktemp("seen")
    width = PHONE if "phone" in request.param else DESKTOP
    frames = "".join(
        f'<iframe id="{name}" width="{width}" height="800" style="border:0" '
        f'srcdoc="{html.escape((whole / "reports" / f"{name}.html").read_text("utf-8"))}"></iframe>'
        for name in PAGES
    )
    (folder / "harness.html").write_text(HARNESS % frames, encoding="utf-8")
    dark = ("--blink-settings=preferredColorScheme=0",) if "dark" in request.param else ()
    dom, log = chromium(folder / "harness.html", folder / "profile", *dark)
    found = re.search(r'<pre id="answer">(.*?)</pre>', dom, re.DOTALL)[1]
    return request.param, width, json.loads(html.unescape(found)), log


def test_no_page_logs_an_error_or_asks_for_anything(seen):
    _, _, pages, log = seen
    assert "CONSOLE" not in log
    assert set(pages) == set(PAGES)
    assert [page["requests"] for page in pages.values()] == [[]] * len(PAGES)


def test_no_page_scrolls_sideways(seen):
    _, width, pages, _ = seen
    for name, page in pages.items():
        # Chromium may take some of the width for a scroll bar.
        assert width - 20 <= page["width"] <= width, name
        assert page["needed"] == page["width"], name


def test_every_figure_is_drawn_named_and_its_words_stand_inside_and_clear_of_each_other(seen):
    _, _, pages, _ = seen
    assert pages["reproduction"]["drawn"] == 8
    assert pages["performance"]["drawn"] == 6
    for name, page in pages.items():
        assert page["unnamed"] == 0, name
        assert page["outside"] == [], name
        assert page["overlapping"] == [], name


def test_colours_follow_what_the_reader_prefers(seen):
    setting, _, pages, _ = seen
    for page in pages.values():
        paper, ink = (sum(map(int, re.findall(r"\d+", page[name])[:3])) for name in ("paper", "ink"))
        assert (paper < ink) == ("dark" in setting)


def test_every_table_sorts_up_and_down_by_each_column(seen):
    _, _, pages, _ = seen
    tables = [table for page in pages.values() for table in page["tables"] if table["rows"] > 1]
    assert len(tables) > 5
    for table in tables:
        assert table["sorted"], table["caption"]
        for one in table["sorted"]:
            assert one["said"] == ["ascending", "descending"]
            numbers = [cell for cell in one["up"] if isinstance(cell, (int, float))]
            assert numbers == sorted(numbers)
            assert sorted(map(str, one["up"])) == sorted(map(str, one["down"]))
            falling = [cell for cell in one["down"] if isinstance(cell, (int, float))]
            assert falling == sorted(numbers, reverse=True)
    assert any(one["up"] != one["down"] for table in tables for one in table["sorted"])


def test_a_long_table_is_filtered_by_words_and_comes_back(seen):
    _, _, pages, _ = seen
    long = [table for page in pages.values() for table in page["tables"] if table["rows"] >= 8]
    assert long
    for table in long:
        assert 1 <= len(table["kept"]) < table["rows"] or len(set(table["kept"])) == 1
        assert all(all(word in row for word in table["first"].split()) for row in table["kept"])
        assert table["back"] == table["rows"]


@pytest.mark.parametrize(
    "name", ["trajectories", "distribution-rmsprop-scratch", "time-example-2cpu-cpu-1-thread"]
)
def test_a_figures_file_stands_alone(chromium, whole, tmp_path, name):
    dom, log = chromium(whole / "reports" / "figures" / f"{name}.svg", tmp_path / "profile")
    assert "<title" in dom
    assert "parsererror" not in dom
    assert "CONSOLE" not in log
