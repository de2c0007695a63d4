"""The gradients that every peer is given: one kind for each place where implementations part."""

from collections.abc import Callable

import torch
from torch import Tensor

STEPS, ELEMENTS = 20, 1000

_Made = Callable[[Tensor, torch.dtype], Tensor]


def _sparse(noise: Tensor, _dtype: torch.dtype) -> Tensor:
    keep = torch.rand(noise.shape, generator=torch.Generator().manual_seed(1), dtype=noise.dtype) < 0.01
    return noise * keep


KINDS: dict[str, tuple[str, _Made]] = {
    "dense": ("normal, of size 1", lambda noise, _: noise),
    "tiny": ("normal, of size 1e-4: ε decides", lambda noise, _: 1e-4 * noise),
    "vanishing": (
        "normal; their squares round to 0",
        lambda noise, dtype: torch.finfo(dtype).tiny ** 0.5 * 1e-4 * noise.sign(),
    ),
    "zero": ("0 in every step", lambda noise, _: 0 * noise),
    "constant": ("normal, the same in every step", lambda noise, _: noise[:1].expand_as(noise)),
    "huge": (
        "normal; their squares are infinite",
        lambda noise, dtype: 4 * torch.finfo(dtype).max ** 0.5 * noise.sign(),
    ),
    "sparse-like": ("normal in 1% of the elements, 0 in the others", _sparse),
}
"""Name -> what it is, and how it is made of standard normal noise for a dtype."""


def gradients(kind: str, dtype: torch.dtype) -> Tensor:
    """(`STEPS`, `ELEMENTS`) of that kind in that dtype; always the same."""
    noise = torch.randn(STEPS, ELEMENTS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return KINDS[kind][1](noise, dtype).to(dtype)


def start(dtype: torch.dtype) -> Tensor:
    """(`ELEMENTS`,) parameters to begin with, standard normal; always the same."""
    generator = torch.Generator().manual_seed(2)
    return torch.randn(ELEMENTS, generator=generator, dtype=torch.float64).to(dtype)
