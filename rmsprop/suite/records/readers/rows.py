"""Rows of the frame as a reader makes them: what the rows of a file share, and the columns that differ."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from rmsprop.suite.words import printable, scattered

Row = dict[str, Any]
"""A row of the frame: column -> value. What is missing is None."""


@dataclass(frozen=True)
class Rows:
    """The rows of one file.

    Attributes
    ----------
    file : Path
    shared : dict
        Column -> the value of every row.
    columns : dict
        Column -> a value for each row; all of one length.
    left_out : tuple of str
        What else the file holds and why it has no rows, a sentence each.
    odd : tuple of str
        Fields of the file that cannot be read, while the rest is, a sentence each.
    """

    file: Path
    shared: Row
    columns: dict[str, list[Any]]
    left_out: tuple[str, ...] = field(default=())
    odd: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Make names printable: they come from anybody's files, and go to terminals and to code hosts."""
        for name, value in self.shared.items():
            if isinstance(value, str):
                self.shared[name] = printable(value)
        for values in self.columns.values():
            for i, value in enumerate(values):
                if isinstance(value, str):
                    values[i] = printable(value)

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self.columns.values()), ()))


class Statistics(NamedTuple):
    """What the frame says of some samples; its fields are the columns' names but for `count`.

    Attributes
    ----------
    median, q25, q75, minimum
        In the unit of the row; None for what the file does not tell.
    number
        Of samples; None where the file does not tell.
    samples
        (number,) float64; empty where the file keeps none.
    """

    median: float | None
    q25: float | None
    q75: float | None
    minimum: float | None
    number: int | None
    samples: np.ndarray


NO_SAMPLES = np.empty(0)
NOTHING = Statistics(None, None, None, None, 0, NO_SAMPLES)
_COLUMNS = ("median", "q25", "q75", "minimum", "count", "samples")


def statistics_of(samples: Sequence[float]) -> Statistics:
    """Quartiles by linear interpolation, as numpy's default."""
    if len(samples) == 0:
        return NOTHING
    values = np.asarray(samples, dtype=float)
    if values.size == 1:
        only = float(values[0])
        return Statistics(only, only, only, only, 1, values)
    ordered = np.sort(values)
    q25, median, q75 = np.interp((0.25, 0.5, 0.75), np.linspace(0, 1, values.size), ordered)
    return Statistics(float(median), float(q25), float(q75), float(ordered[0]), values.size, values)


def columns_of(statistics: Iterable[Statistics]) -> dict[str, list[Any]]:
    """The columns that the statistics of some rows are."""
    return dict(zip(_COLUMNS, map(list, zip(*statistics, strict=True)), strict=False))


def spread_warning(found: Statistics) -> str:
    """The one warning that bare quartiles allow, since nobody watched the machine."""
    if not found.median or found.q25 is None or found.q75 is None:
        return ""
    # The spread is a share of the size: what a track_ counts may be below zero.
    return scattered(found.q25, abs(found.median), found.q75) or ""


def time_of(when: str | float | None) -> pd.Timestamp | None:
    """UTC, from ISO 8601 or from asv's milliseconds; None for None, ValueError for what is no time."""
    if when is None:
        return None
    if isinstance(when, str):
        time = pd.Timestamp(when)
    else:
        # asv's are milliseconds since 1970; pandas keeps nanoseconds, which end in 2262.
        if not 0 <= when < 9.2e12:
            raise ValueError(f"{when!r} is no time in milliseconds")
        time = pd.Timestamp(when, unit="ms")
    if pd.isna(time):
        raise ValueError(f"{when!r} is no time")
    return time.tz_localize("UTC") if time.tz is None else time.tz_convert("UTC")


def told_time(field: str, when: Any, odd: list[str]) -> pd.Timestamp | None:
    """The time of a file's field; None where it is absent or cannot be read, which joins `odd`."""
    try:
        return time_of(when)
    except (ValueError, TypeError, OverflowError):
        odd.append(f"{field} is {repr(when)[:60]}: expected a time")
        return None


def number_of(value: Any) -> float | None:
    """The value where it is a number, NaN included; None where it is something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def json_kind(value: Any) -> str:
    """What a value of a JSON file is, for a sentence."""
    kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "missing"}
    return kinds.get(type(value), "a number")


IMPOSSIBLE = "asv's result"
"""How the reason begins of a result that asv keeps and that nothing can be measured to be."""

HARDWARE = ("arch", "cpu", "num_cpu", "os", "ram")
"""Facts of a machine by asv's names, as the column `hardware` lists them."""


def hardware_of(facts: dict[str, Any]) -> str | None:
    """Such as `arch x86_64, cpu AMD EPYC, num_cpu 2`: each fact that is told; None where none is."""
    told = [
        f"{name} {facts[name]}"
        for name in HARDWARE
        if isinstance(facts.get(name), str | int | float) and facts[name] not in ("", "None")
    ]
    return ", ".join(told) or None


def possible(value: float, unit: str) -> bool:
    """Whether something can be measured so: a time is above zero, bytes are not below, all are finite."""
    if not math.isfinite(value):
        return False
    return value > 0 if unit == "seconds" else value >= 0 or unit != "bytes"
