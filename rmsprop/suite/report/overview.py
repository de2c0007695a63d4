"""The first page: does the book hold, how fast is it here, what changed, on which machines."""

from collections.abc import Iterable, Iterator
from typing import Any

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.report import history, performance, problems, reproduction
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import MARK, Cell, Table, capped
from rmsprop.suite.verdicts.speed import first_of, measured_steps
from rmsprop.suite.words import count, duration, when

_HEADLINES = 4
"""Tables of speed-ups, one for each machine and device."""
_IMPLEMENTATIONS = 30
_MACHINES_LISTED = 50
_ALERTS_LISTED = 10


def pages(inputs: Inputs) -> Iterable[Page]:
    """The page that is always there, also where nothing was measured."""
    best = reproduction.shown(inputs.reproductions)
    alerts = history.alerts_table(inputs, _ALERTS_LISTED)
    holds, fast, trust = sentences(inputs)
    context: dict[str, Any] = {
        "holds": holds,
        "fast": fast,
        "trust": trust,
        "shown": best,
        "answers": list(reproduction.answers(best.frames)) if best else [],
        "evidence": reproduction.PATH,
        "speeds": list(_speed_tables(inputs)),
        "alerts": alerts,
        "changed": history.changed(inputs),
        "history_kept": bool(inputs.history.series),
        "machines": _machines_table(inputs),
        "left_out": len(inputs.problems),
        "problems": problems.PATH,
        "performance": performance.PATH,
        "history": history.PATH,
        "mark": MARK,
        "reference": REFERENCE,
    }
    yield Page(
        "index.html",
        "RMSProp: does the book hold, and how fast is a step?",
        html("overview.html.j2", **context),
        nav="Overview",
        markdown=markdown("overview.md.j2", **context),
    )


def sentences(inputs: Inputs) -> tuple[str, str, str]:
    """The three that matter: does the book hold; how fast is a step; what changed or cannot be trusted."""
    best = reproduction.shown(inputs.reproductions)
    holds = reproduction.headline(best) if best else "No reproduction is on record: run `rmsprop reproduce`."
    return (
        f"Does the book hold? {holds}",
        f"How fast is a step? {_fast(inputs)}",
        f"What changed? {_trust(inputs)}",
    )


def _fast(inputs: Inputs) -> str:
    for machine in inputs.runs.machines:
        points = list(performance.headline_points(inputs.runs.on(machine)))
        if not points:
            continue
        point = max(points, key=lambda rows: (rows["layout"].iloc[0] == "single", rows["elements"].iloc[0]))
        best = first_of(point, "median")
        words = f"{best['implementation']} takes {duration(best['median'])} on {machine} "
        words += f"({best['place']}, float32, "
        words += best["point"].rpartition(", ")[0] if best["device"] == "cpu" else best["point"]
        if best["implementation"] == REFERENCE or pd.isna(best["ratio"]):
            return f"{words}), and nothing there is faster."
        return f"{words}), {performance.ratio_words(best)} as fast as {REFERENCE}."
    return "No benchmark is on record: run `rmsprop bench` in a checkout."


def _trust(inputs: Inputs) -> str:
    words = history.changed(inputs)
    steps = inputs.runs.steps()
    doubted = int((~steps["trusted"]).sum())
    if len(steps):
        words += f"; warnings speak against {doubted:,} of {count(len(steps), 'time')} that are shown"
    if inputs.problems:
        words += f"; {count(len(inputs.problems), 'file')} left out"
    return f"{words}."


def _speed_tables(inputs: Inputs) -> Iterator[Table]:
    """For each machine and device, how many times as fast as the reference at the points that matter."""
    runs = inputs.runs
    listed = 0
    for machine in runs.machines:
        rows = runs.on(machine)
        for device, on_device in rows.groupby("device", sort=False):
            points = list(performance.headline_points(on_device))
            if not points or listed == _HEADLINES:
                continue
            listed += 1
            cases = [{step["implementation"]: step for step in point.to_dict("records")} for point in points]
            names = [name for name in runs.implementations if any(name in case for case in cases)]
            yield capped(
                f"{machine}, {device}, float32: how many times as fast as {REFERENCE} (95% intervals)",
                ("Implementation", *(point["point"].iloc[0] for point in points)),
                [(_link(name, machine), *(_ratio(case.get(name)) for case in cases)) for name in names],
                _IMPLEMENTATIONS,
            )


def _link(name: str, machine: str) -> Cell:
    return Cell(name, href=f"{performance.PATH}#{performance.anchor_of(machine)}")


def _ratio(step: Any) -> str | Cell:
    if step is None:
        return "–"
    if step["implementation"] == REFERENCE:
        return Cell(f"1 ({duration(step['median'])})", 1.0)
    return Cell(performance.ratio_words(step), None if pd.isna(step["ratio"]) else step["ratio"])


def _machines_table(inputs: Inputs) -> Table:
    latest, frame = inputs.runs.latest, inputs.frame
    rows: list[tuple[str | Cell, ...]] = []
    for machine in inputs.runs.machines:
        here = latest[latest["machine"] == machine]
        rows.append(
            (
                Cell(machine, href=f"{performance.PATH}#{performance.anchor_of(machine)}"),
                _last(here["processor"]),
                _last(here["gpu"]) or "–",
                _last(here["cpus"]) or "–",
                when(None if here["started"].isna().all() else here["started"].max()),
                f"{len(measured_steps(here)):,}",
            )
        )
    counts = frame["machine"].value_counts()
    rows = [(*row, f"{counts[machine]:,}") for row, machine in zip(rows, inputs.runs.machines, strict=True)]
    known = set(inputs.runs.machines)
    for one in reversed(inputs.reproductions):
        facts = one.record.environment
        if facts.machine not in known:
            known.add(facts.machine)
            link = Cell(facts.machine, href=reproduction.PATH)
            rows.append((link, facts.processor, facts.gpu or "–", str(facts.cpus), "–", "0", "0"))
    columns = ("Machine", "Processor", "GPU", "Processors", "Last measured", "Steps shown", "Rows on record")
    return capped("Machines, the most recently measured first", columns, rows, _MACHINES_LISTED)


def _last(values: pd.Series) -> str:
    known = values.dropna()
    return str(known.iloc[-1]) if len(known) else ""
