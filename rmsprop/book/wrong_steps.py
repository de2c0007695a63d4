"""Steps that RMSProp is not: each is one mistake, or one other idea, in the section's function.

They take the hyperparameters of the section's step. `eps_outside` is 1 where ε stands outside the root, as in
torch. To add one, write its function and put it into `STEPS`; `wrong.py` says where it is tried.
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor

from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.chapter.optimizer import Optimizer, Step, gradient, zeros_like

States = Sequence[Tensor]
Given = dict[str, float]


def root(s: Tensor, h: Given) -> Tensor:
    """sqrt(s + ε), or sqrt(s) + ε."""
    return torch.sqrt(s) + h["eps"] if h["eps_outside"] else torch.sqrt(s + h["eps"])


def _one_tensor(update: Callable[[Tensor, Tensor, Tensor, Given], None]) -> Step:
    """The step of all parameters, from the update of one: (p, g, s, hyperparams), all in place."""

    def step(params: Sequence[Tensor], states: States, h: Given) -> None:
        for p, s in zip(params, states, strict=True):
            update(p.data, gradient(p), s, h)
        h["t"] += 1

    return step


def _averaged(s: Tensor, new: Tensor, h: Given) -> Tensor:
    return s.mul_(h["gamma"]).add_(new, alpha=1 - h["gamma"])


def right(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """RMSProp itself, with ε where `eps_outside` says."""
    p -= h["lr"] * g / root(_averaged(s, g**2, h), h)


def parameters_first(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """The parameters move by the state of the step before; the first step divides by ε alone."""
    p -= h["lr"] * g / root(s, h)
    _averaged(s, g**2, h)


def bias_corrected(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """s / (1 - γᵗ), as Adam does."""
    p -= h["lr"] * g / root(_averaged(s, g**2, h) / (1 - h["gamma"] ** h["t"]), h)


def without_root(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """g / (s + ε)."""
    p -= h["lr"] * g / (_averaged(s, g**2, h) + h["eps"])


def added(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """The update is added: gradient ascent."""
    p += h["lr"] * g / root(_averaged(s, g**2, h), h)


def sign_alone(p: Tensor, g: Tensor, _s: Tensor, h: Given) -> None:
    """The sign of the gradient, without any state."""
    p -= h["lr"] * torch.sign(g)


def summed(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """s ← γ s + g ⊙ g: the new square is not weighted."""
    p -= h["lr"] * g / root(s.mul_(h["gamma"]).add_(g**2), h)


def absolute(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """The average of |g| in place of the root of that of g²."""
    p -= h["lr"] * g / (_averaged(s, g.abs(), h) + h["eps"])


def largest(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """s never falls: max(s, γ s + (1 - γ) g²)."""
    torch.maximum(s, h["gamma"] * s + (1 - h["gamma"]) * g**2, out=s)
    p -= h["lr"] * g / root(s, h)


def shared(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """One s for all parameters: the mean of their squares."""
    p -= h["lr"] * g / root(_averaged(s, (g**2).mean(0, keepdim=True).expand_as(g), h), h)


def decayed(p: Tensor, g: Tensor, s: Tensor, h: Given) -> None:
    """The gradient has 0.1 p added: L2 regularisation."""
    g = g + 0.1 * p
    p -= h["lr"] * g / root(_averaged(s, g**2, h), h)


def centred(params: Sequence[Tensor], states: Sequence[tuple[Tensor, Tensor]], h: Given) -> None:
    """s is the variance of the gradient: the square of its average is taken off."""
    for p, (s, m) in zip(params, states, strict=True):
        g = gradient(p)
        variance = _averaged(s, g**2, h) - _averaged(m, g, h) ** 2
        p.data -= h["lr"] * g / root(variance.clamp_min_(0), h)


def with_momentum(params: Sequence[Tensor], states: Sequence[tuple[Tensor, Tensor]], h: Given) -> None:
    """The update is accumulated with `momentum`, as torch's argument does."""
    for p, (s, v) in zip(params, states, strict=True):
        g = gradient(p)
        v.mul_(h["momentum"]).add_(g / root(_averaged(s, g**2, h), h))
        p.data -= h["lr"] * v


def _pairs(params: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    return [
        (torch.zeros_like(p, requires_grad=False), torch.zeros_like(p, requires_grad=False)) for p in params
    ]


def _ones(params: Iterable[Tensor]) -> list[Tensor]:
    return [torch.ones_like(p, requires_grad=False) for p in params]


_UPDATES = (
    right, parameters_first, bias_corrected, without_root, added, sign_alone, summed, absolute, largest,
    shared, decayed,
)  # fmt: skip

STEPS: dict[str, Optimizer] = {
    **OPTIMIZERS,
    **{f.__name__: Optimizer(f.__name__, zeros_like, _one_tensor(f), None, None) for f in _UPDATES},
    "first_state_one": Optimizer("first_state_one", _ones, _one_tensor(right), None, None),
    "centred": Optimizer("centred", _pairs, centred, None, None),
    "with_momentum": Optimizer("with_momentum", _pairs, with_momentum, None, None),
}
"""Every step that an ensemble or a trace can take, by name: the chapter's, and those that RMSProp is not."""
