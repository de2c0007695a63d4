"""RMSProp from scratch, as section 7.6 of the book writes it.

    s_t = γ s_{t-1} + (1 - γ) g_t ⊙ g_t
    x_t = x_{t-1} - η / sqrt(s_t + ε) ⊙ g_t

ε stands inside the root, where TensorFlow and Keras have it too; torch.optim.RMSprop has it outside.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor


def rmsprop_2d(
    x1: float,
    x2: float,
    s1: float,
    s2: float,
    *,
    gradient: tuple[float, float],
    eta: float,
    gamma: float,
    eps: float,
) -> tuple[float, float, float, float]:
    """One step in two dimensions: the new (x1, x2, s1, s2).

    x1 and x2 times `gradient` are the gradient: (0.2, 4) for the section's f(x) = 0.1 x1² + 2 x2².
    """
    g1, g2 = gradient[0] * x1, gradient[1] * x2
    s1 = gamma * s1 + (1 - gamma) * g1**2
    s2 = gamma * s2 + (1 - gamma) * g2**2
    x1 -= eta / math.sqrt(s1 + eps) * g1
    x2 -= eta / math.sqrt(s2 + eps) * g2
    return x1, x2, s1, s2


def init_rmsprop_states(params: Iterable[Tensor]) -> list[Tensor]:
    """A state s = 0 for each parameter, of its shape, dtype and device."""
    return [torch.zeros_like(p, requires_grad=False) for p in params]


def rmsprop(params: Iterable[Tensor], states: Sequence[Tensor], hyperparams: Mapping[str, float]) -> None:
    """One step in place on `params`, from their `.grad`, and on `states`.

    `hyperparams` holds `lr` (η), `gamma` (γ) and `eps` (ε). The arithmetic, its order and its temporaries are
    the book's; any device and floating dtype will do.
    """
    gamma, eps = hyperparams["gamma"], hyperparams["eps"]
    for p, s in zip(params, states, strict=True):
        if p.grad is None:
            raise ValueError("rmsprop needs a gradient for each parameter; call backward() before the step")
        s.data = gamma * s.data + (1 - gamma) * p.grad.data**2
        p.data -= hyperparams["lr"] * p.grad.data / torch.sqrt(s + eps)
