"""The page of FusedRMSprop: how many times torch's default, ahead of whom, against five plain passes."""

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.figures.canvas import Drawing, Styles, styles_of
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
from rmsprop.suite.verdicts.speed import Run, without_momentum
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
    blocks = (
        headline(summary(turns, inputs.runs.runs_on(machine))),
        paragraph(
            "The runs and all other numbers stand on the page ",
            Link("Performance", f"{performance_tables.PATH}#{performance_tables.machine_anchor(machine)}"),
            ". Each row compares what was measured in turns in one run. Ratios have 95% intervals over the "
            f"processes where {LEAST_PROCESSES} or more measured. {performance.WHAT_IS_REFERENCE}",
        ),
        rivals_table(turns),
        note(
            f"{RATIO_MARK} {performance_tables.FIVE_PASSES} Five passes / step: their time over that of the "
            "step, without an interval, since a record keeps one time of the passes. "
            f"{_against_passes(turns)}"
        ),
        Figures(tuple(_layouts(without_momentum(pd.concat(turns)), styles_of(inputs.runs.implementations)))),
    )
    yield Page(PATH, "FusedRMSprop: is it fast?", blocks, nav="Fused")


def _layouts(steps: pd.DataFrame, styles: Styles) -> Iterator[Drawing]:
    """Time per element at the last place, in float32 if it was measured; nothing without steps."""
    if steps.empty:
        return
    dtype = "float32" if (steps["dtype"] == "float32").any() else steps["dtype"].iloc[0]
    drawn = steps[steps["dtype"] == dtype]
    drawn = drawn[drawn["place"] == drawn["place"].iloc[-1]]
    yield draw_layouts("fused-layouts", drawn, f"{drawn['place'].iloc[0]}, {dtype}", styles)


def summary(turns: Sequence[pd.DataFrame], runs: Sequence[Run]) -> str:
    """How many times as fast as torch's default, at least and at most: with interval, case and run."""
    found = [(compare(turn, NAME, REFERENCE), row_of(turn, NAME)) for turn in turns]
    least, most = (pick(found, key=lambda one: one[0].ratio) for pick in (min, max))
    times = _end(*most) if len(found) == 1 else f"at least {_end(*least)} and at most {_end(*most)}"
    labels = {row["label"] for _, row in (least, most)}
    return " ".join(
        (
            f"In {count(len(found), 'case')} on {runs[0].machine} a step of FusedRMSprop was {times} as fast "
            f"as one of {REFERENCE}.",
            *(f"Run {run.label}: {run.words}." for run in runs if run.label in labels),
        )
    )


def _end(found: Comparison, row: Row) -> str:
    """Such as `7.90 times (95% interval 7.61 to 8.20; cpu, float32, 1e7, one tensor, 1 thread; run A)`."""
    sure = "no interval"
    if found.interval:
        sure = "95% interval {} to {}".format(*map(factor, found.interval))
    return (
        f"{marked(f'{factor(found.ratio)} times', found.trusted)} ({sure}; {_case(row)}; run {row['label']})"
    )


def _case(row: Row) -> str:
    return f"{row['device']}, {row['dtype']}, {row['point']}"


def _against_passes(turns: Sequence[pd.DataFrame]) -> str:
    """In how many cases a step takes less than the five passes, and where it takes the least of them."""
    known = [row for row in (row_of(turn, NAME) for turn in turns) if row["share"] is not None]
    if not known:
        return "The passes were not measured here."
    most = max(known, key=lambda row: float(row["share"]))
    share = marked(f"{most['share']:.0%}", most["typical"])
    less = sum(row["share"] > 1 for row in known)
    return (
        f"Above 100% the step took less than the passes: in {less:,} of {count(len(known), 'case')}. "
        f"The most is {share} ({_case(most)}; run {most['label']}). Why a step takes less was not measured."
    )


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
                _case(own),
                own["label"],
                Cell(marked(duration(own["median"]), own["typical"]), own["median"]),
                _ratio(default),
                "–" if nearest is None else _ratio(nearest, f"{nearest.other}: "),
                Cell(marked(share, own["typical"])),
            )
        )
    columns = ("Case", "Run", "Step", f"Times {REFERENCE}", "Times the fastest other", "Five passes / step")
    return Table("FusedRMSprop against torch’s default and the fastest of all others", columns, tuple(rows))


def _ratio(found: Comparison, before: str = "") -> Cell:
    return Cell(marked(f"{before}{found.words}", found.trusted), found.ratio)
