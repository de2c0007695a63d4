"""Tensor subclasses as parameters: DTensors step where they lie, others by torch's plain operations."""

import sys
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def is_dtensor(tensor: Tensor) -> bool:
    """Whether it is a torch.distributed.tensor.DTensor; the module is not imported for that."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def has_own_dispatch(tensor: Tensor) -> bool:
    """Whether its memory may be something else than its elements, so that torch's operations must step it."""
    own = getattr(type(tensor), "__torch_dispatch__", None) is not Tensor.__torch_dispatch__
    return own and not is_dtensor(tensor)


def check_dtensor(p: Any, keys: Sequence[str], state: Any) -> None:
    """RuntimeError if gradient or state do not lie on the ranks as the parameter does."""
    if any(placement.is_partial() for placement in p.placements):
        raise RuntimeError(f"expected a DTensor that is sharded or replicated, found {p.placements}")
    if not is_dtensor(p.grad) or p.grad.device_mesh != p.device_mesh:
        raise RuntimeError(f"expected the gradient of a DTensor on its mesh {p.device_mesh}")
    for key in keys:
        found = state.get(key, p)
        if not is_dtensor(found) or (found.device_mesh, found.placements) != (p.device_mesh, p.placements):
            raise RuntimeError(
                f"expected {key} as a DTensor on {p.device_mesh} with {p.placements}, as its parameter"
            )


def local_tensors(tensors: Sequence[Any]) -> list[Tensor]:
    """What lies on this rank of a parameter, its gradient and its state, over the same memory.

    A gradient that is distributed otherwise is first brought to where its parameter is.
    """
    p, grad, *state = tensors
    if grad.placements != p.placements:
        grad = grad.redistribute(p.device_mesh, p.placements)
    return [tensor.to_local().detach() for tensor in (p, grad, *state)]
