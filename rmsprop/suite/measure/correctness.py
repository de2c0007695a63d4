"""Right before fast: an implementation's first steps against float64, on the CPU or on CUDA itself."""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from rmsprop.suite.measure.rounding import Rounding
from rmsprop.suite.words import BY_AUTHOR, BY_ITSELF, BY_SHAPE, ILL, STEPS

TOLERANCE = {"float64": 1e-14, "float32": 1e-6, "bfloat16": 3e-2, "float16": 4e-3}
"""Largest error of a parameter after the steps, relative to |parameter| + `_largest_move`.

Some four (half types), eight (float32) and 45 (float64) times the spacing of numbers at 1. A step rounds
up to eight times, by half a spacing each; the root halves what goes through it; and three steps add up.
A step that is 1% off fails in float64 and float32; in the half types, whose own rounding is as large, one
that is 10% off does.
"""
EXACT = 1e-9
"""The same for an optimizer in float64 against its author's formula, which may order operations otherwise."""
ROUNDINGS = 8
"""An error is put down to rounding up to so many times what rounding each operation's result once does.

A step rounds up to eight times, as above. Of a step that is one operation, such as a kernel of the author's
own, one of these roundings is seen; the others may add up to it.
"""
CHUNK = 2**17
"""Elements that are compared at a time, so that the reference stays in the caches however large the case."""


class WrongResultError(Exception):
    """The first steps are wrong; the message names the worst element, what was found and what expected."""


@dataclass(frozen=True)
class _Steps:
    """The steps that are checked: from which parameters, by which gradients of each step, and how."""

    initial: Sequence[Tensor]
    sets: Sequence[Sequence[Tensor]]
    hyperparameters: dict[str, float]
    """With which each optimizer is made."""
    known: dict[str, float]
    """With which it steps: those that it was passed, and of the others its own, where it tells them."""

    @property
    def values(self) -> dict[str, float]:
        """What it steps with, as far as that is known; of the rest, what it would have been passed."""
        return self.hyperparameters | self.known

    def words(self) -> str:
        """The values, such as `lr 0.01, alpha 0.9 (not passed to it), eps 1e-08`."""
        return ", ".join(
            f"{name} {value:g}{'' if name in self.known else ' (not passed to it)'}"
            for name, value in self.values.items()
        )

    def error(self, found: Tensor, right: Tensor) -> Tensor:
        """Of each element, as the tolerances are told; infinite where it is no number."""
        move = _largest_move(**self.values)
        return ((found - right).abs() / (right.abs() + move)).nan_to_num(nan=torch.inf)

    def distance(self, found: Sequence[Tensor], right: Sequence[Tensor]) -> float:
        """The largest error."""
        return max(float(self.error(a, b).max()) for a, b in zip(found, right, strict=True))

    def formula(self, index: int, start: int, where: torch.device, *, inside: bool) -> Tensor:
        """What our formula gives for a part of a tensor."""
        gradients = [_part(one[index], start, where) for one in self.sets]
        before = _part(self.initial[index], start, where)
        return _formula(before, gradients, inside=inside, **self.values)


def check_unchanged(found: Sequence[Tensor], initial: Sequence[Tensor]) -> None:
    """WrongResultError if a parameter has another shape or dtype than it had initially."""
    for index, (now, before) in enumerate(zip(found, initial, strict=True)):
        if now.shape != before.shape or now.dtype != before.dtype:
            was, became = (f"{tuple(t.shape)} {t.dtype}" for t in (before, now))
            raise WrongResultError(f"tensor {index} was {was}, and a step made it {became}")


