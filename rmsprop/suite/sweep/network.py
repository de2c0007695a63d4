"""Many trainings of the digits at once, by torch.func: a row a training, of one setting and one seed.

The loss of `measure.digits` is differentiated by `grad` and spread over the rows by `vmap`; the chapter's own
step then works on all rows. The losses are those of `measure.digits.train_digits` with the same seeds, to the
rounding of sums.

The bits of a training depend on its setting and its seed alone: `TILE` trainings are always side by side, the
last ones padded, and each has products of matrices of its own. How these are summed depends on the processor;
`products` tells whether two processes do it alike.
"""

import hashlib
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.func import grad, vmap

from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.ensemble import one_thread
from rmsprop.book.programs import Program
from rmsprop.suite.measure.digits import draw, loss
from rmsprop.suite.shapes import DIGITS
from rmsprop.suite.sweep.train import Ends, Setting

TILE = 64
"""Trainings of one step: fewer pay more calls for each, more leave the caches."""
_WIDTHS = [torch.Size(shape).numel() for shape in DIGITS]


def train(
    program: Program,
    settings: Mapping[str, Sequence[float]],
    features: Tensor,
    labels: Tensor,
    seeds: Sequence[int],
    *,
    target: float,
) -> Ends:
    """Train each setting with each seed, as `sweep.train.train` does for the book's job.

    Of `program` the optimizer from scratch, the batch size and the number of epochs count. `features`
    (rows, 64) are floating, on the CPU, and their dtype is that of the parameters; `labels` (rows,) are
    int64. `Ends.loss` is the cross-entropy of all rows, in that dtype, and `Ends.rows` is looked at before
    the first step and at the end of each epoch.
    """
    count = len(next(iter(settings.values())))
    pairs = list(product(range(count), seeds))
    with one_thread():
        parts = [
            _train_tile(program, settings, features, labels, pairs[first : first + TILE], target)
            for first in range(0, len(pairs), TILE)
        ]
    shape = count, len(seeds)
    found, diverged, rows = (np.concatenate(arrays).reshape(shape) for arrays in zip(*parts, strict=True))
    return Ends(found, diverged, rows)


def memory_needed(batch_size: int, epochs: int, itemsize: int, rows: int) -> int:
    """Bytes that `train` takes at most for networks, batches and orders, whatever the number of trainings."""
    activations = 6 * (DIGITS[0][0] + DIGITS[2][0])
    batch = max(batch_size * (2 * DIGITS[0][1] + activations), rows * activations)
    return TILE * (itemsize * (12 * sum(_WIDTHS) + batch) + 8 * rows * epochs * 2)


def products() -> str:
    """A hash of the bits of some gradients in both dtypes: how the products of matrices are summed here."""
    digest, generator = hashlib.sha256(), torch.Generator().manual_seed(0)
    drawn = [draw(seed, 1, 1)[0] for seed in range(TILE)]
    x = torch.rand(TILE, 32, DIGITS[0][1], generator=generator)
    y = torch.randint(DIGITS[-1][0], (TILE, 32), generator=generator)
    with one_thread():
        for dtype in (torch.float32, torch.float64):
            params = tuple(torch.stack(each).to(dtype) for each in zip(*drawn, strict=True))
            for gradient in _gradients(params, x.to(dtype), y):
                digest.update(gradient.numpy().tobytes())
    return digest.hexdigest()[:16]


def _train_tile(
    program: Program,
    settings: Mapping[str, Sequence[float]],
    features: Tensor,
    labels: Tensor,
    pairs: Sequence[tuple[int, int]],
    target: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss, diverged and rows (trainings,) of `TILE` pairs of setting and seed at most."""
    rows = len(labels)
    padded = [*pairs, *[pairs[-1]] * (TILE - len(pairs))]
    drawn = [draw(seed, rows, program.num_epochs) for _, seed in padded]
    params = [
        torch.stack([initial[number] for initial, _ in drawn]).to(features.dtype).view(TILE, -1)
        for number in range(len(DIGITS))
    ]
    orders = torch.stack([order for _, order in drawn])
    values = {name: Setting([given[setting] for setting, _ in padded]) for name, given in settings.items()}
    # A Setting acts in the step as one float does.
    step = OPTIMIZERS[program.optimizer].from_scratch(params, values)  # type: ignore[arg-type]

    def networks() -> tuple[Tensor, ...]:
        return tuple(param.view(TILE, *shape) for param, shape in zip(params, DIGITS, strict=True))

    def evaluate() -> Tensor:
        return _losses(networks(), features, labels).double()

    first = last = evaluate()
    met = torch.where(first <= target, 0, -1)
    for epoch in range(program.num_epochs):
        for batch in torch.split(orders[:, epoch], program.batch_size, dim=1):
            gradients = _gradients(networks(), features[batch], labels[batch])
            for param, gradient in zip(params, gradients, strict=True):
                param.grad = gradient.reshape(TILE, -1)
            step()
        last = evaluate()
        met.masked_fill_((met < 0) & (last <= target), (epoch + 1) * rows)
    found = (last.numpy(), (~(last < first)).numpy(), met.numpy())
    loss_, diverged, reached = (array[: len(pairs)] for array in found)
    return loss_, diverged, reached


_losses = vmap(loss, in_dims=(0, None, None))
_gradients = vmap(grad(loss))
