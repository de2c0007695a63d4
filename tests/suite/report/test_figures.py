import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import matplotlib
import pytest
from matplotlib.textpath import TextPath

from rmsprop.book.claims import claims
from rmsprop.suite.report.figures.canvas import canvas, finish
from rmsprop.suite.report.figures.reproduction import draw_reproduction
from rmsprop.suite.verdicts.reproduction import judge

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def drawings(make_record):
    return draw_reproduction(judge(make_record()))


def texts(svg: str) -> list[str]:
    return ["".join(element.itertext()) for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_figure_is_well_formed_and_says_what_it_shows(drawings):
    assert len(drawings) == 8
    for drawing in drawings.values():
        for svg in (drawing.inline, drawing.file):
            root = ET.fromstring(svg)
            assert root.get("role") == "img"
            assert root.findtext(f"{SVG}desc") == drawing.alt
            assert root.findtext(f"{SVG}title")
            named = {element.get("id") for element in root if element.tag in (f"{SVG}title", f"{SVG}desc")}
            assert set(root.get("aria-labelledby").split()) == named


def test_figures_are_small_and_without_pictures_in_them(drawings):
    for drawing in drawings.values():
        assert len(drawing.file) < 150_000
        assert "<image" not in drawing.file


@pytest.mark.parametrize("program", ["rmsprop-scratch", "rmsprop-concise"])
@pytest.mark.parametrize(("figure", "quantity"), [("distribution", "loss"), ("seconds", "sec_per_epoch")])
def test_each_editions_printed_value_is_labelled(drawings, program, figure, quantity):
    found = texts(drawings[f"{figure}-{program}"].inline)
    for claim in claims().printed:
        if (claim.program, claim.quantity) == (program, quantity):
            assert f"{claim.label} {claim.printed}" in found


def test_ink_takes_the_pages_colour_and_a_file_brings_both_its_own(drawings):
    for drawing in drawings.values():
        assert "currentColor" in drawing.inline
        assert "prefers-color-scheme" not in drawing.inline
        assert "prefers-color-scheme:dark" in drawing.file
        # Black or white as matplotlib writes them would vanish on one of the two backgrounds.
        assert not re.search(r"#(000000|ffffff|010203)", drawing.inline)


@pytest.mark.parametrize("low", [0.2475, 0.025, -0.12, 99_950])
@pytest.mark.parametrize("share", [0.01, 0.03, 0.1, 0.3])
def test_the_numbers_below_an_axis_stand_clear_of_each_other(low, share):
    with canvas("numbers", 1.5) as figure:
        axes = figure.add_subplot(xlabel="final loss")
        axes.plot([low, low + share * abs(low)], [0, 1])
        axes.set_yticks([0, 1], ["rmsprop", "adadelta"])
        drawing = finish(figure, "numbers", "Numbers", "Numbers.", "Numbers.")
    labels = ET.fromstring(drawing.inline).iter(f"{SVG}text")
    numbers = [(label.text, float(label.get("x"))) for label in labels if "middle" in label.get("style")]
    numbers = [(text, x) for text, x in numbers if text != "final loss"]
    reach = [TextPath((0, 0), text, size=9).get_extents().width / 2 for text, _ in numbers]
    assert len(numbers) >= 3
    for (left, right), (one, other) in zip(pairwise(x for _, x in numbers), pairwise(reach), strict=True):
        assert right - other - (left + one) > 1


def test_text_stays_text_in_a_generic_font(drawings):
    for drawing in drawings.values():
        assert texts(drawing.inline)
        assert "DejaVu" not in drawing.inline


def test_ids_are_unique_over_all_figures_of_a_page(drawings):
    ids = [i for drawing in drawings.values() for i in re.findall(r'\bid="([^"]+)"', drawing.inline)]
    assert len(ids) == len(set(ids)) > 0


@pytest.mark.slow
def test_matplotlibs_settings_are_left_as_they_were_and_do_not_matter(make_record, drawings):
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9}):
        before = dict(matplotlib.rcParams)
        again = draw_reproduction(judge(make_record()))
        assert dict(matplotlib.rcParams) == before
    assert again == drawings


@pytest.mark.slow
def test_an_interrupted_run_shows_the_figures_that_it_has_data_for(interrupted, make_record):
    assert set(draw_reproduction(judge(interrupted))) == {"trajectories"}
    record = make_record()
    timed = {name: replace(program, ensemble=None) for name, program in record.programs.items()}
    drawn = draw_reproduction(judge(replace(record, programs=timed)))
    assert set(drawn) == {"trajectories", "seconds-rmsprop-scratch", "seconds-rmsprop-concise", "order"}


@pytest.mark.slow
def test_thousands_of_runs_are_thinned(make_record):
    drawings = draw_reproduction(judge(make_record(runs=3000)))
    assert all(len(drawing.file) < 150_000 for drawing in drawings.values())


@pytest.mark.slow
def test_one_run_and_one_seed_are_drawn(make_record):
    assert len(draw_reproduction(judge(make_record(runs=1, seeds=1)))) == 8
