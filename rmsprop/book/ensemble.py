"""Thousands of seeds of a program, trained at once.

The last dimension of every tensor is the seed, so that one step of the section's own function, or of
torch's optimizer, is a step of all of them. A seed draws what it draws in the sequential loop: the
same initial weights and, epoch by epoch, the same shuffled rows. Its losses are therefore those of
`train_ch7` or `train_pytorch_ch7` with that seed, to the rounding of the sums.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rmsprop.book.programs import Program
from rmsprop.book.training import EVALUATE_EVERY
from rmsprop.book.wrong_steps import STEPS

CHUNK_BYTES = 64 * 2**20
"""Memory for the seeds that train together. Fewer seeds pay more calls for each, more leave the caches."""

LANES = 128
"""The seeds that train together are padded to a multiple of this. torch sums whole vectors and what is
left over in different orders; with nothing left over, a seed's bits do not depend on its neighbours."""


@dataclass(frozen=True)
class Ensemble:
    """The trainings of many seeds: where the losses went and where the parameters ended.

    Attributes
    ----------
    program
        What was trained.
    losses
        (evaluations, seeds), float64 on the CPU: half the mean squared error over all rows, at the start and
        after every 100 samples.
    weight
        (seeds, features), in the dtype and on the device of the features.
    bias
        (seeds,), likewise.
    seconds
        Wall time of the whole training.
    """

    program: Program
    losses: Tensor
    weight: Tensor
    bias: Tensor
    seconds: float

    @property
    def final_losses(self) -> Tensor:
        """(seeds,): the loss as the book prints it, the last evaluation."""
        return self.losses[-1]


