import json
import re
from html import unescape

import pytest

from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.figures.canvas import series_style
from rmsprop.suite.report.page import Cell
from rmsprop.suite.report.pages import performance
from rmsprop.suite.report.pages.performance import section_of
from rmsprop.suite.report.pages.performance_tables import machines_table
from rmsprop.suite.verdicts.speed import Runs

MARKUP = "other<b>.x|y:$_Mine$*`"
OLDER, NEWER = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"


def built(tmp_path):
    return build_report(tmp_path / "results", tmp_path / "reports")


@pytest.fixture
def texts(tmp_path, page_of, twin_of):
    """The HTML page and its Markdown twin, as plain text, once the report is built."""

    def read():
        built(tmp_path)
        return page_of(tmp_path / "reports", "performance").text, twin_of(tmp_path / "reports")

    return read


def runs_of(tmp_path):
    return Runs.of(read_frame(tmp_path / "results")[0])


def section(tmp_path, machine="example-2cpu"):
    runs = runs_of(tmp_path)
    return section_of(runs, machine, {name: series_style(i) for i, name in enumerate(runs.implementations)})


def rows_of(table):
    """Cells as text, by the row's first cell and by column."""
    rows = [[cell.text if isinstance(cell, Cell) else cell for cell in row] for row in table.rows]
    return {row[0]: dict(zip(table.columns, row, strict=True)) for row in rows}


def asv_result(commit):
    names = ["result", "params", "version", "started_at", "duration"]
    params = [["'scratch'"], ["'cpu-float32-1e5-single-1t'"]]
    steps = [[1e-3], params, "1", 1795406906639, 0.6]
    return {
        "commit_hash": commit,
        "params": {"pip+torch": "2.13.0"},
        "result_columns": names,
        "results": {"steps.Small.time_100_steps": steps},
        "version": 2,
    }


def put_asv(tmp_path, machine, commit):
    folder = tmp_path / "results" / "asv" / machine
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{commit[:8]}-env.json").write_text(json.dumps(asv_result(commit)))


def put_pytest(tmp_path):
    extra = {"implementation": "scratch", "device": "cpu", "dtype": "float32", "size": "1e5"}
    extra |= {"layout": "single", "threads": 0, "elements": 100_000, "machine": "m", "torch": "2.13.0"}
    stats = {"median": 2e-5, "q1": 1e-5, "q3": 3e-5, "min": 1e-5, "rounds": 3, "data": [1e-5, 2e-5, 3e-5]}
    content = {
        "machine_info": {"python_version": "3.11.7"},
        "commit_info": {"id": "e" * 40, "dirty": True},
        "datetime": NEWER,
        "benchmarks": [{"extra_info": extra, "stats": stats}],
    }
    (tmp_path / "results" / "pytest-benchmark").mkdir(parents=True)
    (tmp_path / "results" / "pytest-benchmark" / "0001.json").write_text(json.dumps(content))


@pytest.mark.usefixtures("undrawn")
def test_every_implementation_stands_in_the_table_with_its_time_or_why_it_has_none(tmp_path, matrix):
    assert rows_of(section(tmp_path).tables[0])["1e6, one tensor, 1 thread"] == {
        "Case": "1e6, one tensor, 1 thread",
        "Run": "A",
        "scratch": "4 ms †, 0.250× †",
        "builtin-loop": "1 ms",
        "builtin-foreach": "500 µs, 2.00×",
        MARKUP: "failed",
        "Five passes / fastest step": "50% (builtin-foreach)",
    }


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_both_pages_show_the_steps_and_the_warnings_and_the_site_what_was_left_out(matrix, texts):
    page, twin = texts()
    for text in (page, twin):
        assert "500 µs, 2.00×" in text
        assert "busy: other processes took 51% of the processors; end them and measure again (3 cases" in text
        assert "measure again on a quieter machine (3 cases, such as scratch, cpu" in text
        assert "wide: the 95% interval of the speed-up 0.250 is 0.0317 to 1.97; measure again" in text
    assert "3 cases skipped: capturable runs on CUDA alone (such as builtin-capturable, cpu" in page
    assert "1 case skipped: no device: no mps here (such as builtin-loop, mps float32, 1e6, one" in page
    assert "1 case failed: NaN in <x> at 3" in page
    assert "bench: 26 rows from 16 files" in page


@pytest.mark.usefixtures("undrawn")
def test_an_implementation_that_was_skipped_throughout_has_no_column(tmp_path, matrix):
    assert "builtin-capturable" not in section(tmp_path).tables[0].columns


@pytest.mark.slow
def test_points_go_from_small_to_large_and_a_point_that_lacks_a_case_says_so(tmp_path, matrix):
    rows = rows_of(section(tmp_path).tables[0])
    assert [name.partition(",")[0] for name in rows] == ["6", "1e3", "1e5", "1e6"]
    assert rows["6, the book’s w and b, 1 thread"]["scratch"] == "–"


