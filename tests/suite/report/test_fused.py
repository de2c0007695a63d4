"""The page of FusedRMSprop says whether each aim is reached by the whole interval, and by no more."""

import pytest

from rmsprop.suite.report import fused
from rmsprop.suite.report.pages import read_inputs
from rmsprop.suite.report.tables import Cell

E7 = {"size": "1e7", "threads": 0}


def cells(table):
    return [tuple(cell.text if isinstance(cell, Cell) else cell for cell in row) for row in table.rows]


@pytest.fixture
def page(tmp_path):
    def build():
        [page] = fused.pages(read_inputs(tmp_path / "results"))
        return page

    return build


@pytest.fixture
def held_to(tmp_path):
    """What the table of aims says, by aim."""

    def build():
        steps = fused.measured_steps(read_inputs(tmp_path / "results").runs.latest)
        points = [point for _, point in steps.groupby(fused.POINT, sort=False)]
        return {aim: (measured, reached) for _, aim, measured, reached in cells(fused.held_to(points))}

    return build


def test_an_aim_is_reached_if_the_whole_interval_is(put, held_to):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, ceiling=0.95e-3, **E7)
    put("benchmarks.others:adagrad", 1.1e-3, **E7)
    assert held_to() == {
        "7 times builtin-loop": ("8× (8 to 8)", "yes"),
        "no slower than benchmarks.others:adagrad": ("1.1× (1.1 to 1.1)", "yes"),
        "90% of five passes": ("95%", "yes"),
    }


def test_an_aim_that_is_missed_is_called_so(put, held_to):
    put("builtin-loop", 6e-3, **E7)
    put("fused", 1e-3, ceiling=0.5e-3, **E7)
    put("builtin-compiled", 0.9e-3, **E7)
    assert {aim: reached for aim, (_, reached) in held_to().items()} == {
        "7 times builtin-loop": "no",
        "no slower than builtin-compiled": "no",
        "90% of five passes": "no",
    }


def test_an_interval_around_the_aim_leaves_it_open(put, held_to):
    put("builtin-loop", steps=(6e-3,) * 10 + (8e-3,) * 10, **E7)
    put("fused", steps=(1e-3,) * 20, **E7)
    assert held_to()["7 times builtin-loop"][1] == "open"


def test_other_dtypes_are_held_to_the_same(put, page, held_to):
    put("builtin-loop", 8e-3, dtype="bfloat16", **E7)
    put("fused", 1e-3, dtype="bfloat16", **E7)
    assert held_to()["7 times builtin-loop"] == ("8× (8 to 8)", "yes")
    assert "bfloat16, 1e7, one tensor, all threads | 1 ms | 8× (8 to 8)" in page().markdown


def test_what_did_not_take_turns_is_marked(put, held_to):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, started="2026-01-02T03:10:05+00:00", **E7)
    assert held_to()["7 times builtin-loop"] == ("8× (8 to 8) †", "yes")


def test_the_nearest_rival_is_named_wherever_it_comes_from(put, page):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, **E7)
    put("benchmarks.others:optax", 2e-3, **E7)
    put("builtin-foreach", 9e-3, **E7)
    text = page().markdown.replace("\\", "")
    assert "benchmarks.others:optax: 2× (2 to 2)" in text


def test_without_fused_or_without_the_default_there_is_no_page(put, tmp_path):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, size="1e5")
    assert list(fused.pages(read_inputs(tmp_path / "results"))) == []
