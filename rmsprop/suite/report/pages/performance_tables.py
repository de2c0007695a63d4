"""The tables of the page `performance`: steps, memory and cold start, and sentences of what was noticed."""

from collections.abc import Iterable, Iterator

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.page import Cell, Table, capped, marked
from rmsprop.suite.verdicts.speed import CASE, POINT, Run, Runs, as_rows, measured_steps
from rmsprop.suite.words import (
    commit_name,
    count,
    duration,
    each_warning,
    factor,
    kind,
    size_of,
    slug,
    when,
    with_unit,
)

PATH = "performance.html"
FIVE_PASSES = (
    "Five plain passes read and write as much memory as a step (read p, g and s; write p and s; seven passes "
    "with momentum) by two of torch’s plainest operations, in the same run. Their time is measured and no "
    "bound: a step may take less."
)
MAX_IMPLEMENTATIONS = 12
"""Columns of one table, lines of one figure."""
_ROWS = 40
_RUNS_LISTED = 60
_MACHINES_LISTED = 100
_THEIRS = 200
"""Benchmarks of others in the table."""
_COSTS = {
    ("peak", None): "Extra memory",
    ("epoch", "book"): "Book epoch",
    ("loss", "book"): "The book’s final loss",
    ("epoch", "digits"): "Digits epoch",
    ("loss", "digits"): "The digits’ final loss",
    ("import", None): "Imports",
    ("first_step", None): "First step",
    ("compile", None): "First step beyond a steady one",
}
"""Quantity and layout, where the job that belongs to it is measured -> name."""
_QUANTITIES = {
    "peak": "extra memory",
    "epoch": "epoch",
    "loss": "final loss",
    "import": "imports",
    "first_step": "first step",
    "compile": "first step beyond a steady one",
}


def case_tables(rows: pd.DataFrame, names: Iterable[str]) -> Iterator[Table]:
    """For each device and dtype: the steps, then what else was measured."""
    for (device, dtype), part in rows.groupby(["device", "dtype"], sort=False):
        steps = part[part["quantity"] == "step"]
        if (steps["status"] == "measured").any():
            yield _step_table(f"{device}, {dtype}", steps, names)
        others = part[(part["quantity"] != "step") & (part["status"] == "measured") & part["latest"]]
        if not others.empty:
            yield _cost_table(f"{device}, {dtype}", others, names)


def _step_table(place: str, steps: pd.DataFrame, names: Iterable[str]) -> Table:
    measured = set(steps.loc[steps["status"] == "measured", "implementation"])
    listed = [name for name in names if name in measured][:MAX_IMPLEMENTATIONS]
    return capped(
        f"{place}: time of one step, and how many times as fast as {REFERENCE}",
        ("Case", "Run", *listed, "Five passes / fastest step"),
        [_step_row(turn, listed) for _, turn in steps.groupby([*POINT, "turn"], sort=False)],
        _ROWS,
    )


def _step_row(turn: pd.DataFrame, names: list[str]) -> tuple[str | Cell, ...]:
    """What was measured in turns at one point."""
    cases = {row["implementation"]: row for row in as_rows(turn)}
    first = next(iter(cases.values()))
    measured = [row for row in cases.values() if row["status"] == "measured"]
    best = min(measured, key=lambda row: row["median"], default=None)
    passes: str | Cell = "–"
    if best is not None and best["share"]:
        share = marked(f"{best['share']:.0%}", best["typical"])
        passes = Cell(f"{share} ({best['implementation']})", best["share"])
    cells: list[str | Cell] = []
    for name in names:
        case = cases.get(name)
        if case is None or case["status"] != "measured":
            cells.append("–" if case is None else case["status"])
            continue
        cell = marked(duration(case["median"]), case["typical"])
        if case["ratio"] is not None and name != REFERENCE:
            ratio = f"{factor(case['ratio'])}×"
            cell += f", {marked(ratio, case['ratio_trusted'])}"
        cells.append(Cell(cell, case["median"]))
    return first["point"], first["label"], *cells, passes


def _cost_table(place: str, others: pd.DataFrame, names: Iterable[str]) -> Table:
    """Each quantity where most implementations measured it in one run, at the largest such point."""
    columns: dict[str, dict[str, Cell]] = {}
    for (quantity, layout), name in _COSTS.items():
        found = others[others["quantity"] == quantity]
        if layout is not None:
            found = found[found["layout"] == layout]
        if found.empty:
            continue
        points = [as_rows(point) for _, point in found.groupby([*POINT, "label"], sort=False)]
        widest = max(points, key=lambda rows: (len(rows), rows[0]["layout"] == "single", rows[0]["elements"]))
        where = f"{widest[0]['point']}, run {widest[0]['label']}"
        columns[f"{name} ({where})"] = {row["implementation"]: _cost(row) for row in widest}
    present = set(others["implementation"])
    return capped(
        f"{place}: extra memory of one step, the book’s job, the digits, and the cold start",
        ("Implementation", *columns),
        [(name, *(cells.get(name, "–") for cells in columns.values())) for name in names if name in present],
        _ROWS,
    )


def _cost(row: Row) -> Cell:
    """The warnings are of the processor and the clock; they say nothing against bytes or a loss."""
    if row["unit"] == "seconds":
        words = marked(duration(row["median"]), row["typical"])
    else:
        words = size_of(row["median"]) if row["unit"] == "bytes" else f"{row['median']:.6f}"
    return Cell(words, row["median"])


