"""The paths of the chapter in one and two dimensions, as the book draws them."""

from collections.abc import Mapping

import torch

from rmsprop.book.programs import Trace
from rmsprop.book.wrong_steps import STEPS

Path2D = tuple[tuple[float, ...], ...]


def trace(spec: Trace) -> Path2D:
    """The points that the steps of `spec` visit, the start included: steps + 1 of them.

    From scratch with Python's floats, as the book; concise with torch's optimizer in float64.
    """
    slopes = tuple(2 * a for a in spec.objective)
    step = STEPS[spec.optimizer].step_2d
    if spec.loop == "concise" or step is None:
        return _trace_of_tensors(spec, slopes)
    # One dimension is the first of two.
    gradient, (x1, x2) = (*slopes, 0.0)[:2], (*spec.start, 0.0)[:2]
    s1 = s2 = 0.0
    points = [(x1, x2)]
    for _ in range(spec.steps):
        x1, x2, s1, s2 = step(x1, x2, s1, s2, gradient=gradient, **spec.hyperparameters)
        points.append((x1, x2))
    return tuple(point[: len(spec.start)] for point in points)


def _trace_of_tensors(spec: Trace, slopes: tuple[float, ...]) -> Path2D:
    """By torch's optimizer, or by a step from scratch that has no version in two dimensions."""
    x = torch.tensor(spec.start, dtype=torch.float64, requires_grad=True)
    optimizer = STEPS[spec.optimizer]
    make = optimizer.from_torch if spec.loop == "concise" else optimizer.from_scratch
    step = make([x], spec.hyperparameters)
    points = [spec.start]
    for _ in range(spec.steps):
        x.grad = torch.tensor(slopes, dtype=torch.float64) * x.detach()
        step()
        points.append(tuple(x.tolist()))
    return tuple(points)


def traces(specs: Mapping[str, Trace]) -> dict[str, Path2D]:
    """The points of each trace without chance in it, by name."""
    return {name: trace(spec) for name, spec in specs.items() if not spec.noisy}
