"""What the book gives for an optimizer: a step from scratch, a call of torch, a step in two dimensions."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

InitStates = Callable[[Iterable[Tensor]], Sequence[Any]]
Step = Callable[[Sequence[Tensor], Sequence[Any], dict[str, float]], object]
Step2D = Callable[..., tuple[float, float, float, float]]


@dataclass(frozen=True)
class Optimizer:
    """One optimizer of the chapter.

    Every function here works element by element, so that the ensemble can put one seed into each column.

    Attributes
    ----------
    name : str
        By which programs name it.
    init_states : callable
        Parameters -> one state a parameter, as the section's `init_..._states`; None where it trains nothing.
    step : callable
        (params, states, hyperparams) -> one update in place from `.grad`, as the section writes it.
    torch : callable
        (params, **hyperparameters) -> the torch optimizer that the concise loop calls.
    step_2d : callable
        (x1, x2, s1, s2, *, gradient, **hyperparameters) -> the next (x1, x2, s1, s2), where
        `gradient` is what x1 and x2 are multiplied with to give the gradient; None where the book has none.
    """

    name: str
    init_states: InitStates | None
    step: Step | None
    torch: Callable[..., torch.optim.Optimizer] | None
    step_2d: Step2D | None

    def from_scratch(
        self, params: Sequence[Tensor], hyperparameters: Mapping[str, float]
    ) -> Callable[[], object]:
        """The section's own step on `params`, with states of its own.

        Raises ValueError where the section has no step from scratch.
        """
        if self.init_states is None or self.step is None:
            raise ValueError(f"the chapter has no {self.name} from scratch")
        step, states, hyperparams = self.step, self.init_states(params), counted(hyperparameters)
        return lambda: step(params, states, hyperparams)

    def from_torch(
        self, params: Sequence[Tensor], hyperparameters: Mapping[str, float]
    ) -> Callable[[], object]:
        """The step of torch's optimizer on `params`; ValueError where the section calls none."""
        if self.torch is None:
            raise ValueError(f"the chapter has no {self.name} of torch's")
        return self.torch(params, **hyperparameters).step


def counted(hyperparameters: Mapping[str, float]) -> dict[str, float]:
    """The dictionary that the book's function gets. It holds t, the number of the step, which Adam counts."""
    return {**hyperparameters, "t": 1}


def zeros_like(params: Iterable[Tensor]) -> list[Tensor]:
    """A state of zeros for each parameter, of its shape, dtype and device."""
    return [torch.zeros_like(p, requires_grad=False) for p in params]


def two_zeros_like(params: Iterable[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Two states of zeros for each parameter."""
    return [
        (torch.zeros_like(p, requires_grad=False), torch.zeros_like(p, requires_grad=False)) for p in params
    ]


def gradient(p: Tensor) -> Tensor:
    """What the book writes as `p.grad.data`; ValueError where there is no gradient."""
    if p.grad is None:
        raise ValueError("a parameter has no gradient; call backward() before the step")
    return p.grad.data
