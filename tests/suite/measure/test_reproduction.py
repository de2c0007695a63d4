"""A reproduction runs what the claims name, with their values and no others."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch

from rmsprop.book import programs
from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.claims import claims
from rmsprop.book.wrong import CHANGES
from rmsprop.suite.case import Case
from rmsprop.suite.measure.metrics import book_job
from rmsprop.suite.measure.registry import implementation
from rmsprop.suite.measure.reproduction import reproduce
from rmsprop.suite.measure.workload import hyperparameters
from rmsprop.suite.report.figures.reproduction import NAMES
from rmsprop.suite.report.pages.reproduction import _facts as run_by
from rmsprop.suite.verdicts.reproduction import judge


def run(claimed, changes=()):
    """Without the counts, which have a test of their own and would take most of the time."""
    rows = load_airfoil("surrogate")
    none = {"counts_of": lambda *_: None, "cpu_seconds_of": lambda *_: None}
    with (
        patch.multiple("rmsprop.suite.measure.tasks", **none, CHANGES=changes),
        patch("rmsprop.suite.measure.reproduction.CHANGES", changes),
    ):
        return reproduce(claimed, rows, seeds=150, runs=1, device=torch.device("cpu"), dtype=torch.float32)


@pytest.fixture(scope="module")
def usual():
    return run(claims())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rmsprop-scratch", "rmsprop-concise"])
def test_one_changed_hyperparameter_moves_every_number_and_the_sentence(name, usual):
    claimed = claims()
    program = claimed.programs[name]
    changed = replace(program, hyperparameters={**program.hyperparameters, "lr": 0.02})
    record = run(replace(claimed, programs={**claimed.programs, name: changed}))
    here, there = record.programs[name], usual.programs[name]
    assert here.losses[0][1:] != there.losses[0][1:]
    assert here.ensemble.quantiles != there.ensemble.quantiles
    assert here.ensemble.curve[1:] != there.ensemble.curve[1:]
    other = next(other for other in usual.programs if other != name)
    assert record.programs[other].losses == usual.programs[other].losses
    assert "lr 0.01," in run_by(usual)[NAMES[name]]
    assert run_by(record)[NAMES[name]] == changed.words
    assert "lr 0.02," in changed.words
    assert run_by(record)[NAMES[other]] == run_by(usual)[NAMES[other]]
    before, after = (
        next(v for v in judge(r).verdicts if v.claim.program == name and v.claim.quantity == "loss")
        for r in (usual, record)
    )
    assert (after.here, after.percentile, after.words) != (before.here, before.percentile, before.words)


@pytest.mark.slow
def test_one_changed_eta_moves_the_trace_and_its_verdict(usual):
    claimed = claims()
    changed = replace(claimed.traces["rmsprop_2d"], hyperparameters={"eta": 0.401, "gamma": 0.9, "eps": 1e-6})
    record = run(replace(claimed, traces={**claimed.traces, "rmsprop_2d": changed}))
    x1 = judge(record).verdicts[0]
    assert x1.claim.printed == "-0.010599"
    assert x1.words == "prints -0.010292 here"
    assert judge(usual).holds
    assert not judge(record).holds


def test_the_matrix_and_the_books_job_take_the_books_values(monkeypatch):
    case = Case("builtin-loop", "cpu", "float32", "6", "book", 0)
    given = hyperparameters(implementation(case.implementation), case.dtype)
    before = book_job(case.implementation, case.device, case.dtype, data="surrogate")
    concise = programs.PROGRAMS[programs.MATRIX]
    changed = replace(concise, hyperparameters={**concise.hyperparameters, "lr": 0.02, "alpha": 0.8})
    monkeypatch.setitem(programs.PROGRAMS, programs.MATRIX, changed)
    assert hyperparameters(implementation(case.implementation), case.dtype) == given | {
        "lr": 0.02,
        "alpha": 0.8,
    }
    assert book_job(case.implementation, case.device, case.dtype, data="surrogate").losses != before.losses


@pytest.mark.slow
def test_a_wrong_program_that_diverges_is_recorded_as_diverged():
    [added] = [change for change in CHANGES if change.name == "update added"]
    record = run(claims(), changes=(added,))
    assert {(wrong.change, wrong.claimed) for wrong in record.wrong} == {
        ("update added", "rmsprop-scratch"),
        ("update added", "rmsprop-concise"),
    }
    assert {(wrong.seeds, wrong.diverged) for wrong in record.wrong} == {(150, 150)}
    [exclusion] = judge(record).exclusions
    assert exclusion.diverged == 1
    assert exclusion.excluded
