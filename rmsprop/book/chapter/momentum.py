"""Section 7.4, momentum: v ← γ v + η g; x ← x - v."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rmsprop.book.chapter.optimizer import Optimizer, gradient, zeros_like


def sgd_momentum(params: Sequence[Tensor], states: Sequence[Tensor], hyperparams: dict[str, float]) -> None:
    """One step in place; `hyperparams` holds lr (η) and momentum (γ)."""
    for p, v in zip(params, states, strict=True):
        v.data = hyperparams["momentum"] * v.data + hyperparams["lr"] * gradient(p)
        p.data -= v.data


def momentum_2d(
    x1: float, x2: float, v1: float, v2: float, *, gradient: tuple[float, float], eta: float, gamma: float
) -> tuple[float, float, float, float]:
    """One step on f."""
    v1 = gamma * v1 + eta * gradient[0] * x1
    v2 = gamma * v2 + eta * gradient[1] * x2
    return x1 - v1, x2 - v2, v1, v2


MOMENTUM = Optimizer("momentum", zeros_like, sgd_momentum, torch.optim.SGD, momentum_2d)
