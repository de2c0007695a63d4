"""The figures of what a step costs: time and bandwidth against size, speed-ups, layouts."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import LogLocator, NullLocator

from rmsprop.suite.case import LAYOUTS, REFERENCE
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.figures.canvas import (
    INK,
    Drawing,
    Styles,
    canvas,
    finish,
    legend_below,
    legend_height,
)
from rmsprop.suite.verdicts.speed import first_of, last_of
from rmsprop.suite.words import duration, factor

_DASHES: dict[str, Any] = {"color": INK, "linestyle": "--", "linewidth": 1.2}
_PASSES = "five plain passes"


def draw_times(name: str, steps: pd.DataFrame, of: str, styles: Styles) -> Drawing:
    """Time of one step against elements; `steps` are of `Runs.latest`, at one place and dtype."""
    with canvas(name, 3.3 + legend_height({*steps["implementation"], _PASSES})) as figure:
        axes = _log_axes(figure, of, "time of a step")
        legend = _lines(axes, steps, "median", styles)
        legend |= _ceiling(axes, steps, "ceiling", _PASSES)
        _decades(axes.xaxis, axes.yaxis)
        axes.yaxis.set_major_formatter(lambda seconds, _: duration(seconds))
        legend_below(figure, legend)
        return finish(
            figure,
            name,
            f"Time of one step against size, {of}",
            f"Time of one step against elements, both logarithmic, {of}: {_fastest(steps)}.",
            f"Time of one step without momentum, {of}. The dashed line is what the same run needs for five "
            f"plain passes over as much memory; a step may take less. {_hollow(steps)}{_runs(steps)}",
        )


def draw_bandwidth(name: str, steps: pd.DataFrame, of: str, styles: Styles) -> Drawing:
    """Effective bandwidth against elements, beside that of five plain passes."""
    scaled = steps.assign(**{c: steps[c] / 1e9 for c in ("bandwidth", "ceiling_bandwidth")})
    with canvas(name, 3.3 + legend_height({*steps["implementation"], _PASSES})) as figure:
        axes = _log_axes(figure, of, "GB/s")
        legend = _lines(axes, scaled, "bandwidth", styles)
        legend |= _ceiling(axes, scaled, "ceiling_bandwidth", _PASSES)
        _decades(axes.xaxis)
        _few_digits(axes.yaxis, axes.get_ylim())
        legend_below(figure, legend)
        best = last_of(scaled, "bandwidth")
        return finish(
            figure,
            name,
            f"Effective bandwidth against size, {of}",
            f"Effective bandwidth of a step against elements, both logarithmic, {of}: the most is "
            f"{best['bandwidth']:.3g} GB/s by {best['implementation']} at {best['elements']:,.0f} elements"
            f"{_in_run(best, steps)}.",
            f"Bytes of five passes over the parameters, over the time of a step without momentum, {of}. The "
            "dashed line is the same run’s five plain passes; a step may be above it. "
            f"{_hollow(steps)}{_runs(steps)}",
        )


def draw_speed_ups(name: str, steps: pd.DataFrame, implementation: str) -> Drawing:
    """How many times as fast as the reference, a cell for each place and dtype, and size of one tensor."""
    sizes = steps.drop_duplicates("elements").sort_values("elements")["size"].tolist()
    rows = list(dict.fromkeys(zip(steps["dtype"], steps["place"], strict=True)))
    map_ = colormaps["PuOr"]
    with canvas(name, 0.9 + 0.28 * len(rows)) as figure:
        axes = figure.add_subplot(xlabel="elements", title=f"{implementation} against {REFERENCE}")
        axes.title.set_parse_math(False)
        for step in steps.to_dict("records"):
            x, y = sizes.index(step["size"]), rows.index((step["dtype"], step["place"]))
            shade = float(np.clip(0.5 + np.log2(step["ratio"]) / 6, 0.1, 0.9))  # black stays legible on it
            colour = to_hex(map_(shade))
            axes.add_patch(Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, linewidth=0))
            light = 0.2 < shade < 0.8
            text = factor(step["ratio"]) + ("" if step["ratio_trusted"] else " †")
            axes.text(x, y, text, ha="center", va="center", fontsize=8.5, color="#111" if light else "#fff")
        axes.set(xlim=(-0.5, len(sizes) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks(range(len(sizes)), sizes)
        axes.set_yticks(range(len(rows)), [f"{dtype}, {place}" for dtype, place in rows])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        most, least = last_of(steps, "ratio"), first_of(steps, "ratio")
        return finish(
            figure,
            name,
            f"Speed-ups of {implementation}",
            f"How many times as fast as {REFERENCE} {implementation} is, by place, dtype and size: "
            f"from {factor(least['ratio'])} ({least['place']}, {least['dtype']}, {least['size']}) to "
            f"{factor(most['ratio'])} ({most['place']}, {most['dtype']}, {most['size']}).",
            f"How many times as fast as {REFERENCE}, without momentum, measured in turns with it: orange is "
            f"slower, purple is faster. †: a warning speaks against the ratio.{_of_runs(steps)}",
        )


def draw_layouts(name: str, steps: pd.DataFrame, of: str, styles: Styles) -> Drawing:
    """Nanoseconds per element by layout, a row for each layout, size and run."""
    rows = list(dict.fromkeys(zip(steps["layout"], steps["size"], steps["label"], strict=True)))
    several = len({label for *_, label in rows}) > 1
    titles = [_layout_label(*row, several=several) for row in rows]
    scaled = steps.assign(nanoseconds=steps["median"] / steps["elements"] * 1e9)
    names = list(dict.fromkeys(steps["implementation"]))
    with canvas(name, 1.1 + 0.34 * len(rows) + legend_height(names)) as figure:
        axes = figure.add_subplot(title=of, xlabel="nanoseconds per element", xscale="log")
        axes.margins(x=0.08)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        legend = {}
        for number, implementation in enumerate(names):
            mine = scaled[scaled["implementation"] == implementation]
            offset = 0.5 * ((number + 0.5) / len(names) - 0.5)
            for step in mine.to_dict("records"):
                fill = "full" if step["typical"] else "none"
                mark = styles[implementation] | {"linestyle": "none", "fillstyle": fill, "markersize": 5.5}
                row = rows.index((step["layout"], step["size"], step["label"]))
                axes.plot(step["nanoseconds"], row + offset, **mark)
            legend[implementation] = Line2D(
                [], [], **styles[implementation] | {"linestyle": "none"}, markersize=5.5
            )
        axes.set_yticks(range(len(rows)), titles)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
        _few_digits(axes.xaxis, axes.get_xlim())
        legend_below(figure, legend)
        groups = scaled.groupby(["layout", "size", "label"], sort=False)
        fastest = [first_of(row, "nanoseconds") for _, row in groups]
        words = "; ".join(
            f"{title}: {row['implementation']}, {row['nanoseconds']:.3g}"
            for title, row in zip(titles, fastest, strict=True)
        )
        return finish(
            figure,
            name,
            f"Time per element by layout, {of}",
            f"Nanoseconds per element of a step by layout, logarithmic, {of}; the fastest: {words}.",
            f"Time of one step per element without momentum, by layout of the parameters, {of}. "
            f"{_hollow(steps)}",
        )


def _layout_label(layout: str, size: str, label: str, *, several: bool) -> str:
    name = LAYOUTS.get(layout, layout)
    words = f"{name}, {size}" if layout == "single" else name
    return f"{words}, run {label}" if several else words


def _hollow(steps: pd.DataFrame) -> str:
    """What a hollow mark means, and which warnings most marks would have."""
    usual = sorted(frozenset().union(*steps["usual"]))
    words = f" Most times of a run here have the warning {' or '.join(usual)}." if usual else ""
    return (
        f"A hollow mark: a warning speaks against the number that most times of its run do not have.{words}"
    )


def _runs(steps: pd.DataFrame) -> str:
    words = _of_runs(steps)
    return f"{words} Points of different runs are not joined." if words else ""


def _of_runs(steps: pd.DataFrame) -> str:
    labels = sorted(set(steps["label"]))
    return f" The numbers are of the runs {', '.join(labels)}." if len(labels) > 1 else ""


def _log_axes(figure: Figure, title: str, ylabel: str) -> Axes:
    axes = figure.add_subplot(title=title, xlabel="elements", ylabel=ylabel, xscale="log", yscale="log")
    axes.margins(x=0.08, y=0.1)
    return axes


def _lines(axes: Axes, steps: pd.DataFrame, column: str, styles: Styles) -> dict[str, Line2D]:
    legend = {}
    for name in dict.fromkeys(steps["implementation"]):
        style = styles[name]
        line = steps[steps["implementation"] == name]
        for _, run in line.groupby("label"):
            axes.plot(run["elements"], run[column], **style | {"marker": ""}, linewidth=1.3)
        for typical, fill in ((True, "full"), (False, "none")):
            marks = line[line["typical"] == typical]
            markers = style | {"linestyle": "none", "fillstyle": fill}
            axes.plot(marks["elements"], marks[column], markersize=5.5, **markers)
        legend[name] = Line2D([], [], markersize=5.5, **style)
    return legend


def _ceiling(axes: Axes, steps: pd.DataFrame, column: str, label: str) -> dict[str, Line2D]:
    known = steps.dropna(subset=[column])
    for _, run in known.groupby("label"):
        ceiling = run.groupby("elements")[column].median()
        axes.plot(ceiling.index, ceiling, marker="_", **_DASHES)
    return {} if known.empty else {label: Line2D([], [], **_DASHES)}


def _decades(*axes: Axis) -> None:
    for axis in axes:
        axis.set_major_locator(LogLocator())
        axis.set_minor_locator(NullLocator())


def _few_digits(axis: Axis, span: tuple[float, float]) -> None:
    """Ticks at 1, 2 and 5 where decades alone would be too few."""
    _decades(axis)
    if span[1] < 300 * span[0]:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")


def _fastest(steps: pd.DataFrame) -> str:
    """At each size and in each run: times of two runs are not compared."""
    fastest = [first_of(size, "median") for _, size in steps.groupby(["elements", "label"])]
    return "the fastest is " + ", ".join(
        f"{row['implementation']} at {row['elements']:,.0f} elements with {duration(row['median'])}"
        f"{_in_run(row, steps)}"
        for row in fastest
    )


def _in_run(row: Row, steps: pd.DataFrame) -> str:
    return f" in run {row['label']}" if _of_runs(steps) else ""
