"""The figures of a sweep: maps over two axes, and each optimizer's best point."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Rectangle

from rmsprop.suite.report.figures.canvas import BLUE, INK, Drawing, canvas, finish
from rmsprop.suite.verdicts.sweep import Best, Plane

SYMBOLS = {"lr": "lr", "gamma": "γ", "eps": "ε", "momentum": "momentum"}
"""How an axis is written."""
NAMED = {("adam", "gamma"): "β₂", ("adam", "momentum"): "β₁", ("adadelta", "gamma"): "ρ"}
"""Where the book calls it otherwise."""
_SHARES = (0.0, 1e-9, 0.01, 0.05, 0.25, 0.5, 0.75, 1.0)
"""Where the bands of colour begin."""
_GREY = "#8a8f98"


def axis_name(optimizer: str, axis: str) -> str:
    """Such as `γ`, or `β₂` for Adam's."""
    return NAMED.get((optimizer, axis), SYMBOLS[axis])


def setting_in_words(optimizer: str, setting: Any) -> str:
    """Such as `lr 0.01, γ 0.9`."""
    return ", ".join(f"{axis_name(optimizer, axis)} {value:g}" for axis, value in setting.items())


def draw_map(
    name: str, plane: Plane, of: str, bands: Sequence[float], near: float
) -> tuple[Drawing, Drawing, Drawing]:
    """Final loss, share that diverged, epochs to the target, over the plane's axes.

    `of` names the conditions. `bands` are where the colours of a loss begin, above the lowest one of the map;
    points up to `near` above it are counted.
    """
    x, y = (axis_name(plane.optimizer, axis) for axis in (plane.x, plane.y))
    where = f"{plane.optimizer}, {x} by {y}" + (
        f", {setting_in_words(plane.optimizer, plane.at)}" if plane.at else ""
    )
    seeds = int(plane.rows["seeds"].max())
    loss, share, epochs = (plane.grid(column) for column in ("loss_median", "share", "epochs_median"))
    none = "Grey with a cross: the median of the seeds"
    finite = np.isfinite(loss) & (share < 0.5)
    least = float(loss[finite].min()) if finite.any() else np.nan
    excess = np.where(finite, loss / least - 1, np.nan)
    at = _place(plane, np.where(finite, loss, np.inf))
    losses = _draw(
        f"{name}-loss",
        plane,
        excess,
        bands,
        [f"+{band:.1%}".replace(".0%", "%") for band in bands],
        f"Median final loss over {seeds:,} seeds: {where}",
        f"The lowest is {least:.4f}{at}; {int((excess < near).sum())} of {loss.size} points are within "
        f"{near:.0%} of it.",
        f"Median final loss over {seeds:,} seeds ({of}), above the lowest of the map, {least:.4f}{at}. "
        f"{none} diverged.",
    )
    shares = _draw(
        f"{name}-diverged",
        plane,
        share,
        _SHARES,
        ["none", "some", *(f"{band:.0%}" for band in _SHARES[2:-1]), "all"],
        f"Share of the seeds that diverge: {where}",
        f"At {int((share == 0).sum())} of {share.size} points none of {seeds:,} seeds diverges, at "
        f"{int((share == 1).sum())} all do.",
        f"Share of {seeds:,} seeds ({of}) whose final loss is not below the loss at the start.",
    )
    reached = np.where(np.isfinite(epochs), epochs, np.nan)
    at = _place(plane, np.where(np.isfinite(epochs), epochs, np.inf))
    some = np.isfinite(reached).any()
    most = float(np.nanmax(reached)) if some else 1.0
    eighths = [most * step / 8 for step in range(8)]
    words = f"The fewest are {np.nanmin(reached):.2f}{at}." if some else "No median reaches it."
    times = _draw(
        f"{name}-epochs",
        plane,
        reached,
        eighths,
        [f"{band:.2f}" for band in eighths],
        f"Epochs to the target loss: {where}",
        words,
        f"Median over {seeds:,} seeds ({of}) of the epochs until the loss is first at the target. {words} "
        f"{none} never reaches it.",
    )
    return losses, shares, times


