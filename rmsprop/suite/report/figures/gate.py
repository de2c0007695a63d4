"""The figures of a run of the gate: paired ratios with their intervals, a forest plot for each family."""

import math
from collections.abc import Sequence

from matplotlib.ticker import PercentFormatter

from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.report.figures.canvas import BLUE, GREEN, INK, ORANGE, VERMILLION, Drawing, canvas, finish
from rmsprop.suite.verdicts.gate import CaseView, GateVerdict, log_ratios
from rmsprop.suite.words import interval, percent, slug

_STYLES = {
    "slower": (VERMILLION, "D"),
    "faster": (GREEN, "s"),
    "unsteady": (ORANGE, "v"),
    "undecided": (ORANGE, "v"),
}
_CASE, _FRAME = 0.26, 0.85
"""Inches."""
_MOST = 60
"""Cases in a figure."""


def draw_forests(record: GateRecord, decision: GateVerdict) -> list[Drawing]:
    """A figure for each family that was measured."""
    families: dict[str, list[CaseView]] = {}
    for view in decision.cases:
        if view.launches:
            families.setdefault(view.case.family, []).append(view)
    return [_forest(family, views[:_MOST], record) for family, views in families.items()]


def _forest(family: str, views: Sequence[CaseView], record: GateRecord) -> Drawing:
    name = f"gate-{slug(family)}"
    with canvas(name, _FRAME + _CASE * len(views)) as figure:
        axes = figure.add_subplot(xlabel="head against base; right is slower")
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.axvline(record.policy.alarm, color=VERMILLION, linewidth=0.9, linestyle="--")
        for place, view in enumerate(views):
            stage = "confirm" if view.finding and view.finding.launches else "screen"
            ratios = [math.expm1(ratio) for ratio in log_ratios(view.case, record, stage).values()]
            axes.plot(ratios, [place] * len(ratios), "|", color=INK, alpha=0.35, markersize=7)
            colour, marker = _STYLES.get(view.finding.verdict if view.finding else "", (BLUE, "o"))
            if view.low is not None and view.high is not None:
                axes.plot([view.low, view.high], [place, place], color=colour, linewidth=1.8)
            axes.plot([view.change or 0.0], [place], marker, color=colour, markersize=5)
        axes.set_title(family, parse_math=False)
        axes.set_yticks(range(len(views)), [_short(view.case.id, family) for view in views], parse_math=False)
        axes.set_ylim(len(views) - 0.4, -0.6)
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        changes = "; ".join(
            f"{view.case.id} {percent(view.change)} ({interval(view.low, view.high)})" for view in views
        )
        return finish(
            figure,
            name,
            f"Paired ratios of {family}",
            f"Change of a step of {family}, head against base, by case: {changes}.",
            f"{family}: the mark is the change, the bar its 95% interval, each tick a launch. Alarms begin "
            f"at the dashed line, {record.policy.alarm:.0%}.",
        )


def _short(case: str, family: str) -> str:
    """The id without its family, and no longer than fits beside the plot."""
    name = case.removeprefix(f"{family}-").removeprefix("cpu-").removesuffix("-1t")
    return name if len(name) <= 24 else f"…{name[-23:]}"
