"""The figure of an optimizer's loss on the book's job, beside those that trained with it."""

from collections.abc import Mapping, Sequence

from rmsprop.suite.report.figures.canvas import (
    Drawing,
    Styles,
    canvas,
    finish,
    legend_below,
    legend_height,
)

ROWS = 100
"""Of the data between two evaluations of the loss."""


def draw_loss_curves(name: str, curves: Mapping[str, Sequence[float]], of: str, styles: Styles) -> Drawing:
    """Loss against rows seen; `curves` has the losses of each optimizer, from the start on."""
    with canvas(name, 2.7 + legend_height(curves)) as figure:
        axes = figure.add_subplot(title=of, xlabel="rows seen", ylabel="loss", yscale="log")
        axes.title.set_parse_math(False)
        legend = {}
        for implementation, losses in curves.items():
            seen = [ROWS * number for number in range(len(losses))]
            style = styles[implementation] | {"markersize": 3.5}
            [legend[implementation]] = axes.plot(seen, losses, **style)
        legend_below(figure, legend)
        from_scratch = (
            " scratch is the book’s other program: it draws its first weights by another rule, so that with "
            "the same seeds it begins at another loss than the others."
        )
        ends = ", ".join(f"{implementation} {losses[-1]:.4f}" for implementation, losses in curves.items())
        return finish(
            figure,
            name,
            f"Loss on the book's job, {of}",
            f"Loss against rows seen, {of}; the last loss: {ends}.",
            "Half the mean squared error over all rows, at the start and after each 100 rows: the mean over "
            "the run’s trainings of the book’s job on the surrogate rows, with the same seeds for "
            f"all.{from_scratch if 'scratch' in curves else ''} At the end: {ends}.",
        )
