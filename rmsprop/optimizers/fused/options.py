"""The options of one step, as the implementations in Python take them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class StepOptions:
    """What a group says of its step, and what torch.amp.GradScaler adds; the formula is FusedRMSprop's.

    Attributes
    ----------
    lr, alpha, eps, weight_decay, momentum, centered, maximize
        As torch.optim.RMSprop's.
    eps_inside_sqrt, stochastic_rounding
        As FusedRMSprop's.
    grad_scale
        One element: the gradients are divided by it first, and left so, as torch's fused optimizers do.
    found_inf
        One element: if it is not 0, nothing changes.
    """

    lr: float | Tensor
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool
    maximize: bool
    eps_inside_sqrt: bool
    stochastic_rounding: bool = False
    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None

    @classmethod
    def of(
        cls, group: Mapping[str, Any], grad_scale: Tensor | None, found_inf: Tensor | None
    ) -> "StepOptions":
        """Those of one of an optimizer's param_groups."""
        return cls(
            lr=group["lr"],
            alpha=group["alpha"],
            eps=group["eps"],
            weight_decay=group["weight_decay"],
            momentum=group["momentum"],
            centered=group["centered"],
            maximize=group["maximize"],
            eps_inside_sqrt=group["eps_inside_sqrt"],
            stochastic_rounding=group["stochastic_rounding"],
            grad_scale=grad_scale,
            found_inf=found_inf,
        )
