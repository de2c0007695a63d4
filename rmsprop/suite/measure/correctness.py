"""Right before fast: an implementation's first steps against float64, on the CPU or on CUDA itself."""

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

from rmsprop.suite.measure.rounding import Rounding
from rmsprop.suite.words import BY_AUTHOR, BY_ITSELF, BY_SHAPE, ILL

STEPS = 3
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
) -> str | None:
    """Compare the parameters `found` after `STEPS` steps with what float64 gives from `initial`.

    Step i took set i of the gradients, modulo their number. WrongResultError if an element is off or not
    finite, or if no parameter has moved. By the author's formula, an optimizer that is wrong is told from one
    that amplifies rounding: the second equals the formula in float64, and rounding alone moves these steps as
    far (`_by_rounding`). The answer says what a reader of the times must know of the check; None where our
    own formula held.
    """
    sets = [gradients[step % len(gradients)] for step in range(STEPS)]
    inside = implementation.eps_inside_sqrt
    if all(torch.equal(now.detach().cpu(), before) for now, before in zip(found, initial, strict=True)):
        raise WrongResultError(f"no parameter has moved after {STEPS} steps")
    itself = author = None
    if inside is None:
        itself = _run_itself(implementation, initial, sets, hyperparameters)
        author = _author(implementation, itself, initial, sets, hyperparameters)
    off, worst = _worst(found, author or itself, initial, sets, inside, hyperparameters)
    dtype = str(initial[0].dtype).removeprefix("torch.")
    tolerance = EXACT if author is not None and dtype == "float64" else TOLERANCE[dtype]
    ill = ""
    if off > tolerance:
        said = f"{worst} after {STEPS} steps"
        if author is None or itself is None:
            if itself is not None:
                said += ", as it gives itself in float64: wrong in this dtype, or it amplifies rounding"
            raise WrongResultError(f"{said} (relative error {off:.1e}, at most {tolerance:g} allowed)")
        rounding = _by_rounding(implementation, author, initial, sets, hyperparameters)
        if not math.isfinite(off) or off > ROUNDINGS * rounding:
            said += f"; off by {off:.1e}, and rounding moves it by {rounding:.1e}"
            raise WrongResultError(f"right in float64, wrong in {dtype}: {said}")
        ill = f": {ILL}, right in float64 and off by {off:.1e} in this dtype, as far as rounding moves it"
    if inside is not None:
        return None
    if author is not None:
        return BY_AUTHOR + ill
    return f"{BY_ITSELF}, {_compared(itself, initial, sets, hyperparameters)}" if itself else BY_SHAPE


def _worst(
    found: Sequence[Tensor],
    right: Sequence[Tensor] | None,
    initial: Sequence[Tensor],
    sets: Sequence[Sequence[Tensor]],
    inside: bool | None,
    hyperparameters: dict[str, float],
) -> tuple[float, str]:
    """The largest error, and the element that has it: held against `right`, or else against our formula."""
    # Where the tensors are, if there is float64: a GPU compares a hundred million elements in no time.
    where = found[0].device if found[0].is_cuda else torch.device("cpu")
    move = _largest_move(**hyperparameters)
    worst = (0.0, "")
    for index, (now, before) in enumerate(zip(found, initial, strict=True)):
        for start in range(0, now.numel(), CHUNK):
            values = _part(now, start, where)
            if right is not None:
                expected = _part(right[index], start, where)
            elif inside is not None:
                parts = [_part(gradients[index], start, where) for gradients in sets]
                expected = _formula(_part(before, start, where), parts, inside=inside, **hyperparameters)
            else:
                expected = values  # only what is not finite differs from itself
            error = ((values - expected).abs() / (expected.abs() + move)).nan_to_num(nan=torch.inf)
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


def _by_rounding(
    implementation: Any,
    right: Sequence[Tensor],
    initial: Sequence[Tensor],
    sets: Sequence[Sequence[Tensor]],
    hyperparameters: dict[str, float],
) -> float:
    """How far the steps in float64 move if each result is rounded to the measured dtype, as errors are told.

    The farther of the optimizer's own steps and those of the author's formula, whose operations are seen
    where the optimizer is one kernel. 0 where neither gives finite numbers.
    """
    rounded: list[list[Tensor] | None] = []
    with suppress(Exception), Rounding(initial[0].dtype):  # neither raised without it
        rounded.append(_run_itself(implementation, initial, sets, hyperparameters))
        rounded.append(_run_formula(implementation.formula, initial, sets, hyperparameters))
    moved = (_distance(params, right, hyperparameters) for params in rounded if params is not None)
    return max((one for one in moved if math.isfinite(one)), default=0.0)


