"""What FusedRMSprop is held against: torch's own loop step by step, and intervals around float64."""

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor, nn

from rmsprop import FusedRMSprop

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=needs_cuda)]
FLOATS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
FLAGS = [
    {"centered": centered, "momentum": momentum, "weight_decay": decay, "maximize": maximize}
    for centered in (False, True)
    for momentum in (0.0, 0.9)
    for decay in (0.0, 0.1)
    for maximize in (False, True)
]
EVERYTHING = {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "maximize": True, "alpha": 0.9}
SHAPES = [(3, 5), (7,), (), (0, 4), (33,)]
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6}
"""Of a run of some ten steps beside torch's, whose operations round in another order: some ten ulps of 1."""

Array = npt.NDArray[np.float64]


def parameters(*shapes: tuple[int, ...], dtype=torch.float32, device="cpu", seed=0) -> list[nn.Parameter]:
    """Parameters drawn from a normal distribution, the same on each call."""
    generator = torch.Generator().manual_seed(seed)
    return [nn.Parameter(torch.randn(s, dtype=dtype, generator=generator).to(device)) for s in shapes]


def params_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p for group in optimizer.param_groups for p in group["params"]]


class Pair:
    """FusedRMSprop and torch's loop over two makings of the same parameters (or parameter groups)."""

    def __init__(self, make: Callable[[], Iterable], seed: int = 1, **options) -> None:
        self.fused = FusedRMSprop(make(), **options)
        self.loop = torch.optim.RMSprop(make(), foreach=False, **options)
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def optimizers(self) -> tuple[FusedRMSprop, torch.optim.RMSprop]:
        return self.fused, self.loop

    @property
    def params(self) -> list[tuple[Tensor, Tensor]]:
        return list(zip(params_of(self.fused), params_of(self.loop), strict=True))

    def give_gradients(self, layout: Callable[[Tensor], Tensor] = torch.clone) -> None:
        """The same normal numbers to both, in the strides and memory that `layout` gives them."""
        for p, q in self.params:
            drawn = torch.randn(p.shape, dtype=p.dtype, generator=self.generator).to(p.device)
            p.grad, q.grad = layout(drawn), layout(drawn)

    def step(self, times: int = 1, layout: Callable[[Tensor], Tensor] = torch.clone) -> None:
        """New gradients, one step of each, and the comparison; so many times."""
        for _ in range(times):
            self.give_gradients(layout)
            self.fused.step()
            self.loop.step()
            self.check()

    def check(self) -> None:
        """Parameters and state agree within rounding, in the same dtypes and under the same names."""
        for p, q in self.params:
            ours, theirs = (o.state.get(t, {}) for o, t in zip(self.optimizers, (p, q), strict=True))
            assert ours.keys() == theirs.keys()
            for name, a, b in (("", p, q), *((name, ours[name], theirs[name]) for name in ours)):
                bound = TOLERANCE[torch.promote_types(p.dtype, torch.float32).to_real()]
                # Ours counts steps on the parameter's device, which torch's does where it is capturable.
                torch.testing.assert_close(a, b, rtol=bound, atol=bound, check_device=name != "step")


@dataclass(frozen=True)
class Interval:
    """Bounds on what floating-point arithmetic whose operations round by at most `u` makes of a formula.

    Each operation widens them by `u` of its result and by the smallest subnormal number, `tiny`.
    """

    lo: Array
    hi: Array
    u: float
    tiny: float

    def _of(self, *ends: Array) -> "Interval":
        def slack(end: Array) -> Array:
            return np.where(np.isfinite(end) & (end != 0), self.u * np.abs(end) + self.tiny, 0)

        lo, hi = np.minimum.reduce(ends), np.maximum.reduce(ends)
        return Interval(lo - slack(lo), hi + slack(hi), self.u, self.tiny)

    def __add__(self, other: "Interval") -> "Interval":
        return self._of(self.lo + other.lo, self.hi + other.hi)

    def __sub__(self, other: "Interval") -> "Interval":
        return self._of(self.lo - other.hi, self.hi - other.lo)

    def __mul__(self, other: "Interval") -> "Interval":
        return self._of(*(a * b for a in (self.lo, self.hi) for b in (other.lo, other.hi)))

    def __truediv__(self, other: "Interval") -> "Interval":
        """By a denominator that is at least 0; 0 / 0 counts as 0."""
        return self._of(
            *(
                np.where(a == 0, 0.0, np.divide(a, b))
                for a in (self.lo, self.hi)
                for b in (np.maximum(other.lo, 0), other.hi)
            )
        )

    def sqrt(self) -> "Interval":
        """Of a value that is clamped at 0."""
        return self._of(np.sqrt(np.maximum(self.lo, 0)), np.sqrt(np.maximum(self.hi, 0)))

    def hull(self, *others: "Interval") -> "Interval":
        lows, highs = zip(*((i.lo, i.hi) for i in (self, *others)), strict=True)
        return Interval(np.minimum.reduce(lows), np.maximum.reduce(highs), self.u, self.tiny)


