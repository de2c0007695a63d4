"""The benchmark frame -> what a page says of speed, as text, and the lines of its figure.

Shown is the newest run, that is one machine, commit and torch; every other row is counted.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rmsprop.optimizers.registry import builtins
from rmsprop.records.frame import AXES, Row

MARK = "†"
"""Stands beside each number that warnings speak against."""
REFERENCE = "builtin-loop"

_RUNNERS = ("bench", "pytest-benchmark", "asv")
"""The first that measured anything is shown: asv keeps neither ceilings nor warnings."""
_RUN = ["machine", "commit", "dirty", "torch"]
_CASE = list(AXES)
_POINT = [axis for axis in AXES if axis != "implementation"]
_LAYOUTS = {
    "single": "one tensor",
    "book": "the book’s w and b",
    "many": "1,000 tensors",
    "resnet50": "ResNet-50",
    "gpt2": "GPT-2 small",
}
_QUANTITIES = {
    "peak": "Extra memory",
    "epoch": "Book epoch",
    "loss": "Final loss",
    "import": "Imports",
    "first_step": "First step",
    "compile": "Of it beyond a steady step",
}
_ALL_THREADS = 10**6
"""Stands after every number of threads."""
_DEVICES = ("cpu", "cuda", "mps")
_DTYPES = ("float32", "float64", "bfloat16", "float16")


@dataclass(frozen=True)
class Table:
    """Text in columns; the first cell of each row is its head."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Speed:
    """All that a page says of the benchmark."""

    facts: dict[str, str]
    """Where and when the run that is shown was measured."""
    tables: tuple[Table, ...]
    """For each device and dtype: the steps, then what else was measured."""
    marked: tuple[str, ...]
    """What the marks stand for, a sentence for each kind of warning."""
    notes: tuple[str, ...]
    """What a reader of the numbers must know, a sentence for each."""
    unmeasured: tuple[str, ...]
    """Skipped and failed cases, a sentence for each reason."""
    sources: tuple[str, ...]
    """How many rows each runner left, and which runs are not shown."""
    history: str | None
    """What asv has of older commits."""
    lines: pd.DataFrame
    """For the figure: implementation, elements, nanoseconds and ceiling (of an element), trusted; sorted."""
    lines_of: str
    """What the lines are of, such as `cpu, float32, one tensor, 1 thread`."""


def speed_of(frame: pd.DataFrame) -> Speed | None:
    """What `rmsprop.records.frame.read_frame` has to show; None where it has no rows."""
    if frame.empty:
        return None
    run = _newest(frame)
    rows = _latest(run)
    lines, lines_of = _lines(rows)
    return Speed(
        facts=_facts(rows),
        tables=tuple(_tables(rows)),
        marked=tuple(_marked(rows)),
        notes=tuple(_notes(rows)),
        unmeasured=tuple(_unmeasured(rows)),
        sources=tuple(_sources(frame, run)),
        history=_history(frame),
        lines=lines,
        lines_of=lines_of,
    )


def duration(seconds: float) -> str:
    """Three digits and a unit, such as `12.3 µs`."""
    rounded = float(f"{seconds:.3g}")
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if rounded >= scale:
            return f"{rounded / scale:.3g} {unit}" if rounded < 1000 else f"{rounded:,.0f} s"
    return f"{rounded / 1e-9:.3g} ns"


def size_of(number: float) -> str:
    """Bytes as B, KiB or MiB, such as `3.81 MiB`."""
    if number < 2**10:
        return f"{number:.0f} B"
    return f"{number / 2**10:.1f} KiB" if number < 2**20 else f"{number / 2**20:,.2f} MiB"


