"""What a sweep trains: axes, the points that they span, and the chunks into which the work is cut.

Imports the standard library and the book's data alone, so that a grid is refused before torch is loaded.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from rmsprop.book.programs import PROGRAMS, Program
from rmsprop.errors import UserError
from rmsprop.suite.sweep.jobs import JOBS, JobName

OPTIMIZERS: Mapping[str, tuple[str, ...]] = {
    "sgd": ("lr",),
    "momentum": ("lr", "momentum"),
    "adagrad": ("lr", "eps"),
    "rmsprop": ("lr", "gamma", "eps"),
    "adadelta": ("gamma", "eps"),
    "adam": ("lr", "gamma", "momentum", "eps"),
}
"""Optimizer of the chapter -> the axes that its step has."""
_NAMES = {"adadelta": {"gamma": "rho"}, "adam": {"momentum": "beta1", "gamma": "beta2"}}
"""Optimizer -> axis -> the name in the book's step, where that is another one."""
SETTINGS = ("lr", "gamma", "eps", "momentum")
"""The axes that are hyperparameters of a step."""
SHARED = ("optimizer", "batch_size", "epochs", "dtype")
"""The axes that every optimizer has."""
DTYPES = ("float32", "float64")
"""In half types the sums of a batch would round otherwise than the book's do."""
_BOOK = PROGRAMS["rmsprop-scratch"]
MOST_SEEDS, MOST_EPOCHS, MOST_VALUES = 2**31 - 1, 10_000, 10_000


@dataclass(frozen=True)
class Grid:
    """The values of each axis. Every combination that an optimizer has is a point, trained with each seed.

    Attributes
    ----------
    optimizer : tuple of str
        Names in `OPTIMIZERS`.
    lr, gamma, eps, momentum : tuple of float
        γ is also AdaDelta's ρ and Adam's β₂; momentum is also Adam's β₁. An optimizer ignores the axes that
        it lacks.
    batch_size, epochs : tuple of int
        Rows of a batch; passes over the rows.
    dtype : tuple of str
        Of the parameters.
    seeds : int
        How many, from 0 on.
    job : str
        A name in `JOBS`.
    """

    optimizer: tuple[str, ...] = ("rmsprop",)
    lr: tuple[float, ...] = (_BOOK.hyperparameters["lr"],)
    gamma: tuple[float, ...] = (_BOOK.hyperparameters["gamma"],)
    eps: tuple[float, ...] = (_BOOK.hyperparameters["eps"],)
    momentum: tuple[float, ...] = (0.9,)
    batch_size: tuple[int, ...] = (_BOOK.batch_size,)
    epochs: tuple[int, ...] = (_BOOK.num_epochs,)
    dtype: tuple[str, ...] = ("float32",)
    seeds: int = 128
    job: JobName = "book"

    def __post_init__(self) -> None:
        """Raise a UserError for the first value that no training can have."""
        checks = {**_CHECKS, "batch_size": _batches_of(JOBS[self.job].rows)}
        for axis in AXES:
            values = getattr(self, axis)
            if not values:
                raise UserError(f"{axis}: expected at least one value")
            fits, expected = checks[axis]
            for value in values:
                if not fits(value):
                    raise UserError(f"{axis}={value}: expected {expected}")
            if len(set(values)) < len(values):
                raise UserError(f"{axis}: a value is given twice")
        if not 1 <= self.seeds <= MOST_SEEDS:
            raise UserError(f"--seeds {self.seeds}: expected 1 to {MOST_SEEDS:,}")

    @property
    def groups(self) -> "Iterator[Group]":
        """What can train together, in the order of the points: settings that differ in real numbers alone."""
        first = 0
        for optimizer, batch_size, epochs, dtype in itertools.product(
            self.optimizer, self.batch_size, self.epochs, self.dtype
        ):
            axes = OPTIMIZERS[optimizer]
            values = itertools.product(*(getattr(self, axis) for axis in axes))
            settings = tuple(dict(zip(axes, point, strict=True)) for point in values)
            yield Group(optimizer, batch_size, epochs, dtype, first, settings)
            first += len(settings)

    @property
    def points(self) -> int:
        """How many there are."""
        jobs = len(self.batch_size) * len(self.epochs) * len(self.dtype)
        each = (math.prod(len(getattr(self, axis)) for axis in OPTIMIZERS[name]) for name in self.optimizer)
        return jobs * sum(each)

    @property
    def trainings(self) -> int:
        """Points times seeds."""
        return self.points * self.seeds

    @property
    def axes(self) -> dict[str, tuple[Any, ...]]:
        """Values by the name of the axis."""
        return {axis: getattr(self, axis) for axis in AXES}


