"""The page of every case over commits, with the steps that `rmsprop.suite.history` finds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rmsprop.suite.case import Case
from rmsprop.suite.history.series import Alert, Series
from rmsprop.suite.report.figures import Drawing, fitting, series_style
from rmsprop.suite.report.history_figures import anchor_of, draw_history
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import Cell, Table, capped
from rmsprop.suite.verdicts.changepoints import SHORTEST
from rmsprop.suite.verdicts.speed import in_order
from rmsprop.suite.words import count, measure, slug

PATH = "history.html"
_FIGURES = 24
_FIGURES_BYTES = 1_000_000
_FIGURES_IN_MARKDOWN = 4
_LINES = 12
"""Of one figure."""
_ALERTS_LISTED = 200
_SERIES_LISTED = 500
_COMMITS_LISTED = 200


@dataclass(frozen=True)
class Panel:
    """Series that one figure shows: those of one point and quantity on one machine in one environment."""

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
    series = inputs.history.series
    if not series:
        return
    panels = panels_of(series, inputs.alerts)
    drawings = _drawings(panels[:_FIGURES], inputs.runs.implementations)
    drawings = drawings[: fitting([[drawing] for drawing in drawings], _FIGURES_BYTES)]
    context: dict[str, Any] = {
        "alerts": alerts_table(inputs, _ALERTS_LISTED, path=""),
        "changed": changed(inputs),
        "table": _series_table(series, inputs.alerts),
        "commits": _commits_table(series, inputs.alerts),
        "left_out": len(panels) - len(drawings),
        "asv_site": inputs.asv_site,
    }
    yield Page(
        PATH,
        "History: every case over commits",
        html("history.html.j2", drawings=drawings, **context),
        nav="History",
        markdown=markdown("history.md.j2", drawings=drawings[:_FIGURES_IN_MARKDOWN], **context),
        figures=tuple(drawings[:_FIGURES_IN_MARKDOWN]),
    )


def changed(inputs: Inputs) -> str:
    """What the history says, which is nothing where it is too short for a step to be found in."""
    series, judged = inputs.history.series, sum(one.long_enough for one in inputs.history.series)
    if not series:
        return "No history of commits is on record"
    if inputs.alerts:
        return f"{count(len(inputs.alerts), 'step')} in {judged:,} series over commits"
    if not judged:
        longest = max(len(one.commits) for one in series)
        return f"Too short a history to say: up to {count(longest, 'commit')}, and a step takes {SHORTEST}"
    return f"No step in {judged:,} series over commits"


def alerts_table(inputs: Inputs, most: int, path: str = PATH) -> Table:
    """The steps, the newest first; `path` is the page that has the commits, empty on that page."""
    newest = sorted(inputs.alerts, key=lambda alert: (_time_of(alert), alert.series.case), reverse=True)
    rows: list[tuple[str | Cell, ...]] = [
        (
            alert.series.case,
            alert.series.quantity,
            alert.series.machine,
            Cell(change(alert), alert.ratio, status=alert.direction),
            f"{alert.low:.2f} to {alert.high:.2f}",
            Cell(alert.last_good[:9], href=f"{path}#{anchor_of(alert.last_good)}"),
            Cell(alert.first_bad[:9], href=f"{path}#{anchor_of(alert.first_bad)}"),
            str(alert.points_after),
            alert.series.runner,
        )
        for alert in newest
    ]
    return capped(
        "Steps, the newest first",
        ("Case", "Quantity", "Machine", "Change", "After / before, 95%", "Last before", "First after",
         "Points after", "Measured by"),
        rows,
        most,
    )  # fmt: skip


def change(alert: Alert) -> str:
    """Such as `33% slower`, or `5% less` memory."""
    words = {"slower": "more", "faster": "less"} if alert.series.unit == "bytes" else {}
    return f"{abs(alert.ratio - 1):.0%} {words.get(alert.direction, alert.direction)}"


def panels_of(series: Iterable[Series], alerts: Sequence[Alert]) -> list[Panel]:
    """The figures there could be: those with the newest steps first, then those with the most points."""
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
    newest = max((_time_of(alert) for alert in panel.alerts), default=0.0)
    points = sum(len(one.commits) for one in panel.series)
    return (-newest, panel.quantity != "step", -points, panel.machine, panel.point, panel.environment)


def _drawings(panels: Iterable[Panel], implementations: Sequence[str]) -> list[Drawing]:
    known = {name: series_style(number) for number, name in enumerate(implementations)}
    drawings, names = [], set()
    for panel in panels:
        found = {_implementation(one): one for one in panel.series}
        lines = {name: found[name] for name in in_order(found, known)[:_LINES]}
        styles = {name: known.get(name) or series_style(len(known) + i) for i, name in enumerate(lines)}
        name = panel.name
        while name in names:  # the same machine in another environment
            name += "-2"
        names.add(name)
        drawings.append(draw_history(name, panel.words, lines, panel.alerts, styles))
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
                Cell(measure(last, one.unit), last),
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
            "Steps",
        ),
        rows,
        _SERIES_LISTED,
    )


def _commits_table(series: Iterable[Series], alerts: Iterable[Alert]) -> Table:
    """Those at which a step lies first, so that each of its links leads somewhere; then the newest."""
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
            Cell(commit[:9], anchor=anchor_of(commit)),
            f"{times[commit]:%Y-%m-%d %H:%M}",
            count(measured[commit], "case"),
            str(steps.get(commit, 0)),
        )
        for commit in newest
    ]
    return capped("Commits", ("Commit", "Time", "Measured", "Steps that begin there"), rows, _COMMITS_LISTED)


def _time_of(alert: Alert) -> float:
    series = alert.series
    return series.times[series.commits.index(alert.first_bad)].timestamp()


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