def _float64(tensor: Tensor) -> Array:
    tensor = tensor.detach().resolve_neg().resolve_conj().cpu()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.contiguous())
    return tensor.double().numpy().copy()


def bounds(
    p: Tensor,
    grad: Tensor,
    state: dict[str, Tensor],
    *,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0,
    momentum: float = 0,
    centered: bool = False,
    maximize: bool = False,
    eps_inside_sqrt: bool = False,
    **_unused: object,
) -> dict[str, Interval]:
    """Between which numbers the parameter ("param") and the state lie after one step, before they are stored.

    NaN where that is not known: after an overflow.

    Half types compute in float32. `state` may be empty: zeros. A scalar is rounded as 1 - alpha is in
    double precision: once.
    """
    wide = p.dtype in {torch.float64, torch.complex128}
    u, tiny = (2.0**-52, 2.0**-1074) if wide else (2.0**-24, 2.0**-149)  # float64: the reference rounds too

    def given(tensor: Tensor | None) -> Interval:
        values = np.zeros_like(_float64(p)) if tensor is None else _float64(tensor)
        return Interval(values, values, u, tiny)

    def scalar(value: float) -> Interval:
        return given(None)._of(np.float64(value))

    with np.errstate(all="ignore"):
        x, g = given(p), given(-grad if maximize else grad)
        if weight_decay:
            g = g + scalar(weight_decay) * x
        keep, take = scalar(alpha), scalar(1 - alpha)
        after = {"square_avg": keep * given(state.get("square_avg")) + take * g * g}
        v = after["square_avg"]
        if centered:
            m = given(state.get("grad_avg"))
            blends = keep * m + take * g, m + take * (g - m), g - keep * (g - m)  # as lerp may be written
            after["grad_avg"] = blends[0].hull(*blends[1:])
            v = v - after["grad_avg"] * after["grad_avg"]
            v = Interval(np.maximum(v.lo, 0), np.maximum(v.hi, 0), u, tiny)
        d = (v + scalar(eps)).sqrt() if eps_inside_sqrt else v.sqrt() + scalar(eps)
        move = g / d
        if momentum:
            move = scalar(momentum) * given(state.get("momentum_buffer")) + move
            after["momentum_buffer"] = move
        return {"param": x - scalar(lr) * move, **after}


def assert_stored(found: Tensor, expected: Interval, name: str) -> None:
    """`found` is what some number of the interval rounds to, in the dtype of `found`."""
    dtype = found.dtype.to_real()
    lo, hi = (_float64(torch.as_tensor(end).to(dtype)) for end in (expected.lo, expected.hi))
    values = _float64(found)
    wrong = np.asarray(~((lo <= values) & (values <= hi) | np.isnan(lo) | np.isnan(hi)))
    if wrong.any():
        at = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise AssertionError(
            f"{name} ({dtype}): {wrong.sum()} of {wrong.size} wrong; the first, at {at}, is {values[at]!r}, "
            f"not {lo[at]!r} to {hi[at]!r}"
        )


def checked_step(optimizer: FusedRMSprop) -> None:
    """One step, after which each element of each parameter and state lies within its bounds."""
    expected = {
        p: bounds(p, p.grad, optimizer.state.get(p, {}), **{**group, "lr": float(group["lr"])})
        for group in optimizer.param_groups
        for p in group["params"]
        if p.grad is not None
    }
    optimizer.step()
    for p, after in expected.items():
        found = {**optimizer.state[p], "param": p}
        assert found.keys() - {"step"} == after.keys()
        for name, interval in after.items():
            assert_stored(found[name], interval, name)


def loss_of(params):
    return sum((p.abs() ** 2).sum() for p in params)


def snapshot(optimizer):
    """Copies of all parameters and their states, to be compared bit by bit."""
    params = params_of(optimizer)
    return copy.deepcopy([(p.detach(), optimizer.state.get(p, {})) for p in params])


def assert_same_bits(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


def gaps(t):
    """The same values at every third number of a wider tensor, from an odd place on."""
    storage = torch.full((t.numel() * 3 + 2,), 7.0, dtype=t.dtype, device=t.device)
    view = storage[1 : 1 + 3 * t.numel() : 3].view(t.shape)
    view.copy_(t)
    return view
