"""Ensembles that outlive an interrupt: each is on disk as soon as its seeds are trained."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import numpy as np
import torch
from torch import Tensor

import rmsprop.book
import rmsprop.optimizers.scratch
from rmsprop.book.ensemble import ensemble
from rmsprop.book.programs import Program
from rmsprop.suite.records.files import replacing

SLICE = 2_560
"""Seeds of one call of `ensemble`: what an interrupt waits for."""


@dataclass(frozen=True)
class Losses:
    """The losses of an ensemble, and what they took.

    Attributes
    ----------
    values : array
        (evaluations, seeds), float64.
    seconds, cpu_seconds : float
        Wall time, and processor time of the thread that trained; both 0 for seeds from disk.
    """

    values: np.ndarray
    seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Trained:
    """Trains programs over the same seeds, or takes from disk what an earlier run of the same code trained.

    Attributes
    ----------
    features, labels : Tensor
        (rows, features) and (rows,).
    seeds : int
        From 0 on.
    folder : Path or None
        Where the losses are kept until the record is written; None keeps nothing.
    stop : Event
        Once it is set, a program ends after the seeds that train just now.
    """

    features: Tensor
    labels: Tensor
    seeds: int
    folder: Path | None
    stop: Event = field(default_factory=Event)

    def losses(self, program: Program, progress: Callable[[int], None], *, most: int | None = None) -> Losses:
        """Of `most` seeds at most; of fewer when it is told to stop."""
        seeds = min(self.seeds, most or self.seeds)
        path = self.folder / f"{self._key(program, seeds)}.npy" if self.folder else None
        if path is not None and (kept := _kept(path, seeds)) is not None:
            progress(seeds)
            return Losses(kept, 0.0, 0.0)
        parts, seconds, before = [], 0.0, time.thread_time()
        for first in range(0, seeds, SLICE):
            part = range(first, min(first + SLICE, seeds))
            done = ensemble(program, self.features, self.labels, part)
            parts.append(done.losses.numpy())
            seconds += done.seconds
            progress(len(part))
            if self.stop.is_set() and part.stop < seeds:
                break
        losses = np.concatenate(parts, axis=1)
        cpu_seconds = time.thread_time() - before
        if path is not None and losses.shape[1] == seeds:
            with replacing(path) as partial, partial.open("wb") as file:
                np.save(file, losses)
        return Losses(losses, seconds, cpu_seconds)

    def _key(self, program: Program, seeds: int) -> str:
        """All that the losses depend on: program, seeds, rows, dtype, device, torch and the code."""
        digest = hashlib.sha256(code())
        rows = self.features.cpu().double().numpy().tobytes() + self.labels.cpu().double().numpy().tobytes()
        digest.update(rows)
        facts = (program, seeds, self.features.dtype, self.features.device, torch.__version__)
        digest.update(repr(facts).encode())
        return f"{program.name}-{digest.hexdigest()[:16]}"


def _kept(path: Path, seeds: int) -> np.ndarray | None:
    """The losses of so many seeds on disk; None where there are none, or where the file is damaged."""
    if not path.is_file():
        return None
    try:
        values = np.load(path)
    except (OSError, ValueError, EOFError):
        return None
    whole = isinstance(values, np.ndarray) and values.dtype == np.float64 and values.ndim == 2
    return values if whole and values.shape[1] == seeds else None


def code() -> bytes:
    """The source of all that trains a program: what its losses depend on beside torch and the rows."""
    files = sorted(Path(rmsprop.book.__path__[0]).rglob("*.py"))
    files.append(Path(rmsprop.optimizers.scratch.__file__))
    return b"".join(file.read_bytes() for file in files)
