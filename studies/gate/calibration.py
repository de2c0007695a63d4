"""Is the minimum detectable slowdown true? Slower cases, by what they cost over what each run promised."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rmsprop.suite.report.page import Cell, Table
from studies.gate.scores import GATE, Live, Rate, Scenario, measured_changes

EDGES = (-math.inf, 0.5, 0.75, 1.0, 1.25, 1.5, math.inf)
"""Of the measured change over the minimum detectable slowdown. From 1 on, `policy.power` is promised."""


@dataclass(frozen=True)
class Calibration:
    """Cases of all runs whose change is such a share of their minimum detectable slowdown.

    Attributes
    ----------
    low, high
        Of the share.
    found
        How many of them the gate called slower.
    """

    low: float
    high: float
    found: Rate


def calibrations(runs: Iterable[Live]) -> list[Calibration]:
    """By share, of the runs in turns that came to a conclusion and of which one implementation is slower.

    A step that is slow now and then is left out: the minimum detectable slowdown is of the trimmed mean.
    """
    groups: dict[Scenario, list[Live]] = {}
    for run in runs:
        if (
            run.design == "turns"
            and run.slowed
            and run.concluded
            and not run.scenario.how.startswith("every")
        ):
            groups.setdefault(run.scenario, []).append(run)
    seen: dict[int, list[bool]] = {}
    for group in groups.values():
        changes = measured_changes(group)
        for run in group:
            named = run.named(GATE)
            for view in run.verdict.cases:
                if view.case.id in run.slowed and view.detectable is not None:
                    share = changes[view.case.id] / view.detectable
                    edge = int(np.searchsorted(EDGES, share, side="right")) - 1
                    seen.setdefault(edge, []).append(view.case.id in named)
    return [
        Calibration(low, high, Rate(sum(seen[index]), len(seen[index])))
        for index, (low, high) in enumerate(pairwise(EDGES))
        if index in seen
    ]


def calibration_table(found: Iterable[Calibration]) -> Table:
    """The shares, with how often such a case was detected."""
    rows = tuple(
        (
            Cell(_between(one.low, one.high), max(one.low, 0.0)),
            "90% or more" if one.low >= 1 else "less than 90%",
            Cell(one.found.words, one.found.hits / one.found.of),
        )
        for one in found
    )
    columns = ("Measured change / minimum detectable", "Promised", "Detected")
    return Table("Whether the minimum detectable slowdown of each case is true", columns, rows)


def _between(low: float, high: float) -> str:
    if math.isinf(low):
        return f"below {high:g}"
    return f"from {low:g}" if math.isinf(high) else f"{low:g} to {high:g}"