def _place(plane: Plane, values: np.ndarray) -> str:
    """Where the least value is, such as ` at lr 0.01, γ 0.9`; nothing where there is none."""
    if not np.isfinite(values).any():
        return ""
    row, column = np.unravel_index(np.argmin(values), values.shape)
    setting = {plane.x: plane.xs[column], plane.y: plane.ys[row]}
    return f" at {setting_in_words(plane.optimizer, setting)}"


def _draw(
    name: str,
    plane: Plane,
    values: np.ndarray,
    bands: Sequence[float],
    labels: Sequence[str],
    title: str,
    alt: str,
    caption: str,
) -> Drawing:
    """One map, a colour for each band, which begins at its number; NaN is grey with a cross."""
    colours = [to_hex(colour) for colour in colormaps["viridis_r"](np.linspace(0, 1, len(bands)))]
    shades = np.where(np.isnan(values), -1, np.searchsorted(bands, values, side="right") - 1)
    with canvas(name, 1.15 + 0.17 * max(len(plane.ys), len(bands))) as figure:
        axes = figure.add_subplot(
            xlabel=axis_name(plane.optimizer, plane.x), ylabel=axis_name(plane.optimizer, plane.y)
        )
        for row, line in enumerate(shades):
            column = 0
            for shade, same in groupby(line):
                width = len(list(same))
                colour = _GREY if shade < 0 else colours[shade]
                cell = Rectangle((column - 0.5, row - 0.5), width, 1, facecolor=colour, linewidth=0)
                axes.add_patch(cell)
                column += width
        rows, columns = np.nonzero(shades < 0)
        axes.plot(columns, rows, "x", color="#fff", markersize=3, markeredgewidth=0.8)
        axes.set(xlim=(-0.5, len(plane.xs) - 0.5), ylim=(-0.5, len(plane.ys) - 0.5))
        _ticks(axes, plane)
        handles = [Rectangle((0, 0), 1, 1, facecolor=colour) for colour in colours]
        figure.legend(handles, labels, loc="outside right center", handlelength=1, handleheight=1)
        return finish(figure, name, title, f"{title}. {alt}", caption)


def _ticks(axes: Axes, plane: Plane) -> None:
    every = -(-len(plane.xs) // 6)
    shown = range(0, len(plane.xs), every)
    axes.set_xticks(list(shown), [f"{plane.xs[number]:.2g}" for number in shown])
    axes.set_yticks(range(len(plane.ys)), [f"{value:g}" for value in plane.ys])
    axes.tick_params(length=2)


def draw_best(name: str, bests: Sequence[Best], of: str) -> Drawing:
    """Each optimizer's best point: median with its interval, and the central 90%."""
    with canvas(name, 0.85 + 0.32 * len(bests)) as figure:
        axes = figure.add_subplot(xlabel="final loss")
        for row, best in enumerate(bests):
            axes.plot([best.q05, best.q95], [row, row], color=BLUE, linewidth=1.5, solid_capstyle="butt")
            axes.plot([best.low, best.high], [row, row], color=BLUE, linewidth=6, solid_capstyle="butt")
            axes.plot(best.median, row, marker="|", color=INK, markersize=12, markeredgewidth=1.5)
        axes.set_yticks(range(len(bests)), [best.optimizer for best in bests])
        axes.set_ylim(len(bests) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
        each = ", ".join(f"{best.optimizer} {best.median:.4f}" for best in bests)
        return finish(
            figure,
            name,
            f"Final loss at each optimizer's best point, {of}",
            f"Final loss at each optimizer's best point, {of}. Medians: {each}.",
            f"Final loss at each optimizer’s best point ({of}): median (tick), its 95% interval (bar) and "
            f"the central 90% (line) of the {bests[0].diverged.of:,} seeds that did not choose the point.",
        )
