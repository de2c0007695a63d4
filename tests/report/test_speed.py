import json
import re
from html import unescape

import pytest

from rmsprop.records.bench import Axes, BenchRecord, Measurement
from rmsprop.records.frame import read_frame
from rmsprop.records.store import write_bench, write_reproduction
from rmsprop.report.pages import build_report
from rmsprop.report.speed import duration, size_of, speed_of

MARKUP = "other<b>.x|y:$_Mine$*`"
OLDER, NEWER = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"


@pytest.fixture
def put(tmp_path, make_environment):
    """Store one benchmark record below tmp_path/results."""

    def store(
        implementation="builtin-loop", step=2e-4, *, name=None, status="measured", reason=None, **changes
    ):
        facts = {"device": "cpu", "dtype": "float32", "size": "1e5", "layout": "single", "threads": 1}
        facts |= {key: changes.pop(key) for key in list(changes) if key in facts}
        axes = Axes(implementation, **facts)
        samples = {"step": (step,) * 5, **changes.pop("samples", {})}
        elements, warnings = int(float(axes.size)), changes.pop("warnings", ())
        notes = changes.pop("notes", ())
        measured = Measurement(elements, 1, 50, samples, changes.pop("ceiling", 1e-5))
        record = BenchRecord(
            environment=make_environment(**changes),
            axes=axes,
            status=status,
            reason=reason,
            measurement=measured if status == "measured" else None,
            notes=notes,
            warnings=warnings,
        )
        folder = tmp_path / "results" / "bench" / (record.environment.commit or "wheel")
        stem = re.sub(r"\W+", "_", "-".join(map(str, (implementation, *facts.values()))))
        write_bench(folder / f"{name or stem}.json", record)

    return store


@pytest.fixture
def matrix(put):
    """Four implementations at three sizes, a busy hour, skips, a failure, and the book's job."""
    for size, step in (("1e3", 1e-5), ("1e5", 1e-4), ("1e6", 1e-3)):
        put("builtin-loop", step, size=size, ceiling=step / 4, samples={"peak": (4096.0,)})
        put("builtin-foreach", step / 2, size=size, ceiling=step / 4, samples={"peak": (8192.0,)})
        put("scratch", step * 4, size=size, warnings=("busy: other processes took 51% of the processors",))
        put("builtin-capturable", size=size, status="skipped", reason="capturable runs on CUDA alone")
    put(MARKUP, 4e-4, size="1e5")
    put(MARKUP, size="1e6", status="failed", reason="NaN in <x> at 3")
    put(size="1e6", device="mps", status="skipped", reason="no device: no mps here")
    book = {"epoch": (0.025,), "loss": (0.2425,), "import": (1.5,), "first_step": (0.002,)}
    put("builtin-loop", 3e-5, size="6", layout="book", samples=book)


def built(tmp_path):
    return build_report(tmp_path / "results", tmp_path / "reports")


def texts(tmp_path, page_of):
    """The section on the HTML page and in its Markdown twin, as plain text."""
    html = page_of(tmp_path / "reports").text
    markdown = unescape((tmp_path / "reports" / "README.md").read_text("utf-8")).replace("\\", "")
    return html, markdown


def rows_of(tmp_path, table=0):
    """Cells by point and column of one table of what is shown."""
    frame, _ = read_frame(tmp_path / "results")
    shown = speed_of(frame).tables[table]
    return {row[0]: dict(zip(shown.columns, row, strict=True)) for row in shown.rows}


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


def test_every_implementation_stands_in_the_table_with_its_time_or_why_it_has_none(tmp_path, matrix):
    row = rows_of(tmp_path)["1e6, one tensor, 1 thread"]
    assert row == {
        "Case": "1e6, one tensor, 1 thread",
        "Elements": "1,000,000",
        "scratch": "4 ms †, 0.25× †",
        "builtin-loop": "1 ms",
        "builtin-foreach": "500 µs, 2.00×",
        "builtin-capturable": "skipped",
        MARKUP: "failed",
        "Best, of five passes": "50% (builtin-foreach)",
    }


def test_both_pages_show_the_tables_and_what_was_left_out(tmp_path, page_of, matrix):
    built(tmp_path)
    for text in texts(tmp_path, page_of):
        assert "500 µs, 2.00×" in text
        assert "3 cases skipped: capturable runs on CUDA alone (such as builtin-capturable, cpu" in text
        assert "1 case skipped: no device: no mps here (such as builtin-loop, mps float32, 1e6, one" in text
        assert "1 case failed: NaN in <x> at 3" in text
        assert "busy: other processes took 51% of the processors (3 cases, such as scratch, cpu" in text
        assert "bench: 26 rows from 16 files" in text


