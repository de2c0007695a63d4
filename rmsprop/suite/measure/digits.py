"""The second job: a small network learns scikit-learn's handwritten digits. Here is one training of it.

The network has 64 inputs, 32 hidden units with tanh, and 10 outputs: 2,410 parameters,

    z = W₂ tanh(W₁ x + b₁) + b₂,    loss = mean over rows of (log Σ_k exp z_k - z_y),

the cross-entropy. All 1,797 rows are trained on, and the loss is that of all rows: none is held out, for a
step is judged here, and not a network. What a seed draws comes from one generator: W₁, b₁, W₂ and b₂, each
from U(-1/√n, 1/√n) with n the inputs of its layer, as nn.Linear draws them; then, epoch by epoch, the order
of the rows. Everything is of torch, NumPy and scikit-learn alone, so that it is the same at every commit.
"""

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from rmsprop.suite.shapes import DIGITS

BATCH_SIZE, EPOCHS = 32, 5
"""Of a training where nothing else is asked for."""
ABSENT = "needs scikit-learn: python -m pip install 'rmsprop-bench[digits]'"


@dataclass(frozen=True, eq=False)
class DigitRows:
    """The rows, with where they came from, as `rmsprop.book.airfoil.Airfoil` has them.

    Attributes
    ----------
    features
        (1797, 64) float64: the pixels of 8 x 8, from 0 to 1.
    labels
        (1797,) int64, from 0 to 9.
    source
        `real`: these rows have no surrogate.
    detail
        One phrase for people and records.
    sha256
        Of the numbers.
    """

    features: Tensor
    labels: Tensor
    source: Literal["real"]
    detail: str
    sha256: str


def load_digits() -> DigitRows:
    """The rows that scikit-learn brings along; without it a ModuleNotFoundError says what to install."""
    try:
        sklearn = import_module("sklearn")
        found = import_module("sklearn.datasets").load_digits()
    except ModuleNotFoundError as absent:
        raise ModuleNotFoundError(ABSENT) from absent
    features, labels = found.data / 16, found.target.astype("int64")
    digest = hashlib.sha256(features.tobytes() + labels.tobytes()).hexdigest()
    detail = f"the digits of scikit-learn {sklearn.__version__}"
    return DigitRows(torch.from_numpy(features), torch.from_numpy(labels), "real", detail, digest)


def loss(params: Sequence[Tensor], x: Tensor, y: Tensor) -> Tensor:
    """The mean cross-entropy of rows x (rows, 64) with labels y (rows,); params are W₁, b₁, W₂ and b₂."""
    first, first_bias, second, second_bias = params
    hidden = torch.tanh(functional.linear(x, first, first_bias))
    return functional.cross_entropy(functional.linear(hidden, second, second_bias), y)


def draw(seed: int, rows: int, epochs: int) -> tuple[list[Tensor], Tensor]:
    """What a seed begins with: the parameters in float32, and the rows as they are met, (epochs, rows)."""
    generator = torch.Generator().manual_seed(seed)
    params = []
    for shape, inputs in zip(DIGITS, (64, 64, 32, 32), strict=True):
        bound = 1 / math.sqrt(inputs)
        params.append(torch.empty(shape, dtype=torch.float32).uniform_(-bound, bound, generator=generator))
    return params, torch.stack([torch.randperm(rows, generator=generator) for _ in range(epochs)])


@dataclass(frozen=True)
class DigitsRun:
    """One training.

    Attributes
    ----------
    losses
        Of all rows in float64: at the start and at the end of each epoch.
    epoch_seconds
        Wall time of each epoch: gathering, forward, backward and step, but not the evaluation.
    params
        W₁, b₁, W₂ and b₂ at the end, float64 on the CPU.
    """

    losses: tuple[float, ...]
    epoch_seconds: tuple[float, ...]
    params: tuple[Tensor, ...]

    @property
    def loss(self) -> float:
        """The last one."""
        return self.losses[-1]

    @property
    def sec_per_epoch(self) -> float:
        """Seconds of the last epoch, as the book counts them."""
        return self.epoch_seconds[-1]


def train_digits(
    make: Callable[[list[nn.Parameter]], Any],
    rows: DigitRows,
    device: torch.device | str,
    dtype: torch.dtype,
    *,
    seed: int,
    batch_size: int = BATCH_SIZE,
    epochs: int = EPOCHS,
) -> DigitsRun:
    """Train once; `make` gives what has `.step()`, over the parameters, and takes gradients from `.grad`."""
    initial, orders = draw(seed, len(rows.labels), epochs)
    params = [nn.Parameter(param.to(device, dtype)) for param in initial]
    features, labels, orders = rows.features.to(device, dtype), rows.labels.to(device), orders.to(device)
    optimizer = make(params)
    ends = [tuple(param.double() for param in initial)]
    seconds = []
    for order in orders:
        start = time.perf_counter()
        for batch in order.split(batch_size):
            for param in params:
                param.grad = None
            loss(params, features[batch], labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        ends.append(tuple(param.detach().to("cpu", torch.float64, copy=True) for param in params))  # waits
        seconds.append(time.perf_counter() - start)
    losses = tuple(float(loss(end, rows.features, rows.labels)) for end in ends)
    return DigitsRun(losses, tuple(seconds), ends[-1])
