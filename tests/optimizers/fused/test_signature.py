"""FusedRMSprop takes what torch.optim.RMSprop takes, and makes its steps and those of other frameworks."""

import inspect
import re

import numpy as np
import pytest
import torch
from torch import nn

import rmsprop
from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    DEVICES,
    FLAGS,
    SHAPES,
    Pair,
    assert_same_bits,
    parameters,
    snapshot,
)

NUMBERS = [
    {"lr": 0.0},
    {"lr": 1.0, "weight_decay": 1.0},
    {"alpha": 0.0},
    {"alpha": 0.5, "momentum": 1.5},
    {"alpha": 0.999, "centered": True},
    {"eps": 1e-3},
    {"eps": 0.0, "momentum": 0.5},
    {"eps": 10.0, "centered": True, "momentum": 0.5},
]


def torchs_own_inputs(device):
    """The inputs by which torch tests its RMSprop on a device."""
    pytest.importorskip("expecttest", reason="torch's own optimizer inputs need the package expecttest")
    from torch.testing._internal.common_optimizers import optim_inputs_func_rmsprop  # noqa: PLC0415

    return optim_inputs_func_rmsprop(device)


# ---- the arithmetic


def test_the_signature_is_torchs_and_then_keywords():
    ours = list(inspect.signature(FusedRMSprop).parameters.values())
    theirs = list(inspect.signature(torch.optim.RMSprop).parameters.values())
    assert [(p.name, p.default) for p in ours[: len(theirs)]] == [(p.name, p.default) for p in theirs]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])
    group = FusedRMSprop(parameters((2,))).param_groups[0]
    assert torch.optim.RMSprop(parameters((2,))).param_groups[0].keys() < group.keys()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex128, torch.complex64])
def test_torchs_own_inputs_give_torchs_own_steps(device, dtype):
    for case in torchs_own_inputs(device):
        pair = Pair(lambda: parameters(*SHAPES, dtype=dtype, device=device), **case.kwargs)
        pair.step(6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex128, torch.complex64])
@pytest.mark.parametrize("alpha", [0.99, 0.9])
def test_every_combination_of_flags_gives_torchs_steps(device, dtype, alpha):
    for flags in FLAGS:
        Pair(lambda: parameters(*SHAPES, dtype=dtype, device=device), alpha=alpha, **flags).step(6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", NUMBERS, ids=str)
def test_every_number_that_torch_takes_gives_torchs_steps(device, dtype, options):
    Pair(lambda: parameters(*SHAPES, dtype=dtype, device=device), **options).step(6)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": np.float32(0.1), "alpha": np.float64(0.9), "centered": np.bool_(True)},
        {"lr": 1, "eps": 1, "momentum": 1, "weight_decay": 1, "centered": 1, "maximize": 1},
        {"lr": torch.tensor(0.1, dtype=torch.bfloat16), "momentum": torch.tensor(0.5), "alpha": 0},
    ],
    ids=str,
)
def test_numbers_of_any_kind_will_do_where_torch_takes_them(options):
    Pair(lambda: parameters((3, 5)), **options).step(3)


def test_no_parameter_with_a_gradient_makes_no_step():
    optimizer = FusedRMSprop(parameters((3,)))
    before = snapshot(optimizer)
    assert optimizer.step() is None
    assert_same_bits(snapshot(optimizer), before)
    Pair(lambda: parameters((0,), (0, 3))).step(2)


# ---- values printed by other implementations


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, (1.298377974681, 1.686614574776)),
        ({"lr": 1e-4}, (1.480165969661, 1.519831605100)),
        ({"lr": 1e-4, "alpha": 0.95}, (1.487998935489, 1.512000771753)),
    ],
    ids=str,
)
def test_a_hundred_steps_of_lua_torch(options, end):
    """PyTorch's test/optim/tests.json and lua.out: first s = 1, and the gradient as that file computes it."""
    p = nn.Parameter(torch.tensor([1.5, 1.5], dtype=torch.float64))
    optimizer = FusedRMSprop([p], **options)
    optimizer.state[p] = {"step": torch.tensor(0.0), "square_avg": torch.ones_like(p)}
    for _ in range(100):
        x, y = p.tolist()
        slope = (-2 * (1 - x) - 400 * x * (y - x**2), 200 * x * (y - x**2))
        p.grad = torch.tensor(slope, dtype=torch.float64)
        optimizer.step()
    assert p.tolist() == pytest.approx(end, abs=1e-11)


def test_a_step_of_keras_and_one_of_tensorflow_1():
    p = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    p.grad = torch.tensor([1.0, 6.0, 7.0, 2.0], dtype=torch.float64)
    FusedRMSprop([p], lr=0.5, alpha=0.9, eps=1e-7, eps_inside_sqrt=True).step()
    assert p.tolist() == pytest.approx([-0.5811, 0.4189, 1.4189, 2.4189], abs=5e-5)

    q = nn.Parameter(torch.tensor([1.0]))
    q.grad = torch.tensor([0.1])
    optimizer = FusedRMSprop([q], lr=2.0, alpha=0.9, eps=1.0, eps_inside_sqrt=True)
    optimizer.state[q] = {"step": torch.tensor(0.0), "square_avg": torch.ones_like(q)}
    optimizer.step()
    assert q.item() == pytest.approx(0.8549429, abs=2e-7)


def test_the_class_shows_where_a_user_looks_for_it():
    assert "FusedRMSprop" in dir(rmsprop)
    options = inspect.signature(FusedRMSprop).parameters.keys()
    described = FusedRMSprop.__doc__.partition("Parameters")[2].partition("Raises")[0]
    assert options <= set(re.findall(r"\w+", described))
