"""Other people's optimizers, right, wrong and odd: each gets the answer that it deserves, with its reason."""

from dataclasses import replace

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.measure.matrix import cases, others
from rmsprop.suite.measure.point import Task, measure_point
from rmsprop.suite.measure.registry import load_optimizer

LOOP = Case("builtin-loop", "cpu", "float32", "1e3", "single", 1)

AUTHORS = """
import torch
from torch.optim import Optimizer, RMSprop


def formula(params, gradients, state, *, lr, alpha, eps):
    for i, (p, g) in enumerate(zip(params, gradients)):
        s = state[i] = alpha * state.get(i, torch.zeros_like(p)) + (1 - alpha) * g * g
        p -= lr * g / (s.sqrt() + eps)


class Plain(RMSprop):
    pass


class Right(RMSprop):
    reference_step = staticmethod(formula)


class Wrong(Right):
    def __init__(self, params, lr, alpha, eps):
        super().__init__(params, lr=1.01 * lr, alpha=alpha, eps=eps)


class Doubled(RMSprop):
    def __init__(self, params, lr, alpha, eps):
        super().__init__(params, lr=2 * lr, alpha=alpha, eps=eps)


class IllConditioned(Right):
    @torch.no_grad()
    def step(self, closure=None):
        shifted = [p for group in self.param_groups for p in group["params"]]
        for p in shifted:
            p.add_(1000)
        super().step()
        for p in shifted:
            p.sub_(1000)


class NotFinite(Right):
    @torch.no_grad()
    def step(self, closure=None):
        super().step()
        self.param_groups[0]["params"][0].view(-1)[3] = float("nan")


class ConstructorRaises(RMSprop):
    def __init__(self, params, lr):
        raise ValueError("no such rate")


class StepRaises(RMSprop):
    def step(self, closure=None):
        raise RuntimeError("no luck today")


class NeedsClosure(RMSprop):
    def step(self, closure):
        closure()
        return super().step()


class Idle(RMSprop):
    def step(self, closure=None):
        pass


def factory(params, lr, alpha, eps):
    return RMSprop(params, lr=lr, alpha=alpha, eps=eps)


class NoOptimizer:
    pass


number = 3
"""


@pytest.fixture(autouse=True)
def authors(tmp_path, monkeypatch):
    (tmp_path / "authors.py").write_text(AUTHORS)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("Plain", "measured", "no formula is known, but its steps are torch.optim.RMSprop's"),
        ("Doubled", "measured", "no formula is known, and its steps are not RMSProp's"),
        ("Right", "measured", "checked by the author's reference_step"),
        ("IllConditioned", "measured", "ill-conditioned, right in float64 and off by"),
        ("NeedsClosure", "measured", "checked against itself in float64"),
        ("factory", "measured", "checked against itself in float64"),
        ("Wrong", "failed", "wrong also in float64, by the author's reference_step"),
        ("NotFinite", "failed", "found nan, expected a finite number"),
        ("ConstructorRaises", "failed", "ValueError: no such rate (authors.py, line 50)"),
        ("StepRaises", "failed", "RuntimeError: no luck today (authors.py, line 55)"),
        ("Idle", "failed", "no parameter has moved"),
    ],
)
def test_each_author_gets_an_answer_and_the_others_are_measured(name, status, said):
    theirs = replace(LOOP, implementation=f"authors:{name}")
    part, loop = measure_point(Task((theirs, LOOP), 0.01, 5, 0, False)).parts
    assert (part.ended or ("measured",))[0] == status
    assert said in (part.ended[1] if part.ended else "; ".join(part.notes))
    assert bool(part.trace) == (status == "failed")
    assert loop.ended is None
    assert len(loop.seconds) == 5


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("authors:NoOptimizer", "no torch.optim.Optimizer subclass"),
        ("authors:number", "no torch.optim.Optimizer subclass"),
        ("authors:Unknown", "cannot be imported"),
        ("nowhere:Nothing", "cannot be imported"),
    ],
)
def test_what_is_none_is_refused(spec, said):
    with pytest.raises(UserError, match=said):
        load_optimizer(spec)


def test_the_variable_names_optimizers_for_what_has_no_option(monkeypatch):
    monkeypatch.setenv("RMSPROP_OPTIMIZERS", "authors:Right authors:factory")
    assert others()[-2:] == ["authors:Right", "authors:factory"]
    listed = cases("smoke", others=others())
    assert {"authors:Right", "authors:factory"} <= {case.implementation for case in listed}
