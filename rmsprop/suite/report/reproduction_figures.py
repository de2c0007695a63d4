"""The figures of a reproduction: traces, loss curves, distributions, seconds."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullLocator

from rmsprop.book.claims import PRIMARY, PROGRAMS, TrainingProgram, primary
from rmsprop.book.trajectory import f_2d
from rmsprop.suite.report.figures import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    VERMILLION,
    Drawing,
    canvas,
    finish,
    label_beside,
)
from rmsprop.suite.report.frames import Frames, claims_of, of

NAMES = {"scratch": "RMSProp from scratch", "concise": "torch.optim.RMSprop"}


def draw_reproduction(frames: Frames) -> dict[str, Drawing]:
    """Every figure that the record has data for, by name, in the order of the page."""
    drawings = [_trajectories(frames)]
    for program in PROGRAMS:
        if (frames.curves["program"] == program).any():
            drawings += [_curves(frames, program), _distribution(frames, program)]
        if (frames.seconds["program"] == program).any():
            drawings.append(_seconds(frames, program))
    if frames.order["here"].notna().all():
        drawings.append(_order(frames))
    return {drawing.name: drawing for drawing in drawings}


def _trajectories(frames: Frames) -> Drawing:
    styles: dict[str, tuple[str, dict[str, Any]]] = {
        "adagrad_2d": ("AdaGrad", {"color": ORANGE, "marker": "s", "linestyle": "--", "markersize": 4}),
        "torch_2d": (
            "torch.optim.RMSprop",
            {"color": GREEN, "marker": "o", "linestyle": "none", "markersize": 8, "fillstyle": "none"},
        ),
        "rmsprop_2d": ("RMSProp", {"color": BLUE, "marker": "o", "linestyle": "-", "markersize": 3.5}),
    }
    with canvas("trajectories", 3.1) as figure:
        axes = figure.add_subplot(xlabel="x₁", ylabel="x₂", xlim=(-5.4, 0.9), ylim=(-2.3, 1.0))
        x1, x2 = np.meshgrid(np.linspace(-5.4, 0.9, 80), np.linspace(-2.3, 1.0, 60))
        levels = [0.02, 0.1, 0.3, 0.7, 1.5, 3, 5, 8]
        axes.contour(x1, x2, np.vectorize(f_2d)(x1, x2), levels, colors=INK, alpha=0.25, linewidths=0.8)
        ends = []
        for trace, (name, style) in styles.items():
            points = frames.traces[frames.traces["trace"] == trace]
            axes.plot(points["x1"], points["x2"], label=name, **style)
            end = points.iloc[-1]
            ends.append(f"{name} ends at ({end['x1']:.6f}, {end['x2']:.6f})")
        axes.legend(loc="lower right")
        return finish(
            figure,
            "trajectories",
            "Traces of RMSProp, AdaGrad and torch in two dimensions",
            "Contours of f(x) = 0.1 x₁² + 2 x₂² with three traces of 20 steps from (-5, -2): "
            + "; ".join(ends)
            + ".",
            "Twenty steps at η = 0.4 on f(x) = 0.1 x₁² + 2 x₂². AdaGrad at the same η stops short, as the "
            "section says; torch’s trace lies on the book’s, apart from the place of ε.",
        )


def _curves(frames: Frames, program: TrainingProgram) -> Drawing:
    curves = of(frames.curves, program).pivot_table("loss", "epoch", "level")
    runs = of(frames.runs, program)
    printed = primary(program, "loss")
    low, high = curves.columns[0], curves.columns[-1]
    with canvas(f"curves-{program}", 2.8) as figure:
        axes = figure.add_subplot(title=NAMES[program], xlabel="epoch", ylabel="loss")
        axes.fill_between(curves.index, curves[low], curves[high], color=BLUE, alpha=0.18, linewidth=0)
        axes.fill_between(curves.index, curves[0.05], curves[0.95], color=BLUE, alpha=0.3, linewidth=0)
        for seed, run in list(runs.groupby("seed"))[:5]:
            label = "sequential runs" if seed == runs["seed"].min() else None
            axes.plot(run["epoch"], run["loss"], color=INK, alpha=0.45, linewidth=0.6, label=label)
        axes.plot(curves.index, curves[0.5], color=BLUE, linewidth=1.8, label="median; bands 90%, 99%")
        axes.axhline(
            printed.value, color=VERMILLION, linestyle="--", linewidth=1.3, label=f"book: {printed.printed}"
        )
        axes.set_xlim(0, curves.index[-1])
        axes.legend(loc="upper right")
        start, end = curves.iloc[0], curves.iloc[-1]
        return finish(
            figure,
            f"curves-{program}",
            f"Loss during training, {NAMES[program]}",
            f"Loss of {NAMES[program]} during training: the median over seeds falls from {start[0.5]:.3f} "
            f"to {end[0.5]:.4f}; the central 99% of seeds end between {end[low]:.4f} and {end[high]:.4f}; "
            f"the book’s {printed.printed} is a dashed line.",
            f"Loss over all rows during training, {NAMES[program]}: median and central 90% and 99% of the "
            "seeds, a few sequential runs as thin lines, and the book’s final value.",
        )


def _distribution(frames: Frames, program: TrainingProgram) -> Drawing:
    bins = of(frames.histogram, program)
    final = of(frames.curves, program).pivot_table("loss", "epoch", "level").iloc[-1]
    low, high = final.iloc[0], final.iloc[-1]
    claims = claims_of(frames, program, "loss")
    with canvas(f"distribution-{program}", 4.4) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.35))
        above.set(title=NAMES[program], ylabel="seeds")
        edges = [*bins["left"], bins["right"].iloc[-1]]
        above.stairs(bins["seeds"], edges, fill=True, color=BLUE, alpha=0.55)
        span = (min(low, claims["value"].min()), max(high, claims["value"].max()))
        margin = 0.12 * (span[1] - span[0])
        below.set(xlabel="final loss", xlim=(span[0] - margin, span[1] + margin))
        for axes in (above, below):
            axes.axvspan(low, high, color=BLUE, alpha=0.13, linewidth=0)
        for edge in (low, high):
            above.axvline(edge, color=BLUE, linestyle=":", linewidth=1)
        above.axvline(primary(program, "loss").value, color=VERMILLION, linestyle="--", linewidth=1.2)
        above.annotate(
            "central 99%",
            (high, 1),
            xycoords=("data", "axes fraction"),
            xytext=(-5, -3),
            textcoords="offset points",
            ha="right",
            va="top",
        )
        _place_editions(below, claims, bars=True)
        inside = claims["value"].between(low, high).sum()
        return finish(
            figure,
            f"distribution-{program}",
            f"Final losses over seeds, {NAMES[program]}",
            f"Histogram of the final losses of {NAMES[program]} over seeds, above the value that each "
            f"edition printed: the central 99% reach from {low:.4f} to {high:.4f} and hold {inside} of the "
            f"{len(claims)} printed values.",
            f"Final losses over seeds, {NAMES[program]}, and where each edition’s printed value stands. A "
            "bar shows what a rounded value may stand for.",
        )


def _seconds(frames: Frames, program: TrainingProgram) -> Drawing:
    seconds = np.sort(of(frames.seconds, program)["seconds"])
    shown = seconds[np.linspace(0, len(seconds) - 1, min(len(seconds), 200)).astype(int)]
    claims = claims_of(frames, program, "sec_per_epoch")
    lower, median, upper = np.quantile(seconds, (0.25, 0.5, 0.75))
    with canvas(f"seconds-{program}", 3.4) as figure:
        axes = figure.add_subplot(title=NAMES[program], xlabel="seconds per epoch", xscale="log")
        ends = np.array([min(shown.min(), claims["value"].min()), max(shown.max(), claims["value"].max())])
        axes.set_xlim(*(ends * (0.75, 1.35)))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        heights = -1.6 + 0.9 * (np.arange(len(shown)) * 0.618 % 1 - 0.5)
        axes.plot(shown, heights, ".", color=BLUE, alpha=0.7, markersize=4, markeredgewidth=0)
        axes.plot([lower, upper], [-1.6, -1.6], color=INK, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(median, -1.6, "|", color=INK, markersize=16, markeredgewidth=1.6)
        label_beside(axes, shown.min(), shown.max(), -1.6, f"here: median {median:.4f}")
        _place_editions(axes, claims, bars=False)
        return finish(
            figure,
            f"seconds-{program}",
            f"Seconds per epoch, {NAMES[program]}",
            f"Seconds per epoch of {NAMES[program]}, logarithmic axis: {len(seconds)} runs here with median "
            f"{median:.4f}, against {claims['value'].min()} to {claims['value'].max()} in the editions.",
            f"Seconds per epoch, {NAMES[program]}: a dot for each sequential run here with quartiles and "
            "median, and what each edition printed on its own machine. Hollow: timed without the loss "
            "evaluations, not comparable.",
        )


def _order(frames: Frames) -> Drawing:
    order = frames.order.iloc[0]
    book, here = order["book"], order["here"]
    low, high = order[["low", "high"]].astype(float).fillna(here)
    with canvas("order", 1.25) as figure:
        axes = figure.add_subplot(xlabel="seconds per epoch, from scratch / concise", ylim=(1.5, -0.5))
        axes.axvline(1, color=INK, alpha=0.4, linewidth=0.8)
        axes.plot(book, 0, "D", color=VERMILLION, markersize=6)
        axes.plot([low, high], [1, 1], color=BLUE, linewidth=2.5)
        axes.plot(here, 1, "o", color=BLUE, markersize=6)
        axes.set_yticks([0, 1], [f"book {book:.3f}", f"here {here:.3f}"])
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.margins(x=0.15)
        return finish(
            figure,
            "order",
            "Seconds per epoch, from scratch over concise",
            f"Ratio of seconds per epoch, from scratch over concise: {book:.3f} in the book, "
            f"{here:.3f} here; above 1 concise is faster.",
            "Left of 1 from scratch is faster, right of it concise. The bar is a 95% interval over the "
            "interleaved pairs of runs.",
        )


def _place_editions(axes: Axes, claims: pd.DataFrame, *, bars: bool) -> None:
    """One row for each edition, so that equal values do not hide one another; the primary on top.

    `bars` shows what a printed value may have been before it was rounded.
    """
    for row, claim in enumerate(claims.to_dict("records")):
        is_primary, value = claim["edition"] == PRIMARY, claim["value"]
        colour = VERMILLION if is_primary else INK
        half = 0.5 * 10.0 ** -len(claim["printed"].partition(".")[2]) if bars else 0.0
        axes.plot(
            [value - half, value + half],
            [row, row],
            color=colour,
            alpha=0.4,
            linewidth=4,
            solid_capstyle="butt",
        )
        axes.plot(
            value,
            row,
            marker="D" if is_primary else "o",
            color=colour,
            markersize=6 if is_primary else 4.5,
            fillstyle="full" if claim["comparable"] else "none",
        )
        label_beside(axes, value - half, value + half, row, f"{claim['label']} {claim['printed']}")
    axes.set_ylim(len(claims) - 0.4, min(axes.get_ylim()[0], -0.8))
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
