"""The page of every case over commits, with the change points that `rmsprop.suite.history` finds."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsprop.suite.case import Case
from rmsprop.suite.history.alerts import Alert, importance
from rmsprop.suite.history.series import Series
from rmsprop.suite.report.figures.canvas import Drawing, fitting, styles_of
from rmsprop.suite.report.figures.history import commit_anchor, draw_history
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    Block,
    Cell,
    Code,
    Detail,
    Figures,
    Heading,
    Link,
    Page,
    Sentences,
    Table,
    capped,
    headline,
    note,
    paragraph,
)
from rmsprop.suite.report.pages.history_tables import alerts_table, groups_table
from rmsprop.suite.verdicts.looks import SHORTEST
from rmsprop.suite.verdicts.speed import in_order
from rmsprop.suite.words import command, count, slug, with_unit

PATH = "history.html"
_FIGURES = 24
_FIGURES_BYTES = 1_000_000
_FIGURES_IN_MARKDOWN = 4
_LINES = 12
"""Of one figure."""
_ALERTS_LISTED = 200
_GROUPS_LISTED = 40
_SERIES_LISTED = 200
_COMMITS_LISTED = 200


@dataclass(frozen=True)
class Panel:
    """Series that one figure shows: those of one point and quantity on one machine in one environment.

    Attributes
    ----------
    machine, environment, quantity, runner
        As in each of the series.
    point
        That of the cases; `cases` where they are other benchmarks.
    series
        The lines.
    alerts
        The change points of these series.
    """

    machine: str
    environment: str
    point: str
    quantity: str
    runner: str
    series: tuple[Series, ...]
    alerts: tuple[Alert, ...]

    @property
    def name(self) -> str:
        """Of the figure's file."""
        return "-".join(
            slug(part) for part in ("history", self.machine, self.runner, self.point, self.quantity)
        )

    @property
    def words(self) -> str:
        """Such as `cpu float32 1e5 single 1t, step, on amd-epyc-2cpu`."""
        return f"{self.point.replace('-', ' ')}, {self.quantity}, on {self.machine}, by {self.runner}"


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, where there is a history."""
    if inputs.history.series:
        yield Page(PATH, "History: every case over commits", tuple(_blocks(inputs)), nav="History")


def _blocks(inputs: Inputs) -> Iterator[Block]:
    series = inputs.history.series
    panels = panels_of(series, inputs.alerts)
    drawings = _drawings(panels[:_FIGURES], inputs.runs.implementations, inputs.history.measured)
    drawings = drawings[: fitting([[drawing] for drawing in drawings], _FIGURES_BYTES)]
    yield headline(f"{changed(inputs)}.")
    yield Detail((_asv_site(linked=inputs.asv_site),))
    if inputs.alerts:
        yield groups_table(inputs, _GROUPS_LISTED)
        yield alerts_table(inputs, _ALERTS_LISTED, path="")
        yield note(
            Code(command("alerts", results=inputs.results)),
            " finds the same ones, in the folder in which this page was made.",
        )
    if inputs.history.remarks:
        yield Sentences(tuple(f"{remark}." for remark in inputs.history.remarks))
    yield Heading("Cases over commits")
    left_out = len(panels) - len(drawings)
    yield Detail(
        (
            paragraph(
                "The cases with a change point stand first, in the order of the table, then those with the "
                "most points.",
                f" {left_out:,} further figures are left out; the table of every series has their numbers."
                if left_out
                else "",
            ),
        )
    )
    if shown := tuple(drawings[:_FIGURES_IN_MARKDOWN]):
        yield Figures(shown)
    if more := tuple(drawings[_FIGURES_IN_MARKDOWN:]):
        yield Detail((Figures(more),))
    tables = (
        _series_table(series, inputs.alerts),
        _commits_table(series, inputs.alerts, inputs.commit_url),
    )
    yield Detail((Heading("Every series"), tables[0], Heading("Commits"), tables[1]))


def _asv_site(*, linked: bool) -> Block:
    if linked:
        return paragraph(
            "asv’s own site of the same results: ",
            Link("graphs", "asv/index.html"),
            ", ",
            Link("regressions", "asv/index.html#regressions"),
            ".",
        )
    return paragraph(
        Code("asv publish"),
        " makes asv’s own site of the same results in asv/, beside this page. Build the report again, and "
        "it is linked here.",
    )


def changed(inputs: Inputs) -> str:
    """What the history says, which is nothing where it is too short to find a change point."""
    series, judged = inputs.history.series, sum(one.long_enough for one in inputs.history.series)
    if not series:
        return "; ".join(("No history of commits is on record", *inputs.history.remarks))
    if inputs.alerts:
        stand = sum(alert.stands for alert in inputs.alerts)
        still = "" if stand == len(inputs.alerts) else f", {stand:,} of them still so,"
        return f"{count(len(inputs.alerts), 'change point')}{still} in {judged:,} series over commits"
    if not judged:
        longest = max(len(one.commits) for one in series)
        return (
            f"The history is too short to say: it has {count(longest, 'commit')} at most, and a change point "
            f"takes {SHORTEST}"
        )
    return f"No change point in {judged:,} series over commits"


def panels_of(series: Iterable[Series], alerts: Sequence[Alert]) -> list[Panel]:
    """Every figure: those with alerts first, in the order of alerts, then those with the most points."""
    grouped: dict[tuple[str, str, str, str, str], list[Series]] = {}
    for one in series:
        key = (one.machine, one.environment, _point(one), one.quantity, one.runner)
        grouped.setdefault(key, []).append(one)
    stepped: dict[int, list[Alert]] = {}
    for alert in alerts:
        stepped.setdefault(id(alert.series), []).append(alert)
    panels = [
        Panel(
            *(machine, environment, point, quantity, runner),
            series=tuple(found),
            alerts=tuple(alert for one in found for alert in stepped.get(id(one), ())),
        )
        for (machine, environment, point, quantity, runner), found in grouped.items()
    ]
    return sorted(panels, key=_importance)


def _importance(panel: Panel) -> tuple[Any, ...]:
    first = min(map(importance, panel.alerts), default=(True, True, True, 0.0))
    points = sum(len(one.commits) for one in panel.series)
    return (first, panel.quantity != "step", -points, panel.machine, panel.point, panel.environment)


def _drawings(
    panels: Iterable[Panel], implementations: Sequence[str], commits: Sequence[str]
) -> list[Drawing]:
    places = {commit: place for place, commit in enumerate(commits)}
    known = styles_of(implementations)
    drawings, names = [], set()
    for panel in panels:
        found = {_implementation(one): one for one in panel.series}
        lines = {name: found[name] for name in in_order(found, known)[:_LINES]}
        styles = styles_of((*implementations, *(name for name in lines if name not in known)))
        name = panel.name
        while name in names:  # the same machine in another environment
            name += "-2"
        names.add(name)
        drawings.append(draw_history(name, panel.words, lines, panel.alerts, styles, places))
    return drawings


def _series_table(series: Sequence[Series], alerts: Sequence[Alert]) -> Table:
    steps: dict[int, int] = {}
    for alert in alerts:
        steps[id(alert.series)] = steps.get(id(alert.series), 0) + 1
    rows: list[tuple[str | Cell, ...]] = []
    for one in sorted(series, key=lambda one: (one.machine, one.case, one.quantity, one.runner)):
        last = float(one.values[-1])
        spread = float(np.std(one.values) / np.mean(one.values)) if np.mean(one.values) else 0.0
        rows.append(
            (
                one.case,
                one.quantity,
                one.machine,
                one.environment,
                one.runner,
                f"{len(one.commits):,}",
                Cell(with_unit(last, one.unit), last),
                Cell(f"{spread:.1%}", spread),
                str(steps.get(id(one), 0)),
            )
        )
    return capped(
        "Every series",
        (
            "Case",
            "Quantity",
            "Machine",
            "Environment",
            "Measured by",
            "Commits",
            "Last",
            "sd / mean",
            "Change points",
        ),
        rows,
        _SERIES_LISTED,
    )


def _commits_table(series: Iterable[Series], alerts: Iterable[Alert], url: str | None) -> Table:
    """Those beside a change point first, so that each of its links leads somewhere; then the newest."""
    times: dict[str, Any] = {}
    measured: dict[str, int] = {}
    for one in series:
        for commit, time in zip(one.commits, one.times, strict=True):
            times[commit] = max(times.get(commit, time), time)
            measured[commit] = measured.get(commit, 0) + 1
    steps: dict[str, int] = {}
    ends: set[str] = set()
    for alert in alerts:
        steps[alert.first_bad] = steps.get(alert.first_bad, 0) + 1
        ends |= {alert.last_good, alert.first_bad}
    newest = sorted(times, key=lambda commit: (commit in ends, times[commit], commit), reverse=True)
    rows = [
        (
            Cell(commit[:9], anchor=commit_anchor(commit), href=f"{url}{commit}" if url else None),
            f"{times[commit]:%Y-%m-%d %H:%M}",
            count(measured[commit], "case"),
            str(steps.get(commit, 0)),
        )
        for commit in newest
    ]
    return capped(
        "Commits", ("Commit", "Time", "Measured", "Change points that begin there"), rows, _COMMITS_LISTED
    )


def _implementation(series: Series) -> str:
    """The line's name in a figure: the implementation, or the whole name of somebody else's case."""
    try:
        return Case.parse(series.case).implementation
    except ValueError:
        return series.case


def _point(series: Series) -> str:
    """What the lines of a figure share: the point, or nothing where the case is somebody else's."""
    try:
        return Case.parse(series.case).point
    except ValueError:
        return "cases"
