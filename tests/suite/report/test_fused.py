"""The page of FusedRMSprop compares what was measured in turns in one run, and nothing else."""

import pytest

from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.report.pages import fused
from tests.suite.report.conftest import page_from

E7 = {"size": "1e7", "threads": 0}
COLUMNS = ("Case", "Run", "Step", "Times builtin-loop", "Times the fastest other", "Five passes / step")


@pytest.fixture
def rows(tmp_path):
    """The rows of the page's table, by column."""

    def read():
        [page] = fused.pages(read_inputs(tmp_path / "results"))
        found = page_from(page.blocks).table("FusedRMSprop against")
        return [dict(zip(COLUMNS, row, strict=True)) for row in found]

    return read


def test_a_row_has_the_step_the_default_the_fastest_other_and_the_five_passes(put, rows):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, ceiling=0.95e-3, **E7)
    put("benchmarks.others:optax", 2e-3, **E7)
    put("builtin-foreach", 9e-3, **E7)
    put("scratch", 0.5e-3, **E7)
    assert rows() == [
        {
            "Case": "cpu, float32, 1e7, one tensor, all threads",
            "Run": "A",
            "Step": "1 ms",
            "Times builtin-loop": "8.00× (8.00 to 8.00)",
            "Times the fastest other": "benchmarks.others:optax: 2.00× (2.00 to 2.00)",
            "Five passes / step": "95%",
        }
    ]


def test_other_dtypes_have_rows_of_their_own(put, rows):
    for dtype in ("float32", "bfloat16"):
        put("builtin-loop", 8e-3, dtype=dtype, **E7)
        put("fused", 1e-3, dtype=dtype, **E7)
    assert [row["Case"].split(", ")[1] for row in rows()] == ["float32", "bfloat16"]


def test_what_did_not_take_turns_is_not_compared(put, rows):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 2e-3, **E7)
    put("builtin-compiled", 1e-3, started="2026-01-02T03:10:05+00:00", **E7)
    [row] = rows()
    assert row["Times builtin-loop"] == "4.00× (4.00 to 4.00)"
    assert row["Times the fastest other"] == "–"


def test_a_newer_time_of_the_default_alone_changes_no_ratio(put, rows):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 2e-3, **E7)
    put("builtin-loop", 1e-3, name="again", started="2026-01-02T03:10:05+00:00", **E7)
    assert [row["Times builtin-loop"] for row in rows()] == ["4.00× (4.00 to 4.00)"]


@pytest.mark.parametrize(
    ("processes", "steps", "expected"),
    [
        (3, (8e-3, 8e-3, 8e-3), "8.00× (8.00 to 8.00)"),  # slow in turns as well, and the interval is narrow
        (3, (4e-3, 8e-3, 16e-3), "8.00× (1.01 to 63.2) †"),
        (1, (8e-3, 8e-3, 8e-3), "8.00× †"),
    ],
)
def test_a_ratio_is_marked_for_its_interval_or_without_one_for_a_warning(
    put, rows, processes, steps, expected
):
    put("builtin-loop", steps=steps, processes=processes, warnings=("busy: others",), **E7)
    put("fused", 1e-3, processes=processes, **E7)
    [row] = rows()
    assert (row["Step"], row["Times builtin-loop"]) == ("1 ms", expected)


RUN = "Run A: 2026-01-02 03:04 UTC, commit 012345678, torch 2.13.0."


@pytest.fixture
def headline(tmp_path):
    """What the page says first."""

    def read():
        [page] = fused.pages(read_inputs(tmp_path / "results"))
        return page_from(page.blocks).soup.find(class_="headline").get_text()

    return read


def test_the_headline_of_one_case_has_its_interval_its_machine_and_its_run(put, headline):
    put("builtin-loop", 6e-3, **E7)
    put("fused", 1e-3, **E7)
    assert headline() == (
        "In 1 case on example-2cpu a step of FusedRMSprop was 6.00 times (95% interval 6.00 to 6.00; cpu, "
        f"float32, 1e7, one tensor, all threads; run A) as fast as one of builtin-loop. {RUN}"
    )


def test_both_ends_of_the_headline_have_case_and_certainty(put, headline):
    put("builtin-loop", 9e-3, **E7)
    put("fused", 1e-3, **E7)
    put("builtin-loop", steps=(4e-4, 8e-4, 16e-4))
    put("fused", 2e-4)
    put("builtin-loop", 2e-3, size="1e6", processes=1)
    put("fused", 1e-3, size="1e6", processes=1, warnings=("busy: others",))
    assert headline() == (
        "In 3 cases on example-2cpu a step of FusedRMSprop was at least 2.00 times † (no interval; cpu, "
        "float32, 1e6, one tensor, 1 thread; run A) and at most 9.00 times (95% interval 9.00 to 9.00; cpu, "
        f"float32, 1e7, one tensor, all threads; run A) as fast as one of builtin-loop. {RUN}"
    )


def test_the_headline_names_each_run_that_an_end_is_of(put, headline):
    put("builtin-loop", 9e-3, **E7)
    put("fused", 1e-3, **E7)
    put("builtin-loop", 2e-3, started="2026-01-03T03:04:05+00:00", commit="f" * 40)
    put("fused", 1e-3, started="2026-01-03T03:04:05+00:00", commit="f" * 40)
    assert "1 thread; run A)" in headline()
    assert "all threads; run B)" in headline()
    assert "Run A: 2026-01-03 03:04 UTC, commit fffffffff" in headline()
    assert RUN.replace("A", "B", 1) in headline()


def test_a_step_that_takes_less_than_the_five_passes_is_said_to_and_no_reason_is_claimed(put, tmp_path):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, ceiling=1.1e-3, **E7)
    put("builtin-loop", 8e-4)
    put("fused", 1e-4, ceiling=0.9e-4)
    [page] = fused.pages(read_inputs(tmp_path / "results"))
    text = page_from(page.blocks).text
    assert (
        "Above 100% the step took less than the passes: in 1 of 2 cases. The most is 110% (cpu, float32, "
        "1e7, one tensor, all threads; run A). Why a step takes less was not measured."
    ) in text
    assert "cannot" not in text


def test_without_fused_or_without_the_default_there_is_no_page(put, tmp_path):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, size="1e5")
    assert list(fused.pages(read_inputs(tmp_path / "results"))) == []
