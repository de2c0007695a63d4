"""The page of FusedRMSprop: how many times torch's default, ahead of whom, how near to the memory limit."""

from collections.abc import Iterable

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.report.figures.canvas import styles_of
from rmsprop.suite.report.figures.performance import draw_layouts
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    RATIO_MARK,
    Cell,
    Figures,
    Link,
    Page,
    Table,
    headline,
    marked,
    note,
    paragraph,
)
from rmsprop.suite.report.pages import performance, performance_tables
from rmsprop.suite.verdicts.ratios import LEAST_PROCESSES
from rmsprop.suite.verdicts.turns import Comparison, compare, row_of, turns_of
from rmsprop.suite.words import count, duration, factor

PATH = "fused.html"
NAME = "fused"


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, where FusedRMSprop was measured beside torch's default: of the machine measured last."""
    for machine in inputs.runs.machines:
        turns = turns_of(inputs.runs.on(machine), NAME, REFERENCE)
        if turns:
            break
    else:
        return
    drawn = pd.concat(turns)
    dtype = "float32" if (drawn["dtype"] == "float32").any() else drawn["dtype"].iloc[0]
    drawn = drawn[drawn["dtype"] == dtype]
    drawn = drawn[drawn["place"] == drawn["place"].iloc[-1]]
    styles = styles_of(inputs.runs.implementations)
    drawing = draw_layouts("fused-layouts", drawn, f"{drawn['place'].iloc[0]}, {dtype}", styles)
    blocks = (
        headline(summary(turns)),
        paragraph(
            f"FusedRMSprop on {machine}; the runs and all other numbers stand on the page ",
            Link("Performance", f"{performance_tables.PATH}#{performance_tables.machine_anchor(machine)}"),
            ". Each row compares what was measured in turns in one run. Ratios have 95% intervals over the "
            f"processes where {LEAST_PROCESSES} or more measured. {performance.WHAT_IS_REFERENCE}",
        ),
        rivals_table(turns),
        note(
            f"{RATIO_MARK} Share of the memory limit: the time that five plain passes over as much memory "
            "take in the same run, divided by the time of the step. A step reads three arrays and writes "
            "two, and cannot move less. Below some 10,000 elements the five passes take the time of two "
            "calls of torch, and a single call can be faster."
        ),
        Figures((drawing,)),
    )
    yield Page(PATH, "FusedRMSprop: is it fast?", blocks, nav="Fused")


def summary(turns: list[pd.DataFrame]) -> str:
    """One sentence: from how much to how much faster than torch's default."""
    ratios = [compare(turn, NAME, REFERENCE).ratio for turn in turns]
    least, most = (factor(pick(ratios)) for pick in (min, max))
    times = least if least == most else f"{least} to {most}"
    cases = count(len(turns), "case")
    return f"In {cases} a step of FusedRMSprop is {times} times as fast as one of {REFERENCE}."


def rivals_table(turns: list[pd.DataFrame]) -> Table:
    """At each point the step, torch's default against it, and the fastest of all others."""
    rows = []
    for turn in turns:
        own = row_of(turn, NAME)
        default = compare(turn, NAME, REFERENCE)
        rivals = [name for name in turn["implementation"] if name not in {NAME, REFERENCE, "scratch"}]
        nearest = min((compare(turn, NAME, name) for name in rivals), key=lambda one: one.ratio, default=None)
        share = "–" if own["share"] is None else f"{own['share']:.0%}"
        rows.append(
            (
                f"{own['dtype']}, {own['point']}",
                own["label"],
                Cell(marked(duration(own["median"]), own["typical"]), own["median"]),
                _ratio(default),
                "–" if nearest is None else _ratio(nearest, f"{nearest.other}: "),
                Cell(marked(share, own["typical"])),
            )
        )
    columns = ("Case", "Run", "Step", f"Times {REFERENCE}", "Times the fastest other", "Memory limit")
    return Table("FusedRMSprop against torch’s default and the fastest of all others", columns, tuple(rows))


def _ratio(found: Comparison, before: str = "") -> Cell:
    return Cell(marked(f"{before}{found.words}", found.trusted), found.ratio)
