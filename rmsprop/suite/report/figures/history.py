"""The figures of cases over commits."""

from collections.abc import Iterable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rmsprop.suite.history.alerts import Alert
from rmsprop.suite.history.series import Series
from rmsprop.suite.report.figures.canvas import (
    INK,
    VERMILLION,
    Drawing,
    Styles,
    canvas,
    finish,
    legend_below,
    legend_height,
)
from rmsprop.suite.words import count, slug, with_unit

_POINTS = 200
"""The newest that are drawn."""
_MARKERS = 30
"""About so many on a line."""


def draw_history(
    name: str,
    words: str,
    lines: Mapping[str, Series],
    alerts: Iterable[Alert],
    styles: Styles,
    places: Mapping[str, int],
) -> Drawing:
    """A line for each implementation over commits; a mark at each change point, linked to its commit.

    `places` of the commits in their history; their dates order those that it lacks.
    """
    times = {
        commit: time for one in lines.values() for commit, time in zip(one.commits, one.times, strict=True)
    }
    commits = sorted(times, key=lambda commit: (places.get(commit, 0), times[commit], commit))[-_POINTS:]
    place = {commit: number for number, commit in enumerate(commits)}
    unit = next(iter(lines.values())).unit
    with canvas(name, 2.8 + legend_height(lines)) as figure:
        axes = figure.add_subplot(title=words.replace(", on ", "\non ", 1), xlabel="commit", ylabel="")
        axes.title.set_parse_math(False)
        legend = {}
        for label, one in lines.items():
            known = [
                (place[commit], value)
                for commit, value in zip(one.commits, one.values, strict=True)
                if commit in place
            ]
            if not known:
                continue
            every = max(1, len(known) // _MARKERS)
            style = styles[label] | {"markersize": 3.5, "markevery": every}
            if not one.long_enough:  # a line would show a trend that nothing supports
                style |= {"linestyle": "none", "markevery": 1, "markersize": 5}
            axes.plot(*zip(*known, strict=True), **style, linewidth=1.1)
            legend[label] = Line2D([], [], markersize=5, **styles[label])
        axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
        axes.margins(x=0.05)
        shown = [alert for alert in alerts if alert.first_bad in place]
        for alert in shown:
            mark: dict[str, Any] = {
                "marker": "^" if alert.ratio > 1 else "v",
                "color": VERMILLION,
                "markeredgecolor": INK,
            }
            axes.plot(place[alert.first_bad], _value(alert), **mark, markersize=8)
        for commit in dict.fromkeys(alert.first_bad for alert in shown):
            ratios = [alert.ratio for alert in shown if alert.first_bad == commit]
            _flag(
                axes,
                place[commit] - 0.5,
                commit,
                f"{ratios[0]:.2f}×" if len(ratios) == 1 else f"{len(ratios)} changes",
            )
        axes.xaxis.set_major_locator(MaxNLocator(min(6, len(commits)), integer=True))
        axes.xaxis.set_major_formatter(lambda x, _: commits[int(x)][:7] if 0 <= x < len(commits) else "")
        axes.tick_params(axis="x", labelsize=7.5)
        axes.yaxis.set_major_formatter(lambda value, _: with_unit(value, unit))
        legend_below(figure, legend)
        newest = "; ".join(f"{label} at {with_unit(one.values[-1], unit)}" for label, one in lines.items())
        changes = "; ".join(f"{a.series.case} to {a.ratio:.2f} times at {a.first_bad[:9]}" for a in shown)
        found = (
            "No change point was found."
            if any(one.long_enough for one in lines.values())
            else "Too short for a change point."
        )
        return finish(
            figure,
            name,
            f"History of {words}",
            f"{words} over {count(len(commits), 'commit')}, ending with {newest}. "
            + (f"Change points: {changes}." if changes else "No change point is marked."),
            f"{words}: the median at each commit, oldest to newest. "
            + ("A triangle marks the first commit after a change point." if changes else found),
        )


def _value(alert: Alert) -> float:
    return float(alert.series.values[alert.series.commits.index(alert.first_bad)])


def _flag(axes: Axes, x: float, commit: str, words: str) -> None:
    """A line between two commits, with words that lead to the commit's row of the page."""
    axes.axvline(x, color=VERMILLION, linewidth=1, linestyle=":")
    axes.annotate(
        words,
        (x, 1),
        xycoords=("data", "axes fraction"),
        xytext=(3, -2),
        textcoords="offset points",
        va="top",
        fontsize=8,
        color=VERMILLION,
        url=f"#{commit_anchor(commit)}",
    )


def commit_anchor(commit: str) -> str:
    """Where the commit's row stands on the page."""
    return f"commit-{slug(commit)[:12]}"
