"""The 2-D traces against the book's printed end points."""

import pytest

from rmsprop.book.claims import PRIMARY, claims
from rmsprop.book.trajectory import START, f_2d, traces, train_2d
from rmsprop.optimizers.scratch import rmsprop_2d

POINTS = [claim for claim in claims() if claim.quantity in ("x1", "x2")]


@pytest.mark.parametrize("claim", POINTS, ids=lambda c: f"{c.program}-{c.quantity}")
def test_the_end_point_prints_the_books_digits(claim):
    end = traces()[claim.program][-1]
    assert f"{end[0 if claim.quantity == 'x1' else 1]:.6f}" == claim.printed
    assert claim.edition == PRIMARY


def test_the_end_point_at_full_precision():
    x1, x2 = train_2d(rmsprop_2d)[-1]
    assert x1 == pytest.approx(-0.01059867213411372, rel=1e-14)
    assert x2 == pytest.approx(1.0362e-14, rel=1e-4)


def test_eps_outside_the_root_prints_another_sixth_decimal():
    assert f"{traces()['torch_2d'][-1][0]:.6f}" == "-0.010598"


def test_a_trace_holds_the_start_and_a_point_for_each_step():
    trace = train_2d(rmsprop_2d, steps=7)
    assert trace[0] == START
    assert len(trace) == 8


def test_the_objective_falls_along_the_rmsprop_trace():
    values = [f_2d(*point) for point in traces()["rmsprop_2d"]]
    assert values == sorted(values, reverse=True)
