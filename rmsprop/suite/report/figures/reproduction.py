"""The figures of a reproduction: traces, loss curves, distributions, seconds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from rmsprop.book.claims import FLOOR, PRIMARY, primary
from rmsprop.book.programs import PROGRAMS, TRACES
from rmsprop.suite.report.figures.canvas import (
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
from rmsprop.suite.verdicts.reproduction import Judgement, Verdict
from rmsprop.suite.verdicts.seconds import BLOCK, COMPARED, Order, sec_per_epoch

NAMES = {name: PROGRAMS[name].title for name in COMPARED}


def draw_reproduction(one: Judgement) -> dict[str, Drawing]:
    """Every figure that the record has data for, by name, in the order of the page."""
    drawings = [_trajectories(one)]
    for program in COMPARED:
        measured = one.record.programs[program]
        if measured.ensemble and measured.ensemble.curve:
            drawings += [draw_curves(one, program), _distribution(one, program)]
        if measured.epoch_seconds:
            drawings.append(_seconds(one, program))
    if one.order is not None and one.order.here is not None:
        drawings.append(_order(one.order))
    return {drawing.name: drawing for drawing in drawings}


def verdicts_on(one: Judgement, program: str, quantity: str) -> list[Verdict]:
    """The verdicts on one quantity of one program, one for each edition, the primary first."""
    return [v for v in one.verdicts if (v.claim.program, v.claim.quantity) == (program, quantity)]


def _trajectories(one: Judgement) -> Drawing:
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
        a1, a2 = TRACES["rmsprop_2d"].objective
        levels = [0.02, 0.1, 0.3, 0.7, 1.5, 3, 5, 8]
        axes.contour(x1, x2, a1 * x1**2 + a2 * x2**2, levels, colors=INK, alpha=0.25, linewidths=0.8)
        ends = []
        for trace, (name, style) in styles.items():
            points = one.record.traces[trace]
            axes.plot(*zip(*points, strict=True), label=name, **style)
            ends.append("{} ends at ({:.6f}, {:.6f})".format(name, *points[-1]))
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


def draw_curves(one: Judgement, program: str, prefix: str = "") -> Drawing:
    """The printed curves of a program over the band of its seeds; its file's name begins with `prefix`."""
    measured = one.record.programs[program]
    title = PROGRAMS[program].title
    epochs, curves = _quantiles(one, program)
    printed = primary(program, "loss")
    low, high = min(curves), max(curves)
    printed_curves = [fit for fit in one.fits if fit.curve.program == program]
    with canvas(f"{prefix}curves-{program}", 2.8) as figure:
        axes = figure.add_subplot(title=title, xlabel="epoch", ylabel=f"loss - {FLOOR}", yscale="log")
        axes.fill_between(epochs, _above(curves[low]), _above(curves[high]), color=BLUE, alpha=0.18, lw=0)
        axes.fill_between(epochs, _above(curves[0.05]), _above(curves[0.95]), color=BLUE, alpha=0.3, lw=0)
        for number, losses in enumerate(measured.losses[:5]):
            label = None if number else "sequential runs"
            axes.plot(
                _epochs(program, len(losses)), _above(losses), color=INK, alpha=0.45, lw=0.6, label=label
            )
        axes.plot(epochs, _above(curves[0.5]), color=BLUE, lw=1.8, label="median; bands 90%, 99%")
        end = _above([printed.value])
        axes.plot(epochs[-1:], end, "D", color=VERMILLION, label=f"book: {printed.printed}", clip_on=False)
        for number, fit in enumerate(printed_curves):
            losses = fit.curve.losses
            axes.plot(
                _epochs(program, len(losses)),
                _above(losses),
                ("-", "--")[number % 2],
                color=VERMILLION,
                lw=1.4,
                label=f"{fit.curve.edition}: {fit.status}",
            )
        axes.set_xlim(0, epochs[-1])
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.legend(loc="upper right")
        return finish(
            figure,
            f"{prefix}curves-{program}",
            f"Loss during training, {title}",
            f"Loss of {title} during training: the median over seeds falls from "
            f"{curves[0.5][0]:.3f} to {curves[0.5][-1]:.4f}; the central 99% of seeds end between "
            f"{curves[low][-1]:.4f} and {curves[high][-1]:.4f}; "
            f"the book’s {printed.printed} is a diamond."
            + "".join(f" The curve of {fit.curve.edition} {fit.status}." for fit in printed_curves),
            f"Loss over all rows during training, {title}, above {FLOOR}, which lies just below the least "
            "that is possible: median and central 90% and 99% of the seeds, a few sequential runs as thin "
            "lines, the printed curves, and the primary edition’s final value.",
        )


def _above(losses: Sequence[float] | np.ndarray) -> np.ndarray:
    """The distance from the floor; at least 1e-4, for a point that was read off a bitmap."""
    return np.maximum(np.asarray(losses) - FLOOR, 1e-4)


