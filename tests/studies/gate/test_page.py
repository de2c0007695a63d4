import math
from dataclasses import replace

import numpy as np
import pytest

from rmsprop.suite.report import markdown
from rmsprop.suite.report.page import drawings_of
from studies.gate import page as study
from studies.gate.other_tools import RivalRun
from studies.gate.resampling import score_resampled
from studies.gate.scores import Live, Scenario, Study
from tests.suite.conftest import matrix, simulate  # noqa: F401 (fixtures)
from tests.suite.report.conftest import page_from


@pytest.fixture
def runs(simulate, matrix):  # noqa: F811
    rng = np.random.default_rng(1)
    slower = matrix | {f"family2-{number}": math.log(1.05) for number in range(8)}
    return (
        Live(Scenario("aa"), "turns", simulate(rng, matrix, sd=0.01)),
        Live(Scenario("aa"), "turns", simulate(rng, matrix, sd=0.01)),
        Live(Scenario("inject", "family2", "passes", 0.05), "turns", simulate(rng, slower, sd=0.01)),
    )


def page_of(*runs, **others):
    (page,) = study.pages(Study(runs, **others))
    return page


def test_without_a_run_there_is_no_page():
    assert list(study.pages(Study())) == []


def test_the_page_says_first_what_the_runs_came_to(runs):
    page = page_of(*runs)
    for words in (
        "The same tree twice: 0 alarms in 2 runs; 40 cases",
        "family2 slower by 5% (more passes): a slower case detected in 1 of 1 run, every powered one in 1, 0",
    ):
        assert words in page_from(page.blocks).text
        assert words in markdown.render(page.blocks).replace("\n  ", " ")
    assert "4% to 6%" in page_from(page.blocks).text
    assert "8 of 8 (63.1% to 100.0%)" in page_from(page.blocks).text
    assert "inject+family2+passes+0.05" in page_from(page.blocks).text
    assert [drawing.name for drawing in drawings_of(page.blocks, details=False)] == ["gate-study-power"]


def test_a_run_that_left_cases_out_is_told_from_one_of_the_whole_matrix(runs):
    first, *others = runs
    record = first.record
    part = replace(record, cases=(replace(record.cases[0], status="left out", samples=()), *record.cases[1:]))
    page = page_of(replace(first, record=part), *others)
    assert "0 alarms in 2 runs; 39 to 40 cases" in page_from(page.blocks).text


def test_without_a_slowed_run_there_is_no_figure_of_power(runs):
    assert not list(drawings_of(page_of(*runs[:2]).blocks, details=True))


@pytest.mark.slow
def test_other_tools_and_resampled_launches_stand_apart_from_live_runs(runs):
    environment = runs[0].record.environment
    rival = RivalRun(environment, "aa", "asv", "asv continuous --factor 1.1", 1, ("a", "b"), 99.5)
    resampled = score_resampled([run.record for run in runs[:2]] * 5, 10, (0.03,), seed=1)
    page = page_of(*runs, rivals=(rival,), resampled=(resampled,))
    assert "asv continuous --factor 1.1" in page_from(page.blocks).text
    assert "Matrices drawn from runs without a change, on 1 machine and 1 day" in page_from(page.blocks).text
    assert "0 of 10" in page_from(page.blocks).text
