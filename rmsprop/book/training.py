"""The book's two training loops, faithful to the line.

`train_ch7` is the loop of the from-scratch sections and `train_pytorch_ch7` that of the concise ones,
under the names that the book's package `d2lzh_pytorch` gives them. What is added is an explicit seed
and a result that is returned instead of printed and plotted. `train` runs a program in its loop.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.chapter.optimizer import counted
from rmsprop.book.programs import Program

EVALUATE_EVERY = 100
"""Samples between two evaluations of the loss over all rows."""


@dataclass(frozen=True)
class TrainingRun:
    """One training: what the book prints and plots, and where the parameters ended.

    Attributes
    ----------
    seed
        Of the first parameters and of the shuffling.
    losses
        Half the mean squared error over all rows: at the start and after every 100 samples.
    epoch_seconds
        Wall time of each epoch: shuffling, forward, backward, step and the loss evaluations.
    weight
        Shape (features,).
    bias
        Shape ().
    """

    seed: int
    losses: tuple[float, ...]
    epoch_seconds: tuple[float, ...]
    weight: Tensor
    bias: Tensor

    @property
    def loss(self) -> float:
        """The loss as the book prints it: the last evaluation."""
        return self.losses[-1]

    @property
    def sec_per_epoch(self) -> float:
        """Seconds as the book prints them: the wall time of the last epoch alone."""
        return self.epoch_seconds[-1]


def train(program: Program, features: Tensor, labels: Tensor, seed: int) -> TrainingRun:
    """One sequential training, as the section calls it.

    Raises ValueError for a program that the book's loops cannot run: they shuffle in each epoch, train b,
    forget old gradients and halve the loss.
    """
    if (program.shuffle, program.bias, program.zero_grad, program.loss_factor) != (
        "each epoch",
        True,
        True,
        1.0,
    ):
        raise ValueError(f"{program.name}: the book's loops have no such option; the ensemble has")
    optimizer = OPTIMIZERS[program.optimizer]
    size = {"batch_size": program.batch_size, "num_epochs": program.num_epochs}
    if program.loop == "concise":
        if optimizer.torch is None:
            raise ValueError(f"{program.name}: the chapter has no {optimizer.name} of torch's")
        return train_pytorch_ch7(
            optimizer.torch, program.hyperparameters, features, labels, seed=seed, **size
        )
    if optimizer.step is None or optimizer.init_states is None:
        raise ValueError(f"{program.name}: the chapter has no {optimizer.name} from scratch")
    hyperparams = counted(program.hyperparameters)
    return train_ch7(optimizer.step, optimizer.init_states, hyperparams, features, labels, seed=seed, **size)


def linreg(X: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Linear regression X w + b: (rows, features), (features, 1), (1,) -> (rows, 1)."""
    return torch.mm(X, w) + b


def squared_loss(y_hat: Tensor, y: Tensor) -> Tensor:
    """(ŷ - y)² / 2 for each row."""
    return (y_hat - y.view(y_hat.size())) ** 2 / 2


def shuffled_batches(
    features: Tensor, labels: Tensor, batch_size: int, seed: int
) -> DataLoader[tuple[Tensor, ...]]:
    """The book's shuffled DataLoader, drawing from a generator of its own."""
    return DataLoader(
        TensorDataset(features, labels),
        batch_size,
        shuffle=True,
        generator=torch.Generator().manual_seed(seed),
    )


