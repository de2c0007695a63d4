"""The benchmark frame -> the rows that are shown: on each machine, the latest of each case.

Of a machine's runners the first of `RUNNERS` that measured anything is shown. Ratios are taken within one run
(machine, commit and torch) alone, since only there has the same hour's noise met both sides.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from rmsprop.suite.measure.registry import builtins
from rmsprop.suite.records.frame import AXES, Row
from rmsprop.suite.report.words import count

REFERENCE = "builtin-loop"
RUNNERS = ("bench", "pytest-benchmark", "asv")
"""asv keeps neither ceilings nor warnings."""
RUN = ["machine", "commit", "dirty", "torch"]
CASE = list(AXES)
POINT = [axis for axis in AXES if axis != "implementation"]
LAYOUTS = {
    "single": "one tensor",
    "book": "the book’s w and b",
    "many": "1,000 tensors",
    "resnet50": "ResNet-50",
    "gpt2": "GPT-2 small",
}
PASSES = 5
"""Over memory, that a step cannot do without: read p, g, s; write p, s."""
ITEMSIZE = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}

_DEVICES = ("cpu", "cuda", "mps")
_DTYPES = ("float32", "float64", "bfloat16", "float16")
_ALL_THREADS = 10**6
"""Stands after every number of threads."""
_SIDES = 0.975
"""Confidence of either median's interval, so that their ratio's has 95%."""


@dataclass(frozen=True)
class Runs:
    """What was measured last, everywhere."""

    latest: pd.DataFrame
    """One row for each quantity of each case on each machine, in the order of the tables.

    Beside the frame's columns: trusted, whether no warning speaks against it; elements as a number, NaN
    where unknown; place, such as `cpu, all threads`; point, such as `1e5, one tensor, all threads`. For steps
    alone: ratio, how many times as fast as `REFERENCE` at the same point of the same run, low and high, its
    95% interval, and ratio_trusted; bandwidth and ceiling_bandwidth, bytes a second of five passes in its
    time and in the ceiling's.
    """
    machines: tuple[str, ...]
    """Those with rows, the most recently measured first."""
    implementations: tuple[str, ...]
    """Those with rows: ours in the registry's order, then the others by name."""

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Runs":
        """The runs of what `rmsprop.suite.records.frame.read_frame` read."""
        rows = _of_best_runner(frame)
        latest = _ordered(_described(_with_ratios(_latest(rows, ["machine", *CASE]), rows)))
        times = latest.groupby("machine", sort=True)["started"].max().map(_seconds)
        machines = sorted(times.index, key=lambda machine: (-times[machine], machine))
        return cls(latest, tuple(machines), tuple(in_order(latest["implementation"], builtins())))

    def on(self, machine: str) -> pd.DataFrame:
        """The rows of one machine."""
        return self.latest[self.latest["machine"] == machine]

    def steps(self) -> pd.DataFrame:
        """The steps that were measured."""
        return measured_steps(self.latest)


def measured_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows of `Runs.latest`, the steps that were measured."""
    return rows[(rows["quantity"] == "step") & (rows["status"] == "measured") & (rows["median"] > 0)]


def last_of(rows: pd.DataFrame, column: str) -> Row:
    """The row with the most in the column; one that lacks it only for want of another."""
    return _record(rows.sort_values(column, kind="stable", na_position="first").iloc[-1])


def first_of(rows: pd.DataFrame, column: str) -> Row:
    """The row with the least in the column."""
    return _record(rows.sort_values(column, kind="stable").iloc[0])


def as_rows(rows: pd.DataFrame) -> list[Row]:
    """Each row as a mapping from column to value."""
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _record(row: "pd.Series[Any]") -> Row:
    return {str(name): value for name, value in row.items()}


def in_order(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """What was found: the known ones in their order, then the others by name."""
    found = set(found)
    listed = [name for name in known if name in found]
    return [*listed, *sorted(found - set(listed))]


def where(row: Any) -> str:
    """Such as `cpu, 1 thread`; on a GPU the threads of the host do not matter."""
    if row["device"] != "cpu":
        return str(row["device"])
    return f"cpu, {count(row['threads'], 'thread') if row['threads'] else 'all threads'}"


def _of_best_runner(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each machine the rows of its best runner; one that measured nothing only for want of another."""
    rank = frame["runner"].map({runner: number for number, runner in enumerate(RUNNERS)}).astype(int)
    rank += np.where(frame["status"] == "measured", 0, len(RUNNERS))
    best = rank.groupby(frame["machine"]).transform("min") % len(RUNNERS)
    return frame[rank % len(RUNNERS) == best]


