"""The chapter's page, and what else is shown of a record of the whole chapter."""

from dataclasses import replace

import pytest

from rmsprop.book.claims import CHAPTER, claims
from rmsprop.book.programs import PROGRAMS
from rmsprop.book.trajectory import traces
from rmsprop.suite.records.reproduction import CurveRank
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.report.pages import chapter, overview, reproduction
from tests.suite.report.conftest import page_from

pytestmark = pytest.mark.usefixtures("undrawn")
CURVES = [curve for curve in claims(CHAPTER).curves if len(curve.losses) == 31]


@pytest.fixture(autouse=True)
def without_bands(monkeypatch):
    """The matrix alone is drawn."""
    monkeypatch.setattr(chapter, "_bands", lambda best: iter(()))


def ranks(name):
    """Each curve is typical of its own program, and as none of a hundred runs of another one."""
    return tuple(
        CurveRank(c.name, 31, held_out=999, as_extreme=499 if c.program == name else 0, told=0.9, tells=0.9)
        for c in CURVES
    )


@pytest.fixture
def record(make_record):
    made = make_record()
    measured = made.programs["rmsprop-scratch"]
    names = ("sgd-scratch", "adam-scratch", "rmsprop-scratch", "rmsprop-concise")
    programs = {
        name: replace(measured, program=PROGRAMS[name], curves=ranks(name), ensemble=measured.ensemble)
        for name in names
    }
    return replace(made, section=CHAPTER, traces=traces(claims(CHAPTER).traces), programs=programs)


@pytest.fixture
def inputs_of(tmp_path):
    def read(one):
        write_reproduction(tmp_path, one)
        return read_inputs(tmp_path)

    return read


@pytest.mark.slow
def test_the_page_has_a_row_for_each_printed_value_and_a_cell_for_each_curve_and_program(record, inputs_of):
    [page] = chapter.pages(inputs_of(record))
    shown = page_from(page.blocks)
    ends = [c for c in claims(CHAPTER).printed if c.quantity in ("x", "x1", "x2")]
    assert [row[3] for row in shown.table("The end of each trace")] == [claim.printed for claim in ends]
    assert "0.06046617599999997" in shown.table("The end of each trace")[0][4]
    losses = [c for c in claims(CHAPTER).printed if c.quantity == "loss"]
    assert len(shown.table("The final loss of each program")) == len(losses)
    rows = {row[0]: row[1:] for row in shown.table("p of each printed curve")}
    assert rows["rmsprop-scratch, docs"] == ["0.0010", "0.0010", "0.5000 *", "0.0010"]
    assert "59 of 59 pairs of a printed curve and another program excluded" in shown.text


@pytest.mark.slow
def test_a_pair_that_is_not_told_apart_is_named(record, inputs_of):
    adam = record.programs["adam-scratch"]
    could = tuple(replace(r, as_extreme=99) if r.curve == "sgd-scratch, notebook" else r for r in adam.curves)
    programs = record.programs | {"adam-scratch": replace(adam, curves=could)}
    [page] = chapter.pages(inputs_of(replace(record, programs=programs)))
    assert "sgd-scratch, notebook, from adam-scratch (p = 0.1)" in page_from(page.blocks).text


def test_the_surrogate_says_that_it_judges_no_curve_and_shows_no_matrix(record, inputs_of):
    programs = {name: replace(measured, curves=()) for name, measured in record.programs.items()}
    surrogate = replace(record.data, source="surrogate", detail="made", sha256=None)
    [page] = chapter.pages(inputs_of(replace(record, data=surrogate, programs=programs)))
    shown = page_from(page.blocks)
    assert "no curve is judged (the surrogate rows train along other curves)" in shown.text
    assert "moment-matched surrogate" in shown.text
    assert "Which curve could have come from which program" not in shown.text


@pytest.mark.slow
def test_a_record_of_the_chapter_answers_for_section_7_6_as_well(record, inputs_of):
    inputs = inputs_of(record)
    [section] = inputs.reproductions
    assert section.record.section == "7.6"
    assert set(section.record.programs) == {"rmsprop-scratch", "rmsprop-concise"}
    assert section.headline.startswith(
        "2 of 2 printed coordinates to the last digit; 2 of 2 final losses consistent"
    )
    [page] = reproduction.pages(inputs)
    assert "2-D RMSProp, eta 0.4" in page_from(page.blocks).text
    assert "2-D RMSProp, eta 0.4" in page_from(overview.excerpt(inputs)).text


def test_without_a_record_of_the_chapter_there_is_no_page(make_record, inputs_of):
    assert list(chapter.pages(inputs_of(make_record()))) == []