def ensemble(
    program: Program,
    features: Tensor,
    labels: Tensor,
    seeds: Sequence[int],
    *,
    initial: Tensor | None = None,
    orders: Tensor | None = None,
    progress: Callable[[int], None] | None = None,
) -> Ensemble:
    """Train `program` once for each seed.

    `features` (rows, features) and `labels` (rows,) give the device and the floating dtype. `initial`
    (seeds, features + 1), w then b, and `orders` (seeds, epochs, rows), the rows as they are met, replace
    what the seeds draw. `progress` is told how many seeds have just finished.
    Meanwhile torch runs on one thread, afterwards on as many as before.

    Raises ValueError for arguments that do not fit together.
    """
    start = time.perf_counter()
    _check(program, features, labels, seeds, initial, orders)
    rows, p = features.shape
    batch_size, num_epochs = program.batch_size, program.num_epochs
    columns = torch.cat([features.T, features.new_ones(1, rows), labels[None]])
    seed_bytes = 8 * num_epochs * rows + 3 * features.element_size() * batch_size * (p + 2)
    width = LANES * min(max(CHUNK_BYTES // seed_bytes // LANES, 1), math.ceil(len(seeds) / LANES))
    drawn = torch.empty(width, num_epochs, rows, dtype=torch.int32)
    order = torch.zeros(num_epochs, rows, width, dtype=torch.int32)
    losses, ends = [], []
    with one_thread():
        for first in range(0, len(seeds), width):
            chunk = slice(first, first + width)
            n = len(seeds[chunk])
            params = features.new_zeros(p + 1, width)
            begin = draw_initial(program, seeds[chunk], p) if initial is None else initial[chunk]
            params[:, :n] = begin.T.to(params.dtype)
            if batch_size < rows:  # else no order matters
                met = draw_orders(program, seeds[chunk], out=drawn[:n]) if orders is None else orders[chunk]
                order.flatten(0, 1)[:, :n] = met.flatten(1).T
            losses.append(_train(program, columns, params, order.to(features.device))[:, :n])
            ends.append(params[:, :n])
            if progress is not None:
                progress(n)
    weight_and_bias = torch.cat(ends, 1).T.contiguous()
    return Ensemble(
        program=program,
        losses=torch.cat(losses, 1),
        weight=weight_and_bias[:, :-1],
        bias=weight_and_bias[:, -1],
        seconds=time.perf_counter() - start,
    )


def _train(program: Program, columns: Tensor, params: Tensor, order: Tensor) -> Tensor:
    """Train `params` (features + 1, width) in place; the losses (evaluations, width).

    `columns` (features + 2, rows) are the features, 1 and the label; `order` is (epochs, rows, width).
    """
    rows, width = order.shape[1:]
    optimizer = STEPS[program.optimizer]
    # A wrong step is tried in both loops; torch has none.
    make = optimizer.from_torch if program.loop == "concise" and optimizer.torch else optimizer.from_scratch
    step = make([params], program.hyperparameters)
    losses: list[Tensor] = []
    # [X 1 y] = Q R, so ‖X w + b - y‖ = ‖R (w, b, -1)‖: an evaluation needs no pass over the rows, and
    # unlike the Gram matrix R loses no digits.
    r = torch.linalg.qr(columns.T.cpu().double(), mode="r").R

    def evaluate() -> None:
        terms = (r_k[:, None] * param for r_k, param in zip(r.T[:-1], params.cpu().double(), strict=True))
        residual = sum(terms, start=-r[:, -1:])
        losses.append(residual.square().sum(0) / (2 * rows))

    evaluate()
    for epoch in order:
        for batch_i, batch in enumerate(epoch.split(program.batch_size)):
            if len(batch) == rows:  # all rows: their order changes nothing but the rounding of the sums
                error = -columns[-1][:, None].expand(rows, width)
                for x_k, param in zip(columns[:-1, :, None], params, strict=True):
                    error.addcmul_(x_k, param)
                gradient = torch.stack([(x_k * error).mean(0) for x_k in columns[:-1, :, None]])
            else:
                met = columns.index_select(1, batch.flatten()).view(-1, len(batch), width)
                x, y = met[:-1], met[-1]
                error = (x * params[:, None]).sum(0) - y
                gradient = (x * error).mean(1)
            if program.loss_factor != 1:
                gradient *= program.loss_factor
            if not program.bias:
                gradient[-1] = 0
            params.grad = gradient if program.zero_grad or params.grad is None else params.grad + gradient
            step()
            if (batch_i + 1) * program.batch_size % EVALUATE_EVERY == 0:
                evaluate()
    return torch.stack(losses)


def draw_initial(program: Program, seeds: Sequence[int], p: int) -> Tensor:
    """(seeds, p + 1), w then b: NumPy's N(0, 0.01²) and 0, or nn.Linear's U(-1/√p, 1/√p) for both."""
    if program.loop == "scratch":
        normal = np.zeros((len(seeds), p + 1))
        for row, seed in zip(normal, seeds, strict=True):
            row[:p] = np.random.default_rng(seed).normal(0, 0.01, size=p)
        return torch.from_numpy(normal)
    uniform = torch.empty(len(seeds), p + 1, dtype=torch.float32)
    bound, generator = 1 / math.sqrt(p), torch.Generator()
    for lane, seed in zip(uniform, seeds, strict=True):
        lane.uniform_(-bound, bound, generator=generator.manual_seed(int(seed)))
    return uniform


def draw_orders(program: Program, seeds: Sequence[int], *, out: Tensor) -> Tensor:
    """`out` (seeds, epochs, rows), filled with the orders in which the program meets the rows.

    A program that shuffles in each epoch meets them as `shuffled_batches` gives them.
    """
    if program.shuffle == "never":
        return out.copy_(torch.arange(out.shape[2], dtype=out.dtype).expand_as(out))
    rows, generator = out.shape[2], torch.Generator()
    unused_seed = torch.empty((), dtype=torch.int64)
    unused_order = torch.empty(rows, dtype=out.dtype)
    for seed, orders in zip(seeds, out, strict=True):
        generator.manual_seed(int(seed))
        for epoch, order in enumerate(orders):
            if epoch > 0 and program.shuffle == "once":
                order.copy_(orders[0])
                continue
            if epoch > 0:  # RandomSampler ended the last epoch with a permutation that it threw away
                torch.randperm(rows, generator=generator, out=unused_order)
            unused_seed.random_(generator=generator)  # the DataLoader draws one for workers it does not have
            torch.randperm(rows, generator=generator, out=order)
    return out


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch: sharing operations this small costs more than it saves, and many times more
    where another process holds a core.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _check(
    program: Program,
    features: Tensor,
    labels: Tensor,
    seeds: Sequence[int],
    initial: Tensor | None,
    orders: Tensor | None,
) -> None:
    """Raise ValueError for the first argument that does not fit."""
    batch_size, num_epochs = program.batch_size, program.num_epochs
    if program.optimizer not in STEPS:
        raise ValueError(f"optimizer {program.optimizer!r}: expected one of {', '.join(STEPS)}")
    if features.dim() != 2 or features.numel() == 0 or not features.is_floating_point():
        raise ValueError(f"features {_seen(features)}: expected floating (rows, features), neither of them 0")
    rows, p = features.shape
    if labels.shape != (rows,) or labels.dtype != features.dtype:
        raise ValueError(f"labels {_seen(labels)}: expected ({rows},) of the features' {features.dtype}")
    if len(seeds) == 0 or min(seeds) < 0:
        raise ValueError(f"seeds {seeds!r:.40}: expected at least one, and none below 0")
    if batch_size < 1 or num_epochs < 0:
        raise ValueError(f"batch_size {batch_size}, num_epochs {num_epochs}: expected at least 1 and 0")
    if initial is not None and initial.shape != (len(seeds), p + 1):
        raise ValueError(f"initial {_seen(initial)}: expected (seeds, features + 1) = {(len(seeds), p + 1)}")
    if orders is not None:
        shape = (len(seeds), num_epochs, rows)
        if orders.shape != shape or orders.is_floating_point():
            raise ValueError(f"orders {_seen(orders)}: expected whole (seeds, epochs, rows) = {shape}")
        if orders.numel() and not 0 <= int(orders.min()) <= int(orders.max()) < rows:
            raise ValueError(
                f"orders: expected rows from 0 to {rows - 1}, found {orders.min()}..{orders.max()}"
            )


def _seen(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {tensor.dtype}"
