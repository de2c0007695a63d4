"""The page of FusedRMSprop: how many times torch's default, ahead of whom, how near to the memory's limit."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.figures import series_style
from rmsprop.suite.report.performance_figures import draw_layouts
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import MARK, Cell, Table, marked
from rmsprop.suite.verdicts.speed import POINT, as_rows, measured_steps, speed_up
from rmsprop.suite.words import duration

PATH = "fused.html"
NAME = "fused"
OF_CEILING = 0.9
"""The share of the five-pass ceiling that a step must reach from `CEILING_FROM` elements up."""
CEILING_FROM = 1e6
TIMES_DEFAULT = {
    ("book", "6"): 4.0,
    ("single", "1e7"): 7.0,
    ("many", "1e6"): 30.0,
    ("resnet50", "25557032"): 2.2,
    ("gpt2", "124439808"): 5.5,
}
"""(layout, size) -> how many times torch's default, in the same dtype, a step on the CPU must be."""


@dataclass(frozen=True)
class Comparison:
    """A step of FusedRMSprop against something at the same point of the matrix."""

    other: str
    ratio: float
    """The other's median over its own: above 1, FusedRMSprop is faster."""
    low: float
    high: float
    """The 95% interval of the ratio."""
    trusted: bool
    """No warning speaks against either, and they took turns: they were measured at one time."""

    def reaches(self, least: float) -> str:
        """Whether the ratio is at least so much: yes, no, or not to be said."""
        if self.low >= least:
            return "yes"
        return "no" if self.high < least else "open"

    @property
    def words(self) -> str:
        """Such as `7.9× (7.6 to 8.2)`."""
        return marked(f"{self.ratio:.3g}× ({self.low:.3g} to {self.high:.3g})", self.trusted)


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, where FusedRMSprop was measured beside torch's default: of the machine measured last."""
    for machine in inputs.runs.machines:
        steps = measured_steps(inputs.runs.on(machine))
        points = [point for _, point in steps.groupby(POINT, sort=False) if _compared(point)]
        if points:
            break
    else:
        return
    drawn = pd.concat(points)
    dtype = "float32" if (drawn["dtype"] == "float32").any() else drawn["dtype"].iloc[0]
    drawn = drawn[drawn["dtype"] == dtype]
    drawn = drawn[drawn["place"] == drawn["place"].iloc[-1]]
    styles = {name: series_style(number) for number, name in enumerate(inputs.runs.implementations)}
    drawing = draw_layouts("fused-layouts", drawn, f"{drawn['place'].iloc[0]}, {dtype}", styles)
    context = {
        "machine": machine,
        "held_to": held_to(points),
        "rivals": rivals_table(points),
        "drawing": drawing,
        "mark": MARK,
        "reference": REFERENCE,
    }
    yield Page(
        PATH,
        "FusedRMSprop: is it fast?",
        html("fused.html.j2", **context),
        nav="Fused",
        markdown=markdown("fused.md.j2", **context),
        figures=(drawing,),
    )


def held_to(points: list[pd.DataFrame]) -> Table:
    """Each aim, what was measured, and whether it is reached by the whole interval."""
    rows = [row for point in points for row in _held_to(point)]
    return Table("What FusedRMSprop is held to", ("Where", "Aim", "Measured", "Reached"), tuple(rows))


def _held_to(point: pd.DataFrame) -> Iterator[tuple[str | Cell, ...]]:
    own = _of(point, NAME)
    if own["device"] != "cpu":
        return
    if least := TIMES_DEFAULT.get((own["layout"], own["size"])):
        yield _aim(own, f"{least:g} times {REFERENCE}", compare(point, REFERENCE), least)
    for rival in _rivals(point):
        yield _aim(own, f"no slower than {rival}", compare(point, rival), 1.0)
    if own["elements"] >= CEILING_FROM and own["ceiling"] is not None:
        yield _ceiling(own)


def _aim(own: Row, aim: str, found: Comparison, least: float) -> tuple[str | Cell, ...]:
    return _where(own), aim, Cell(found.words, found.ratio), _reached(found.reaches(least))


def _ceiling(own: Row) -> tuple[str | Cell, ...]:
    share = own["ceiling"] / own["median"]
    words = marked(f"{share:.0%}", own["trusted"])
    reached = "yes" if share >= OF_CEILING else "no"
    return _where(own), f"{OF_CEILING:.0%} of five passes", Cell(words, share), _reached(reached)


def _where(own: Row) -> str:
    return f"{own['dtype']}, {own['point']}"


def _reached(answer: str) -> Cell:
    statuses = {"yes": "reproduced", "no": "not reproduced", "open": "undecided"}
    return Cell(answer, status=statuses[answer])


def rivals_table(points: list[pd.DataFrame]) -> Table:
    """At each point the step, torch's default against it, and the fastest of all others."""
    rows = []
    for point in points:
        own = _of(point, NAME)
        default = compare(point, REFERENCE)
        others = [compare(point, name) for name in _rivals(point)]
        nearest = min(others, key=lambda other: other.ratio, default=None)
        share: str = "–" if own["ceiling"] is None else f"{own['ceiling'] / own['median']:.0%}"
        rows.append(
            (
                _where(own),
                Cell(marked(duration(own["median"]), own["trusted"]), own["median"]),
                Cell(default.words, default.ratio),
                "–" if nearest is None else Cell(f"{nearest.other}: {nearest.words}", nearest.ratio),
                Cell(marked(share, own["trusted"])),
            )
        )
    columns = ("Where", "Step", f"Times {REFERENCE}", "Times the fastest other", "Of five passes")
    return Table("FusedRMSprop against torch's default and the fastest of all others", columns, tuple(rows))


def compare(point: pd.DataFrame, other: str) -> Comparison:
    """FusedRMSprop against another implementation at one point."""
    own, rival = _of(point, NAME), _of(point, other)
    found = speed_up(rival["samples"], own["samples"])
    low, high = found.interval or (float("nan"), float("nan"))
    in_turns = own["started"] == rival["started"]
    return Comparison(other, found.ratio, low, high, bool(in_turns and own["trusted"] and rival["trusted"]))


def _rivals(point: pd.DataFrame) -> list[str]:
    return [name for name in point["implementation"] if name not in {NAME, REFERENCE, "scratch"}]


def _compared(point: pd.DataFrame) -> bool:
    return {NAME, REFERENCE} <= set(point["implementation"])


def _of(point: pd.DataFrame, implementation: str) -> Row:
    return as_rows(point[point["implementation"] == implementation])[0]
