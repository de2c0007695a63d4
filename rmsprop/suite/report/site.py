"""What a page of the site is, and what it is made from.

A page module (`overview`, `reproduction`, `performance`, `fused`, `history`, `gate`, `problems`)
has one function,

    def pages(inputs: Inputs) -> Iterable[Page]: ...

and stands in `report.pages.MODULES`, in the order of the navigation. It runs nothing and reads no file: all
that it shows is in `Inputs`, and the same inputs give the same bytes. It gives no page where it has nothing
to say. Its template fills `<main>` alone (the frame around it, with title, navigation, style and script, is
`base.html.j2`) and takes figures and tables from `macros.html.j2`:

    {% from "macros.html.j2" import figure, table %}
    <h2>Paired ratios</h2>
    {{ figure(drawings["forest"]) }}
    {{ table(launches) }}

    def pages(inputs):
        for record in inputs.gates:
            body = html("gate.html.j2", launches=Table("Launches", ("Case", "Ratio"), rows), ...)
            yield Page(f"gate-{name}.html", "Gate: base against head", body, nav="Gate" if newest else None)

Figures are drawn between `figures.canvas` and `figures.finish`; tables are `tables.Table`; words for times,
sizes and commits are in `words`. All pages lie in one folder, so that a link is the other page's file name.
"""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rmsprop.suite.history.series import Alert, History
from rmsprop.suite.records.files import Problem
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.report.figures import Drawing
from rmsprop.suite.report.frames import Reproduction
from rmsprop.suite.verdicts.speed import Runs

MAX_BYTES = 2_000_000
"""Of a page. Page modules cap what they show, and say what they left out."""


@dataclass(frozen=True)
class Inputs:
    """Everything below results/, read once."""

    results: Path
    """The folder itself, for names relative to it."""
    reproductions: tuple[Reproduction, ...]
    """Oldest first."""
    frame: pd.DataFrame
    """`rmsprop.suite.records.frame.read_frame`: every row of bench, asv and pytest-benchmark."""
    gates: tuple[GateRecord, ...]
    """The records below results/gate/, oldest first."""
    runs: Runs
    """What was measured last of each case on each machine."""
    history: History
    """Each case that was measured at two commits or more."""
    alerts: tuple[Alert, ...]
    """The steps in it."""
    problems: tuple[Problem, ...]
    """Files that could not be read, with reasons; the page `problems` shows them."""
    asv_site: bool
    """Whether asv's own published site lies beside the pages, in asv/."""


@dataclass(frozen=True)
class Page:
    """One page, finished but for the frame around it."""

    path: str
    """File name in reports/, such as performance.html."""
    title: str
    """Text; the page's `<title>` and `<h1>`."""
    body: str
    """HTML for `<main>`, below the `<h1>`."""
    nav: str | None
    """Its word in the navigation; None for a page that another one links to."""
    markdown: str = ""
    """The same in the Markdown twin, from a heading of level 2 on; empty where the twin leaves it out."""
    figures: tuple[Drawing, ...] = ()
    """Those that `markdown` shows: their files are written to figures/, and are committed."""
