"""The page of a sweep: what the record says, and only that."""

import math

import pytest

from rmsprop.suite.records.sweep_files import begin_sweep, write_points
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.page import drawings_of
from rmsprop.suite.report.pages.sweep import pages
from tests.suite.report.conftest import page_from


class Only:
    def __init__(self, *sweeps):
        self.sweeps = sweeps


def losses(setting):
    if setting["lr"] == 1.0 and setting["optimizer"] == "rmsprop":
        return math.inf
    return {0.01: 0.3, 0.1: 0.26, 1.0: 0.4}[setting["lr"]] + 0.05 * (setting["optimizer"] == "sgd")


@pytest.fixture
def page(make_sweep):
    sweep = make_sweep(losses, diverged=lambda setting: 60 if losses(setting) == math.inf else 0)
    [page] = pages(Only(sweep))
    return page


@pytest.mark.slow
def test_the_answer_names_the_lowest_and_says_how_rmsprop_stands(make_sweep, page):
    text = page_from(page.blocks).text
    assert "that of rmsprop: 0.2600 at lr 0.1, γ 0.5, ε 1e-06." in text
    [other] = pages(Only(make_sweep(lambda setting: 0.26 - 0.01 * (setting["optimizer"] == "sgd"))))
    text = page_from(other.blocks).text
    assert "that of sgd: 0.2500 at lr 0.01." in text
    assert "RMSProp’s is 0.2600 at lr 0.01, γ 0.5, ε 1e-06, which is higher." in text
    [level] = pages(Only(make_sweep(lambda setting: 0.26 - 0.0001 * (setting["optimizer"] == "sgd"))))
    assert "and the two are not told apart." in page_from(level.blocks).text


def test_each_best_point_has_bands_its_share_and_its_place_among_the_points(page):
    [first, second] = page_from(page.blocks).table("Of 50 seeds with odd numbers")
    assert first[:4] == ["rmsprop", "lr 0.1, γ 0.5, ε 1e-06", "0.2600", "0.2590 to 0.2610"]
    assert first[4:] == ["0.2500 to 0.2700", "0 of 50 (0.0% to 7.1%)", "0.40", "2 of 6"]
    assert second[0] == "sgd"


def test_a_best_point_at_the_end_of_an_axis_is_marked(make_sweep):
    [page] = pages(Only(make_sweep(lambda setting: setting["lr"])))
    assert "lr 0.01*, γ 0.5, ε 1e-06" in page_from(page.blocks).text


def test_a_point_that_diverges_is_shown_as_that_and_is_no_nan(page):
    shown = page_from(page.blocks)
    table = shown.table("rmsprop: lr by γ, all seeds; ε 1e-06")
    diverged = [row for row in table if row[0] == "1"]
    assert len(table) == 6
    assert [row[2] for row in diverged] == ["∞", "∞"]
    assert all(row[4] == "60 of 100 (49.7% to 69.7%)" for row in diverged)
    assert "nan" not in shown.text.lower().split()


def test_the_maps_say_in_words_what_they_show(page):
    drawings = {drawing.name: drawing for drawing in drawings_of(page.blocks, details=True)}
    name = "sweep-0-rmsprop-lr-gamma"
    assert list(drawings) == ["sweep-0-best", f"{name}-loss", f"{name}-diverged", f"{name}-epochs"]
    lowest = "The lowest is 0.2600 at lr 0.1, γ 0.5; 2 of 6 points are within 1% of it."
    assert lowest in drawings[f"{name}-loss"].alt
    share = "At 4 of 6 points none of 100 seeds diverges, at 0 all do."
    assert share in drawings[f"{name}-diverged"].alt
    assert drawings[f"{name}-loss"].inline.count("#8a8f98") == 2  # the two points that diverge


def test_a_sweep_in_which_all_diverges_has_a_page(make_sweep):
    [page] = pages(Only(make_sweep(lambda setting: math.inf, diverged=lambda setting: 100)))
    assert "∞ at" in page_from(page.blocks).text


@pytest.mark.slow
def test_each_job_has_a_page_of_its_own_which_says_what_it_is_about(make_sweep):
    book, digits = pages(Only(make_sweep(), make_sweep(losses, job="digits"), make_sweep()))
    assert (book.path, digits.path) == ("sweep.html", "sweep-digits.html")
    of_book, of_digits = page_from(book.blocks).text, page_from(digits.blocks).text
    assert "nothing here is about networks" in of_book
    assert "nothing here is about networks" not in of_digits
    assert "convex" not in of_digits
    assert "The job is a network of 64, 32 and 10 units" in of_digits
    assert "at most 10% above the best point’s" in of_digits
    assert "Older sweeps" in of_book
    assert "Older sweeps" not in of_digits
    drawn = [{one.name for one in drawings_of(page.blocks, details=True)} for page in (book, digits)]
    assert drawn[0].isdisjoint(drawn[1])


def test_older_sweeps_are_listed(make_sweep):
    [page] = pages(Only(make_sweep(), make_sweep()))
    [row] = page_from(page.blocks).table("Older sweeps")
    assert row[1:] == ["example-2cpu", "012345678", "900", "sgd, rmsprop"]


@pytest.mark.slow
def test_conditions_have_sections_of_their_own_up_to_a_number(make_sweep):
    [page] = pages(Only(make_sweep(batch_size=(1, 2, 3, 4, 5))))
    text = page_from(page.blocks).text
    assert "Each optimizer’s best: batch 4," in text
    assert "Each optimizer’s best: batch 5," not in text
    assert "1 combination of batch size, epochs and dtype more" in text


@pytest.mark.slow
def test_the_report_has_the_page_and_without_a_sweep_it_has_none(make_sweep, tmp_path):
    assert list(pages(Only())) == []
    sweep = make_sweep()
    folder = begin_sweep(tmp_path / "results", sweep.record)
    write_points(folder, sweep.points, sweep.chunks)
    report = build_report(tmp_path / "results", tmp_path / "reports")
    assert report.problems == ()
    text = (tmp_path / "reports" / "sweep.html").read_text()
    assert "9 points × 100 seeds = 900 trainings" in text
    assert "90 trainings for each second of a processor" in text
    assert (tmp_path / "reports" / "figures" / "sweep-0-rmsprop-lr-gamma-loss.svg").is_file()
