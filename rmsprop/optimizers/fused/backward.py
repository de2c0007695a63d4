"""FusedRMSprop that steps each parameter in the backward pass, as soon as its gradient is there."""

import weakref
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from rmsprop.optimizers.fused.optimizer import FusedRMSprop


class FusedRMSpropInBackward(FusedRMSprop):
    """FusedRMSprop that steps in `loss.backward()`: each parameter right after its gradient is made.

    The gradient is then still in the cache, and is freed after the parameter's step, so that the gradients
    of all parameters are never there together. It is one optimizer with one state_dict, which loads into
    FusedRMSprop and torch.optim.RMSprop and back. A training loop stays as it is: `zero_grad` finds nothing
    to do, schedulers work as before, and `step` takes only the parameters that still have a gradient, such
    as one that was set by hand.

    What needs all gradients before the first step cannot be had: a closure and GradScaler's scale are
    refused. A second backward pass is a second step, so gradients are not accumulated. After the backward
    pass there are no gradients left to clip; `Tensor.register_hook` can clip each by itself. Hooks on the
    step run around `step`, not around the steps in the backward pass. DistributedDataParallel averages
    gradients only after the step: do not use it with this. Keep the optimizer: one that nothing refers to
    any more does not step.

    Parameters
    ----------
    module
        The network, whose parameters are all optimized; or parameters or groups of them, as FusedRMSprop's.
    **options
        As FusedRMSprop's, but for `amp_scaling`.

    Raises
    ------
    RuntimeError
        For `amp_scaling=True`, and in `step` for a closure. `backward` raises what FusedRMSprop's step does.
    """

    _handles: tuple[RemovableHandle, ...] = ()

    def __init__(
        self, module: nn.Module | Iterable[Tensor] | Iterable[dict[str, Any]], **options: Any
    ) -> None:
        if options.get("amp_scaling"):
            raise RuntimeError(
                "expected amp_scaling=False: GradScaler knows its scale only after the backward "
                "pass, in which the parameters are stepped; use FusedRMSprop"
            )
        super().__init__(module.parameters() if isinstance(module, nn.Module) else module, **options)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, as FusedRMSprop's; its parameters are stepped in the backward pass too."""
        super().add_param_group(param_group)
        self._attach()

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Step the parameters that still have a gradient: none after a backward pass."""
        if closure is not None:
            raise RuntimeError(
                "expected no closure: its backward pass would step the parameters before it returns; call "
                "backward() and then step(), or use FusedRMSprop"
            )
        return super().step()

    step.hooked = True  # type: ignore[attr-defined]

    def detach(self) -> None:
        """Step in the backward pass no longer, but in `step` alone, as FusedRMSprop."""
        for handle in self._handles:
            handle.remove()
        self._handles = ()

    def _attach(self) -> None:
        self.detach()
        groups: dict[Tensor, int] = {p: i for i, g in enumerate(self.param_groups) for p in g["params"]}
        self._handles = tuple(
            p.register_post_accumulate_grad_hook(self._hook_of(number))  # type: ignore[no-untyped-call]
            for p, number in groups.items()
            if p.requires_grad
        )

    def _hook_of(self, number: int) -> Callable[[Tensor], None]:
        # The garbage collector does not see what a hook holds: nothing of it would be freed.
        held = weakref.ref(self)

        def hook(p: Tensor) -> None:
            if optimizer := held():
                optimizer._step_one({**optimizer.param_groups[number], "params": [p]})

        return hook

    def _step_one(self, group: dict[str, Any]) -> None:
        if self._launched == "cuda":
            self._check_capture()
        with torch.no_grad():
            if left := self._walk([group], 1.0, False):
                self._step_left([group], left, 1.0)
        group["params"][0].grad = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._attach()
