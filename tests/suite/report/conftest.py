"""One report of made-up records, built once."""

import re
from dataclasses import replace
from functools import partial
from html import unescape
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag

from rmsprop.suite.case import Case
from rmsprop.suite.records.bench import BenchRecord, Measurement
from rmsprop.suite.records.store import write_bench, write_reproduction
from rmsprop.suite.records.sweep_files import begin_sweep, write_points
from rmsprop.suite.report import html
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.pages import overview, performance, reproduction

MARKUP = "other<b>.x|y:$_Mine$*`"


class Page:
    """An HTML page, parsed."""

    def __init__(self, html: str) -> None:
        self.soup = BeautifulSoup(html, "html.parser")
        self.text = re.sub(r"\s+", " ", self.soup.get_text())

    def all(self, tag: str | bool) -> list[Tag]:
        return self.soup.find_all(tag)

    @property
    def ids(self) -> list[str]:
        return [element["id"] for element in self.soup.find_all(id=True)]

    def table(self, caption: str) -> list[list[str]]:
        """The cells of each row of the table whose caption begins so."""
        [table] = [one for one in self.all("table") if one.caption.get_text().startswith(caption)]
        rows = [row.find_all(["th", "td"]) for row in table.tbody.find_all("tr")]
        return [[cell.get_text().replace("\N{NO-BREAK SPACE}", " ") for cell in row] for row in rows]


def page_from(blocks) -> Page:
    """What a page module gives, as the browser would get it."""
    return Page(html.render(blocks))


@pytest.fixture(scope="session")
def page_of():
    """A page that stands in a folder of reports, parsed."""
    return lambda reports, name="index": Page((reports / f"{name}.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def twin_of():
    """The Markdown twin in a folder of reports, as plain text in one line."""

    def read(reports):
        text = unescape((reports / "README.md").read_text("utf-8")).replace("\\", "")
        return re.sub(r"\s+", " ", text)

    return read


@pytest.fixture(scope="session")
def results(tmp_path_factory, make_record) -> Path:
    """A folder with one complete record."""
    folder = tmp_path_factory.mktemp("results")
    write_reproduction(folder, make_record())
    return folder


@pytest.fixture(scope="session")
def reports(tmp_path_factory, results) -> Path:
    """The report of `results`."""
    folder = tmp_path_factory.mktemp("reports")
    build_report(results, folder)
    return folder


@pytest.fixture(scope="session")
def interrupted(make_record):
    """A record of a run that was stopped before its first training ended."""
    record = make_record(runs=0)
    programs = {name: replace(program, ensemble=None) for name, program in record.programs.items()}
    return replace(record, programs=programs, interrupted=True)


@pytest.fixture
def undrawn(monkeypatch):
    """Pages without figures, which take longest: for tests that read words alone."""
    for page in (reproduction, overview):
        monkeypatch.setattr(page, "draw_reproduction", lambda one: {})
    monkeypatch.setattr(performance, "figures_of", lambda rows, name, styles: ())


def store_bench(
    results,
    environment,
    implementation="builtin-loop",
    step=2e-4,
    *,
    name=None,
    status="measured",
    reason=None,
    **changes,
):
    """Store a benchmark record; `changes` are axes, facts of the machine, or parts of the record."""
    facts = {"device": "cpu", "dtype": "float32", "size": "1e5", "layout": "single", "threads": 1}
    facts |= {key: changes.pop(key) for key in list(changes) if key in facts}
    axes = Case(implementation, **facts, momentum=changes.pop("momentum", 0.0))
    samples = {"step": changes.pop("steps", (step,) * 9), **changes.pop("samples", {})}
    processes = changes.pop("processes", 3 if len(samples["step"]) % 3 == 0 else 1)
    run = changes.pop("run", None)
    elements, warnings = int(float(axes.size)), changes.pop("warnings", ())
    notes = changes.pop("notes", ())
    measured = Measurement(elements, 1, 50, samples, changes.pop("ceiling", 1e-5), processes)
    record = BenchRecord(
        environment=environment(**changes),
        axes=axes,
        status=status,
        reason=reason,
        measurement=measured if status == "measured" else None,
        notes=notes,
        warnings=warnings,
        run=run,
    )
    made = record.environment
    stem = re.sub(r"\W+", "_", "-".join(map(str, (implementation, *facts.values()))))
    write_bench(results / "bench" / made.machine / (made.commit or "wheel") / f"{name or stem}.json", record)


UNSTABLE = "unstable: the processes differ by 24%; measure again on a quieter machine"
BUSY = "busy: other processes took 51% of the processors"


def store_matrix(put):
    """Four implementations at three sizes, a busy hour, skips, a failure, and the book's job."""
    for size, step in (("1e3", 1e-5), ("1e5", 1e-4), ("1e6", 1e-3)):
        put("builtin-loop", step, size=size, ceiling=step / 4, samples={"peak": (4096.0,)})
        put("builtin-foreach", step / 2, size=size, ceiling=step / 4, samples={"peak": (8192.0,)})
        apart = (step * 2, step * 4, step * 8)
        put("scratch", steps=apart, size=size, warnings=(UNSTABLE, f"{BUSY}; end them and measure again"))
        put("builtin-capturable", size=size, status="skipped", reason="capturable runs on CUDA alone")
    put(MARKUP, 4e-4, size="1e5")
    put(MARKUP, size="1e6", status="failed", reason="NaN in <x> at 3")
    put(size="1e6", device="mps", status="skipped", reason="no device: no mps here")
    book = {"epoch": (0.025,), "loss": (0.2425,), "import": (1.5,), "first_step": (0.002,)}
    put("builtin-loop", 3e-5, size="6", layout="book", samples=book)


@pytest.fixture
def put(tmp_path, make_environment):
    """Store one benchmark record below tmp_path/results."""
    return partial(store_bench, tmp_path / "results", make_environment)


@pytest.fixture
def matrix(put):
    """A small matrix below tmp_path/results."""
    store_matrix(put)


@pytest.fixture(scope="session")
def whole(tmp_path_factory, make_record, make_environment, make_sweep) -> Path:
    """results/ of a reproduction, a matrix, a sweep and a damaged file, and reports/, the site of them."""
    folder = tmp_path_factory.mktemp("whole")
    store_matrix(partial(store_bench, folder / "results", make_environment))
    write_reproduction(folder / "results", make_record())
    sweep = make_sweep(
        lambda setting: 0.25 + setting["lr"], diverged=lambda setting: 30 * (setting["lr"] == 1)
    )
    write_points(begin_sweep(folder / "results", sweep.record), sweep.points, sweep.chunks)
    (folder / "results" / "bench" / "cut.json").write_text("{")
    build_report(folder / "results", folder / "reports")
    return folder