def train_ch7(
    optimizer_fn: Callable[[list[Tensor], Sequence[Any], dict[str, float]], object],
    init_states: Callable[[list[Tensor]], Sequence[Any]],
    hyperparams: dict[str, float],
    features: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
    num_epochs: int,
) -> TrainingRun:
    """Train linear regression with a functional optimizer: the book's from-scratch loop.

    w is drawn from N(0, 0.01²) by NumPy and b is 0. `features` (rows, features) and `labels` (rows,)
    give the device and the dtype of everything.
    """
    net, loss = linreg, squared_loss
    w0 = np.random.default_rng(seed).normal(0, 0.01, size=(features.shape[1], 1))
    w = nn.Parameter(torch.tensor(w0, dtype=features.dtype, device=features.device))
    b = nn.Parameter(torch.zeros(1, dtype=features.dtype, device=features.device))
    states = init_states([w, b])

    def eval_loss() -> float:
        return loss(net(features, w, b), labels).mean().item()

    def step(X: Tensor, y: Tensor) -> None:
        batch_loss = loss(net(X, w, b), y).mean()
        if w.grad is not None and b.grad is not None:
            w.grad.data.zero_()
            b.grad.data.zero_()
        batch_loss.backward()  # type: ignore[no-untyped-call]
        optimizer_fn([w, b], states, hyperparams)

    batches = shuffled_batches(features, labels, batch_size, seed)
    losses, epoch_seconds = _epochs(batches, step, eval_loss, num_epochs)
    return TrainingRun(seed, losses, epoch_seconds, w.detach().view(-1), b.detach().view(()))


def train_pytorch_ch7(
    optimizer_fn: Callable[..., torch.optim.Optimizer],
    optimizer_hyperparams: Mapping[str, Any],
    features: Tensor,
    labels: Tensor,
    *,
    seed: int,
    batch_size: int,
    num_epochs: int,
) -> TrainingRun:
    """Train `nn.Linear` with a torch optimizer: the book's concise loop.

    The weights start from `nn.Linear`'s default, U(-1/√features, 1/√features), for w and b. MSELoss is
    halved to agree with the from-scratch loss, and the prediction is flattened so that it does not
    broadcast against the labels.
    """
    linear = nn.Linear(features.shape[-1], 1, device="meta", dtype=torch.float32)
    linear.to_empty(device="cpu")
    _init_linear(linear, seed)
    net = nn.Sequential(linear).to(device=features.device, dtype=features.dtype)
    loss = nn.MSELoss()
    optimizer = optimizer_fn(net.parameters(), **optimizer_hyperparams)

    def eval_loss() -> float:
        return float(loss(net(features).view(-1), labels).item() / 2)

    def step(X: Tensor, y: Tensor) -> None:
        batch_loss: Tensor = loss(net(X).view(-1), y) / 2
        optimizer.zero_grad()
        batch_loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    batches = shuffled_batches(features, labels, batch_size, seed)
    losses, epoch_seconds = _epochs(batches, step, eval_loss, num_epochs)
    return TrainingRun(
        seed, losses, epoch_seconds, linear.weight.detach().view(-1), linear.bias.detach().view(())
    )


def _init_linear(linear: nn.Linear, seed: int) -> None:
    """nn.Linear's default initialisation, from a generator instead of torch's global state."""
    generator = torch.Generator().manual_seed(seed)
    nn.init.kaiming_uniform_(linear.weight, a=math.sqrt(5), generator=generator)
    bound = 1 / math.sqrt(linear.in_features)
    nn.init.uniform_(linear.bias, -bound, bound, generator=generator)


def _epochs(
    batches: DataLoader[tuple[Tensor, ...]],
    step: Callable[[Tensor, Tensor], None],
    eval_loss: Callable[[], float],
    num_epochs: int,
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Losses and seconds of `num_epochs` epochs, evaluated and timed as both of the book's loops do."""
    losses, epoch_seconds = [eval_loss()], []
    batch_size = batches.batch_size or 1
    for _ in range(num_epochs):
        start = time.perf_counter()
        for batch_i, (X, y) in enumerate(batches):
            step(X, y)
            if (batch_i + 1) * batch_size % EVALUATE_EVERY == 0:
                losses.append(eval_loss())
        epoch_seconds.append(time.perf_counter() - start)
    return tuple(losses), tuple(epoch_seconds)
