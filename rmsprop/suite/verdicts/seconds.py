"""What a record says of the book's seconds per epoch: ratios, which of two programs is faster, exact counts.

Seconds never decide whether the book holds. Turns that follow one another are autocorrelated: a lag-1
correlation of .56 was measured from scratch and of .29 concise. Intervals are therefore of blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rmsprop.book.claims import PRIMARY, Claims
from rmsprop.suite.records.reproduction import Counts, ProgramRecord, ReproductionRecord
from rmsprop.suite.verdicts.medians import median_interval
from rmsprop.suite.words import when

COMPARED = ("rmsprop-scratch", "rmsprop-concise")
"""The two programs whose seconds section 7.6 compares."""
BLOCK = 8
"""Turns of a block. With a lag-1 correlation of .56, the means of neighbouring blocks of eight correlate by
.13. An interval takes six blocks, so 48 turns."""


def block_interval(samples: np.ndarray) -> tuple[float, float] | None:
    """The 95% interval of the median, from the medians of blocks of eight successive samples.

    None below six whole blocks. It speaks of one process in one hour.
    """
    whole = len(samples) // BLOCK * BLOCK
    return median_interval(np.median(samples[:whole].reshape(-1, BLOCK), axis=1)) if whole else None


def sec_per_epoch(measured: ProgramRecord) -> list[float]:
    """The seconds that the book would print for each sequential run: its last epoch's."""
    return [seconds[-1] for seconds in measured.epoch_seconds]


@dataclass(frozen=True)
class Order:
    """Seconds per epoch, from scratch over concise: which of the two is faster, here and in the book.

    Attributes
    ----------
    book : float
        The primary edition's ratio, of one pair of runs.
    here : float or None
        The median ratio of the turns; None where nothing was run.
    interval : tuple of float or None
        95%, by `block_interval`.
    words : str
        Which is faster here, and whether the book has the same order.
    share : float or None
        Of the turns here, those that show the book's order.
    editions : tuple of (str, float)
        The ratios of the other editions whose timer is the primary's, by their name.
    """

    book: float
    here: float | None
    interval: tuple[float, float] | None
    words: str
    share: float | None = None
    editions: tuple[tuple[str, float], ...] = ()

    @property
    def draw(self) -> str:
        """What the book's order is worth: one pair of runs, and who agrees."""
        agreeing = [f"{name} {ratio:.3f}" for name, ratio in self.editions if (ratio > 1) == (self.book > 1)]
        words = "The book's order is one draw, of one pair of runs"
        if self.share is not None:
            words += f"; {self.share:.0%} of the turns here show it"
        return words + (f". Other editions agree: {', '.join(agreeing)}." if agreeing else ".")


def order(record: ReproductionRecord, claimed: Claims) -> Order | None:
    """The ratio of scratch to concise over the turns, against the book's; None where they are not claimed."""
    if not all(name in record.programs for name in COMPARED):
        return None
    printed = {
        (c.label, c.program): c for c in claimed.printed if c.quantity == "sec_per_epoch" and c.timed_alike
    }
    labels = dict.fromkeys(label for label, program in printed if program == COMPARED[0])
    ratios_of = {
        label: printed[label, COMPARED[0]].value / printed[label, COMPARED[1]].value
        for label in labels
        if (label, COMPARED[1]) in printed
    }
    # The notebook shows the concise run of the docs again: its ratio shares that run.
    shared = {
        label: f"{label}, which shares one of the two runs" if printed[label, COMPARED[1]].repeated else label
        for label in ratios_of
    }
    book = ratios_of[PRIMARY]
    editions = tuple((shared[label], ratio) for label, ratio in ratios_of.items() if label != PRIMARY)
    scratch, concise = (np.array(sec_per_epoch(record.programs[program])) for program in COMPARED)
    if not scratch.size == concise.size > 0:
        return Order(book, None, None, "interrupted before the first run", None, editions)
    ratios = scratch / concise
    here, interval = float(np.median(ratios)), block_interval(ratios)
    if interval is None:
        words = f"too few runs to tell which is faster here: {6 * BLOCK} are needed"
    elif interval[0] <= 1 <= interval[1]:
        words = "neither is clearly faster here"
    elif (here > 1) == (book > 1):
        words = "the book's order holds: concise is faster"
    else:
        words = "the book's order is reversed: from scratch is faster here"
    share = float(np.mean((ratios > 1) == (book > 1)))
    return Order(book, here, interval, words, share, editions)


@dataclass(frozen=True)
class Counted:
    """The exact counts of one program, and whether an earlier record counted alike.

    Attributes
    ----------
    program : str
    counts : Counts
    words : str
        `as in the record of ...`, what changed since then, or that no record can be compared.
    changed : bool
        Whether they differ.
    """

    program: str
    counts: Counts
    words: str
    changed: bool


def compared_counts(
    record: ReproductionRecord, others: Sequence[ReproductionRecord] = ()
) -> tuple[Counted, ...]:
    """Each program's counts against the newest of `others` with the same torch and the same Python.

    They compare between any two machines, and exactly: only code changes them.
    """
    found = []
    for name, measured in record.programs.items():
        if measured.counts is None:
            continue
        alike = [
            (one.environment.started, one.programs[name].counts)
            for one in others
            if one.environment.started != record.environment.started
            and one.environment.python == record.environment.python
            and name in one.programs
            and (counts := one.programs[name].counts) is not None
            and counts.torch == measured.counts.torch
        ]
        if not alike:
            words, changed = "no other record has the same torch and Python", False
        else:
            started, before = max(alike, key=lambda pair: pair[0])
            differences = [
                f"{quantity.replace('_', ' ')} {getattr(before, quantity):,}"
                for quantity in ("torch_operations", "python_calls", "c_calls")
                if getattr(before, quantity) != getattr(measured.counts, quantity)
            ]
            changed = bool(differences)
            of = f"the record of {when(started)}"
            words = f"{of} has {', '.join(differences)}" if changed else f"as in {of}"
        found.append(Counted(name, measured.counts, words, changed))
    return tuple(found)


@dataclass(frozen=True)
class EnsembleSpeed:
    """How many times as many seeds an ensemble trains in the processor time of the sequential loop.

    Attributes
    ----------
    program : str
    ratio : float
        The processor time of a sequential run over that of a seed of the ensemble, each on one thread.
    """

    program: str
    ratio: float


def ensemble_speeds(record: ReproductionRecord) -> tuple[EnsembleSpeed, ...]:
    """Of each program that was trained both ways in this run; none for seeds that came from disk."""
    return tuple(
        EnsembleSpeed(name, measured.run_cpu_seconds / (summary.cpu_seconds / summary.seeds))
        for name, measured in record.programs.items()
        if measured.run_cpu_seconds and (summary := measured.ensemble) and summary.cpu_seconds
    )
