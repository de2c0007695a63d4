"""How fast a step is, and how many times as fast as `torch.optim.RMSprop`'s loop: records -> verdicts.

Two times are compared only where they were measured in turns, since only there has the same noise met both.
The rows of one turn are those that `rmsprop bench` measured together, or, for want of better, those of one
file of asv's or pytest-benchmark's, which were measured one after the other. A run is one invocation.
Records of `rmsprop bench` name it; of older ones, the turns of one machine, commit and versions are a run
where no pause separates them.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from rmsprop.suite.case import AXES, DEVICES, IMPLEMENTATIONS, ITEMSIZE, LAYOUTS, REFERENCE, Case
from rmsprop.suite.records.frame import Row
from rmsprop.suite.verdicts.ratios import speed_up
from rmsprop.suite.verdicts.usual import usual_warnings
from rmsprop.suite.words import commit_name, each_warning, kind, when

RUNNERS = ("bench", "pytest-benchmark", "asv")
"""The best first: asv keeps neither ceilings nor warnings."""
CASE = list(AXES)
POINT = [axis for axis in AXES if axis != "implementation"]

_ALL_THREADS = 10**6
"""Stands after every number of threads."""
_PAUSE = pd.Timedelta(minutes=30)
"""In records that do not name their run, less time than this passes between two turns of one run."""
_SOFTWARE = ["machine", "runner", "commit", "dirty", "torch", "python"]


@dataclass(frozen=True)
class Run:
    """One invocation of a runner on one machine.

    Attributes
    ----------
    label
        A letter, unique on its machine; A is the newest run.
    id
        The name of its folder; None of other runners and of older records.
    machine, runner
        The machine, and who measured: bench, asv or pytest-benchmark.
    commit, dirty
        The hash, and whether the tree differed from it; None where no file says.
    torch, python
        Versions; None where no file says.
    started, ended
        When its first and its last turn began; None where no file says.
    cases
        How many cases of it are shown.
    usual
        The kinds of warnings that most of its steps' times have, in alphabetical order.
    """

    label: str
    id: str | None
    machine: str
    runner: str
    commit: str | None
    dirty: bool | None
    torch: str | None
    python: str | None
    started: datetime | None
    ended: datetime | None
    cases: int
    usual: tuple[str, ...]

    @property
    def words(self) -> str:
        """Such as `2026-01-02 03:04 UTC, commit 012345678, torch 2.13.0`."""
        torch = f", torch {self.torch}" if self.torch else ""
        return f"{when(self.started)}, commit {commit_name(self.commit, self.dirty)}{torch}"


@dataclass(frozen=True)
class Runs:
    """What was measured last of each case on each machine, with all that was measured beside it.

    Attributes
    ----------
    rows
        Every row of each turn that holds the latest row of some case, in the order of the tables. Beside the
        frame's columns: `turn` and `run`, numbers that tell them apart; the run's `run_id` and `label`;
        `latest`, whether it is the last of its case; `trusted`, whether no warning speaks against it;
        `usual`, the usual kinds of warnings of its run; `typical`, whether all of its own are among them;
        `elements` as a number, NaN where unknown; `place`, such as `cpu, all threads`; `point`, such as
        `1e5, one tensor, all threads`. For steps alone: `ratio`, `low` and `high` as in `SpeedUp`, NaN where
        the turn lacks the reference, `ratio_trusted` as `SpeedUp.is_trusted` says, and `ratio_warning`, empty
        where there is none; `bandwidth` and `ceiling_bandwidth`, bytes a second
        of five passes in its time and in the ceiling's; `share`, the first over the second.
    machines
        Those with rows, the most recently measured first.
    implementations
        Those with rows: ours in their order, then the others by name.
    runs
        Those with rows by machine, the newest first.
    """

    rows: pd.DataFrame
    machines: tuple[str, ...]
    implementations: tuple[str, ...]
    runs: tuple[Run, ...]

    @classmethod
    def of(cls, frame: pd.DataFrame) -> "Runs":
        """The runs of what `rmsprop.suite.records.frame.read_frame` read."""
        ours = frame[frame["implementation"].notna()]
        rows = _with_turns(_of_best_runner(ours))
        rows = rows.assign(latest=_is_latest(rows))
        rows = rows[rows["turn"].isin(set(rows.loc[rows["latest"], "turn"]))]
        runs = tuple(_runs(rows))
        labels = {number: run.label for number, run in runs}
        rows = rows.assign(label=rows["run"].map(labels).astype(str))
        rows = _ordered(_described(_with_ratios(rows)))
        rows["usual"] = rows["run"].map({number: frozenset(run.usual) for number, run in runs})
        kinds = [set(map(kind, each_warning(joined))) for joined in rows["warnings"].fillna("")]
        rows["typical"] = [found <= usual for found, usual in zip(kinds, rows["usual"], strict=True)]
        times = rows.groupby("machine", sort=True)["started"].max().map(_seconds)
        machines = sorted(times.index, key=lambda machine: (-times[machine], machine))
        names = in_order(rows["implementation"], IMPLEMENTATIONS)
        return cls(rows, tuple(machines), tuple(names), tuple(run for _, run in runs))

    @property
    def latest(self) -> pd.DataFrame:
        """One row for each quantity of each case on each machine."""
        return self.rows[self.rows["latest"]]

    def on(self, machine: str) -> pd.DataFrame:
        """The rows of one machine."""
        return self.rows[self.rows["machine"] == machine]

    def runs_on(self, machine: str) -> list[Run]:
        """The runs of one machine, the newest first."""
        return [run for run in self.runs if run.machine == machine]


def measured_steps(rows: pd.DataFrame) -> pd.DataFrame:
    """Of rows of `Runs`, the steps that were measured."""
    return rows[(rows["quantity"] == "step") & (rows["status"] == "measured") & (rows["median"] > 0)]


def without_momentum(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of steps without momentum, which a figure does not mix with the others at one size."""
    return rows[rows["momentum"] == 0]


