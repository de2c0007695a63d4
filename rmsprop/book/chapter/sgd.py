"""Section 7.3, stochastic gradient descent on mini-batches: x ← x - η g."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from rmsprop.book.chapter.optimizer import Optimizer, gradient


def no_states(_params: Iterable[Tensor]) -> list[None]:
    """SGD remembers nothing."""
    return []


def sgd(params: Sequence[Tensor], _states: Sequence[None], hyperparams: dict[str, float]) -> None:
    """One step in place; `hyperparams` holds lr."""
    for p in params:
        p.data -= hyperparams["lr"] * gradient(p)


SGD = Optimizer("sgd", no_states, sgd, torch.optim.SGD, None)
