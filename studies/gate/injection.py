"""Real extra work inside an implementation's step, for testing the gate. Copied into the tree that is slowed.

work     a loop in Python for the share of a step; how long that is differs from case to case, and is tuned

passes   the share of another step, over the same gradients and a copy of the rest; tuned likewise, for what
         share of a step's elements takes that share of its time differs too (`studies.gate.tuning`)
offset   a constant number of seconds, in Python, whatever the size
memory   reading and writing the share of what a step reads and writes, elsewhere
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

How = Literal["work", "passes", "offset", "memory"]

SLICED = 500_000
"""Elements from which a part of each tensor is stepped through; below, whole steps come now and then."""
PASS_SECONDS = 1.5e-8
"""Of one turn of an empty loop, about."""
STEP_PASSES = 5 / 2
"""A step reads or writes its tensors five times, an addition in place twice."""
HOOK = """

_before_injection = builtins


def builtins() -> dict[str, Implementation]:
    from rmsprop.optimizers.injection import slowed

    known = _before_injection()
    make = slowed(known[{name!r}].make, {how!r}, {amount!r}, {tuned!r})
    return known | {{{name!r}: replace(known[{name!r}], make=make)}}
"""


def inject(tree: Path, name: str, how: How, amount: float, tuned: Mapping[str, float] | None = None) -> None:
    """Slow the implementation of that name in a tree by a share of a step or, for offset, by seconds.

    `tuned` has another amount for some lists of parameters, by `key`: for work, in seconds.
    What was injected before is replaced.
    """
    optimizers = tree / "rmsprop" / "optimizers"
    (optimizers / "injection.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    registry = optimizers / "registry.py"
    text = registry.read_text(encoding="utf-8").partition(HOOK.partition("{")[0])[0]
    hook = HOOK.format(name=name, how=how, amount=amount, tuned=dict(tuned or {}))
    registry.write_text(text + hook, encoding="utf-8")


def key(dtype: str, elements: int, tensors: int) -> str:
    """What a list of parameters is known by, such as `float32 1000000 1`."""
    return f"{dtype} {elements} {tensors}"


def slowed(
    make: Callable[..., Any], how: How, amount: float, tuned: Mapping[str, float] | None = None
) -> Callable[..., Any]:
    """What makes steppers that do so much more; see `inject`."""
    kinds: dict[How, Callable[..., Callable[[], None]]]
    kinds = {"work": _Offset, "passes": _Passes, "offset": _Offset, "memory": _Memory}

    untuned = 0.0 if how == "work" else amount  # a share is no number of seconds

    def made(params: list[Tensor], **hyperparameters: Any) -> _Slowed:
        dtype = str(params[0].dtype).removeprefix("torch.")
        known_as = key(dtype, sum(p.numel() for p in params), len(params))
        extra = kinds[how](make, params, hyperparameters, (tuned or {}).get(known_as, untuned))
        return _Slowed(make(params, **hyperparameters), extra)

    return made


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
        self.sources, self.lengths = params, None
        if len(params) * share >= 1:
            self.sources = params[: round(len(params) * share)]
        elif max(p.numel() for p in params) >= SLICED:
            self.lengths = [max(1, round(p.numel() * share)) for p in params]
        whole = self.sources is params and self.lengths is None
        self.each, self.credit = (share if whole else 1.0), 0.0
        self.copies = [self._part(p.detach(), i).clone().requires_grad_() for i, p in enumerate(self.sources)]
        self.stepper: Any = make(list(self.copies), **hyperparameters)

    def __call__(self) -> None:
        self.credit += self.each
        if self.credit < 1:
            return
        self.credit -= 1
        for i, (copy, source) in enumerate(zip(self.copies, self.sources, strict=True)):
            copy.grad = None if source.grad is None else self._part(source.grad, i)
        self.stepper.step()

    def _part(self, tensor: Tensor, index: int) -> Tensor:
        return tensor if self.lengths is None else tensor.reshape(-1)[: self.lengths[index]]


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