def last_of(rows: pd.DataFrame, column: str) -> Row:
    """The row with the largest value; rows where it is missing sort first."""
    return as_rows(rows.sort_values(column, kind="stable", na_position="first").iloc[-1:])[0]


def first_of(rows: pd.DataFrame, column: str) -> Row:
    """The row with the smallest value."""
    return as_rows(rows.sort_values(column, kind="stable").iloc[:1])[0]


def as_rows(rows: pd.DataFrame) -> list[Row]:
    """Each row as a mapping from column to value; None where the value is missing."""
    columns = {
        str(name): [
            None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)
        ]
        for name, column in rows.items()
    }
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def in_order(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """What was found: the known ones in their order, then the others by name."""
    found = set(found)
    listed = [name for name in known if name in found]
    return [*listed, *sorted(found - set(listed))]


def _of_best_runner(frame: pd.DataFrame) -> pd.DataFrame:
    """Of each machine the rows of its best runner; a runner that measured nothing only if all did."""
    rank = frame["runner"].map({runner: number for number, runner in enumerate(RUNNERS)}).astype(int)
    rank += np.where(frame["status"] == "measured", 0, len(RUNNERS))
    best = rank.groupby(frame["machine"]).transform("min") % len(RUNNERS)
    return frame[rank % len(RUNNERS) == best]


def _with_turns(rows: pd.DataFrame) -> pd.DataFrame:
    """With `turn`, a number for what was measured together, and `run`, one for what one invocation left."""
    # A record of the bench is one case and says when its turn began; the other runners' file is a turn.
    file = rows["file"].where(rows["runner"] != "bench", "")
    began = rows["started"].where(rows["runner"] == "bench", pd.NaT)
    software = rows[_SOFTWARE].assign(file=file, name=rows["run"])
    keys = [software[name] for name in software] + [began]
    turn = rows.groupby(keys, dropna=False, sort=False).ngroup()
    order = rows["started"].sort_values(kind="stable").index
    environment = software.groupby(list(software), dropna=False, sort=False).ngroup().loc[order]
    unnamed = rows["run"].loc[order].isna()
    pauses = (began.loc[order].groupby(environment).diff() > _PAUSE) & unnamed
    number = pauses.groupby(environment).cumsum()
    run = pd.DataFrame({"environment": environment, "number": number})
    runs = run.groupby(["environment", "number"], sort=False).ngroup()
    return rows.assign(turn=turn, run=runs, run_id=rows["run"])


def _is_latest(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the row is the last of its case and quantity on its machine; a skip hides no case that ran."""
    order = np.lexsort(
        (
            # case-2.json is written after case.json, in the same second perhaps, and case-10.json after both.
            rows["file"].str.len(),
            rows["started"].astype("int64"),  # a time that is missing comes first
            rows["status"] != "skipped",
        )
    )
    last = rows.iloc[order].drop_duplicates(["machine", *CASE, "quantity"], keep="last").index
    return pd.Series(rows.index.isin(last), index=rows.index)


def _runs(rows: pd.DataFrame) -> Iterable[tuple[int, Run]]:
    """Each run by its number, by machine the newest first."""
    found = []
    for number, run in rows.groupby("run", sort=False):
        newest = last_of(run, "started")
        known = {name: newest[name] for name in _SOFTWARE}
        started, ended = first_of(run, "started")["started"], newest["started"]
        cases = len(run.loc[run["latest"], CASE].drop_duplicates())
        said = measured_steps(run)["warnings"].fillna("")
        usual = sorted(usual_warnings([each_warning(joined) for joined in said]))
        one = Run(
            "", newest["run_id"], **known, started=started, ended=ended, cases=cases, usual=tuple(usual)
        )
        found.append((int(str(number)), one))
    found.sort(key=lambda one: (one[1].machine, -_seconds(one[1].ended), one[0]))
    seen: dict[str, int] = defaultdict(int)
    for number, one in found:
        yield number, replace(one, label=_letters(seen[one.machine]))
        seen[one.machine] += 1


def _letters(number: int) -> str:
    """A to Z, then AA, AB and so on."""
    first, last = divmod(number, 26)
    return (_letters(first - 1) if first else "") + chr(ord("A") + last)


def _with_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    steps = measured_steps(rows)
    base = steps[steps["implementation"] == REFERENCE].drop_duplicates(["turn", *POINT], keep="last")
    base = base[["turn", *POINT, "quantity", "median", "samples", "processes", "warnings"]]
    joined = rows.merge(base, how="left", on=["turn", *POINT, "quantity"], suffixes=("", "_base"))
    warnings = joined[["warnings", "warnings_base"]].fillna("")
    found: list[tuple[float, float, float, bool, str]] = []
    compared = joined["median_base"].notna() & (joined["median"] > 0)
    columns = ["median", "samples", "processes", "median_base", "samples_base", "processes_base"]
    rows_of_both = zip(compared, warnings.to_numpy(), joined[columns].itertuples(index=False), strict=True)
    for known, said, row in rows_of_both:
        if not known:
            found.append((np.nan, np.nan, np.nan, False, ""))
            continue
        median, samples, processes, median_base, samples_base, processes_base = row
        alike = pd.notna(processes) and pd.notna(processes_base) and processes == processes_base
        # asv keeps the samples only when it is told to; their median is then all that there is.
        one = speed_up(
            samples_base if len(samples_base) else [median_base],
            samples if len(samples) else [median],
            int(processes) if alike else 1,
        )
        low, high = one.interval or (np.nan, np.nan)
        found.append((one.ratio, low, high, one.is_trusted(*said), one.warning or ""))
    names = {"ratio": float, "low": float, "high": float, "ratio_trusted": bool, "ratio_warning": object}
    ratios = pd.DataFrame(found, columns=list(names), index=joined.index).astype(names)
    return joined.assign(**ratios, trusted=warnings["warnings"] == "").drop(
        columns=["median_base", "samples_base", "processes_base", "warnings_base"]
    )


def _described(rows: pd.DataFrame) -> pd.DataFrame:
    sizes = pd.to_numeric(rows["size"], errors="coerce")
    elements = rows["elements"].astype("Float64").fillna(sizes).astype(float)
    cases = [Case(**row) for row in as_rows(rows[CASE])]
    passes = np.array([case.passes for case in cases], dtype=float)
    moved = passes * elements * rows["dtype"].map(ITEMSIZE).astype(float)
    step = (rows["quantity"] == "step") & (rows["median"] > 0)
    return rows.assign(
        elements=elements,
        place=[case.place for case in cases],
        point=[case.description for case in cases],
        bandwidth=(moved / rows["median"]).where(step),
        ceiling_bandwidth=(moved / rows["ceiling"]).where(step & (rows["ceiling"] > 0)),
        share=(rows["ceiling"] / rows["median"]).where(step & (rows["ceiling"] > 0)),
    )


def _ordered(rows: pd.DataFrame) -> pd.DataFrame:
    orders = {
        "implementation": in_order(rows["implementation"], IMPLEMENTATIONS),
        "device": in_order(rows["device"], DEVICES),
        "dtype": in_order(rows["dtype"], ITEMSIZE),
        "layout": in_order(rows["layout"], LAYOUTS),
    }
    keys: dict[str, pd.Series[Any]] = {
        name: rows[name].map({value: i for i, value in enumerate(order)}) for name, order in orders.items()
    }
    keys |= {"elements": rows["elements"], "threads": rows["threads"].replace(0, _ALL_THREADS)}
    began = rows.groupby("turn")["started"].transform("max").astype("int64").astype(float)
    keys |= {"machine": rows["machine"], "turn": -began}
    further = [axis for axis in POINT if axis not in {*keys, "size"}]
    keys |= {axis: rows[axis] for axis in further}
    sorting = [
        "machine",
        "device",
        "dtype",
        "elements",
        "layout",
        "threads",
        *further,
        "turn",
        "implementation",
    ]
    order = pd.DataFrame(keys).sort_values(sorting, kind="stable").index
    return rows.loc[order].reset_index(drop=True)


def _seconds(time: datetime | None) -> float:
    """Seconds, so that a time that is missing comes first."""
    return float("-inf") if time is None or pd.isna(time) else time.timestamp()