def _compared(
    itself: Sequence[Tensor],
    initial: Sequence[Tensor],
    sets: Sequence[Sequence[Tensor]],
    hyperparameters: dict[str, float],
) -> str:
    """Whether the steps that an unknown optimizer takes in float64 equal one of RMSProp's two formulas.

    A few steps with one set of hyperparameters say nothing of others, and the answer names them.
    """
    move = _largest_move(**hyperparameters)
    errors = {"torch.optim.RMSprop": 0.0, "the book's RMSProp (ε inside the root)": 0.0}
    cpu = torch.device("cpu")
    for index, (now, before) in enumerate(zip(itself, initial, strict=True)):
        for start in range(0, now.numel(), CHUNK):
            gradients = [_part(one[index], start, cpu) for one in sets]
            for inside, name in enumerate(errors):
                right = _formula(_part(before, start, cpu), gradients, inside=bool(inside), **hyperparameters)
                error = (_part(now, start, cpu) - right).abs() / (right.abs() + move)
                errors[name] = max(errors[name], float(error.max()))
    given = ", ".join(f"{name} {value:g}" for name, value in hyperparameters.items())
    nearest = min(errors, key=errors.__getitem__)
    if errors[nearest] <= EXACT:
        return f"but its first {STEPS} steps equal those of {nearest} with {given}"
    return f"and its first {STEPS} steps differ from those of {' and of '.join(errors)} with {given}"


def _author(
    implementation: Any,
    itself: Sequence[Tensor] | None,
    initial: Sequence[Tensor],
    sets: Sequence[Sequence[Tensor]],
    hyperparameters: dict[str, float],
) -> list[Tensor] | None:
    """What the author's formula gives in float64, if there is one; WrongResultError if `itself` differs."""
    if implementation.formula is None:
        return None
    params = _run_formula(implementation.formula, initial, sets, hyperparameters)
    if itself is not None and (error := _distance(itself, params, hyperparameters)) > EXACT:
        raise WrongResultError(
            f"wrong also in float64, by the author's reference_step: relative error {error:.1e} after "
            f"{STEPS} steps, at most {EXACT:g} allowed"
        )
    return params


def _run_formula(
    formula: Any,
    initial: Sequence[Tensor],
    sets: Sequence[Sequence[Tensor]],
    hyperparameters: dict[str, float],
) -> list[Tensor]:
    params = _in_float64(initial)
    state: dict[str, Any] = {}
    for gradients in sets:
        formula(params, _in_float64(gradients), state, **hyperparameters)
    return params


def _distance(found: Sequence[Tensor], right: Sequence[Tensor], hyperparameters: dict[str, float]) -> float:
    """The largest error, relative to what the tolerances are relative to."""
    move = _largest_move(**hyperparameters)
    return max(
        float(((a - b).abs() / (b.abs() + move)).nan_to_num(nan=torch.inf).max())
        for a, b in zip(found, right, strict=True)
    )


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


def _run_itself(
    implementation: Any,
    initial: Sequence[Tensor],
    sets: Sequence[Sequence[Tensor]],
    hyperparameters: dict[str, float],
) -> list[Tensor] | None:
    """The parameters that the implementation itself gives in float64 on the CPU, if it can."""
    params = [nn.Parameter(p) for p in _in_float64(initial)]
    try:
        optimizer = implementation.make(list(params), **hyperparameters)
        for gradients in sets:
            for p, g in zip(params, _in_float64(gradients), strict=True):
                p.grad = g
            optimizer.step()
    except Exception:  # what it raises for its own case is told there
        return None
    same = all(p.shape == q.shape and bool(p.isfinite().all()) for p, q in zip(params, initial, strict=True))
    return [p.detach() for p in params] if same else None


def _in_float64(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies on the CPU: whoever steps them leaves the given ones as they are."""
    return [tensor.detach().to("cpu", torch.float64, copy=True) for tensor in tensors]
