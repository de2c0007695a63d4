"""The figure of the gate's study: how often a slowdown is named, by its size."""

from collections.abc import Sequence

from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from rmsprop.suite.report.figures.canvas import Drawing, canvas, finish, legend_below, series_style
from studies.gate.scores import CHANGES, Power

_HEIGHT = 3.4
"""Inches."""


def draw_power(powers: Sequence[Power]) -> Drawing:
    """Share of the slower cases that are named, by measured change, a line for each duration."""
    name = "gate-study-power"
    durations = list(dict.fromkeys(power.duration for power in powers))
    bins = list(dict.fromkeys((power.low, power.high) for power in powers))
    legend = {}
    with canvas(name, _HEIGHT) as figure:
        axes = figure.add_subplot(xlabel="measured change of a step", ylabel="share detected")
        for number, duration in enumerate(durations):
            chosen = [power for power in powers if power.duration == duration]
            places = [bins.index((power.low, power.high)) + 0.12 * number for power in chosen]
            shares = [power.found.hits / power.found.of for power in chosen]
            intervals = [power.found.interval for power in chosen]
            below = [share - low for share, (low, _) in zip(shares, intervals, strict=True)]
            above = [high - share for share, (_, high) in zip(shares, intervals, strict=True)]
            style = series_style(number)
            axes.errorbar(places, shares, (below, above), capsize=2, **style)
            legend[duration] = Line2D([], [], **style)
        axes.set_xticks(range(len(bins)), [_words(low, high) for low, high in bins])
        axes.set_ylim(-0.05, 1.05)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        legend_below(figure, legend)
        said = "; ".join(
            f"{_words(power.low, power.high)}, {power.duration}: {power.found.words}" for power in powers
        )
        return finish(
            figure,
            name,
            "Slower cases that the gate detects",
            f"Share of slower cases that the gate detects, by measured change and duration: {said}.",
            "Live runs with real extra work in one implementation's step. A case's change is measured over "
            "all launches of all runs with the same extra work; bars are exact 95% intervals.",
        )


def _words(low: float, high: float) -> str:
    if low == CHANGES[0]:
        return f"below {high:.0%}"
    return f"over {low:.0%}" if high == CHANGES[-1] else f"{low:.0%} to {high:.0%}"
