import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rmsprop.suite.records.gate import Counters, GateCase, Hypothesis
from rmsprop.suite.report import markdown
from rmsprop.suite.report.figures.gate import draw_forests
from rmsprop.suite.report.pages import gate
from rmsprop.suite.verdicts.gate import JudgedRun, judge_gate
from tests.suite.conftest import simulate  # noqa: F401 (a fixture)
from tests.suite.report.conftest import page_from

AWKWARD = "fam$ily<b>-1"


@pytest.fixture
def record(simulate):  # noqa: F811
    made = simulate(np.random.default_rng(1), {"a-1": math.log(1.08), "a-2": 0.0, AWKWARD: 0.0}, sd=0.01)
    removed = GateCase("a-3", "a", "removed", "head: not in this commit", None, ())
    return replace(made, cases=(*made.cases, removed))


def pages_of(*records):
    return list(gate.pages(SimpleNamespace(gates=tuple(JudgedRun(one, judge_gate(one)) for one in records))))


def texts_of(page):
    """The page as a browser shows it, and its Markdown."""
    return page_from(page.blocks).text, markdown.render(page.blocks).replace("\\", "")


def test_without_a_run_there_is_no_page():
    assert pages_of() == []


def test_the_newest_run_is_in_the_navigation_and_links_every_other(record):
    older = replace(record, environment=replace(record.environment, started="2025-01-02T03:04:05+00:00"))
    newest, other = pages_of(older, record)
    assert (newest.nav, other.nav) == ("Gate", None)
    assert newest.path == "gate.html"
    html = page_from(newest.blocks)
    assert html.soup.find("a", href=other.path).get_text() == "2025-01-02 03:04 UTC"
    assert newest.in_markdown
    assert not other.in_markdown


def test_a_page_says_what_slowed_what_was_removed_and_what_could_not_be_seen(record):
    (page,) = pages_of(record)
    for text in texts_of(page):
        for words in (
            "Slower: a-1 +",
            "head: not in this commit",
            "Minimum detectable",
            "Base against itself",
        ):
            assert words in text
    assert not page_from(page.blocks).all("b")


def test_a_page_says_which_counters_differ_and_which_of_them_are_alarms(record):
    base = Counters({"aten.add": 10}, 49, 47, 8192, 8192, None, ())
    head = replace(base, operations={"aten.add": 10, "aten.div": 2}, python_calls=50)
    first, *others = record.cases
    counted = replace(first, base_counters=base, head_counters=head)
    (page,) = pages_of(replace(record, cases=(counted, *others)))
    for text in texts_of(page):
        assert "A step of 1 case was counted on both sides, without a clock; 1 of them changed." in text
        assert "aten.div +2" in text
    found = page_from(page.blocks).all("tr")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in found]
    assert ["a-1", "operations", "10", "12", "aten.div +2", "alarm"] in rows
    assert ["a-1", "Python calls", "49", "50", "", ""] in rows


def test_a_finding_of_sums_is_called_now_and_then(record):
    policy = replace(record.policy, rare=0.2)
    samples = [
        replace(sample, base_sum=1.0, head_sum=1.05 + 0.001 * sample.launch, again_sum=1.0)
        for sample in record.cases[0].samples
    ]
    case = replace(record.cases[0], samples=tuple(samples))
    rare = Hypothesis("a-1", ("a-1",), True, rare=True)
    (page,) = pages_of(
        replace(record, policy=policy, cases=(case, *record.cases[1:]), hypotheses=(*record.hypotheses, rare))
    )
    assert "a-1, now and then" in page_from(page.blocks).text


def test_a_forest_plot_names_each_case_and_its_interval(record):
    drawings = draw_forests(record, judge_gate(record))
    assert [drawing.name for drawing in drawings] == ["gate-a", "gate-fam-ily-b"]
    assert "a-1 +" in drawings[0].alt
    assert "a-3" not in drawings[0].alt


def test_a_run_that_measured_nothing_has_a_page_too(record):
    (page,) = pages_of(replace(record, cases=(), launches=(), hypotheses=None))
    assert "nothing was measured" in page_from(page.blocks).text


def test_the_same_record_gives_the_same_bytes(record):
    assert pages_of(record) == pages_of(record)
