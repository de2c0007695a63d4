"""Many settings of the book's job trained at once: a row a setting, a column a seed.

All settings meet the same rows in the same order for a seed, so drawing, gathering and the sums over a batch
are paid once for all of them. With x̃ = (x, 1) and w̃ = (w, b) the gradient of a batch B is

    g = 1/|B| Σ x̃ (x̃ᵀw̃ - y) = A w̃ - c,    A = 1/|B| Σ x̃ x̃ᵀ,    c = 1/|B| Σ x̃ y,

and A and c depend on the seed and the batch alone. The losses are those of `rmsprop.book.ensemble` with the
same seeds, to the rounding of these sums.

The bits of a training depend on its setting and its seed alone: sums over a batch always have `LANES` seeds
side by side, the last ones padded, and all else works element by element.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.ensemble import draw_initial, draw_orders, one_thread
from rmsprop.book.programs import Program
from rmsprop.book.training import EVALUATE_EVERY
from rmsprop.suite.sweep.jobs import JOBS

LANES = JOBS["book"].lanes
"""Seeds that train side by side."""
TILE = 32
"""Settings of one step: fewer pay more calls for each, more leave the caches."""


@dataclass(frozen=True, eq=False)
class Ends:
    """How the trainings ended; each array is (settings, seeds).

    Attributes
    ----------
    loss
        float64: half the mean squared error over all rows after the last step; NaN or infinity as it came.
    diverged
        bool: whether that is not below the loss at the start.
    rows
        int64: how many rows were met when the loss was first at or below the target; -1 for never. It is
        looked at where the book evaluates, whenever 100 more rows were met, and at the end of each epoch.
    """

    loss: np.ndarray
    diverged: np.ndarray
    rows: np.ndarray


def train(
    program: Program,
    settings: Mapping[str, Sequence[float]],
    features: Tensor,
    labels: Tensor,
    seeds: Sequence[int],
    *,
    target: float,
) -> Ends:
    """Train each setting with each seed.

    Parameters
    ----------
    program
        Optimizer from scratch, batch size and epochs.
    settings
        Values, one a setting, by the name in the book's step.
    features, labels
        (rows, features) and (rows,), floating, on the CPU; their dtype is that of the parameters.
    target
        The loss that `Ends.rows` tells of.
    """
    columns = torch.cat([features.T, features.new_ones(1, len(labels)), labels[None]])
    with one_thread():
        parts = [
            _train_lanes(program, settings, columns, seeds[first : first + LANES], target)
            for first in range(0, len(seeds), LANES)
        ]
    loss, diverged, rows = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
    return Ends(loss, diverged, rows)


def memory_needed(batch_size: int, epochs: int, itemsize: int, features: int, rows: int) -> int:
    """Bytes that `train` takes at most for sums and orders, whatever the number of settings and seeds."""
    width = features + 1
    sums = -(-rows // batch_size) * width * (width + 1)
    gathered = rows * (3 * width + 2)
    return LANES * (itemsize * (2 * sums + gathered) + 4 * rows * (epochs + 2))


def _train_lanes(
    program: Program,
    settings: Mapping[str, Sequence[float]],
    columns: Tensor,
    seeds: Sequence[int],
    target: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Loss, diverged and rows (settings, seeds) of `LANES` seeds at most."""
    rows = columns.shape[1]
    lanes = [*seeds, *[seeds[-1]] * (LANES - len(seeds))]
    begin = draw_initial(program, lanes, len(columns) - 2).T.to(columns.dtype)
    orders = draw_orders(program, lanes, out=torch.empty(LANES, program.num_epochs, rows, dtype=torch.int32))
    # [X 1 y] = Q R, so ‖X w + b - y‖ = ‖R (w, b, -1)‖: an evaluation needs no pass over the rows.
    r = torch.linalg.qr(columns.T.double(), mode="r").R
    count = len(next(iter(settings.values())))
    tiles = [
        _Tile(program, {name: v[first : first + TILE] for name, v in settings.items()}, begin, r, rows)
        for first in range(0, count, TILE)
    ]
    for tile in tiles:
        tile.start(target)
    for epoch in range(program.num_epochs):
        sums = _sums(columns, orders[:, epoch].T.contiguous(), program.batch_size)
        for tile in tiles:
            tile.epoch(sums, epoch * rows, program.batch_size, target)
        del sums  # before the next ones are made
    found = [(tile.loss.numpy(), (~(tile.loss < tile.first)).numpy(), tile.met.numpy()) for tile in tiles]
    loss, diverged, met = (np.concatenate(arrays)[:, : len(seeds)] for arrays in zip(*found, strict=True))
    return loss, diverged, met


