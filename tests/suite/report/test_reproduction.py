import re
from dataclasses import replace

import pytest

from rmsprop.book.claims import PRIMARY, claims
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.report.page import Cell
from rmsprop.suite.report.pages.reproduction import pages
from rmsprop.suite.verdicts.reproduction import judge
from tests.suite.report.conftest import page_from

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def text_of(tmp_path, page_of):
    """The text of the reproduction's page, made of the records below tmp_path."""

    def read():
        build_report(tmp_path, tmp_path / "reports")
        return page_of(tmp_path / "reports", "reproduction").text

    return read


def test_each_primary_claim_has_a_sentence_with_book_here_and_verdict(reports, page_of, make_record):
    text = page_of(reports, "reproduction").text
    for verdict in judge(make_record()).verdicts:
        if verdict.claim.edition == PRIMARY:
            assert re.search(
                rf"{verdict.status}: [^.]*.*?the book prints {verdict.claim.printed}, here (median )?"
                rf"{verdict.here:.6f}; {re.escape(verdict.words)}\.",
                text,
            )


def test_every_editions_values_stand_in_both_pages(reports, page_of, twin_of):
    html, markdown = page_of(reports, "reproduction").text, twin_of(reports)
    for claim in claims().printed:
        assert claim.printed in html
        assert claim.printed in markdown
        assert claim.source in html
        assert claim.source in markdown


def test_the_page_says_on_what_it_was_run(reports, page_of):
    text = page_of(reports, "reproduction").text
    for fact in ("real, file given by path", "2026-01-02 03:04 UTC", "torch 2.13.0", "012345678", "float32"):
        assert fact in text
    assert "with local changes" not in text
    assert "moment-matched" not in text


def test_a_surrogate_and_local_changes_are_said(tmp_path, text_of, page_of, make_record, make_environment):
    record = make_record(environment=make_environment(dirty=True))
    surrogate = replace(record.data, source="surrogate", detail="made", sha256=None)
    write_reproduction(tmp_path, replace(record, data=surrogate))
    text = text_of()
    assert "These numbers are from the moment-matched surrogate" in text
    assert "with local changes" in text
    assert "on the surrogate rows" in page_of(tmp_path / "reports").text


def test_a_reversed_order_is_said_in_words(reports, page_of, twin_of):
    expected = "from scratch is faster here"
    assert expected in page_of(reports, "reproduction").text
    assert expected in twin_of(reports)


def test_disagreement_of_loop_and_ensemble_is_said(tmp_path, text_of, make_record):
    record = make_record()
    moved = replace(record.programs["rmsprop-concise"], losses=((0.5, 0.26),) * 48)
    write_reproduction(tmp_path, replace(record, programs={**record.programs, "rmsprop-concise": moved}))
    text = text_of()
    assert "Their losses disagree" in text
    assert "The test finds no difference" in text


def test_the_newest_record_that_decides_is_shown_and_the_others_listed(
    tmp_path, text_of, make_record, make_environment, interrupted
):
    def at(day, record):
        started = f"2026-01-{day:02}T00:00:00+00:00"
        write_reproduction(tmp_path, replace(record, environment=make_environment(started=started)))

    at(1, make_record(mean=0.3))
    at(2, make_record())
    at(3, interrupted)
    shown, _, listed = text_of().partition("Other records")
    assert "2026-01-02 00:00 UTC" in shown
    assert listed.index("2026-01-03 00:00 UTC") < listed.index("2026-01-01 00:00 UTC")
    assert "2 reproduced, 2 not consistent" in listed


def test_an_interrupted_run_alone_is_shown_with_what_it_has(tmp_path, text_of, interrupted):
    write_reproduction(tmp_path, interrupted)
    text = text_of()
    assert "This run was interrupted" in text
    assert "not run: RMSProp from scratch, final loss: the book prints 0.243452, here nothing" in text
    assert "nan" not in text


def test_seeds_without_a_finite_loss_are_said(tmp_path, text_of, make_record):
    record = make_record(dtype="float16")
    scratch = record.programs["rmsprop-scratch"]
    lost = replace(
        scratch.ensemble,
        not_finite=scratch.ensemble.seeds,
        mean=float("nan"),
        sd=float("nan"),
        **dict.fromkeys(("quantiles", "histogram_edges", "histogram_counts", "curve"), ()),
    )
    program = replace(scratch, ensemble=lost, losses=((float("nan"),) * 31,) * 48)
    write_reproduction(tmp_path, replace(record, programs={**record.programs, "rmsprop-scratch": program}))
    text = text_of()
    assert "no seed gave a finite loss" in text
    assert "10,000 ended without a finite loss" in text
    assert "nan" not in text


def test_every_implementation_device_and_dtype_stands_against_the_books_loss_and_seconds(
    tmp_path, put, make_record
):
    results = tmp_path / "results"
    write_reproduction(results, make_record())
    write_reproduction(results, make_record(device="cuda", dtype="float64"))
    job = {"size": "6", "layout": "book"}
    put("scratch", **job, samples={"epoch": (0.1,), "loss": (0.243552,)})
    put(
        "builtin-foreach",
        **job,
        device="cuda",
        dtype="float16",
        samples={"epoch": (0.043637,), "loss": (0.25,)},
    )
    put("scratch", size="2410", layout="digits", samples={"epoch": (0.01,), "loss": (0.06,)})  # no book's job
    [page] = pages(read_inputs(results))
    rows = {tuple(row[:2]): row[2:] for row in page_from(page.blocks).table("Final loss")}
    assert len(rows) == 6
    run = "2026-01-02 03:04 UTC, commit 012345678"
    found = rows["scratch", "cpu, 1 thread, float32"]
    assert found[:4] == ["example-2cpu", f"{run}, torch 2.13.0", "surrogate", "1 run"]
    assert found[4:] == ["0.243552", "+0.000100", "100 ms", "2.00"]
    assert rows["builtin-foreach", "cuda, float16"][-2:] == ["43.6 ms", "1.00"]
    assert rows["RMSProp from scratch (the book’s loop)", "cuda, float64"][3] == "10,000 seeds, 48 runs"
    assert rows["torch.optim.RMSprop (the book’s loop)", "cpu, float32"][1:3] == [run, "real"]


def test_a_cell_is_sorted_by_its_number_and_not_by_its_words():
    assert Cell("9.9 ms", 9.9e-3).key < Cell("1.1 s", 1.1).key