def test_points_go_from_small_to_large_and_a_point_that_lacks_a_case_says_so(tmp_path, matrix):
    rows = rows_of(tmp_path)
    assert [name.partition(",")[0] for name in rows] == ["6", "1e3", "1e5", "1e6"]
    assert rows["6, the book’s w and b, 1 thread"]["scratch"] == "–"


def test_memory_the_books_job_and_the_cold_start_have_a_table_of_their_own(tmp_path, matrix):
    rows = rows_of(tmp_path, table=1)
    assert rows["builtin-loop"] == {
        "Implementation": "builtin-loop",
        "Extra memory (1e6, one tensor, 1 thread)": "4.0 KiB",
        "Book epoch (6, the book’s w and b, 1 thread)": "25 ms",
        "Final loss (6, the book’s w and b, 1 thread)": "0.242500",
        "Imports (6, the book’s w and b, 1 thread)": "1.5 s",
        "First step (6, the book’s w and b, 1 thread)": "2 ms",
    }
    assert rows["builtin-foreach"]["Extra memory (1e6, one tensor, 1 thread)"] == "8.0 KiB"


def test_a_reference_that_cannot_be_trusted_marks_each_speed_up_against_it(tmp_path, put):
    put("builtin-loop", 2e-4, warnings=("stolen: the hypervisor took 9% of the processor time",))
    put("scratch", 1e-4)
    row = rows_of(tmp_path)["1e5, one tensor, 1 thread"]
    assert (row["builtin-loop"], row["scratch"]) == ("200 µs †", "100 µs, 2.00× †")


def test_without_the_reference_there_is_a_time_and_no_speed_up(tmp_path, put):
    put("scratch", 1e-4)
    assert rows_of(tmp_path)["1e5, one tensor, 1 thread"]["scratch"] == "100 µs"


def test_the_latest_record_of_a_case_counts_and_the_newest_run_is_shown(tmp_path, put):
    put("scratch", 1e-4, started=NEWER)
    put("scratch", 3e-4, name="again-2", started=NEWER.replace("00:00+", "09:00+"))
    put("scratch", 7e-4, started=OLDER, commit="f" * 40)
    assert rows_of(tmp_path)["1e5, one tensor, 1 thread"]["scratch"] == "300 µs"
    frame, _ = read_frame(tmp_path / "results")
    assert "not shown: bench on example-2cpu, from fffffffff, torch 2.13.0" in speed_of(frame).sources


def test_bench_is_shown_before_pytest_benchmark_and_that_before_asv(tmp_path, put):
    def facts():
        return speed_of(read_frame(tmp_path / "results")[0]).facts

    put_asv(tmp_path, "m", "a" * 40)
    assert facts()["Measured by"] == "asv"
    assert "no number is marked" in facts()["Trust"]
    put_pytest(tmp_path)
    assert facts()["Measured by"] == "pytest-benchmark"
    put("scratch", started=OLDER)
    assert facts()["Measured by"] == "rmsprop bench"
    assert "Trust" not in facts()


def test_the_history_of_asv_is_counted_and_its_site_named(tmp_path, page_of, put):
    put()
    for machine, commit in (("m", "a" * 40), ("m", "b" * 40), ("n", "b" * 40)):
        put_asv(tmp_path, machine, commit)
    built(tmp_path)
    html, markdown = texts(tmp_path, page_of)
    assert "The asv history has 2 commits on 2 machines; asv publish makes its site in reports/asv/." in html
    assert "2 commits on 2 machines; `asv publish`" in markdown
    assert not page_of(tmp_path / "reports").all("a")


def test_no_rows_leave_the_page_without_the_section(tmp_path, page_of, reports):
    (tmp_path / "results").mkdir()
    built(tmp_path)
    assert all("Speed" not in text for text in texts(tmp_path, page_of))
    assert "Speed" not in page_of(reports).text


def test_the_section_stands_behind_a_reproduction_and_without_one(tmp_path, page_of, put, make_record):
    put()
    built(tmp_path)
    for text in texts(tmp_path, page_of):
        assert "no record of the reproduction" in text
        assert "200 µs" in text
    write_reproduction(tmp_path / "results", make_record())
    built(tmp_path)
    for text in texts(tmp_path, page_of):
        assert text.index("Every edition") < text.index("200 µs")


