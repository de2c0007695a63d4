"""The page in a real browser, driven through Chromium's command line."""

import html
import json
import re
import shutil
import subprocess

import pytest

PHONE = 360
MEASURE = """<!doctype html><iframe id="page" width="%d" height="800" style="border:0" srcdoc="%s"></iframe>
<pre id="answer"></pre><script>
onload = () => {
  const page = document.getElementById("page").contentDocument;
  document.getElementById("answer").textContent = JSON.stringify({
    width: page.documentElement.clientWidth,
    needed: page.documentElement.scrollWidth,
    drawn: [...page.querySelectorAll("svg")].filter((svg) => svg.getBoundingClientRect().height > 50).length,
    outside: [...page.querySelectorAll("svg text")].filter((text) => {
      const inner = text.getBoundingClientRect(), outer = text.ownerSVGElement.getBoundingClientRect();
      return inner.left < outer.left - 1 || inner.right > outer.right + 1;
    }).map((text) => text.textContent),
  });
};
</script>"""


@pytest.fixture(scope="session")
def chromium():
    """Loads a page; its DOM afterwards, and what Chromium logged."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("needs Chromium or Chrome on PATH")

    def load(path, profile):
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--dump-dom"]
        command += [
            "--disable-background-networking",
            f"--user-data-dir={profile}",
            "--enable-logging=stderr",
        ]
        command += ["--virtual-time-budget=5000", path.as_uri()]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return answer.stdout, answer.stderr

    return load


def test_a_phone_shows_the_whole_page_without_scrolling_sideways_or_errors(chromium, reports, tmp_path):
    page = (reports / "index.html").read_text(encoding="utf-8")
    (tmp_path / "measure.html").write_text(MEASURE % (PHONE, html.escape(page)), encoding="utf-8")
    dom, log = chromium(tmp_path / "measure.html", tmp_path / "profile")
    measured = json.loads(html.unescape(re.search(r'<pre id="answer">(.*?)</pre>', dom, re.DOTALL)[1]))
    # Chromium may take some of the width for a scroll bar.
    assert PHONE - 20 <= measured["width"] <= PHONE
    assert measured["needed"] == measured["width"]
    assert measured["drawn"] == 8
    assert measured["outside"] == []
    assert "CONSOLE" not in log


@pytest.mark.parametrize("name", ["trajectories", "distribution-scratch", "order"])
def test_a_figures_file_stands_alone(chromium, reports, tmp_path, name):
    dom, log = chromium(reports / "figures" / f"{name}.svg", tmp_path / "profile")
    assert "<title>" in dom
    assert "parsererror" not in dom
    assert "CONSOLE" not in log