@pytest.mark.usefixtures("undrawn")
def test_memory_the_books_job_and_the_cold_start_have_a_table_of_their_own(tmp_path, matrix):
    rows = rows_of(section(tmp_path).tables[1])
    assert rows["builtin-loop"] == {
        "Implementation": "builtin-loop",
        "Extra memory (1e6, one tensor, 1 thread, run A)": "4.0 KiB",
        "Book epoch (6, the book’s w and b, 1 thread, run A)": "25 ms",
        "The book’s final loss (6, the book’s w and b, 1 thread, run A)": "0.242500",
        "Imports (6, the book’s w and b, 1 thread, run A)": "1.5 s",
        "First step (6, the book’s w and b, 1 thread, run A)": "2 ms",
    }
    assert rows["builtin-foreach"]["Extra memory (1e6, one tensor, 1 thread, run A)"] == "8.0 KiB"


@pytest.mark.usefixtures("undrawn")
def test_the_digits_have_columns_of_their_own_beside_the_books(tmp_path, put, matrix):
    for name in ("builtin-loop", "scratch", "builtin-foreach"):  # more than ran the book's job
        put(name, size="2410", layout="digits", samples={"epoch": (0.011,), "loss": (0.0625,)})
    rows = rows_of(section(tmp_path).tables[1])
    place = "(2410, the digits network, 1 thread, run A)"
    assert rows["scratch"][f"Digits epoch {place}"] == "11 ms"
    assert rows["builtin-loop"][f"The digits’ final loss {place}"] == "0.062500"
    assert rows["builtin-loop"]["Book epoch (6, the book’s w and b, 1 thread, run A)"] == "25 ms"


def test_a_machine_is_compared_with_the_others_at_the_point_that_most_of_them_measured(tmp_path, put):
    for machine, step in (("slow", 4e-3), ("fast", 1e-3)):
        put("builtin-loop", step, size="1e6", machine=machine, ceiling=1e-3)
    put("builtin-loop", 1e-2, size="1e7", machine="fast")
    rows = rows_of(machines_table(runs_of(tmp_path)))
    assert {name: row["builtin-loop"] for name, row in rows.items()} == {"slow": "4 ms", "fast": "1 ms"}
    assert rows["slow"]["Five plain passes"] == "20 GB/s"
    assert rows["slow"]["Case"] == "cpu, 1e6, one tensor, 1 thread"


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_each_machine_has_a_section_and_beyond_four_they_are_counted(put, texts, tmp_path, page_of):
    for day in range(1, 7):
        put("builtin-loop", machine=f"machine{day}", started=f"2026-01-0{day}T00:00:00+00:00")
    for text in texts():
        assert "2 further machines, measured longer ago, have no section" in text
    ids = [head["id"] for head in page_of(tmp_path / "reports", "performance").all("h2") if head.get("id")]
    assert ids == ["machines", *(f"machine-machine{day}" for day in (6, 5, 4, 3))]


@pytest.mark.usefixtures("undrawn")
def test_without_the_reference_there_is_a_time_and_no_speed_up(tmp_path, put):
    put("scratch", 1e-4)
    assert rows_of(section(tmp_path).tables[0])["1e5, one tensor, 1 thread"]["scratch"] == "100 µs"


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_bench_is_shown_before_pytest_benchmark_and_that_before_asv(tmp_path, put):
    def measured_by():
        return rows_of(section(tmp_path, "m").runs).popitem()[1]["Measured by"]

    put_asv(tmp_path, "m", "a" * 40)
    assert measured_by() == "asv"
    assert "no number is marked" in section(tmp_path, "m").facts["Trust"]
    put_pytest(tmp_path)
    assert measured_by() == "pytest-benchmark"
    put("scratch", machine="m", started=OLDER)
    assert measured_by() == "rmsprop bench"
    assert "Trust" not in section(tmp_path, "m").facts


def test_no_rows_leave_the_site_without_the_page(tmp_path, reports):
    (tmp_path / "results").mkdir()
    built(tmp_path)
    assert not (tmp_path / "reports" / "performance.html").exists()
    assert not (reports / "performance.html").exists()


def test_markup_in_names_is_shown_not_obeyed(whole, page_of):
    page = page_of(whole / "reports", "performance")
    markdown = (whole / "reports" / "README.md").read_text("utf-8")
    assert MARKUP in page.text
    assert not page.all("b")
    assert "<b>" not in markdown
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    assert len(tables) > 3
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    figure = whole / "reports" / "figures" / "time-example-2cpu-cpu-1-thread.svg"
    assert MARKUP in unescape(figure.read_text("utf-8"))


@pytest.fixture(scope="module")
def drawn(whole):
    """A figure of the matrix by its name."""
    drawings = {drawing.name: drawing for drawing in section(whole).drawings}
    return drawings.__getitem__