def test_damaged_and_foreign_benchmark_files_are_named_and_the_rest_is_shown(tmp_path, page_of, put):
    put()
    (tmp_path / "results" / "bench" / "cut.json").write_text('{"kind": "be')
    (tmp_path / "results" / "asv").mkdir()
    (tmp_path / "results" / "asv" / "old.json").write_text('{"version": 1}')
    report = built(tmp_path)
    assert {problem.path.name for problem in report.problems} == {"cut.json", "old.json"}
    for text in texts(tmp_path, page_of):
        assert "200 µs" in text
        assert "bench/cut.json" in text
        assert "asv/old.json" in text
        assert str(tmp_path) not in text


def test_markup_in_names_is_shown_not_obeyed(tmp_path, page_of, matrix):
    built(tmp_path)
    page, markdown = page_of(tmp_path / "reports"), (tmp_path / "reports" / "README.md").read_text("utf-8")
    assert MARKUP in page.text
    assert not page.all("b")
    assert "<b>" not in markdown
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)
    assert len(tables) == 2
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
    assert MARKUP in unescape((tmp_path / "reports" / "figures" / "speed.svg").read_text("utf-8"))


def test_the_figure_tells_its_lines_apart_without_colour_and_hollows_what_cannot_be_trusted(tmp_path, matrix):
    built(tmp_path)
    svg = (tmp_path / "reports" / "figures" / "speed.svg").read_text("utf-8")
    for words in ("scratch", "builtin-loop", "builtin-foreach", "five passes over memory", "ns per element"):
        assert f">{words}</text>" in svg
    assert "at 1,000,000 elements builtin-foreach is the fastest with 0.5" in svg
    assert "<text" in svg
    assert len(set(re.findall(r"stroke-dasharray: ([^;\"]+)", svg))) >= 3
    frame, _ = read_frame(tmp_path / "results")
    lines = speed_of(frame).lines
    assert set(lines[~lines["trusted"]]["implementation"]) == {"scratch"}
    assert "capturable" not in svg


def test_the_figure_is_of_the_gpu_where_nothing_ran_on_the_cpu(tmp_path, put):
    put(device="cuda", size="1e7", gpu="Example GPU")
    put(device="cpu", status="skipped", reason="not asked for")
    frame, _ = read_frame(tmp_path / "results")
    assert speed_of(frame).lines_of == "cuda, float32, one tensor"


def test_a_run_that_only_skipped_has_its_reasons_and_no_figure(tmp_path, page_of, put):
    put(device="cuda", status="skipped", reason="no device")
    built(tmp_path)
    for text in texts(tmp_path, page_of):
        assert "1 case skipped: no device" in text
    assert not (tmp_path / "reports" / "figures").exists()


def test_each_table_has_a_caption_and_scrolls_in_a_box_of_its_own(tmp_path, page_of, matrix):
    built(tmp_path)
    page = page_of(tmp_path / "reports")
    boxes = [box for box in page.all("div") if box.get("class") == "scroll"]
    assert len(page.all("caption")) == len(page.all("table")) == len(boxes) == 2
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))


def test_two_builds_give_the_same_bytes(tmp_path, matrix):
    for name in ("one", "two"):
        build_report(tmp_path / "results", tmp_path / name)
    for path in ("index.html", "README.md", "figures/speed.svg"):
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (9.996e-4, "1 ms"),
        (1.234e-5, "12.3 µs"),
        (9.99e-4, "999 µs"),
        (3e-9, "3 ns"),
        (61.25, "61.2 s"),
        (4321.0, "4,320 s"),
        (0.0, "0 ns"),
    ],
)
def test_a_time_has_three_digits_and_a_unit(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 B"), (24, "24 B"), (4096, "4.0 KiB"), (4e6, "3.81 MiB")]
)
def test_memory_has_a_unit(number, words):
    assert size_of(number) == words


def test_notes_are_said_once_with_their_number_of_cases(tmp_path, put, page_of):
    for name in ("builtin-loop", "builtin-foreach"):
        put(name, dtype="float16", notes=("eps is 0.01",))
    built(tmp_path)
    for text in texts(tmp_path, page_of):
        assert text.count("eps is 0.01 (2 cases, such as ") == 1