def _sums(columns: Tensor, order: Tensor, batch_size: int) -> list[Tensor]:
    """A and c of each batch, (features + 2, features + 1, lanes): the rows of A and then c."""
    rows, lanes = order.shape
    met = columns.index_select(1, order.flatten()).view(-1, rows, lanes)
    whole = rows - rows % batch_size
    parts: list[Tensor] = []
    for piece, size in ((met[:, :whole], batch_size), (met[:, whole:], rows - whole)):
        if piece.shape[1]:
            batches = piece.reshape(len(met), -1, size, lanes)
            made = columns.new_empty(batches.shape[1], len(met), len(met) - 1, lanes)
            for number, column in enumerate(batches):
                made[:, number] = (batches[:-1] * column).mean(2).transpose(0, 1)
            parts += made.unbind()
    return parts


class _Tile:
    """Some settings with the lanes' seeds, while they train.

    Attributes
    ----------
    first, loss
        (settings, lanes) float64: the loss at the start and the last one.
    met
        int64, as `Ends.rows`.
    """

    def __init__(
        self, program: Program, settings: Mapping[str, Sequence[float]], begin: Tensor, r: Tensor, rows: int
    ) -> None:
        count = len(next(iter(settings.values())))
        self._w = begin[:, None].expand(len(begin), count, LANES).contiguous()
        values = {name: Setting(given) for name, given in settings.items()}
        # A Setting acts in the step as one float does.
        self._step = OPTIMIZERS[program.optimizer].from_scratch([self._w], values)  # type: ignore[arg-type]
        self._r, self._rows = r, rows

    def start(self, target: float) -> None:
        """Evaluate before the first step."""
        self.first = self.loss = self._evaluate()
        self.met = torch.where(self.loss <= target, 0, -1)

    def epoch(self, sums: Sequence[Tensor], before: int, batch_size: int, target: float) -> None:
        """One epoch; `before` rows were met already."""
        met = 0
        for batch in sums:
            gradient = batch[0, :, None] * self._w[0]
            for row, param in zip(batch[1:-1, :, None], self._w[1:], strict=True):
                gradient.addcmul_(row, param)
            self._w.grad = gradient.sub_(batch[-1, :, None])
            self._step()
            last, met = met, min(met + batch_size, self._rows)
            if met // EVALUATE_EVERY > last // EVALUATE_EVERY or met == self._rows:
                self.loss = self._evaluate()
                self.met.masked_fill_((self.met < 0) & (self.loss <= target), before + met)

    def _evaluate(self) -> Tensor:
        """The loss over all rows, (settings, lanes) float64."""
        w = self._w.double()
        total = w.new_zeros(w.shape[1:])
        for row in self._r:
            residual = row[0] * w[0] - row[-1]
            for value, param in zip(row[1:-1], w[1:], strict=True):
                residual.addcmul_(value, param)
            total.addcmul_(residual, residual)
        return total.div_(2 * self._rows)


class Setting:
    """A hyperparameter with one value a setting, which acts in the book's step as a float does.

    Beside numbers it calculates in Python's floats. Beside a tensor (parameters, settings, lanes) each value
    is first rounded to the tensor's dtype, as torch rounds a float.
    """

    def __init__(self, values: Sequence[float]) -> None:
        self._values = tuple(map(float, values))
        self._tensor = torch.tensor(self._values, dtype=torch.float64)[:, None]

    def __pow__(self, exponent: int) -> "Setting":
        return Setting([value**exponent for value in self._values])

    def __rsub__(self, number: float) -> "Setting":
        return Setting([number - value for value in self._values])

    def __mul__(self, tensor: Tensor) -> Tensor:
        return tensor * self._tensor.to(tensor.dtype)

    def __radd__(self, tensor: Tensor) -> Tensor:
        return tensor + self._tensor.to(tensor.dtype)

    def __rtruediv__(self, tensor: Tensor) -> Tensor:
        return tensor / self._tensor.to(tensor.dtype)
