"""Section 7.7, AdaDelta, which has no learning rate:

s ← ρ s + (1 - ρ) g ⊙ g
g' = sqrt((Δ + ε) / (s + ε)) ⊙ g
x ← x - g'
Δ ← ρ Δ + (1 - ρ) g' ⊙ g'
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rmsprop.book.chapter.optimizer import Optimizer, gradient, two_zeros_like


def adadelta(
    params: Sequence[Tensor], states: Sequence[tuple[Tensor, Tensor]], hyperparams: dict[str, float]
) -> None:
    """One step in place; `hyperparams` holds rho (ρ) and eps (ε)."""
    rho, eps = hyperparams["rho"], hyperparams["eps"]
    for p, (s, delta) in zip(params, states, strict=True):
        s[:] = rho * s + (1 - rho) * (gradient(p) ** 2)
        g = gradient(p) * torch.sqrt((delta + eps) / (s + eps))
        p.data -= g
        delta[:] = rho * delta + (1 - rho) * g * g


ADADELTA = Optimizer("adadelta", two_zeros_like, adadelta, torch.optim.Adadelta, None)