def _latest(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The last of the rows that agree in `keys` and quantity.

    A clean commit goes before local changes, and a case that was skipped hides none that ran.
    """
    order = np.lexsort(
        (
            # case-2.json is written after case.json, in the same second perhaps, and case-10.json after both.
            rows["file"].str.len(),
            rows["started"].astype("int64"),  # a time that is missing comes first
            ~rows["dirty"].fillna(True).astype(bool),
            rows["status"] != "skipped",
        )
    )
    return rows.iloc[order].drop_duplicates([*keys, "quantity"], keep="last")


def _with_ratios(latest: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    base = rows[(rows["implementation"] == REFERENCE) & (rows["status"] == "measured")]
    base = _latest(base[(base["quantity"] == "step") & (base["median"] > 0)], [*RUN, *POINT])
    base = base[[*RUN, *POINT, "quantity", "median", "samples", "warnings"]]
    joined = latest.merge(base, how="left", on=[*RUN, *POINT, "quantity"], suffixes=("", "_base"))
    ratio = (joined["median_base"] / joined["median"]).where(joined["median"] > 0)
    bounds = [
        ratio_interval(above, below) if known else (np.nan, np.nan)
        for above, below, known in zip(joined["samples_base"], joined["samples"], ratio.notna(), strict=True)
    ]
    low, high = np.array(bounds, dtype=float).reshape(-1, 2).T
    trusted = joined["warnings"].fillna("") == ""
    return joined.assign(
        ratio=ratio,
        low=low,
        high=high,
        trusted=trusted,
        ratio_trusted=trusted & (joined["warnings_base"].fillna("") == ""),
    ).drop(columns=["median_base", "samples_base", "warnings_base"])


def ratio_interval(above: np.ndarray, below: np.ndarray) -> tuple[float, float]:
    """Of the ratio of two medians, at least 95%: the ends of either's 97.5% interval against each other."""
    ends = [_median_interval(np.asarray(samples, dtype=float)) for samples in (above, below)]
    if any(low is None or low <= 0 for low, _ in ends):
        return np.nan, np.nan
    (low, high), (least, most) = ends
    return low / most, high / least


def _median_interval(samples: np.ndarray) -> tuple[Any, Any]:
    """Order statistics, exact for independent values of any distribution; None where there are too few."""
    rank = _rank(samples.size)
    if rank < 1:
        return None, None
    ordered = np.sort(samples)
    return ordered[rank - 1], ordered[-rank]


@cache
def _rank(number: int) -> int:
    return int(stats.binom.ppf((1 - _SIDES) / 2, number, 0.5)) if number else 0


def _described(rows: pd.DataFrame) -> pd.DataFrame:
    sizes = pd.to_numeric(rows["size"], errors="coerce")
    elements = rows["elements"].astype("Float64").fillna(sizes).astype(float)
    moved = PASSES * elements * rows["dtype"].map(ITEMSIZE).astype(float)
    step = (rows["quantity"] == "step") & (rows["median"] > 0)
    axes = as_rows(rows[["device", "threads", "size", "layout"]])
    return rows.assign(
        elements=elements,
        place=[where(row) for row in axes],
        point=[_point(row) for row in axes],
        bandwidth=(moved / rows["median"]).where(step),
        ceiling_bandwidth=(moved / rows["ceiling"]).where(step & (rows["ceiling"] > 0)),
    )


def _point(row: Row) -> str:
    """Such as `1e5, one tensor, all threads`."""
    words = [row["size"], LAYOUTS.get(row["layout"], row["layout"]), *where(row).split(", ")[1:]]
    return ", ".join(words)


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    orders = {
        "implementation": in_order(rows["implementation"], builtins()),
        "device": in_order(rows["device"], _DEVICES),
        "dtype": in_order(rows["dtype"], _DTYPES),
        "layout": in_order(rows["layout"], LAYOUTS),
    }
    keys = {
        name: rows[name].map({value: i for i, value in enumerate(order)}) for name, order in orders.items()
    }
    keys |= {"elements": rows["elements"], "threads": rows["threads"].replace(0, _ALL_THREADS)}
    keys |= {"machine": rows["machine"]}
    sorting = ["machine", "device", "dtype", "elements", "layout", "threads", "implementation"]
    order = pd.DataFrame(keys).sort_values(sorting, kind="stable").index
    return rows.loc[order].reset_index(drop=True)


def _seconds(started: Any) -> float:
    """Seconds, so that a time that is missing comes first."""
    return float("-inf") if pd.isna(started) else float(started.timestamp())
