"""At which sizes an implementation becomes faster or slower than the reference, in words."""

from collections.abc import Iterator
from itertools import groupby, pairwise

import numpy as np
import pandas as pd

from rmsprop.suite.case import LAYOUTS, REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.verdicts.speed import as_rows, measured_steps

_LEVEL = 0.02
"""A ratio without an interval counts as neither faster nor slower within this distance of 1."""


def crossovers(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each place, dtype and implementation of which a run measured more than one size.

    `rows` are those of one machine, from `Runs`. The sentence is of one run: of those with the most sizes the
    newest.
    """
    steps = measured_steps(rows)
    steps = steps[(steps["layout"] == "single") & steps["ratio"].notna() & (steps["elements"] > 0)]
    steps = steps[steps["implementation"] != REFERENCE]
    keys = ["place", "dtype", "implementation"]
    for (place, dtype, name), found in steps.groupby(keys, sort=False):
        newest_first = sorted(found.groupby("label"), key=lambda one: (len(str(one[0])), str(one[0])))
        by_run = [sizes.drop_duplicates("elements", keep="last") for _, sizes in newest_first]
        sizes = max(by_run, key=len)
        if len(sizes) > 1:
            words = crossover(sizes.sort_values("elements"))
            where = f"{place}, {dtype}, {LAYOUTS['single']}, run {sizes['label'].iloc[0]}"
            yield f"{where}: {name} is {words}."


def crossover(sizes: pd.DataFrame) -> str:
    """Such as `slower than builtin-loop at 1e3, faster from 1e5 on; the two are level near 12,000 elements`.

    `sizes` has size, elements, ratio, low and high, in order of elements. Level: the interval holds 1.
    """
    listed = as_rows(sizes)
    parts = [(side, list(part)) for side, part in groupby(listed, key=_side)]
    if len(parts) == 1:
        side, part = parts[0]
        return f"{side} {REFERENCE} at every size measured, {part[0]['size']} to {part[-1]['size']}"
    words = []
    for number, (side, part) in enumerate(parts):
        first, last = part[0]["size"], part[-1]["size"]
        if len(part) == 1:
            where = f"at {first}"
        elif number == len(parts) - 1:
            where = f"from {first} on"
        else:
            where = f"at {first} to {last}"
        words.append(f"{side} {'it' if number else REFERENCE} {where}")
    crossings = [
        f"{_crossing(a, b):,.0f}"
        for a, b in pairwise([row for row in listed if not _side(row).startswith("level")])
        if (a["ratio"] - 1) * (b["ratio"] - 1) < 0
    ]
    near = (
        f"; by interpolation the two are level near {' and '.join(crossings)} elements" if crossings else ""
    )
    return ", ".join(words) + near


def _side(row: Row) -> str:
    ratio, low, high = row["ratio"], row["low"], row["high"]
    if low is None:
        low, high = ratio * (1 - _LEVEL), ratio * (1 + _LEVEL)
    return "level with" if low <= 1 <= high else ("faster than" if ratio > 1 else "slower than")


def _crossing(a: Row, b: Row) -> float:
    """Where the ratio is 1 on a straight line, both axes logarithmic; two digits."""
    share = np.log(a["ratio"]) / (np.log(a["ratio"]) - np.log(b["ratio"]))
    elements = a["elements"] * (b["elements"] / a["elements"]) ** share
    return float(f"{elements:.1e}")
