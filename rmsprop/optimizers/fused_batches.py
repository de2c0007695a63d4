"""Parameters made ready for a kernel that walks memory: real, dense, alike, in lists."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from rmsprop.optimizers.fused_state import Group, state_keys


@dataclass(frozen=True)
class Batch:
    """Tensors of one param_group, device and dtypes; those of one parameter share shape and memory layout."""

    group: Group
    params: list[Tensor] = field(default_factory=list)
    grads: list[Tensor] = field(default_factory=list)
    state: dict[str, list[Tensor]] = field(default_factory=dict)
    """By key, `step` among them; lists as long as params."""
    copies: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """(original, what is stepped in its place), where the original cannot be walked beside its parameter."""

    def write_back(self) -> None:
        """Give the originals what a step has made of their copies."""
        for original, copy in self.copies:
            original.copy_(copy)

    def add(self, p: Tensor, state: Mapping[str, Tensor]) -> None:
        """Take in a parameter that has a gradient and complete state."""
        assert p.grad is not None
        layout = torch.empty_like(p, device="meta")  # p's own where it has no gaps
        self.params.append(self._walkable(p.detach(), layout))
        self.grads.append(self._walkable(p.grad, layout, written=False))
        for key in state_keys(self.group):
            self.state.setdefault(key, []).append(self._walkable(state[key], layout))
        self.state.setdefault("step", []).append(state["step"])

    def _walkable(self, tensor: Tensor, layout: Tensor, *, written: bool = True) -> Tensor:
        """The tensor as real numbers, or a copy of it that lies in memory as the layout says."""
        same = tensor.stride() == layout.stride() or (tensor.is_contiguous() and layout.is_contiguous())
        if not same or tensor.is_conj() or tensor.is_neg():
            original = tensor
            tensor = torch.empty_strided(
                layout.shape, layout.stride(), dtype=original.dtype, device=original.device
            ).copy_(original)
            if written:
                self.copies.append((original, tensor))
        return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def batches(rest: Iterable[tuple[Group, Tensor]], state: Mapping[Tensor, Any]) -> list[Batch]:
    """The parameters by group, device and dtypes; empty ones, which no kernel takes, by themselves."""
    made: dict[tuple[Any, ...], Batch] = {}
    for group, p in rest:
        own = state[p]
        tensors = (p, p.grad, own["step"], *(own[key] for key in state_keys(group)))
        kinds = [(tensor.device, tensor.dtype) for tensor in tensors]
        made.setdefault((id(group), *kinds, p.numel() == 0), Batch(group)).add(p, own)
    return list(made.values())