@pytest.mark.parametrize("name", ["time", "bandwidth"])
def test_a_figure_tells_its_lines_apart_without_colour_and_draws_the_five_passes(drawn, name):
    svg = drawn(f"{name}-example-2cpu-cpu-1-thread").inline
    for words in ("scratch", "builtin-loop", "builtin-foreach", "five plain passes"):
        assert f">{words}</text>" in svg
    assert len(set(re.findall(r"stroke-dasharray: ([^;\"]+)", svg))) >= 3
    assert "capturable" not in svg


def test_a_figure_mixes_no_step_with_momentum_among_those_without(tmp_path, put):
    put("builtin-loop", 4e-4)
    put("fused", 2e-4)
    put("builtin-loop", 3e-4, name="loop-m", momentum=0.9)
    put("fused", 1e-4, name="fused-m", momentum=0.9)
    drawings = {drawing.name: drawing for drawing in section(tmp_path).drawings}
    time = drawings["time-example-2cpu-cpu-1-thread"]
    assert "the fastest is fused at 100,000 elements with 200 µs." in time.alt
    assert "without momentum" in time.caption
    assert drawings["speed-up-example-2cpu-fused"].inline.count(">2.00</text>") == 1


def test_what_cannot_be_trusted_is_hollow(drawn):
    # Three points of scratch, and their place in the legend, which is full.
    assert drawn("time-example-2cpu-cpu-1-thread").inline.count('style="fill-opacity: 0') == 3


def test_a_figure_names_the_warning_that_hollows_none_of_its_marks(tmp_path, put):
    for size in ("1e3", "1e4", "1e5", "1e6", "1e7"):
        put("scratch", size=size, warnings=("busy: others",))
    [time] = [one for one in section(tmp_path).drawings if one.name.startswith("time-")]
    assert "Most times of a run here have the warning busy." in time.caption
    assert "fill-opacity: 0" not in time.inline


def test_a_figure_says_who_is_the_fastest_where(drawn):
    alt = drawn("time-example-2cpu-cpu-1-thread").alt
    assert "builtin-foreach at 1,000,000 elements with 500 µs" in alt
    assert "0.250 (cpu, 1 thread, float32, 1e3)" in drawn("speed-up-example-2cpu-scratch").alt
    assert "one tensor, 1e6: builtin-foreach, 0.5" in drawn("layouts-example-2cpu-cpu-1-thread").alt


def test_a_heat_map_holds_each_ratio_and_marks_what_cannot_be_trusted(drawn):
    assert drawn("speed-up-example-2cpu-builtin-foreach").inline.count(">2.00</text>") == 3
    assert drawn("speed-up-example-2cpu-scratch").inline.count(">0.250 †</text>") == 3


def test_an_implementation_keeps_its_colour_in_every_figure(tmp_path, matrix):
    runs = runs_of(tmp_path)
    styles = {name: series_style(i) for i, name in enumerate(runs.implementations)}
    assert len({str(style) for style in styles.values()}) == len(styles)
    assert len({str(series_style(i)) for i in range(24)}) == 24


def test_how_a_time_is_made_is_said_once_for_all_runners_and_no_caption_calls_it_a_median(whole, page_of):
    text = page_of(whole / "reports", "performance").text
    assert text.count("by rmsprop bench the geometric mean of the medians of the run’s processes") == 1
    assert text.count("by asv and pytest-benchmark the median of the samples") == 1
    assert "median time" not in text.lower()


def test_a_run_that_only_skipped_has_its_reasons_and_no_figure(tmp_path, put, texts):
    put(device="cuda", status="skipped", reason="no device")
    assert "1 case skipped: no device" in texts()[0]
    assert not (tmp_path / "reports" / "figures").exists()


@pytest.mark.usefixtures("undrawn")
def test_notes_are_said_once_with_their_number_of_cases(put, texts):
    for name in ("builtin-loop", "builtin-foreach"):
        put(name, dtype="float16", notes=("eps is 0.01",))
    assert texts()[0].count("eps is 0.01 (2 cases, such as ") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("undrawn")
def test_many_reasons_are_capped_and_counted(put, texts):
    for number in range(25):
        put(f"other{number}:X", status="failed", reason=f"reason {number}")
    assert "and 5 more sentences like these" in texts()[0]


@pytest.mark.slow
def test_machines_whose_figures_would_make_the_page_too_large_have_tables_alone(
    put, texts, tmp_path, monkeypatch
):
    for machine, day in (("older", 1), ("newer", 2)):
        put(machine=machine, started=f"2026-01-0{day}T00:00:00+00:00")
    of_one = sum(len(drawing.inline.encode()) for drawing in section(tmp_path, "newer").drawings)
    monkeypatch.setattr(performance, "_FIGURES_BYTES", of_one + 100)
    for text in texts():
        assert "there are no figures of older." in text
        assert text.count("builtin-loop at 100,000 elements with 200 µs") in (0, 1)
    figures = {path.name for path in (tmp_path / "reports" / "figures").iterdir()}
    assert figures == {f"{name}-newer-cpu-1-thread.svg" for name in ("time", "bandwidth")}
