"""The page for an optimizer's author: right or not and by what, speed, loss and memory, each of one run."""

import pytest

from rmsprop.suite.report.inputs import read_inputs
from rmsprop.suite.report.pages import author
from rmsprop.suite.words import BY_AUTHOR, BY_ITSELF
from tests.suite.report.conftest import page_from

MINE = "package.module:Mine"


@pytest.fixture
def page(tmp_path):
    """The page as the browser gets it."""

    def read():
        [found] = author.pages(read_inputs(tmp_path / "results"))
        return page_from(found.blocks)

    return read


def tables(page, caption):
    """All tables whose caption begins so."""
    found = [one for one in page.all("table") if one.caption.get_text().startswith(caption)]
    return [
        [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in one.tbody.find_all("tr")]
        for one in found
    ]


def test_the_speed_is_against_each_built_in_of_the_same_turn_with_its_interval(put, page):
    for size in ("1e3", "1e5"):
        put("builtin-loop", steps=(4e-4,) * 3, size=size)
        put(MINE, steps=(0.8e-4, 1e-4, 1.25e-4), size=size)
    put("fused", 1e-4, size="1e5")
    put("scratch", 9e-4, size="1e5", started="2026-03-02T03:04:05+00:00")
    assert page().table("How fast is a step?") == [
        ["cpu, float32, 1e3, one tensor, 1 thread", "B", "100 µs", "4.00× (2.06 to 7.78) †", "–"],
        [
            "cpu, float32, 1e5, one tensor, 1 thread",
            "B",
            "100 µs",
            "4.00× (2.06 to 7.78) †",
            "1.00× (0.514 to 1.94) †",
        ],
    ]


def test_it_is_right_by_a_formula_or_not_known_and_a_wrong_dtype_is_told_apart(put, page):
    put(MINE, notes=(f"{BY_AUTHOR} in its first 3 steps",))
    put(MINE, dtype="bfloat16", notes=(f"{BY_AUTHOR}: ill-conditioned, right in float64 and off by 1.0e-01",))
    wrong = "right in float64, wrong in float16: tensor 0, element [2]: found nan"
    put(MINE, dtype="float16", status="failed", reason=f"WrongResultError: {wrong}")
    compared = f"{BY_ITSELF}, and its first 3 steps differ from those of torch.optim.RMSprop with lr 0.01"
    put("theirs:Other", notes=(compared,))
    found = page()
    answers = {row[1]: row[2] for table in tables(found, "Is it right?") for row in table}
    assert answers["right"] == f"{BY_AUTHOR} in its first 3 steps"
    assert answers["ill-conditioned"].startswith(BY_AUTHOR)
    assert answers["wrong"] == wrong
    assert answers["not known"] == compared
    equal = "in 1 case its first 3 steps equal its formula"
    assert (
        f"{MINE}: in 1 case it is wrong; {equal} in float64, and it amplifies rounding; {equal}."
        in found.text
    )


def test_an_older_records_note_which_names_no_steps_is_read_as_right(put, page):
    put(MINE, notes=(BY_AUTHOR,))
    found = page()
    assert found.table("Is it right?")[0][1:3] == ["right", BY_AUTHOR]
    assert f"{MINE}: in 1 case its first 3 steps equal its formula." in found.text


def test_an_optimizer_that_raises_has_its_line_and_no_times(put, page):
    put("builtin-loop")
    put(MINE, status="failed", reason="RuntimeError: no luck today (mine.py, line 55)")
    found = page()
    assert found.table("Is it right?")[0][1:3] == ["failed", "RuntimeError: no luck today (mine.py, line 55)"]
    assert not tables(found, "How fast")


@pytest.mark.slow
def test_the_loss_stands_beside_rmsprops_of_the_same_turn_alone(put, page):
    def train(name, losses, **when):
        put(name, layout="book", size="6", samples={"curve": losses, "peak": (96.0,)}, **when)

    train(MINE, (1.0, 0.5, 0.25))
    train("builtin-loop", (1.0, 0.6, 0.3))
    train("fused", (1.0, 0.6, 0.31), started="2026-03-02T03:04:05+00:00")
    found = page()
    assert f"At the end: {MINE} 0.2500, builtin-loop 0.3000." in found.text
    assert found.table("How much extra memory")[0][2:] == ["96 B", "96 B"]


@pytest.mark.slow
@pytest.mark.parametrize("beside", ["scratch", "builtin-loop"])
def test_a_loss_chart_with_scratch_says_why_it_begins_elsewhere(put, page, beside):
    for name, first in ((MINE, 1.0), (beside, 0.8)):
        put(name, layout="book", size="6", samples={"curve": (first, 0.5)})
    assert ("it begins at another loss than the others" in page().text) == (beside == "scratch")


def test_without_such_an_optimizer_there_is_no_page(put, tmp_path):
    put("builtin-loop")
    assert list(author.pages(read_inputs(tmp_path / "results"))) == []
