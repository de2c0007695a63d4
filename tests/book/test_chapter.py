"""Each optimizer of the chapter against its formula in float64, and torch's where the formulas agree."""

import numpy as np
import pytest
import torch

from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.programs import EPS_PLACES, PROGRAMS
from rmsprop.book.wrong import CHANGES
from rmsprop.book.wrong_steps import STEPS


def formula(name, h, x, gradients):
    """Where x goes, written with NumPy."""
    s, v = np.zeros_like(x), np.zeros_like(x)
    for t, g in enumerate(gradients, 1):
        if name == "sgd":
            x = x - h["lr"] * g
        elif name == "momentum":
            v = h["momentum"] * v + h["lr"] * g
            x = x - v
        elif name == "adagrad":
            s = s + g**2
            x = x - h["lr"] * g / np.sqrt(s + h["eps"])
        elif name == "rmsprop":
            s = h["gamma"] * s + (1 - h["gamma"]) * g**2
            x = x - h["lr"] * g / np.sqrt(s + h["eps"])
        elif name == "adadelta":
            s = h["rho"] * s + (1 - h["rho"]) * g**2
            step = np.sqrt((v + h["eps"]) / (s + h["eps"])) * g
            x = x - step
            v = h["rho"] * v + (1 - h["rho"]) * step**2
        elif name == "adam":
            v = h["beta1"] * v + (1 - h["beta1"]) * g
            s = h["beta2"] * s + (1 - h["beta2"]) * g**2
            mean, square = v / (1 - h["beta1"] ** t), s / (1 - h["beta2"] ** t)
            x = x - h["lr"] * mean / (np.sqrt(square) + h["eps"])
    return x


def run(step, p, gradients):
    for g in gradients:
        p.grad = torch.from_numpy(g.copy())
        step()
    return p.detach().numpy()


@pytest.fixture(scope="module")
def drawn():
    rng = np.random.default_rng(0)
    return rng.normal(size=7), rng.normal(size=(50, 7))


def parameter(x):
    return torch.tensor(x, dtype=torch.float64, requires_grad=True)


scratch = [program for program in PROGRAMS.values() if program.loop == "scratch"]


@pytest.mark.parametrize("program", scratch, ids=lambda program: program.name)
def test_the_step_from_scratch_is_the_formula(program, drawn):
    x, gradients = drawn
    p = parameter(x)
    step = OPTIMIZERS[program.optimizer].from_scratch([p], program.hyperparameters)
    expected = formula(program.optimizer, program.hyperparameters, x, gradients)
    np.testing.assert_allclose(run(step, p, gradients), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "rmsprop", "adadelta", "adam"])
def test_torch_agrees_where_the_formulas_do(name, drawn):
    """With an ε that vanishes its place does not matter; AdaDelta's stands in the same place."""
    x, gradients = drawn
    here, there = (PROGRAMS[f"{name}-{loop}"] for loop in ("scratch", "concise"))
    eps = 1e-5 if name == "adadelta" else 1e-300
    ours, theirs = (
        {**p.hyperparameters, **({"eps": eps} if "eps" in p.hyperparameters else {})} for p in (here, there)
    )
    p, q = parameter(x), parameter(x)
    scratch_end = run(OPTIMIZERS[name].from_scratch([p], ours), p, gradients)
    torch_end = run(OPTIMIZERS[name].from_torch([q], theirs), q, gradients)
    np.testing.assert_allclose(scratch_end, torch_end, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("key", EPS_PLACES, ids=str)
def test_eps_stands_where_the_words_say(key):
    """One step with s known and a large ε: inside, 1 / sqrt(s + ε); outside, 1 / (sqrt(s) + ε)."""
    name, loop = key
    if name == "adadelta":
        pytest.skip("ε stands in both roots of the quotient, as the formula's test shows")
    program = PROGRAMS[f"{name}-{loop}"]
    h = {**program.hyperparameters, "eps": 4.0}
    p = parameter([0.0])
    make = OPTIMIZERS[name].from_scratch if loop == "scratch" else OPTIMIZERS[name].from_torch
    run(make([p], h), p, np.full((1, 1), 3.0))
    s = {"adagrad": 9.0, "rmsprop": 0.1 * 9.0, "adam": 9.0}[name]
    root = np.sqrt(s + 4) if EPS_PLACES[key] == "inside" else np.sqrt(s) + 4
    assert p.item() == pytest.approx(-h["lr"] * 3 / root, rel=1e-6)


def test_no_gradient_is_refused():
    for optimizer in OPTIMIZERS.values():
        if optimizer.step:
            with pytest.raises(ValueError, match="gradient"):
                optimizer.from_scratch(
                    [parameter([1.0])], PROGRAMS[f"{optimizer.name}-scratch"].hyperparameters
                )()


def test_there_are_thirty_other_programs_and_more_and_each_is_another_one():
    names = [change.name for change in CHANGES]
    assert len(names) == len(set(names)) >= 30
    for name in ("rmsprop-scratch", "rmsprop-concise"):
        right = PROGRAMS[name]
        others = [change.program(right) for change in CHANGES if change.program]
        assert right not in others
        assert {other.optimizer for other in others} <= set(STEPS)
    kinds = {
        "eps",
        "gamma",
        "lr",
        "epochs",
        "batch",
        "shuffling",
        "bias",
        "loss",
        "gradients",
        "state",
        "order",
    }
    assert kinds | {"formula", "optimizer", "start"} == {change.kind for change in CHANGES}


def test_the_right_step_among_the_wrong_ones_is_rmsprop(drawn):
    x, gradients = drawn
    p, q, r = parameter(x), parameter(x), parameter(x)
    given = {"lr": 0.01, "gamma": 0.9, "eps": 1e-6}
    inside = run(STEPS["right"].from_scratch([p], {**given, "eps_outside": 0.0}), p, gradients)
    expected = run(OPTIMIZERS["rmsprop"].from_scratch([q], given), q, gradients)
    np.testing.assert_allclose(inside, expected, rtol=1e-13)
    outside = run(STEPS["right"].from_scratch([r], {**given, "eps_outside": 1.0}), r, gradients)
    q = parameter(x)
    theirs = {"lr": 0.01, "alpha": 0.9, "eps": 1e-6}
    np.testing.assert_allclose(
        outside, run(OPTIMIZERS["rmsprop"].from_torch([q], theirs), q, gradients), rtol=1e-12
    )
