"""A peer over given gradients, and over the book's job."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rmsprop.book.programs import program
from rmsprop.book.training import linreg, shuffled_batches, squared_loss
from rmsprop.suite.peers.peer import Peer


def moved(stepper_of: Any, begin: Tensor, given: Tensor) -> Tensor:
    """Where the parameters `begin` are after one step for each of the gradients (steps, elements).

    `stepper_of` makes something with `.step()` over a list of parameters.
    """
    parameter = torch.nn.Parameter(begin.clone())
    stepper = stepper_of([parameter])
    for gradient in given:
        parameter.grad = gradient.clone()
        stepper.step()
    return parameter.detach().clone()


def peer_moved(peer: Peer, arguments: Mapping[str, float | bool], begin: Tensor, given: Tensor) -> Tensor:
    """`moved` by the peer with the arguments of its own call."""
    return moved(lambda params: peer.make(params, arguments), begin, given)


def digits(a: Tensor, b: Tensor, begin: Tensor) -> float | None:
    """To how many decimal digits two ends agree, relative to the larger movement of all elements.

    17 where all bits are equal; None where an end is not finite, or neither has moved.
    """
    if torch.equal(a, b):
        return 17.0 if bool(a.isfinite().all()) else None
    x, y, origin = a.double(), b.double(), begin.double()
    apart = (x - y).abs().max()
    moved_by = torch.maximum((x - origin).abs().max(), (y - origin).abs().max())
    if not bool(apart.isfinite()) or moved_by == 0:
        return None
    return max(0.0, float(-torch.log10(apart / moved_by)))


def train_book(
    peer: Peer, arguments: Mapping[str, float | bool], features: Tensor, labels: Tensor, *, seed: int
) -> tuple[float, Tensor]:
    """The book's job with the peer's step: the final loss, and w and b in one tensor."""
    spec = program("rmsprop-scratch")
    generator = torch.Generator().manual_seed(seed)
    w = torch.nn.Parameter(0.01 * torch.randn(features.shape[1], 1, generator=generator).to(features.dtype))
    b = torch.nn.Parameter(torch.zeros(1, dtype=features.dtype))
    stepper = peer.make([w, b], arguments)
    batches = shuffled_batches(features, labels, spec.batch_size, seed)
    for _ in range(spec.num_epochs):
        for X, y in batches:
            w.grad = b.grad = None
            squared_loss(linreg(X, w, b), y).mean().backward()  # type: ignore[no-untyped-call]
            stepper.step()
    loss = squared_loss(linreg(features, w, b), labels).mean().item()
    return loss, torch.cat([w.detach().flatten(), b.detach()]).clone()