AXES = tuple(one.name for one in fields(Grid) if one.name not in ("seeds", "job"))
"""Every axis but the seeds."""


def _finite(value: float) -> bool:
    return math.isfinite(value)


def _batches_of(rows: int) -> tuple[Callable[[Any], bool], str]:
    return lambda value: 1 <= value <= rows, f"a whole number from 1 to {rows:,}, the rows there are"


_CHECKS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "optimizer": (lambda name: name in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
    "lr": (lambda value: _finite(value) and value > 0, "a finite number above 0"),
    "gamma": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "eps": (lambda value: _finite(value) and value >= 0, "a finite number, 0 or above"),
    "momentum": (lambda value: 0 <= value < 1, "a number from 0 to below 1"),
    "epochs": (lambda value: 1 <= value <= MOST_EPOCHS, f"a whole number from 1 to {MOST_EPOCHS:,}"),
    "dtype": (lambda name: name in DTYPES, f"one of {', '.join(DTYPES)}"),
}


@dataclass(frozen=True)
class Group:
    """The points of one optimizer with one batch size, number of epochs and dtype.

    Attributes
    ----------
    optimizer : str
        A name in `OPTIMIZERS`.
    batch_size, epochs : int
        Rows of a batch; passes over the rows.
    dtype : str
        Of the parameters.
    first : int
        The number of its first point.
    settings : tuple of Mapping of str to float
        The hyperparameters of each point by axis.
    """

    optimizer: str
    batch_size: int
    epochs: int
    dtype: str
    first: int
    settings: tuple[Mapping[str, float], ...]

    @property
    def program(self) -> Program:
        """The book's program from scratch with this group's batch size and epochs."""
        programs = PROGRAMS.values()
        found = next(one for one in programs if (one.optimizer, one.loop) == (self.optimizer, "scratch"))
        return replace(found, batch_size=self.batch_size, num_epochs=self.epochs)


@dataclass(frozen=True)
class Chunk:
    """What one worker trains at a time: some points of a group with some seeds. Its file is whole or absent.

    Attributes
    ----------
    number : int
        From 0 on, in the order of the sweep.
    job : str
        A name in `JOBS`.
    program : Program
        Its hyperparameters are those of the book; those of the points stand in `settings`.
    dtype : str
    points : range
        The numbers of the points.
    settings : dict of str to tuple of float
        Values, one a point, by the name in the book's step.
    seeds : range
    """

    number: int
    job: JobName
    program: Program
    dtype: str
    points: range
    settings: Mapping[str, tuple[float, ...]]
    seeds: range

    @property
    def trainings(self) -> int:
        """How many it holds."""
        return len(self.points) * len(self.seeds)