def _newest(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the newest run of the best runner; a run that measured nothing only for want of another."""
    measured = frame[frame["status"] == "measured"]
    best = min((frame if measured.empty else measured)["runner"], key=_RUNNERS.index)
    rows = frame[frame["runner"] == best]
    runs: list[pd.DataFrame] = [run for _, run in rows.groupby(_RUN, dropna=False)]
    return max(runs, key=lambda run: ((run["status"] == "measured").any(), _time(run["started"].max())))


def _latest(run: pd.DataFrame) -> pd.DataFrame:
    """One row for each quantity of each case, the latest, in the order of the tables."""
    elements = run["elements"].astype("Float64").fillna(pd.to_numeric(run["size"], errors="coerce"))
    rows = run.assign(
        elements=elements.astype(float),
        trusted=run["warnings"].fillna("") == "",
        point=[_point(row) for row in _records(run[_POINT])],
        time=run["started"].map(_time),
        place=run["file"].str.len(),
    )
    # case-2.json is written after case.json, in the same second perhaps, and case-10.json after both.
    rows = rows.sort_values(["time", "place", "file"], kind="stable").drop_duplicates(
        [*_CASE, "quantity"], keep="last"
    )
    orders = {
        "implementation": _order(rows["implementation"], builtins()),
        "device": _order(rows["device"], _DEVICES),
        "dtype": _order(rows["dtype"], _DTYPES),
        "layout": _order(rows["layout"], _LAYOUTS),
    }
    keys = {name: rows[name].map(order.index) for name, order in orders.items()}
    keys |= {"elements": rows["elements"], "threads": rows["threads"].replace(0, _ALL_THREADS)}
    sorting = ["device", "dtype", "elements", "layout", "threads", "implementation"]
    order = pd.DataFrame(keys).sort_values(sorting, kind="stable").index
    return rows.loc[order].reset_index(drop=True)


def _order(found: Iterable[str], known: Iterable[str]) -> list[str]:
    """What was found: the known ones in their order, then the others by name."""
    found = set(found)
    listed = [name for name in known if name in found]
    return [*listed, *sorted(found - set(listed))]


def _point(row: Row) -> str:
    """Such as `1e5, one tensor, 1 thread`; on a GPU the threads of the host do not matter."""
    words = [row["size"], _LAYOUTS.get(row["layout"], row["layout"])]
    if row["device"] == "cpu":
        words.append(_count(row["threads"], "thread") if row["threads"] else "all threads")
    return ", ".join(words)


def _facts(rows: pd.DataFrame) -> dict[str, str]:
    newest = max(_records(rows), key=lambda row: row["time"])
    machine = [_text(newest["processor"]) or newest["machine"]]
    if pd.notna(newest["cpus"]):
        machine.append(f"{newest['cpus']} logical processors")
    if gpu := _text(newest["gpu"]):
        machine.append(gpu)
    if governor := _text(newest["governor"]):
        machine.append(f"governor {governor}")
    facts = {
        "Measured by": {"bench": "rmsprop bench"}.get(newest["runner"], newest["runner"]),
        "When": "unknown" if pd.isna(newest["started"]) else f"{newest['started']:%Y-%m-%d %H:%M} UTC",
        "Machine": ", ".join(machine),
        "Software": ", ".join(
            f"{name} {_text(newest[name.lower()]) or 'unknown'}" for name in ("torch", "Python")
        ),
        "Commit": _commit(newest["commit"], newest["dirty"]),
    }
    if rows["load"].notna().any():
        least, most = rows["load"].min(), rows["load"].max()
        facts["Load"] = f"{least:.2f}" if least == most else f"{least:.2f} to {most:.2f}"
        facts["Load"] += " at the start"
    if newest["runner"] == "asv":
        facts["Trust"] = "asv watches neither load nor clock, so that no number is marked"
    return facts


def _tables(rows: pd.DataFrame) -> Iterator[Table]:
    for (device, dtype), part in rows.groupby(["device", "dtype"], sort=False):
        steps = part[part["quantity"] == "step"]
        if (steps["status"] == "measured").any():
            yield _step_table(f"{device}, {dtype}", steps)
        others = part[(part["quantity"] != "step") & (part["status"] == "measured")]
        if not others.empty:
            yield _cost_table(f"{device}, {dtype}", others)


def _step_table(place: str, steps: pd.DataFrame) -> Table:
    names = _order(steps["implementation"], builtins())
    return Table(
        f"{place}: median time of one step, and how many times as fast as {REFERENCE}",
        ("Case", "Elements", *names, "Best, of five passes"),
        tuple(_step_row(point, names) for _, point in steps.groupby(_POINT, sort=False)),
    )


def _step_row(point: pd.DataFrame, names: list[str]) -> tuple[str, ...]:
    cases = {row["implementation"]: row for row in _records(point)}
    first = next(iter(cases.values()))
    elements: str = "–" if pd.isna(first["elements"]) else f"{first['elements']:,.0f}"
    measured = [row for row in cases.values() if row["status"] == "measured"]
    best = min(measured, key=lambda row: row["median"], default=None)
    ceiling = "–"
    if best is not None and best["median"] and pd.notna(best["ceiling"]):
        share = f"{best['ceiling'] / best['median']:.0%}"
        ceiling = f"{_marked_text(share, best['trusted'])} ({best['implementation']})"
    base = cases.get(REFERENCE)
    cells = []
    for name in names:
        case = cases.get(name)
        if case is None or case["status"] != "measured":
            cells.append("–" if case is None else case["status"])
            continue
        cell = _marked_text(duration(case["median"]), case["trusted"])
        if base is not None and base["status"] == "measured" and case["median"] and name != REFERENCE:
            ratio = f"{base['median'] / case['median']:.2f}×"
            cell += f", {_marked_text(ratio, case['trusted'] and base['trusted'])}"
        cells.append(cell)
    return first["point"], elements, *cells, ceiling


def _cost_table(place: str, others: pd.DataFrame) -> Table:
    """Each quantity where most implementations measured it, at the largest such point."""
    columns: dict[str, dict[str, str]] = {}
    for quantity, name in _QUANTITIES.items():
        found = others[others["quantity"] == quantity]
        if found.empty:
            continue
        points = [_records(point) for _, point in found.groupby(_POINT, sort=False)]
        widest = max(points, key=lambda rows: (len(rows), rows[0]["layout"] == "single", rows[0]["elements"]))
        columns[f"{name} ({widest[0]['point']})"] = {row["implementation"]: _cost(row) for row in widest}
    names = _order(others["implementation"], builtins())
    return Table(
        f"{place}: extra memory of one step, the book’s job, and the cold start",
        ("Implementation", *columns),
        tuple((name, *(cells.get(name, "–") for cells in columns.values())) for name in names),
    )


def _cost(row: Row) -> str:
    """The warnings are of the processor and the clock; they say nothing against bytes or a loss."""
    if row["unit"] == "seconds":
        return _marked_text(duration(row["median"]), row["trusted"])
    return size_of(row["median"]) if row["unit"] == "bytes" else f"{row['median']:.6f}"


def _marked_text(text: str, trusted: bool) -> str:
    return text if trusted else f"{text} {MARK}"


def _marked(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each kind of warning: its word, how many cases, one in full."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    warned = rows[(rows["status"] == "measured") & ~rows["trusted"]].drop_duplicates(_CASE)
    for case in _records(warned):
        for warning in case["warnings"].split("; "):
            kinds.setdefault(warning.partition(":")[0], []).append((warning, _id(case)))
    for found in kinds.values():
        warning, example = found[0]
        yield f"{warning} ({_count(len(found), 'case')}, such as {example})"


def _notes(rows: pd.DataFrame) -> Iterator[str]:
    """A sentence for each note: its words, how many cases, one of them."""
    noted = rows[rows["notes"].fillna("") != ""].drop_duplicates(_CASE)
    for note, cases in noted.groupby("notes", sort=False):
        yield f"{note} ({_count(len(cases), 'case')}, such as {_id(_records(cases)[0])})"


def _unmeasured(rows: pd.DataFrame) -> Iterator[str]:
    left = rows[rows["status"] != "measured"]
    for (status, quantity, reason), cases in left.groupby(
        ["status", "quantity", left["reason"].fillna("no reason given")], sort=False
    ):
        what = "" if quantity == "step" else f", {_QUANTITIES[str(quantity)].lower()}"
        example = _id(_records(cases)[0])
        yield f"{_count(len(cases), 'case')} {status}{what}: {reason} (such as {example})"


def _sources(frame: pd.DataFrame, run: pd.DataFrame) -> Iterator[str]:
    for runner in _RUNNERS:
        rows = frame[frame["runner"] == runner]
        if not rows.empty:
            files = rows["file"].nunique()
            yield f"{runner}: {_count(len(rows), 'row')} from {_count(files, 'file')}, " + (
                f"{len(run):,} of them of the run shown"
                if runner == run["runner"].iloc[0]
                else "none of them shown"
            )
    others = frame.drop(index=run.index)
    others = others[others["runner"] != "asv"]
    for (machine, commit, dirty, torch), rows in others.groupby(_RUN, dropna=False):
        yield (
            f"not shown: {' and '.join(sorted(set(rows['runner'])))} on {machine}, "
            f"from {_commit(commit, dirty)}, torch {_text(torch) or 'unknown'}"
        )


def _history(frame: pd.DataFrame) -> str | None:
    rows = frame[frame["runner"] == "asv"]
    if rows.empty:
        return None
    commits, machines = rows["commit"].nunique(), rows["machine"].nunique()
    return f"The asv history has {_count(commits, 'commit')} on {_count(machines, 'machine')}"


def _lines(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Steps in one float32 tensor at the one device and thread count with most of them, the CPU first."""
    steps = rows[
        (rows["quantity"] == "step")
        & (rows["status"] == "measured")
        & (rows["layout"] == "single")
        & (rows["dtype"] == "float32")
        & (rows["elements"] > 0)
        & (rows["median"] > 0)
    ]
    if not steps.empty:
        # The rows are sorted by device, so that the first is the CPU where the run has it.
        steps = steps[steps["device"] == steps["device"].iloc[0]]
        steps = steps[steps["threads"] == steps["threads"].mode().iloc[-1]]
    lines = pd.DataFrame(
        {
            "implementation": steps["implementation"],
            "elements": steps["elements"],
            "nanoseconds": steps["median"] / steps["elements"] * 1e9,
            "ceiling": steps["ceiling"] / steps["elements"] * 1e9,
            "trusted": steps["trusted"],
        }
    )
    if steps.empty:
        return lines, ""
    first = steps.iloc[0]
    of = f"{first['device']}, float32, {first['point'].partition(', ')[2]}"
    return lines, of


def _commit(commit: Any, dirty: Any) -> str:
    name = _text(commit)[:9] or "an installed wheel"
    return name + (" with local changes" if pd.notna(dirty) and dirty else "")


def _id(case: Row) -> str:
    return f"{case['implementation']}, {case['device']} {case['dtype']}, {case['point']}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _records(rows: pd.DataFrame) -> list[Row]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def _text(value: Any) -> str:
    return "" if pd.isna(value) else str(value)


def _time(started: Any) -> float:
    """Seconds, so that a time that is missing comes first."""
    return float("-inf") if pd.isna(started) else float(started.timestamp())
