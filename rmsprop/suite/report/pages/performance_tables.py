"""The tables of the page `performance`: steps, memory and cold start, and sentences of what was noticed."""

from collections.abc import Iterable, Iterator

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.page import Cell, Table, capped, marked
from rmsprop.suite.verdicts.speed import CASE, POINT, as_rows
from rmsprop.suite.words import count, duration, size_of

MAX_IMPLEMENTATIONS = 12
"""Columns of one table, lines of one figure."""
_ROWS = 40
_QUANTITIES = {
    "peak": "Extra memory",
    "epoch": "Book epoch",
    "loss": "Final loss",
    "import": "Imports",
    "first_step": "First step",
    "compile": "First step beyond a steady one",
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
        f"{place}: median time of one step, and how many times as fast as {REFERENCE}",
        ("Case", "Run", *listed, "Best share of the memory limit"),
        [_step_row(turn, listed) for _, turn in steps.groupby([*POINT, "turn"], sort=False)],
        _ROWS,
    )


def _step_row(turn: pd.DataFrame, names: list[str]) -> tuple[str | Cell, ...]:
    """What was measured in turns at one point."""
    cases = {row["implementation"]: row for row in as_rows(turn)}
    first = next(iter(cases.values()))
    measured = [row for row in cases.values() if row["status"] == "measured"]
    best = min(measured, key=lambda row: row["median"], default=None)
    limit: str | Cell = "–"
    if best is not None and best["median"] and best["ceiling"]:
        share = best["ceiling"] / best["median"]
        limit = Cell(f"{marked(f'{share:.0%}', best['trusted'])} ({best['implementation']})", share)
    cells: list[str | Cell] = []
    for name in names:
        case = cases.get(name)
        if case is None or case["status"] != "measured":
            cells.append("–" if case is None else case["status"])
            continue
        cell = marked(duration(case["median"]), case["trusted"])
        if case["ratio"] is not None and name != REFERENCE:
            ratio = f"{case['ratio']:.2f}×"
            cell += f", {marked(ratio, case['ratio_trusted'])}"
        cells.append(Cell(cell, case["median"]))
    return first["point"], first["label"], *cells, limit


def _cost_table(place: str, others: pd.DataFrame, names: Iterable[str]) -> Table:
    """Each quantity where most implementations measured it in one run, at the largest such point."""
    columns: dict[str, dict[str, Cell]] = {}
    for quantity, name in _QUANTITIES.items():
        found = others[others["quantity"] == quantity]
        if found.empty:
            continue
        points = [as_rows(point) for _, point in found.groupby([*POINT, "label"], sort=False)]
        widest = max(points, key=lambda rows: (len(rows), rows[0]["layout"] == "single", rows[0]["elements"]))
        where = f"{widest[0]['point']}, run {widest[0]['label']}"
        columns[f"{name} ({where})"] = {row["implementation"]: _cost(row) for row in widest}
    present = set(others["implementation"])
    return capped(
        f"{place}: extra memory of one step, the book’s job, and the cold start",
        ("Implementation", *columns),
        [(name, *(cells.get(name, "–") for cells in columns.values())) for name in names if name in present],
        _ROWS,
    )


def _cost(row: Row) -> Cell:
    """The warnings are of the processor and the clock; they say nothing against bytes or a loss."""
    if row["unit"] == "seconds":
        words = marked(duration(row["median"]), row["trusted"])
    else:
        words = size_of(row["median"]) if row["unit"] == "bytes" else f"{row['median']:.6f}"
    return Cell(words, row["median"])


def warning_sentences(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each kind of warning: its word, how many cases, one in full."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    warned = rows[(rows["status"] == "measured") & ~rows["trusted"]].drop_duplicates(CASE)
    for case in as_rows(warned):
        for warning in case["warnings"].split("; "):
            kinds.setdefault(warning.partition(":")[0], []).append((warning, _id(case)))
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
        what = "" if quantity == "step" else f", {_QUANTITIES[str(quantity)].lower()}"
        example = _id(as_rows(cases)[0])
        yield f"{count(len(cases), 'case')} {status}{what}: {reason} (such as {example})"


def _id(case: Row) -> str:
    return f"{case['implementation']}, {case['device']} {case['dtype']}, {case['point']}"
