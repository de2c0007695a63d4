"""An error in one dtype is put down to rounding only where rounding in float64 moves the steps as far."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from rmsprop.suite.case import Case
from rmsprop.suite.measure.registry import load_optimizer
from rmsprop.suite.measure.rounding import Rounding
from rmsprop.suite.measure.workload import CaseFailedError, Workload
from rmsprop.suite.words import BY_AUTHOR, BY_ITSELF
from tests import authors

CASE = Case("theirs", "cpu", "float32", "1e5", "single", 1)
RIGHT = f"{BY_AUTHOR} in its first 3 steps"
NARROW = ("float32", "bfloat16", "float16")


class Shifted(authors.Right):
    """Amplifies rounding, by operations on lists of tensors."""

    shift = 1000.0

    @torch.no_grad()
    def step(self, closure=None):
        params = self.param_groups[0]["params"]
        torch._foreach_add_(params, self.shift)
        super().step()
        for p in params:
            p.copy_(torch.sub(p, self.shift))


class Opaque(authors.Right):
    """One operation to torch: NumPy does the rest, in the dtype of the parameters."""

    @staticmethod
    def reference_step(params, gradients, state, *, lr, alpha, eps):
        for i, (p, g) in enumerate(zip(params, gradients, strict=True)):
            s = state[i] = alpha * state.get(i, torch.zeros_like(p)) + (1 - alpha) * g * g
            p.copy_(p + 1000 - lr * g / (s.sqrt() + eps) - 1000)

    @torch.no_grad()
    def step(self, closure=None):
        group = self.param_groups[0]
        lr, alpha, eps = group["lr"], group["alpha"], group["eps"]
        for p in group["params"]:
            found, g = p.numpy(), p.grad.numpy()
            s = self.state.setdefault(p, {"s": np.zeros_like(found)})["s"]
            s[:] = alpha * s + (1 - alpha) * g * g
            found[:] = found + 1000 - lr * g / (np.sqrt(s) + eps) - 1000


def off_in(dtype, by, base=authors.Right):
    """An optimizer that is right, but for steps that are too long by this share in that dtype."""

    class Off(base):
        @torch.no_grad()
        def step(self, closure=None):
            [p] = self.param_groups[0]["params"]
            before = p.clone()
            super().step()
            if p.dtype == getattr(torch, dtype):
                p.add_(p - before, alpha=by)

    return Off


def unknown(found):
    """The same optimizer, whose author gives no formula."""
    return type(found.__name__, (found,), {"reference_step": None})


@pytest.fixture
def checked(monkeypatch):
    """What is said of an optimizer's check."""

    def check(found, dtype="float32"):
        monkeypatch.setattr(authors, "Found", found, raising=False)
        with Workload(replace(CASE, dtype=dtype), load_optimizer("tests.authors:Found")) as workload:
            return workload.notes[-1]

    return check


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("found", [authors.IllConditioned, Shifted])
def test_what_amplifies_rounding_is_ill_conditioned(checked, found, dtype):
    assert checked(found, dtype).startswith(f"{RIGHT}: ill-conditioned, right in float64 and off by")


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("found", [authors.IllConditioned, Shifted])
def test_without_a_formula_what_amplifies_rounding_is_told_by_its_own_steps_in_float64(checked, found, dtype):
    said = checked(unknown(found), dtype)
    assert said.startswith(f"{BY_ITSELF}, but its first 3 steps equal those of torch.optim.RMSprop")
    assert ": ill-conditioned, off by " in said


@pytest.mark.parametrize(
    ("dtype", "by"), [("float32", 1e-3), ("bfloat16", 0.3), ("float16", 0.3), ("float32", -2)]
)
@pytest.mark.parametrize("base", [authors.Right, authors.Doubled])
def test_without_a_formula_what_is_off_in_one_dtype_is_wrong_there_and_in_no_other(checked, base, dtype, by):
    found = unknown(off_in(dtype, by, base))
    with pytest.raises(CaseFailedError, match=f"wrong in {dtype} by its own steps in float64") as failed:
        checked(found, dtype)
    assert "and rounding moves it by" in str(failed.value)
    for other in {"float64", *NARROW} - {dtype}:
        assert checked(found, other).startswith(BY_ITSELF)
        assert "ill-conditioned" not in checked(found, other)


def test_without_a_formula_what_amplifies_rounding_and_is_off_by_far_more_is_wrong(checked):
    with pytest.raises(CaseFailedError, match="wrong in float32 by its own steps in float64"):
        checked(unknown(off_in("float32", -2, Shifted)))


def test_without_a_formula_nobody_sees_the_rounding_within_a_kernel_and_the_reason_says_so(checked):
    with pytest.raises(CaseFailedError, match="or it amplifies rounding within an operation"):
        checked(unknown(Opaque))


def test_a_kernel_of_ones_own_is_ill_conditioned_where_its_formula_is(checked):
    assert "ill-conditioned" in checked(Opaque)


@pytest.mark.parametrize(
    ("dtype", "by"), [("float32", 1e-3), ("bfloat16", 0.3), ("float16", 0.3), ("float32", -2)]
)
def test_what_is_off_in_one_dtype_and_amplifies_nothing_is_wrong_there(checked, dtype, by):
    with pytest.raises(CaseFailedError, match=f"right in float64, wrong in {dtype}: tensor 0") as failed:
        checked(off_in(dtype, by), dtype)
    assert "and rounding moves it by" in str(failed.value)
    assert checked(off_in(dtype, by), "float64") == RIGHT


def test_what_amplifies_rounding_and_is_off_by_far_more_is_wrong(checked):
    with pytest.raises(CaseFailedError, match="right in float64, wrong in float32"):
        checked(off_in("float32", -2, Shifted))


def test_what_is_not_finite_in_one_dtype_is_wrong_whatever_rounding_does(checked):
    class NaN(Shifted):
        def step(self, closure=None):
            super().step()
            if (p := self.param_groups[0]["params"][0]).dtype == torch.float32:
                p.data[3] = math.nan

    with pytest.raises(CaseFailedError, match=r"wrong in float32: tensor 0, element \[3\]: found nan"):
        checked(NaN)


@pytest.mark.parametrize("found", [authors.Right, authors.Plain, authors.WrongInFloat32])
def test_what_is_right_in_float64_is_said_to_be_so_in_float64(checked, found):
    said = checked(found, "float64")
    assert "torch.optim.RMSprop" in said if found is authors.Plain else said == RIGHT


def test_in_float64_operations_in_another_order_are_right(checked):
    assert checked(Shifted, "float64") == RIGHT


def test_each_result_in_float64_is_rounded_whether_made_or_written_and_views_are_left():
    third = torch.tensor([1 / 3], dtype=torch.float64)
    rounded = third.float().double()
    assert not torch.equal(third, rounded)
    with Rounding(torch.float32):
        made = third * 1
        written = torch.zeros(1, dtype=torch.float64).add_(third)
        out = torch.empty(1, dtype=torch.float64)
        torch.mul(third, 1, out=out)
        lists = [torch.zeros(1, dtype=torch.float64)]
        torch._foreach_add_(lists, [third])
        copies = torch._foreach_mul([third], 1.0)
        view = third.expand(3)
    for found in (made, written, out, *lists, *copies):
        assert torch.equal(found, rounded)
    assert torch.equal(view[:1], third)
