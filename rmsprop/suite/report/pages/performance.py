"""The page of what a step costs: on each machine, and the machines against each other."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pandas as pd

from rmsprop.suite.case import LAYOUTS, REFERENCE
from rmsprop.suite.report.figures.canvas import Drawing, Styles, fitting, styles_of
from rmsprop.suite.report.figures.performance import (
    draw_bandwidth,
    draw_layouts,
    draw_speed_ups,
    draw_times,
)
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    RATIO_MARK,
    TIME_MARK,
    Block,
    Code,
    Detail,
    Facts,
    Figures,
    Heading,
    Page,
    Sentences,
    Table,
    note,
    paragraph,
)
from rmsprop.suite.report.pages.performance_tables import (
    FIVE_PASSES,
    MAX_IMPLEMENTATIONS,
    PATH,
    case_tables,
    machine_anchor,
    machines_table,
    note_sentences,
    runs_table,
    unmeasured_sentences,
    warning_sentences,
)
from rmsprop.suite.verdicts.crossovers import crossovers
from rmsprop.suite.verdicts.speed import (
    POINT,
    RUNNERS,
    Runs,
    in_order,
    last_of,
    measured_steps,
    without_momentum,
)
from rmsprop.suite.words import command, count, slug

WHAT_IS_REFERENCE = (
    f"{REFERENCE} is torch.optim.RMSprop as people use it on a CPU; on a GPU torch’s default is "
    "builtin-foreach."
)
_IN_FULL = 4
"""Machines with a section of their own: the most recently measured."""
_FIGURES_BYTES = 800_000
_TABLES = 8
"""Of places and dtypes, on one machine."""
_SENTENCES = 20


@dataclass(frozen=True)
class Section:
    """All that the page says of one machine.

    Attributes
    ----------
    machine
        Its folder name, the section's heading.
    facts
        Name -> words: the machine, its load, and why asv's numbers bear no marks.
    runs
        Which runs the rows come from.
    figures
        By heading.
    tables
        For each device and dtype: the steps, then what else was measured.
    crossovers
        A sentence for each place, dtype and implementation: at which sizes it is slower, level or faster.
    marked, notes, unmeasured
        A sentence for each kind of warning, for each note, and for each reason why a case has no numbers.
    """

    machine: str
    facts: dict[str, str]
    runs: Table
    figures: tuple[tuple[str, tuple[Drawing, ...]], ...]
    tables: tuple[Table, ...]
    crossovers: tuple[str, ...]
    marked: tuple[str, ...]
    notes: tuple[str, ...]
    unmeasured: tuple[str, ...]

    @property
    def drawings(self) -> tuple[Drawing, ...]:
        """Every figure, in order."""
        return tuple(drawing for _, drawings in self.figures for drawing in drawings)

    @property
    def blocks(self) -> Iterator[Block]:
        """The section as the page shows it; the first figures and tables stand in the Markdown too."""
        yield Heading(self.machine, anchor=machine_anchor(self.machine))
        yield Facts(self.facts)
        yield self.runs
        for number, (heading, drawings) in enumerate(self.figures):
            shown = (Heading(heading, level=3), Figures(drawings))
            yield from (Detail(shown),) if number else shown
        if self.crossovers:
            yield Heading("Crossover sizes", level=3)
            yield Sentences(self.crossovers)
            yield note(
                "Level: the 95% interval of the ratio holds 1, or, without an interval, it is within 2% of 1."
            )
        yield from self.tables[:1]
        yield Detail(self.tables[1:])
        if self.marked:
            yield note(f"{RATIO_MARK} The warnings, one of each kind in full:")
            yield Sentences(self.marked)
        if self.notes:
            yield Detail((Heading("Notes", level=3), Sentences(self.notes)))
        if self.unmeasured:
            yield Detail((Heading("Not measured", level=3), Sentences(self.unmeasured)))


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, where anything was measured, skipped or failed."""
    if inputs.runs.rows.empty:
        return
    runs = inputs.runs
    sections = [
        section_of(runs, machine, styles_of(runs.implementations)) for machine in runs.machines[:_IN_FULL]
    ]
    drawn = fitting([section.drawings for section in sections], _FIGURES_BYTES)
    sections[drawn:] = [replace(section, figures=()) for section in sections[drawn:]]
    blocks: list[Block] = [
        paragraph(
            "A step is one call of an optimizer’s step() on parameters that have gradients. Its time is of "
            "one run: by rmsprop bench the geometric mean of the medians of the run’s processes, by asv and "
            f"pytest-benchmark the median of the samples. {WHAT_IS_REFERENCE}"
        )
    ]
    machines = machines_table(runs)
    if machines.rows:
        blocks += [
            Heading("Machines", anchor="machines"),
            machines,
            note(
                f"Each device at the one point that most machines measured. {FIVE_PASSES} The table gives "
                f"their bytes a second. {TIME_MARK}"
            ),
        ]
    for section in sections:
        blocks += section.blocks
    if undrawn := [section.machine for section in sections[drawn:]]:
        blocks.append(paragraph(f"To keep this page small there are no figures of {', '.join(undrawn)}."))
    if (left_out := len(runs.machines) - _IN_FULL) > 0:
        blocks.append(
            paragraph(
                f"{count(left_out, 'further machine')}, measured longer ago, have no section of their own; "
                "they stand in the table of machines."
            )
        )
    sources = Sentences(tuple(_sources(inputs.frame, runs)))
    selection = paragraph(
        "For each case on each machine the page shows the newest row. A row of a table holds what one run "
        "measured in turns, and each ratio is taken within such a row alone. ",
        Code(command("export", results=inputs.results)),
        " gives every row.",
    )
    blocks.append(Detail((Heading("Where the rows come from"), sources, selection)))
    yield Page(PATH, "Performance: what a step costs", tuple(blocks), nav="Performance")