def check(
    implementation: Any,
    found: Sequence[Tensor],
    initial: Sequence[Tensor],
    gradients: Sequence[Sequence[Tensor]],
    hyperparameters: dict[str, float],
    known: dict[str, float],
) -> str | None:
    """Compare the parameters `found` after `STEPS` steps with what float64 gives from `initial`.

    Step i took set i of the gradients, modulo their number. `known` are the hyperparameters that it steps
    with, as far as it tells them (`Implementation.known`). WrongResultError if an element is off or not
    finite, or if no parameter has moved. Somebody's optimizer, held against the author's formula or else
    against itself, may be wrong in this dtype, or amplify rounding: of the second, rounding alone moves the
    steps in float64 as far (`_by_rounding`). The answer says what a reader of the times must know of the
    check; None where our own formula held.
    """
    sets = [gradients[step % len(gradients)] for step in range(STEPS)]
    steps = _Steps(initial, sets, hyperparameters, known)
    inside = implementation.eps_inside_sqrt
    if all(torch.equal(now.detach().cpu(), before) for now, before in zip(found, initial, strict=True)):
        raise WrongResultError(f"no parameter has moved after {STEPS} steps")
    itself = author = None
    if inside is None:
        itself = _run_itself(implementation, steps)
        author = _author(implementation, itself, steps)
    right = author or itself
    off, worst = _worst(found, right, steps, inside)
    dtype = str(initial[0].dtype).removeprefix("torch.")
    tolerance = EXACT if author is not None and dtype == "float64" else TOLERANCE[dtype]
    ill = ""
    if off > tolerance:
        said = f"{worst} after {STEPS} steps"
        if right is None or itself is None:
            raise WrongResultError(f"{said} (relative error {off:.1e}, at most {tolerance:g} allowed)")
        rounding = _by_rounding(implementation, right, steps)
        if not math.isfinite(off) or off > ROUNDINGS * rounding:
            said += f"; off by {off:.1e}, and rounding moves it by {rounding:.1e}"
            if author:
                raise WrongResultError(f"right in float64, wrong in {dtype}: {said}")
            unseen = "or it amplifies rounding within an operation"
            raise WrongResultError(f"wrong in {dtype} by its own steps in float64, {unseen}: {said}")
        where = "right in float64 and " if author else ""
        ill = f": {ILL}, {where}off by {off:.1e} in this dtype, as far as rounding moves it"
    if inside is not None:
        return None
    if author is not None:
        return f"{BY_AUTHOR} in its first {STEPS} steps{ill}"
    return f"{BY_ITSELF}, {_compared(itself, steps)}{ill}" if itself else BY_SHAPE


def _worst(
    found: Sequence[Tensor],
    right: Sequence[Tensor] | None,
    steps: _Steps,
    inside: bool | None,
) -> tuple[float, str]:
    """The largest error, and the element that has it: held against `right`, or else against our formula."""
    # Where the tensors are, if there is float64: a GPU compares a hundred million elements in no time.
    where = found[0].device if found[0].is_cuda else torch.device("cpu")
    worst = (0.0, "")
    for index, now in enumerate(found):
        for start in range(0, now.numel(), CHUNK):
            values = _part(now, start, where)
            if right is not None:
                expected = _part(right[index], start, where)
            elif inside is not None:
                expected = steps.formula(index, start, where, inside=inside)
            else:
                expected = values  # only what is not finite differs from itself
            error = steps.error(values, expected)
            at = int(error.argmax())
            if error[at] > worst[0]:
                place = [int(i) for i in torch.unravel_index(torch.tensor(start + at), now.shape)]
                wanted = (
                    f"expected {expected[at]:.9g}" if values[at].isfinite() else "expected a finite number"
                )
                worst = (
                    float(error[at]),
                    f"tensor {index}, element {place}: found {values[at]:.9g}, {wanted}",
                )
    return worst


def _by_rounding(implementation: Any, right: Sequence[Tensor], steps: _Steps) -> float:
    """How far the steps in float64 move if each result is rounded to the measured dtype, as errors are told.

    The farther of the optimizer's own steps and those of the author's formula, if there is one, whose
    operations are seen where the optimizer is one kernel. 0 where neither gives finite numbers.
    """
    rounded: list[list[Tensor] | None] = []
    with suppress(Exception), Rounding(steps.initial[0].dtype):  # neither raised without it
        rounded.append(_run_itself(implementation, steps))
        rounded.append(_run_formula(implementation, steps))
    moved = (steps.distance(params, right) for params in rounded if params is not None)
    return max((one for one in moved if math.isfinite(one)), default=0.0)


