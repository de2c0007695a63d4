"""Section 7.5, AdaGrad: s ← s + g ⊙ g; x ← x - η / sqrt(s + ε) ⊙ g."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rmsprop.book.chapter.optimizer import Optimizer, gradient, zeros_like


def adagrad(params: Sequence[Tensor], states: Sequence[Tensor], hyperparams: dict[str, float]) -> None:
    """One step in place; `hyperparams` holds lr (η) and eps (ε)."""
    eps = hyperparams["eps"]
    for p, s in zip(params, states, strict=True):
        s.data += gradient(p) ** 2
        p.data -= hyperparams["lr"] * gradient(p) / torch.sqrt(s + eps)


def adagrad_2d(
    x1: float, x2: float, s1: float, s2: float, *, gradient: tuple[float, float], eta: float, eps: float
) -> tuple[float, float, float, float]:
    """One step on f."""
    g1, g2 = gradient[0] * x1, gradient[1] * x2
    s1 += g1**2
    s2 += g2**2
    x1 -= eta / math.sqrt(s1 + eps) * g1
    x2 -= eta / math.sqrt(s2 + eps) * g2
    return x1, x2, s1, s2


ADAGRAD = Optimizer("adagrad", zeros_like, adagrad, torch.optim.Adagrad, adagrad_2d)
