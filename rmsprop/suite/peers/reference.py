"""`Settings` in float64, to the letter: what the data of every peer is tested against."""

from dataclasses import dataclass

import torch
from torch import Tensor

from rmsprop.suite.peers.semantics import Settings


@dataclass(eq=False)
class Reference:
    """Steps float64 parameters in place, by the formula of `semantics`.

    Attributes
    ----------
    params
        float64; each has a `.grad` at every step.
    settings
        The formula's numbers and forms.
    """

    params: list[Tensor]
    settings: Settings

    def __post_init__(self) -> None:
        """Make the states: s, m and b of each parameter."""
        first = self.settings.first_state
        self._states = [
            (torch.full_like(p, first), torch.zeros_like(p), torch.zeros_like(p)) for p in self.params
        ]

    @torch.no_grad()
    def step(self) -> None:
        """One step from each parameter's `.grad`."""
        h = self.settings
        for p, (s, m, b) in zip(self.params, self._states, strict=True):
            assert p.grad is not None
            g = p.grad
            if h.weight_decay and h.decay_form == "decoupled":
                p.mul_(1 - h.lr * h.weight_decay)
            elif h.weight_decay:
                g = g + h.weight_decay * p
            s.copy_(h.decay * s + (1 - h.decay) * g * g)
            v = s
            if h.centered:
                m.copy_(h.decay * m + (1 - h.decay) * g)
                v = s - m * m
            d = torch.sqrt(v + h.eps) if h.eps_place == "inside" else torch.sqrt(v) + h.eps
            if not h.momentum:
                p.sub_(h.lr * g / d)
            elif h.momentum_form == "inside":
                b.copy_(h.momentum * b + h.lr * g / d)
                p.sub_(b)
            else:
                b.copy_(h.momentum * b + g / d)
                p.sub_(h.lr * (h.momentum * b + g / d if h.nesterov else b))