def _compared(itself: Sequence[Tensor], steps: _Steps) -> str:
    """Whether the steps that an unknown optimizer takes in float64 equal one of RMSProp's two formulas.

    A few steps with one set of hyperparameters say nothing of others, and the answer names them.
    """
    errors = {"torch.optim.RMSprop": 0.0, "the book's RMSProp (ε inside the root)": 0.0}
    cpu = torch.device("cpu")
    for index, now in enumerate(itself):
        for start in range(0, now.numel(), CHUNK):
            for inside, name in enumerate(errors):
                right = steps.formula(index, start, cpu, inside=bool(inside))
                error = steps.error(_part(now, start, cpu), right)
                errors[name] = max(errors[name], float(error.max()))
    given = steps.words()
    nearest = min(errors, key=errors.__getitem__)
    if errors[nearest] <= EXACT:
        return f"but its first {STEPS} steps equal those of {nearest} with {given}"
    return f"and its first {STEPS} steps differ from those of {' and of '.join(errors)} with {given}"


def _author(implementation: Any, itself: Sequence[Tensor] | None, steps: _Steps) -> list[Tensor] | None:
    """What the author's formula gives in float64, if there is one; WrongResultError if `itself` differs."""
    params = _run_formula(implementation, steps)
    if params and itself and (error := steps.distance(itself, params)) > EXACT:
        raise WrongResultError(
            f"wrong also in float64, by the author's reference_step with {steps.words()}: relative error "
            f"{error:.1e} after {STEPS} steps, at most {EXACT:g} allowed"
        )
    return params


def _run_formula(implementation: Any, steps: _Steps) -> list[Tensor] | None:
    """The parameters that the author's formula gives in float64, if there is one."""
    if implementation.formula is None:
        return None
    params = _in_float64(steps.initial)
    state: dict[str, Any] = {}
    for gradients in steps.sets:
        implementation.formula(params, _in_float64(gradients), state, **steps.known)
    return params


def _part(tensor: Tensor, start: int, where: torch.device) -> Tensor:
    return tensor.detach().reshape(-1)[start : start + CHUNK].to(where).double()


def _formula(
    p: Tensor,
    gradients: Sequence[Tensor],
    *,
    inside: bool,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float = 0.0,
) -> Tensor:
    """s = α s + (1 - α) g²; b = μ b + g / sqrt(s + ε), or with ε outside g / (sqrt(s) + ε); p = p - lr b."""
    s, b = torch.zeros_like(p), torch.zeros_like(p)
    for g in gradients:
        s = alpha * s + (1 - alpha) * g * g
        b = momentum * b + g / ((s + eps).sqrt() if inside else s.sqrt() + eps)
        p = p - lr * b
    return p


def _largest_move(*, lr: float, alpha: float, momentum: float = 0.0, **_eps: float) -> float:
    """Of a parameter in one of the steps: |g| / sqrt(s) is at most 1 / sqrt(1 - α), and b adds them up."""
    moves: float = sum(momentum**step for step in range(STEPS))
    return lr * moves / math.sqrt(1 - alpha)


def _run_itself(implementation: Any, steps: _Steps) -> list[Tensor] | None:
    """The parameters that the implementation itself gives in float64 on the CPU, if it can."""
    params = [nn.Parameter(p) for p in _in_float64(steps.initial)]
    try:
        optimizer = implementation.make(list(params), **steps.hyperparameters)
        for gradients in steps.sets:
            for p, g in zip(params, _in_float64(gradients), strict=True):
                p.grad = g
            optimizer.step()
    except Exception:  # what it raises for its own case is told there
        return None
    pairs = zip(params, steps.initial, strict=True)
    same = all(p.shape == q.shape and bool(p.isfinite().all()) for p, q in pairs)
    return [p.detach() for p in params] if same else None


def _in_float64(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies on the CPU: whoever steps them leaves the given ones as they are."""
    return [tensor.detach().to("cpu", torch.float64, copy=True) for tensor in tensors]
