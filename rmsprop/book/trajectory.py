"""2-D traces of f(x) = 0.1 x1² + 2 x2² from (-5, -2), as the book draws them."""

import math
from collections.abc import Callable

import torch

from rmsprop.optimizers.scratch import EPS, rmsprop_2d

Trace = tuple[tuple[float, float], ...]
Step2D = Callable[[float, float, float, float], tuple[float, float, float, float]]

START = (-5.0, -2.0)
STEPS = 20


def f_2d(x1: float, x2: float) -> float:
    """The objective, 0.1 x1² + 2 x2²; arrays will do as well."""
    return 0.1 * x1**2 + 2 * x2**2


def adagrad_2d(
    x1: float, x2: float, s1: float, s2: float, *, eta: float = 0.4, eps: float = EPS
) -> tuple[float, float, float, float]:
    """One step of AdaGrad (section 7.5) on f, at the learning rate that section 7.6 compares with."""
    g1, g2 = 0.2 * x1, 4 * x2
    s1 += g1**2
    s2 += g2**2
    x1 -= eta / math.sqrt(s1 + eps) * g1
    x2 -= eta / math.sqrt(s2 + eps) * g2
    return x1, x2, s1, s2


def train_2d(trainer: Step2D, steps: int = STEPS) -> Trace:
    """The points that `steps` steps of `trainer` visit, the start included: `steps` + 1 pairs."""
    (x1, x2), s1, s2 = START, 0.0, 0.0
    trace = [(x1, x2)]
    for _ in range(steps):
        x1, x2, s1, s2 = trainer(x1, x2, s1, s2)
        trace.append((x1, x2))
    return tuple(trace)


def train_2d_torch(steps: int = STEPS, *, lr: float = 0.4, alpha: float = 0.9) -> Trace:
    """The trace of torch.optim.RMSprop in float64; its ε of 1e-8 stands outside the root."""
    x = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.RMSprop([x], lr=lr, alpha=alpha)
    trace = [START]
    for _ in range(steps):
        x.grad = torch.stack([0.2 * x.detach()[0], 4 * x.detach()[1]])
        optimizer.step()
        x1, x2 = x.tolist()
        trace.append((x1, x2))
    return tuple(trace)


def traces() -> dict[str, Trace]:
    """The traces that the section shows or compares with, by name."""
    return {
        "rmsprop_2d": train_2d(rmsprop_2d),
        "adagrad_2d": train_2d(adagrad_2d),
        "torch_2d": train_2d_torch(),
    }