def chunks(grid: Grid, most: int) -> Iterator[Chunk]:
    """The grid in chunks of at most about `most` trainings: all seeds of some points, or the job's lanes."""
    numbers, lanes = itertools.count(), JOBS[grid.job].lanes
    for group in grid.groups:
        names = _NAMES.get(group.optimizer, {})
        for points in slices(group, most, lanes):
            settings = group.settings[points.start - group.first : points.stop - group.first]
            by_name = {
                names.get(axis, axis): tuple(one[axis] for one in settings)
                for axis in OPTIMIZERS[group.optimizer]
            }
            wide = lanes * max(1, most // (lanes * len(points)))
            for seed in range(0, grid.seeds, wide):
                seeds = range(seed, min(seed + wide, grid.seeds))
                yield Chunk(next(numbers), grid.job, group.program, group.dtype, points, by_name, seeds)


def slices(group: Group, most: int, lanes: int) -> Iterator[range]:
    """The points of a group, as its chunks hold them together."""
    width, stop = max(1, most // lanes), group.first + len(group.settings)
    for first in range(group.first, stop, width):
        yield range(first, min(first + width, stop))


def values_of(axis: str, text: str) -> tuple[Any, ...]:
    """The values that `text` gives an axis: a list such as 0.01,0.1, in which 1e-4..1:9 stands for a range.

    A range holds so many values from the first to the last, each the same multiple of the one before, to six
    digits. A value that is given twice counts once. UserError for anything else.
    """
    if axis not in AXES:
        raise UserError(f"axis {axis!r}: choose from {', '.join(AXES)}, such as lr=1e-4..1:9")
    kind: Callable[[str], Any] = {
        **dict.fromkeys(SETTINGS, float),
        **dict.fromkeys(("batch_size", "epochs"), int),
    }.get(axis, str)
    found: list[Any] = []
    for word in text.split(","):
        try:
            found += _range(word) if kind is float and ".." in word else [kind(word.strip())]
        except (ValueError, OverflowError):
            wanted = "whole numbers such as 1,10,100" if kind is int else "numbers or a range"
            example = "" if kind is int else " such as 0.01,0.1 or 1e-4..1:9, nine values from 1e-4 to 1"
            raise UserError(f"{axis}={text}: expected {wanted}{example}; found {word!r}") from None
    return tuple(dict.fromkeys(found))


def _range(word: str) -> Sequence[float]:
    ends, _, number = word.partition(":")
    low, high = map(float, ends.split(".."))
    count = int(number)
    if not (0 < low < high < math.inf and 2 <= count <= MOST_VALUES):
        raise ValueError(word)
    ratio = math.log(high / low)
    return [float(f"{low * math.exp(ratio * step / (count - 1)):.6g}") for step in range(count)]


_DIGITS = Grid(job="digits", batch_size=(32,), epochs=(5,), seeds=32)
DEFAULTS: Mapping[str, Grid] = {"book": Grid(), "digits": _DIGITS}
"""By job, what an axis has that is not given: the book's values for RMSProp."""
PROFILES: Mapping[str, Mapping[str, Grid]] = {
    "smoke": {
        "book": Grid(
            optimizer=tuple(OPTIMIZERS),
            lr=tuple(_range("1e-3..1:7")),
            gamma=(0.5, 0.9, 0.99),
            momentum=(0.5, 0.9),
            seeds=128,
        ),
        "digits": replace(
            _DIGITS,
            optimizer=tuple(OPTIMIZERS),
            lr=tuple(_range("1e-3..1:4")),
            gamma=(0.5, 0.9),
            epochs=(2,),
            seeds=12,
        ),
    },
    "map": {
        "book": Grid(
            optimizer=tuple(OPTIMIZERS),
            lr=tuple(_range("1e-4..10:21")),
            gamma=(0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999),
            eps=(1e-8, 1e-6, 1e-4, 1e-2),
            momentum=(0.0, 0.5, 0.8, 0.9, 0.95, 0.99),
            seeds=256,
        ),
        "digits": replace(
            _DIGITS,
            optimizer=tuple(OPTIMIZERS),
            lr=tuple(_range("1e-4..10:11")),
            gamma=(0.5, 0.9, 0.99, 0.999),
            eps=(1e-6, 1e-2),
            momentum=(0.5, 0.9),
        ),
    },
}
"""`smoke` trains the book's job twelve thousand times and the digits 360 times, `map` the one more than a
million times and the other ten thousand times."""
