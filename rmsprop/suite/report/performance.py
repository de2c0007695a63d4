"""The page of what a step costs: on each machine, and the machines against each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from rmsprop.suite.case import LAYOUTS, REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.figures import Drawing, fitting, series_style
from rmsprop.suite.report.performance_figures import (
    Styles,
    draw_bandwidth,
    draw_layouts,
    draw_speed_ups,
    draw_times,
)
from rmsprop.suite.report.performance_tables import (
    MAX_IMPLEMENTATIONS,
    case_tables,
    note_sentences,
    unmeasured_sentences,
    warning_sentences,
)
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import MARK, Cell, Table, capped, marked
from rmsprop.suite.verdicts.crossovers import crossovers
from rmsprop.suite.verdicts.speed import (
    CASE,
    POINT,
    RUNNERS,
    Runs,
    as_rows,
    in_order,
    last_of,
    measured_steps,
)
from rmsprop.suite.words import commit_name, count, duration, slug, when

PATH = "performance.html"
_IN_FULL = 4
"""Machines with a section of their own: the most recently measured."""
_FIGURES_BYTES = 800_000
_TABLES = 8
"""Of places and dtypes, on one machine."""
_ROWS = 60
_MACHINES_LISTED = 100
_SENTENCES = 20


@dataclass(frozen=True)
class Section:
    """All that the page says of one machine."""

    machine: str
    anchor: str
    facts: dict[str, str]
    runs: Table
    """Which runs the rows come from."""
    figures: tuple[tuple[str, tuple[Drawing, ...]], ...]
    """By heading."""
    tables: tuple[Table, ...]
    """For each device and dtype: the steps, then what else was measured."""
    crossovers: tuple[str, ...]
    marked: tuple[str, ...]
    """What the marks stand for, a sentence for each kind of warning."""
    notes: tuple[str, ...]
    """What a reader of the numbers must know, a sentence for each."""
    unmeasured: tuple[str, ...]
    """Skipped and failed cases, a sentence for each reason."""

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """Every figure, in order."""
        return tuple(drawing for _, drawings in self.figures for drawing in drawings)


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, where anything was measured, skipped or failed."""
    if inputs.frame.empty:
        return
    runs = inputs.runs
    sections = [section_of(runs, machine, styles_of(runs)) for machine in runs.machines[:_IN_FULL]]
    drawn = fitting([section.drawings for section in sections], _FIGURES_BYTES)
    sections[drawn:] = [replace(section, figures=()) for section in sections[drawn:]]
    context: dict[str, Any] = {
        "sections": sections,
        "undrawn": [section.machine for section in sections[drawn:]],
        "machines": machines_table(runs),
        "left_out": max(0, len(runs.machines) - _IN_FULL),
        "sources": list(_sources(inputs.frame, runs)),
        "mark": MARK,
        "reference": REFERENCE,
    }
    yield Page(
        PATH,
        "Performance: what a step costs",
        html("performance.html.j2", **context),
        nav="Performance",
        markdown=markdown("performance.md.j2", **context),
        figures=tuple(drawing for section in sections for drawing in section.drawings),
    )


def headline_figure(runs: Runs) -> Drawing | None:
    """Time against size on the machine measured last, at its last place with such a figure."""
    for machine in runs.machines:
        for _, drawings in figures_of(runs.on(machine), slug(machine), styles_of(runs)):
            times = [drawing for drawing in drawings if drawing.name.startswith("time-")]
            if times:
                return times[-1]
    return None


def styles_of(runs: Runs) -> Styles:
    """Colour, marker and line of each implementation, the same in every figure."""
    return {name: series_style(number) for number, name in enumerate(runs.implementations)}


def anchor_of(machine: str) -> str:
    """Where the machine's section stands on the page."""
    return f"machine-{slug(machine)}"


def section_of(runs: Runs, machine: str, styles: Styles) -> Section:
    """What was measured last on one machine."""
    rows = runs.on(machine)
    return Section(
        machine=machine,
        anchor=anchor_of(machine),
        facts=_facts(rows),
        runs=_runs_table(rows),
        figures=tuple(figures_of(rows, slug(machine), styles)),
        tables=tuple(case_tables(rows, runs.implementations))[:_TABLES],
        crossovers=_capped_sentences(crossovers(rows)),
        marked=_capped_sentences(warning_sentences(rows)),
        notes=_capped_sentences(note_sentences(rows)),
        unmeasured=_capped_sentences(unmeasured_sentences(rows)),
    )


