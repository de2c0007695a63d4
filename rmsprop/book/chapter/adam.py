"""Section 7.8, Adam:

v ← β₁ v + (1 - β₁) g
s ← β₂ s + (1 - β₂) g ⊙ g
x ← x - η (v / (1 - β₁ᵗ)) / (sqrt(s / (1 - β₂ᵗ)) + ε)
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rmsprop.book.chapter.optimizer import Optimizer, gradient, two_zeros_like


def adam(
    params: Sequence[Tensor], states: Sequence[tuple[Tensor, Tensor]], hyperparams: dict[str, float]
) -> None:
    """One step in place; `hyperparams` holds lr (η), beta1, beta2, eps (ε) and t, which it counts up."""
    beta1, beta2, eps = hyperparams["beta1"], hyperparams["beta2"], hyperparams["eps"]
    for p, (v, s) in zip(params, states, strict=True):
        v[:] = beta1 * v + (1 - beta1) * gradient(p)
        s[:] = beta2 * s + (1 - beta2) * gradient(p) ** 2
        v_bias_corr = v / (1 - beta1 ** hyperparams["t"])
        s_bias_corr = s / (1 - beta2 ** hyperparams["t"])
        p.data -= hyperparams["lr"] * v_bias_corr / (torch.sqrt(s_bias_corr) + eps)
    hyperparams["t"] += 1


def torch_adam(
    params: Sequence[Tensor], *, lr: float, beta1: float, beta2: float, eps: float
) -> torch.optim.Optimizer:
    """torch's, which takes the two β as a pair."""
    return torch.optim.Adam(params, lr=lr, betas=(beta1, beta2), eps=eps)


ADAM = Optimizer("adam", two_zeros_like, adam, torch_adam, None)