def warning_sentences(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each kind of warning: its word, how many cases, one in full."""
    warned = rows[(rows["status"] == "measured") & ~rows["trusted"]].drop_duplicates(CASE)
    said = [(warning, case) for case in as_rows(warned) for warning in each_warning(case["warnings"])]
    said += [(case["ratio_warning"], case) for case in as_rows(rows[rows["ratio_warning"] != ""])]
    kinds: dict[str, list[tuple[str, str]]] = {}
    for warning, case in said:
        kinds.setdefault(kind(warning), []).append((warning, _id(case)))
    for found in kinds.values():
        warning, example = found[0]
        yield f"{warning} ({count(len(found), 'case')}, such as {example})"


def note_sentences(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each note: its words, how many cases, one of them."""
    noted = rows[rows["notes"].fillna("") != ""].drop_duplicates(CASE)
    for note, cases in noted.groupby("notes", sort=False):
        yield f"{note} ({count(len(cases), 'case')}, such as {_id(as_rows(cases)[0])})"


def unmeasured_sentences(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each reason of skipped and failed cases."""
    left = rows[rows["status"] != "measured"]
    for (status, quantity, reason), cases in left.groupby(
        ["status", "quantity", left["reason"].fillna("no reason given")], sort=False
    ):
        what = "" if quantity == "step" else f", {_QUANTITIES[str(quantity)]}"
        example = _id(as_rows(cases)[0])
        yield f"{count(len(cases), 'case')} {status}{what}: {reason} (such as {example})"


def _id(case: Row) -> str:
    return f"{case['implementation']}, {case['device']} {case['dtype']}, {case['point']}"


def runs_table(runs: Iterable[Run], caption: str, machine: bool = False) -> Table:
    """A row for each run; with its machine or without."""
    rows = [
        (
            Cell(run.label, anchor=f"run-{slug(run.machine)}-{run.label.lower()}"),
            *((run.machine,) if machine else ()),
            when(run.started),
            "rmsprop bench" if run.runner == "bench" else run.runner,
            commit_name(run.commit, run.dirty),
            run.torch or "unknown",
            run.python or "unknown",
            f"{run.cases:,}",
            ", ".join(run.usual) or "–",
        )
        for run in runs
    ]
    machines = ("Machine",) if machine else ()
    columns = (
        "Run",
        *machines,
        "Began",
        "Measured by",
        "Commit",
        "torch",
        "Python",
        "Cases shown",
        "Warnings of most times",
    )
    return capped(caption, columns, rows, _RUNS_LISTED)


def machines_table(runs: Runs) -> Table:
    """A row for each machine and device: at the point of that device that most machines measured."""
    steps = measured_steps(runs.rows)
    steps = steps[(steps["dtype"] == "float32") & (steps["layout"] == "single")]
    measured = set(steps["implementation"])
    names = [name for name in runs.implementations if name in measured][:MAX_IMPLEMENTATIONS]
    rows: list[tuple[str | Cell, ...]] = []
    for device, on_device in steps.groupby("device", sort=False):
        points = [point for _, point in on_device.groupby(["size", "threads"], sort=True)]
        point = max(points, key=_comparability)
        for machine in runs.machines:
            turns = [turn for _, turn in point[point["machine"] == machine].groupby("turn", sort=False)]
            if turns:
                rows.append(_machine_row(machine, str(device), as_rows(max(turns, key=len)), names))
    return capped(
        "Machines: one float32 tensor, time of a step",
        ("Machine", "Case", "Run", "Five plain passes", *names),
        rows,
        _MACHINES_LISTED,
    )


def _comparability(point: pd.DataFrame) -> tuple[int, float, bool]:
    """Many machines, then many elements, then all threads."""
    return len(set(point["machine"])), point["elements"].iloc[0], point["threads"].iloc[0] == 0


def _machine_row(machine: str, device: str, steps: list[Row], names: Iterable[str]) -> tuple[str | Cell, ...]:
    found = {step["implementation"]: step for step in steps}
    passes = max((step["ceiling_bandwidth"] for step in steps if step["ceiling_bandwidth"]), default=None)
    return (
        Cell(machine, href=f"{PATH}#{machine_anchor(machine)}"),
        f"{device}, {steps[0]['point']}",
        f"{steps[0]['label']}, {when(steps[0]['started'])}",
        "–" if passes is None else Cell(f"{passes / 1e9:,.3g} GB/s", passes),
        *(_time_cell(found.get(name)) for name in names),
    )


def _time_cell(step: Row | None) -> str | Cell:
    return "–" if step is None else Cell(marked(duration(step["median"]), step["typical"]), step["median"])


def machine_anchor(machine: str) -> str:
    """Where the machine's section stands on the page."""
    return f"machine-{slug(machine)}"


def their_benchmarks(frame: pd.DataFrame) -> Table:
    """The newest row of each benchmark that is none of our cases."""
    rows = frame[frame["implementation"].isna() & (frame["status"] == "measured")]
    keys = ["machine", "runner", "benchmark", "parameters"]
    newest = as_rows(rows.sort_values("started", kind="stable").drop_duplicates(keys, keep="last"))
    cells = [
        (
            row["benchmark"],
            row["parameters"] or "–",
            Cell(with_unit(row["median"], row["unit"]), row["median"]),
            row["machine"],
            row["runner"],
            when(row["started"]),
            commit_name(row["commit"], row["dirty"]),
        )
        for row in newest
    ]
    columns = ("Benchmark", "Parameters", "Median", "Machine", "Measured by", "When", "Commit")
    return capped("Other benchmarks, as they were measured last", columns, cells, _THEIRS)