def headline_points(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Of the float32 steps at one device: the book's parameters, the largest tensor, ResNet-50.

    Each at the threads with the most implementations, all threads before one.
    """
    steps = measured_steps(rows)
    steps = steps[steps["dtype"] == "float32"]
    for layout in ("book", "single", "resnet50"):
        points = [point for _, point in steps[steps["layout"] == layout].groupby(POINT, sort=False)]
        if points:
            yield max(
                points,
                key=lambda point: (
                    (point["implementation"] == REFERENCE).any(),
                    len(point),
                    point["elements"].iloc[0],
                    point["threads"].iloc[0] == 0,
                ),
            )


def ratio_words(step: Row) -> str:
    """Such as `2.07× (1.98 to 2.15)`."""
    if pd.isna(step["ratio"]):
        return "–"
    interval = "" if pd.isna(step["low"]) else f" ({step['low']:.2f} to {step['high']:.2f})"
    return marked(f"{step['ratio']:.2f}×{interval}", step["ratio_trusted"])


def machines_table(runs: Runs) -> Table:
    """A row for each machine and device: at the point of that device that most machines measured."""
    steps = runs.steps()
    steps = steps[(steps["dtype"] == "float32") & (steps["layout"] == "single")]
    measured = set(steps["implementation"])
    names = [name for name in runs.implementations if name in measured][:MAX_IMPLEMENTATIONS]
    rows: list[tuple[str | Cell, ...]] = []
    for device, on_device in steps.groupby("device", sort=False):
        points = [point for _, point in on_device.groupby(["size", "threads"], sort=True)]
        point = max(points, key=_comparability)
        for machine in runs.machines:
            here = point[point["machine"] == machine]
            if not here.empty:
                rows.append(_machine_row(machine, str(device), as_rows(here), names))
    return capped(
        "Machines: one float32 tensor, time of a step",
        ("Machine", "Device", "Case", "Five passes", *names),
        rows,
        _MACHINES_LISTED,
    )


def _comparability(point: pd.DataFrame) -> tuple[int, float, bool]:
    """Many machines, then many elements, then all threads."""
    return len(set(point["machine"])), point["elements"].iloc[0], point["threads"].iloc[0] == 0


def _machine_row(machine: str, device: str, steps: list[Row], names: Iterable[str]) -> tuple[str | Cell, ...]:
    found = {step["implementation"]: step for step in steps}
    ceilings = [step["ceiling_bandwidth"] for step in steps if step["ceiling_bandwidth"] is not None]
    ceiling = max(ceilings, default=None)
    return (
        Cell(machine, href=f"{PATH}#{anchor_of(machine)}"),
        device,
        steps[0]["point"],
        "–" if ceiling is None else Cell(f"{ceiling / 1e9:,.3g} GB/s", ceiling),
        *(_time_cell(found.get(name)) for name in names),
    )


def _time_cell(step: Row | None) -> str | Cell:
    return "–" if step is None else Cell(marked(duration(step["median"]), step["trusted"]), step["median"])


def _facts(rows: pd.DataFrame) -> dict[str, str]:
    newest = last_of(rows, "started")
    machine = [newest["processor"] or newest["machine"]]
    if newest["cpus"] is not None:
        machine.append(f"{newest['cpus']} logical processors")
    if gpu := newest["gpu"]:
        machine.append(gpu)
    if governor := newest["governor"]:
        machine.append(f"governor {governor}")
    facts = {"Machine": ", ".join(machine)}
    if rows["load"].notna().any():
        least, most = rows["load"].min(), rows["load"].max()
        facts["Load"] = f"{least:.2f}" if least == most else f"{least:.2f} to {most:.2f}"
        facts["Load"] += " at the start"
    if newest["runner"] == "asv":
        facts["Trust"] = "asv watches neither load nor clock, so that no number is marked for them"
    return facts


def _runs_table(rows: pd.DataFrame) -> Table:
    listed: list[tuple[str | Cell, ...]] = []
    for _, run in rows.groupby("run", sort=False):
        newest = last_of(run, "started")
        listed.append(
            (
                when(newest["started"]),
                "rmsprop bench" if newest["runner"] == "bench" else newest["runner"],
                commit_name(newest["commit"], newest["dirty"]),
                newest["torch"] or "unknown",
                newest["python"] or "unknown",
                f"{len(run.drop_duplicates(CASE)):,}",
            )
        )
    listed.sort(key=str, reverse=True)
    return capped(
        "Runs that are shown", ("Ended", "Measured by", "Commit", "torch", "Python", "Cases"), listed, _ROWS
    )


def figures_of(rows: pd.DataFrame, name: str, styles: Styles) -> Iterator[tuple[str, tuple[Drawing, ...]]]:
    """The machine's figures by heading; `name` stands in the names of their files."""
    """By heading; `name` is the machine's, for the names of the files."""
    steps = measured_steps(rows)
    shown = in_order(steps["implementation"], styles)[:MAX_IMPLEMENTATIONS]
    steps = steps[steps["implementation"].isin(shown) & (steps["elements"] > 0)]
    tensors = steps[steps["layout"] == "single"]
    sized = tensors[tensors["dtype"] == "float32"]
    curves: list[Drawing] = []
    for place, at_place in sized.groupby("place", sort=False):
        stem, of = f"{name}-{slug(str(place))}", f"{place}, float32, {LAYOUTS['single']}"
        curves.append(draw_times(f"time-{stem}", at_place, of, styles))
        curves.append(draw_bandwidth(f"bandwidth-{stem}", at_place, of, styles))
    if curves:
        yield "Time and bandwidth against size", tuple(curves)
    compared = tensors[tensors["ratio"].notna() & (tensors["implementation"] != REFERENCE)]
    maps = tuple(
        draw_speed_ups(f"speed-up-{name}-{slug(str(other))}", of_one, str(other))
        for other, of_one in compared.groupby("implementation", sort=False)
    )
    if maps:
        yield f"How many times as fast as {REFERENCE}", maps
    layouts = [
        draw_layouts(f"layouts-{name}-{slug(str(place))}", at_place, f"{place}, float32", styles)
        for place, at_place in steps[steps["dtype"] == "float32"].groupby("place", sort=False)
        if len(set(at_place["layout"])) > 1
    ]
    if layouts:
        yield "Layouts", tuple(layouts)


def _capped_sentences(sentences: Iterable[str]) -> tuple[str, ...]:
    listed = list(sentences)
    more = len(listed) - _SENTENCES
    return (
        (*listed[:_SENTENCES], f"and {count(more, 'more sentence')} like these")
        if more > 0
        else tuple(listed)
    )


def _sources(frame: pd.DataFrame, runs: Runs) -> Iterator[str]:
    for runner in RUNNERS:
        rows = frame[frame["runner"] == runner]
        if not rows.empty:
            shown = int((runs.latest["runner"] == runner).sum())
            files = count(rows["file"].nunique(), "file")
            yield f"{runner}: {count(len(rows), 'row')} from {files}, {shown:,} of them among the latest"
