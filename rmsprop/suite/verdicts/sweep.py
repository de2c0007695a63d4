"""What a sweep says: each optimizer's best point, how it compares, and maps over two axes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from rmsprop.suite.verdicts.shares import exact_interval

SETTINGS = ("lr", "gamma", "eps", "momentum")
CONDITIONS = ("batch_size", "epochs", "dtype")
"""Points are compared under the same conditions: more epochs alone would make a point the best."""


@dataclass(frozen=True)
class SeedShare:
    """A share of seeds with its 95% interval (Clopper and Pearson's, which is never too narrow).

    Attributes
    ----------
    count
        How many seeds it is true of.
    of
        How many seeds there are.
    """

    count: int
    of: int

    @property
    def value(self) -> float:
        """Between 0 and 1; NaN of none."""
        return self.count / self.of if self.of else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Between 0 and 1."""
        return exact_interval(self.count, self.of)


@dataclass(frozen=True)
class Best:
    """The best point of an optimizer under some conditions.

    It is chosen on one half of the seeds and told by the other half.

    Attributes
    ----------
    point : int
    optimizer : str
    conditions, setting : Mapping
        Values by axis.
    among : int
        Points of which it is the best.
    at_edge : tuple of str
        Axes on which it lies at the end of several values: a better point may lie beyond.
    chosen_median : float
        Of the half on which it was chosen, which flatters it.
    q05, median, q95, low, high : float
        Final losses of the other half; `low` and `high` are the median's 95% interval, NaN for too few seeds.
    diverged : SeedShare
        Of the other half.
    epochs : tuple of float
        5%, median and 95% over all seeds; infinity for never.
    """

    point: int
    optimizer: str
    conditions: Mapping[str, Any]
    setting: Mapping[str, float]
    among: int
    at_edge: tuple[str, ...]
    chosen_median: float
    q05: float
    median: float
    q95: float
    low: float
    high: float
    diverged: SeedShare
    epochs: tuple[float, float, float]

    def against(self, other: "Best") -> str:
        """`lower`, `higher` or `not told apart`: whether the intervals of the two medians are apart."""
        if self.high < other.low:
            return "lower"
        return "higher" if self.low > other.high else "not told apart"


def conditions_of(points: pd.DataFrame) -> list[dict[str, Any]]:
    """Each batch size, number of epochs and dtype that there is."""
    found = points[[*CONDITIONS]].drop_duplicates().to_numpy()
    return [dict(zip(CONDITIONS, values, strict=True)) for values in found]


def best_points(points: pd.DataFrame, conditions: Mapping[str, Any]) -> tuple[Best, ...]:
    """The best of each optimizer by the median of the chosen half, the lowest median first."""
    found = [_best(rows) for _, rows in within(points, conditions).groupby("optimizer", sort=False)]
    return tuple(sorted(found, key=lambda best: (best.median, best.point)))


def within(points: pd.DataFrame, values: Mapping[str, Any]) -> pd.DataFrame:
    """The points that have these values."""
    keep = np.ones(len(points), dtype=bool)
    for axis, value in values.items():
        keep &= (points[axis] == value).to_numpy()
    return points[keep]


def _best(rows: pd.DataFrame) -> Best:
    best = rows.iloc[int(rows["chosen_median"].to_numpy().argmin())]
    setting = {axis: float(best[axis]) for axis in SETTINGS if not math.isnan(best[axis])}
    values = {axis: sorted(set(rows[axis])) for axis in setting}
    edge = tuple(
        axis for axis, found in values.items() if len(found) > 2 and setting[axis] in (found[0], found[-1])
    )
    return Best(
        point=int(best["point"]),
        optimizer=str(best["optimizer"]),
        conditions={axis: best[axis] for axis in CONDITIONS},
        setting=setting,
        among=len(rows),
        at_edge=edge,
        chosen_median=float(best["chosen_median"]),
        **{name: float(best[f"held_{name}"]) for name in ("q05", "median", "q95", "low", "high")},
        diverged=SeedShare(int(best["held_diverged"]), int(best["held_seeds"])),
        epochs=(float(best["epochs_q05"]), float(best["epochs_median"]), float(best["epochs_q95"])),
    )


@dataclass(frozen=True, eq=False)
class Plane:
    """A map of one optimizer over two axes; the other axes stand at its best point's values.

    Attributes
    ----------
    optimizer : str
        Whose settings the axes are.
    x, y : str
        Names of the axes.
    xs, ys : tuple of float
        Their values, ascending.
    at : Mapping of str to float
        The other axes.
    rows : DataFrame
        The points, by (y, x): sorted by y, then by x.
    """

    optimizer: str
    x: str
    y: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    at: Mapping[str, float]
    rows: pd.DataFrame

    def grid(self, column: str) -> np.ndarray:
        """(ys, xs): a column, or `share` for the share of seeds that diverged."""
        values = self.rows["diverged"] / self.rows["seeds"] if column == "share" else self.rows[column]
        return values.to_numpy(dtype=float).reshape(len(self.ys), len(self.xs))


def planes(points: pd.DataFrame, best: Best, axes: Sequence[str] = SETTINGS) -> Iterator[Plane]:
    """A map for each two axes of the optimizer that have several values."""
    mine = within(points, {"optimizer": best.optimizer, **best.conditions})
    varied = [axis for axis in axes if axis in best.setting and len(set(mine[axis])) > 1]
    for number, x in enumerate(varied):
        for y in varied[number + 1 :]:
            at = {axis: value for axis, value in best.setting.items() if axis not in (x, y)}
            rows = within(mine, at).sort_values([y, x])
            xs, ys = (tuple(sorted(set(rows[axis]))) for axis in (x, y))
            yield Plane(best.optimizer, x, y, xs, ys, at, rows)