def _distribution(one: Judgement, program: str) -> Drawing:
    summary = one.record.programs[program].ensemble
    assert summary is not None
    _, curves = _quantiles(one, program)
    low, high = curves[min(curves)][-1], curves[max(curves)][-1]
    verdicts = verdicts_on(one, program, "loss")
    values = [verdict.claim.value for verdict in verdicts]
    with canvas(f"distribution-{program}", 4.4) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.35))
        above.set(title=NAMES[program], ylabel="seeds")
        above.stairs(summary.histogram_counts, summary.histogram_edges, fill=True, color=BLUE, alpha=0.55)
        span = (min(low, *values), max(high, *values))
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
        _place_editions(below, verdicts, bars=True)
        inside = sum(low <= value <= high for value in values)
        return finish(
            figure,
            f"distribution-{program}",
            f"Final losses over seeds, {NAMES[program]}",
            f"Histogram of the final losses of {NAMES[program]} over seeds, above the value that each "
            f"edition printed: the central 99% reach from {low:.4f} to {high:.4f} and hold {inside} of the "
            f"{len(values)} printed values.",
            f"Final losses over seeds, {NAMES[program]}, and where each edition’s printed value stands. A "
            "bar shows what a rounded value may stand for.",
        )


def _seconds(one: Judgement, program: str) -> Drawing:
    seconds = np.sort(sec_per_epoch(one.record.programs[program]))
    shown = seconds[np.linspace(0, len(seconds) - 1, min(len(seconds), 200)).astype(int)]
    verdicts = verdicts_on(one, program, "sec_per_epoch")
    values = [verdict.claim.value for verdict in verdicts]
    lower, median, upper = np.quantile(seconds, (0.25, 0.5, 0.75))
    with canvas(f"seconds-{program}", 3.4) as figure:
        axes = figure.add_subplot(title=NAMES[program], xlabel="seconds per epoch", xscale="log")
        ends = np.array([min(*shown, *values), max(*shown, *values)])
        axes.set_xlim(*(ends * (0.75, 1.35)))
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
        heights = -1.6 + 0.9 * (np.arange(len(shown)) * 0.618 % 1 - 0.5)
        axes.plot(shown, heights, ".", color=BLUE, alpha=0.7, markersize=4, markeredgewidth=0)
        axes.plot([lower, upper], [-1.6, -1.6], color=INK, linewidth=5, alpha=0.35, solid_capstyle="butt")
        axes.plot(median, -1.6, "|", color=INK, markersize=16, markeredgewidth=1.6)
        label_beside(axes, shown.min(), shown.max(), -1.6, f"here: median {median:.4f}")
        _place_editions(axes, verdicts, bars=False)
        return finish(
            figure,
            f"seconds-{program}",
            f"Seconds per epoch, {NAMES[program]}",
            f"Seconds per epoch of {NAMES[program]}, logarithmic axis: {len(seconds)} runs here with median "
            f"{median:.4f}, against {min(values)} to {max(values)} in the editions.",
            f"Seconds per epoch, {NAMES[program]}: a dot for each sequential run here with quartiles and "
            "median, and what each edition printed on its own machine. Hollow: timed without the loss "
            "evaluations, not comparable.",
        )


def _order(order: Order) -> Drawing:
    book, here = order.book, order.here
    assert here is not None
    low, high = order.interval or (here, here)
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
            "Left of 1 from scratch is faster, right of it concise. The bar is a 95% interval over blocks of "
            f"{BLOCK} turns, of one process.",
        )


def _quantiles(one: Judgement, program: str) -> tuple[np.ndarray, dict[float, np.ndarray]]:
    """Where in training the evaluations stand, and by level the losses of the seeds there."""
    summary = one.record.programs[program].ensemble
    assert summary is not None
    levels = dict(zip(summary.curve_levels, np.array(summary.curve).T, strict=True))
    return _epochs(program, len(summary.curve)), levels


def _epochs(program: str, evaluations: int) -> np.ndarray:
    """Where in training the evaluations stand: at the start, then evenly to the last epoch's end."""
    return np.linspace(0, PROGRAMS[program].num_epochs, evaluations)


def _place_editions(axes: Axes, verdicts: Sequence[Verdict], *, bars: bool) -> None:
    """One row for each edition, so that equal values do not hide one another; the primary on top.

    `bars` shows what a printed value may have been before it was rounded.
    """
    for row, claim in enumerate(verdict.claim for verdict in verdicts):
        is_primary, value = claim.edition == PRIMARY, claim.value
        colour = VERMILLION if is_primary else INK
        half = 0.5 * 10.0 ** -len(claim.printed.partition(".")[2]) if bars else 0.0
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
            fillstyle="full" if bars or claim.timed_alike else "none",
        )
        label_beside(axes, value - half, value + half, row, f"{claim.label} {claim.printed}")
    axes.set_ylim(len(verdicts) - 0.4, min(axes.get_ylim()[0], -0.8))
    axes.yaxis.set_visible(False)
    axes.spines["left"].set_visible(False)
