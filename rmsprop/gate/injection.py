"""Real extra work inside an implementation's step, for testing the gate. Copied into the tree that is slowed.

passes   the share of another step, over the same gradients and a copy of the rest
offset   a constant number of seconds, in Python, whatever the size
memory   reading and writing the share of what a step reads and writes, elsewhere
"""

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

How = Literal["passes", "offset", "memory"]

SLICED = 500_000
"""Elements from which a part of each tensor is stepped through; below, whole steps come now and then."""
PARTS, TIMINGS = (0.1, 0.25, 0.5, 1.0), 9
"""Parts of the share that are tried, for what they really take beside a step; and how often."""
PASS_SECONDS = 1.5e-8
"""Of one turn of an empty loop, about."""
STEP_PASSES = 5 / 2
"""A step reads or writes its tensors five times, an addition in place twice."""
HOOK = """

_before_injection = builtins


def builtins() -> dict[str, Implementation]:
    from rmsprop.optimizers.injection import slowed

    known = _before_injection()
    make = slowed(known[{name!r}].make, {how!r}, {amount!r})
    return known | {{{name!r}: replace(known[{name!r}], make=make)}}
"""


def inject(tree: Path, name: str, how: How, amount: float) -> None:
    """Slow the implementation of that name in a tree by a share of a step or, for offset, by seconds."""
    optimizers = tree / "rmsprop" / "optimizers"
    (optimizers / "injection.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    with (optimizers / "registry.py").open("a", encoding="utf-8") as registry:
        registry.write(HOOK.format(name=name, how=how, amount=amount))


def slowed(make: Callable[..., Any], how: How, amount: float) -> Callable[..., Any]:
    """What makes steppers that do so much more."""
    kinds: dict[How, Callable[..., Callable[[], None]]]
    kinds = {"passes": _Passes, "offset": _Offset, "memory": _Memory}
    return lambda params, **hyperparameters: _Slowed(
        make(params, **hyperparameters), kinds[how](make, params, hyperparameters, amount)
    )


class _Slowed:
    def __init__(self, inner: Any, extra: Callable[[], None]) -> None:
        self.inner, self.extra = inner, extra

    def step(self) -> None:
        self.inner.step()
        self.extra()


class _Passes:
    """Steps of the same kind on copies: of a share of the tensors or of each, or now and then of all."""

    def __init__(
        self, make: Callable[..., Any], params: list[Tensor], hyperparameters: dict[str, Any], share: float
    ) -> None:
        largest = max(p.numel() for p in params)
        if len(params) * share >= 1:
            self.sources, self.lengths = params[: round(len(params) * share)], None
        elif largest >= SLICED:
            share_of_each = _share_that_takes(share, make, params, hyperparameters)
            self.sources, self.lengths = params, [max(1, round(p.numel() * share_of_each)) for p in params]
        else:
            self.sources, self.lengths = params, None
        whole = self.sources is params and self.lengths is None
        self.each, self.credit = (share if whole else 1.0), 0.0
        self.copies = [self._part(p.detach(), i).clone().requires_grad_() for i, p in enumerate(self.sources)]
        self.stepper: Any = make(list(self.copies), **hyperparameters)

    def __call__(self) -> None:
        self.credit += self.each
        if self.credit < 1:
            return
        self.credit -= 1
        self.step()

    def step(self) -> None:
        for i, (copy, source) in enumerate(zip(self.copies, self.sources, strict=True)):
            copy.grad = None if source.grad is None else self._part(source.grad, i)
        self.stepper.step()

    def _part(self, tensor: Tensor, index: int) -> Tensor:
        return tensor if self.lengths is None else tensor.reshape(-1)[: self.lengths[index]]


def _share_that_takes(
    share: float, make: Callable[..., Any], params: list[Tensor], hyperparameters: dict[str, Any]
) -> float:
    """The share of each tensor whose step takes that share of a whole step's time, for a call costs too."""
    sources = [p.detach().clone().requires_grad_() for p in params]
    for source, p in zip(sources, params, strict=True):
        source.grad = None if p.grad is None else p.grad.clone()
    whole: Any = make(sources, **hyperparameters)
    tried: list[tuple[float, float]] = []
    for part in PARTS:
        extra = _Passes.__new__(_Passes)
        extra.sources, extra.lengths = sources, [max(1, round(s.numel() * share * part)) for s in sources]
        extra.copies = [extra._part(s.detach(), i).clone().requires_grad_() for i, s in enumerate(sources)]
        extra.stepper = make(list(extra.copies), **hyperparameters)
        times = [(_seconds(whole.step), _seconds(extra.step)) for _ in range(TIMINGS)]
        step, more = (min(column) for column in zip(*times[1:], strict=True))
        tried.append((more / step, share * part))
    for (less, small), (more, large) in pairwise(tried):
        if less <= share < more:
            return small + (large - small) * (share - less) / (more - less)
    return tried[-1][1] if tried[-1][0] <= share else tried[0][1]


def _seconds(call: Callable[[], None]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


class _Offset:
    def __init__(
        self, _make: object, _params: list[Tensor], _hyperparameters: dict[str, Any], seconds: float
    ) -> None:
        self.passes = round(seconds / PASS_SECONDS)

    def __call__(self) -> None:
        for _ in range(self.passes):
            pass


class _Memory:
    def __init__(
        self, _make: object, params: list[Tensor], _hyperparameters: dict[str, Any], share: float
    ) -> None:
        elements = sum(p.numel() for p in params) * share * STEP_PASSES
        self.buffer = torch.zeros(max(1, round(elements)), dtype=params[0].dtype, device=params[0].device)

    def __call__(self) -> None:
        self.buffer.add_(1)