def headline_figure(runs: Runs, machine: str, device: str) -> Drawing | None:
    """Time against size on one device of one machine, at its last place with such a figure."""
    rows = runs.on(machine)
    of_device = rows[rows["device"] == device]
    figures = figures_of(of_device, slug(machine), styles_of(runs.implementations))
    times = [one for _, drawings in figures for one in drawings if one.name.startswith("time-")]
    return times[-1] if times else None


def section_of(runs: Runs, machine: str, styles: Styles) -> Section:
    """What was measured last on one machine."""
    rows = runs.on(machine)
    latest = rows[rows["latest"]]
    return Section(
        machine=machine,
        facts=_facts(latest),
        runs=runs_table(runs.runs_on(machine), "Runs on this machine, the newest first"),
        figures=tuple(figures_of(rows, slug(machine), styles)),
        tables=tuple(case_tables(rows, runs.implementations))[:_TABLES],
        crossovers=_capped_sentences(crossovers(rows)),
        marked=_capped_sentences(warning_sentences(rows)),
        notes=_capped_sentences(note_sentences(latest)),
        unmeasured=_capped_sentences(unmeasured_sentences(latest)),
    )


def headline_points(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Of the float32 steps of one run at one device: the book's parameters, the largest tensor, ResNet-50.

    Each at the threads with the most implementations, all threads before one.
    """
    steps = measured_steps(rows)
    steps = steps[steps["dtype"] == "float32"]
    for layout in ("book", "single", "resnet50"):
        points = [turn for _, turn in steps[steps["layout"] == layout].groupby([*POINT, "turn"], sort=False)]
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


def _facts(rows: pd.DataFrame) -> dict[str, str]:
    newest = last_of(rows, "started")
    machine = [newest["processor"] or newest["machine"]]
    if newest["cpus"] is not None:
        machine.append(f"{newest['cpus']} logical processors")
    if newest["gpu"]:
        machine.append(newest["gpu"])
    if newest["governor"]:
        machine.append(f"governor {newest['governor']}")
    facts = {"Machine": ", ".join(machine)}
    if rows["load"].notna().any():
        least, most = rows["load"].min(), rows["load"].max()
        facts["Load"] = f"{least:.2f}" if least == most else f"{least:.2f} to {most:.2f}"
        facts["Load"] += " at the start"
    if newest["runner"] == "asv":
        facts["Trust"] = "asv watches neither load nor clock, so that no number is marked for them"
    return facts


def figures_of(rows: pd.DataFrame, name: str, styles: Styles) -> Iterator[tuple[str, tuple[Drawing, ...]]]:
    """The machine's figures by heading; `name` stands in the names of their files."""
    steps = without_momentum(measured_steps(rows))
    shown = in_order(steps["implementation"], styles)[:MAX_IMPLEMENTATIONS]
    steps = steps[steps["implementation"].isin(shown) & (steps["elements"] > 0)]
    tensors = steps[(steps["layout"] == "single") & steps["latest"]]
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
    if more <= 0:
        return tuple(listed)
    return (*listed[:_SENTENCES], f"and {count(more, 'more sentence')} like these")


def _sources(frame: pd.DataFrame, runs: Runs) -> Iterator[str]:
    for runner in RUNNERS:
        rows = frame[frame["runner"] == runner]
        if not rows.empty:
            shown = int((runs.rows["runner"] == runner).sum())
            files = count(rows["file"].nunique(), "file")
            yield f"{runner}: {count(len(rows), 'row')} from {files}, {shown:,} of them on this page"
