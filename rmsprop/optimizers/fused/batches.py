"""Parameters made ready for a kernel that walks memory: real, dense, alike, in lists."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from rmsprop.optimizers.fused.checks import ParamGroup, state_keys
from rmsprop.optimizers.fused.subclasses import has_own_dispatch, is_dtensor, local_tensors


@dataclass(frozen=True)
class Batch:
    """Tensors of one param_group, device and dtypes; those of one parameter share shape and memory layout.

    Attributes
    ----------
    group
        The param_group, with its options.
    params, grads
        What is stepped, and by which gradients; equally long. Complex ones are here as real views.
    state
        By key, `step` among them; lists as long as params.
    copies
        (original, what is stepped in its place), where the original cannot be walked beside its parameter.
    """

    group: ParamGroup
    params: list[Tensor] = field(default_factory=list)
    grads: list[Tensor] = field(default_factory=list)
    state: dict[str, list[Tensor]] = field(default_factory=dict)
    copies: list[tuple[Tensor, Tensor]] = field(default_factory=list)

    def write_back(self) -> None:
        """Give the originals what a step has made of their copies."""
        for original, copy in self.copies:
            original.copy_(copy)

    def add(self, tensors: Sequence[Tensor], keys: Sequence[str], step: Tensor) -> None:
        """Take in a parameter, its gradient and, under these keys, its state."""
        p = tensors[0]
        if not has_own_dispatch(p) and not all(map(_simple, tensors)):
            layout = torch.empty_like(p, device="meta")  # p's own where it has no gaps
            written = (True, False, *(True for _ in keys))
            tensors = [
                self._walkable(tensor.detach(), layout, written=w)
                for tensor, w in zip(tensors, written, strict=True)
            ]
        self.params.append(tensors[0])
        self.grads.append(tensors[1])
        for key, tensor in zip(keys, tensors[2:], strict=True):
            self.state.setdefault(key, []).append(tensor)
        self.state.setdefault("step", []).append(step)

    def _walkable(self, tensor: Tensor, layout: Tensor, *, written: bool) -> Tensor:
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


def by_group(
    pairs: Iterable[tuple[ParamGroup, Tensor]],
) -> Iterator[tuple[ParamGroup, tuple[str, ...], list[Tensor]]]:
    """Each group with its `state_keys` and those of its parameters that are among the pairs."""
    for _, of_one in groupby(pairs, key=lambda pair: id(pair[0])):
        groups, params = zip(*of_one, strict=True)
        yield groups[0], state_keys(groups[0]), list(params)


def batches(rest: Iterable[tuple[ParamGroup, Tensor]], state: Mapping[Tensor, Any]) -> list[Batch]:
    """The parameters by group, type, device and dtypes; empty ones, which no kernel takes, by themselves.

    One that is there twice is in two of them. Of a DTensor it is what lies on this rank.
    """
    made: dict[tuple[Any, ...], Batch] = {}
    seen: Counter[Tensor] = Counter()
    for group, keys, params in by_group(rest):
        for p in params:
            assert p.grad is not None
            step = state[p]["step"]
            tensors = [p, p.grad, *(state[p][key] for key in keys)]
            if is_dtensor(p):
                tensors = local_tensors(tensors)
                torch.autograd.graph.increment_version(p)
            kinds = [tensor.dtype for tensor in (*tensors, step)]
            seen[p] += 1
            here = tensors[0]
            kind = (id(group), seen[p], type(here), here.device, step.device, here.numel() == 0, *kinds)
            if kind not in made:
                made[kind] = Batch(group)
            made[kind].add(tensors, keys, step)
    return list(made.values())


def _simple(tensor: Tensor) -> bool:
    """Whether it can be walked as it is beside others of its shape."""
    return tensor.is_contiguous() and not tensor.is_complex() and not tensor.is_neg()
