"""The pages of the newest sweep of each job: each optimizer's best point, and maps of where it works."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rmsprop.suite.records.sweep import Sweep
from rmsprop.suite.report.figures.canvas import fitting
from rmsprop.suite.report.figures.sweep import axis_name, draw_best, draw_map, setting_in_words
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    Block,
    Cell,
    Detail,
    Facts,
    Figures,
    Heading,
    Page,
    Table,
    capped,
    headline,
    note,
    paragraph,
)
from rmsprop.suite.verdicts.sweep import Best, Plane, SeedShare, best_points, conditions_of, planes, within
from rmsprop.suite.words import commit_name, count, duration, when

_SECTIONS, _FIGURES_BYTES, _ROWS = 4, 1_100_000, 200
"""Conditions with a section of their own; bytes of all maps; rows of a map's table."""


@dataclass(frozen=True)
class JobWords:
    """How a page names its job.

    Attributes
    ----------
    path, title, nav : str
        Of the page.
    figures : str
        How the names of its figures begin.
    about : str
        What was trained, and of what the page therefore says nothing.
    near : float
        How far above an optimizer's best median a point still counts as near it.
    bands : tuple of float
        Where a map's colours begin, above its lowest loss.
    """

    path: str
    title: str
    nav: str
    figures: str
    about: str
    near: float
    bands: tuple[float, ...]


JOBS = {
    "book": JobWords(
        path="sweep.html",
        title="Where the chapter's optimizers work",
        nav="Sweep",
        figures="sweep",
        about="The job is the book’s linear regression; its loss is half the mean squared error over all "
        "rows. It is convex and has six parameters: nothing here is about networks.",
        near=0.01,
        bands=(0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5),
    ),
    "digits": JobWords(
        path="sweep-digits.html",
        title="Where the chapter's optimizers work: a network on digits",
        nav="Sweep: digits",
        figures="sweep-digits",
        about="The job is a network of 64, 32 and 10 units (2,410 parameters, tanh) on the 1,797 digits of "
        "scikit-learn; its loss is the cross-entropy of all rows. All of them are trained on: nothing here "
        "is about rows that a network has not seen, nor about other networks. A network that learned next to "
        "nothing may end just below its loss at the start, which is about log 10 = 2.30: it has not "
        "diverged, and never reaches the target.",
        near=0.1,
        bands=(0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 3.0, 10.0),
    ),
}
"""By the job of a record."""


def pages(inputs: Inputs) -> Iterable[Page]:
    """A page of the newest sweep of each job."""
    for name, job in JOBS.items():
        if sweeps := tuple(sweep for sweep in inputs.sweeps if sweep.record.job == name):
            yield Page(job.path, job.title, tuple(_blocks(sweeps, job)), job.nav)


def _blocks(sweeps: tuple[Sweep, ...], job: JobWords) -> Iterator[Block]:
    sweep = sweeps[-1]
    conditions = conditions_of(sweep.points)
    first = best_points(sweep.points, conditions[0])
    yield headline(_answer(first, conditions[0]))
    yield _facts(sweep)
    yield paragraph(
        "Each point was trained with the same seeds. A point is chosen as an optimizer’s best by its median "
        "over the seeds with even numbers; the losses shown are of the seeds with odd numbers, which did not "
        "choose it. A training has diverged if its final loss is not below the loss at its start; it stays "
        f"in every quantile. {job.about}"
    )
    for number, one in enumerate(conditions[:_SECTIONS]):
        section = tuple(_section(sweep, job, one, f"{job.figures}-{number}"))
        yield from section if number == 0 else (Detail(section),)
    if (more := len(conditions) - _SECTIONS) > 0:
        yield note(
            f"{count(more, 'combination')} of batch size, epochs and dtype more: points.parquet of the "
            "record has them."
        )
    if len(sweeps) > 1:
        yield Detail((_others(sweeps[:-1]),))


def _answer(bests: tuple[Best, ...], conditions: Mapping[str, Any]) -> str:
    lowest = bests[0]
    words = (
        f"With {_words(conditions)} the lowest median loss at a best point is that of {lowest.optimizer}: "
        f"{_loss(lowest.median)} at {setting_in_words(lowest.optimizer, lowest.setting)}."
    )
    mine = next((best for best in bests if best.optimizer == "rmsprop"), None)
    if mine is None or mine is lowest:
        return words
    verdict = mine.against(lowest)
    apart = "which is higher" if verdict == "higher" else "and the two are not told apart"
    return (
        f"{words} RMSProp’s is {_loss(mine.median)} at {setting_in_words('rmsprop', mine.setting)}, {apart}."
    )


def _facts(sweep: Sweep) -> Facts:
    record = sweep.record
    environment = record.environment
    return Facts(
        {
            "Machine": environment.machine,
            "Run": when(environment.started),
            "Commit": commit_name(environment.commit, environment.dirty),
            "Size": f"{count(record.points, 'point')} × {count(record.seeds, 'seed')} = "
            f"{record.trainings:,} trainings",
            "Time": _times(sweep),
            "Rows": f"{record.data.source} ({record.data.detail})",
            "Target": f"loss {record.target:g}",
            "torch": environment.versions.get("torch", "unknown"),
        }
    )


def _times(sweep: Sweep) -> str:
    found = f"{duration(sweep.seconds)} of workers together, {duration(sweep.cpu_seconds)} of processors"
    if not sweep.cpu_seconds:
        return found
    each = sweep.record.trainings / sweep.cpu_seconds
    return f"{found}: {each:,.0f} trainings for each second of a processor"


def _section(sweep: Sweep, job: JobWords, conditions: Mapping[str, Any], figures: str) -> Iterator[Block]:
    bests = best_points(sweep.points, conditions)
    words = _words(conditions)
    yield Heading(f"Each optimizer’s best: {words}")
    yield _best_table(sweep, bests, job.near)
    yield Figures((draw_best(f"{figures}-best", bests, words),))
    yield note(
        "An asterisk: the best point lies at the end of that axis, and a better one may lie beyond. Near: "
        f"points whose median over the odd seeds is at most {job.near:.0%} above the best point’s. "
        "Optimizers have different numbers of points; more points find a lower one more easily."
    )
    yield note("In a map a colour stands for values from its number up to the next one’s.")
    ordered = sorted(bests, key=lambda best: best.optimizer != "rmsprop")
    shown = [(best, plane) for best in ordered for plane in _planes(sweep, best)]
    drawn = [
        draw_map(f"{figures}-{best.optimizer}-{plane.x}-{plane.y}", plane, words, job.bands, job.near)
        for best, plane in shown
    ]
    fit = fitting(drawn, _FIGURES_BYTES)
    for order, ((best, plane), drawings) in enumerate(zip(shown[:fit], drawn, strict=False)):
        x, y = (axis_name(best.optimizer, axis) for axis in (plane.x, plane.y))
        blocks = (
            Heading(f"{best.optimizer}: {x} by {y}", level=3),
            Figures(drawings),
            Detail((_map_table(plane),)),
        )
        yield from blocks if order == 0 else (Detail(blocks),)
    if fit < len(shown):
        yield Detail((note(f"{count(len(shown) - fit, 'map')} more would make the page too large."),))


def _planes(sweep: Sweep, best: Best) -> list[Plane]:
    """All of RMSProp's; of the others the first."""
    found = list(planes(sweep.points, best))
    return found if best.optimizer == "rmsprop" else found[:1]


def _best_table(sweep: Sweep, bests: tuple[Best, ...], margin: float) -> Table:
    rows = []
    for best in bests:
        points = within(sweep.points, {"optimizer": best.optimizer, **best.conditions})
        near = int((points["held_median"] <= best.median * (1 + margin)).sum())
        setting = ", ".join(
            f"{axis_name(best.optimizer, axis)} {value:g}{'*' * (axis in best.at_edge)}"
            for axis, value in best.setting.items()
        )
        rows.append(
            (
                best.optimizer,
                setting,
                Cell(_loss(best.median), best.median),
                f"{_loss(best.low)} to {_loss(best.high)}",
                f"{_loss(best.q05)} to {_loss(best.q95)}",
                _share(best.diverged),
                Cell(_epochs(best.epochs[1]), best.epochs[1]),
                f"{near:,} of {best.among:,}",
            )
        )
    held = bests[0].diverged.of
    return Table(
        f"Of {count(held, 'seed')} with odd numbers; epochs of all seeds",
        ("Optimizer", "Point", "Median", "95% interval", "Central 90%", "Diverged", "Epochs", "Near"),
        tuple(rows),
    )


def _map_table(plane: Plane) -> Table:
    x, y = (axis_name(plane.optimizer, axis) for axis in (plane.x, plane.y))
    rows = [
        (
            Cell(f"{point[plane.x]:g}", point[plane.x]),
            Cell(f"{point[plane.y]:g}", point[plane.y]),
            Cell(_loss(point["loss_median"]), point["loss_median"]),
            f"{_loss(point['loss_q05'])} to {_loss(point['loss_q95'])}",
            Cell(_share(share := SeedShare(point["diverged"], point["seeds"])), share.value),
            Cell(_epochs(point["epochs_median"]), point["epochs_median"]),
            f"{_epochs(point['epochs_q05'])} to {_epochs(point['epochs_q95'])}",
        )
        for point in plane.rows.to_dict("records")
    ]
    at = f"; {setting_in_words(plane.optimizer, plane.at)}" if plane.at else ""
    columns = (x, y, "Median loss", "Central 90%", "Diverged", "Epochs", "Central 90% of epochs")
    return capped(f"{plane.optimizer}: {x} by {y}, all seeds{at}", columns, rows, _ROWS)


def _others(sweeps: tuple[Sweep, ...]) -> Table:
    rows = tuple(
        (
            when(sweep.record.environment.started),
            sweep.record.environment.machine,
            commit_name(sweep.record.environment.commit, sweep.record.environment.dirty),
            f"{sweep.record.trainings:,}",
            ", ".join(str(name) for name in sweep.record.axes["optimizer"]),
        )
        for sweep in reversed(sweeps)
    )
    return Table("Older sweeps", ("Run", "Machine", "Commit", "Trainings", "Optimizers"), rows)


def _words(conditions: Mapping[str, Any]) -> str:
    epochs = count(conditions["epochs"], "epoch")
    return f"batch {conditions['batch_size']}, {epochs}, {conditions['dtype']}"


def _share(share: SeedShare) -> str:
    low, high = share.interval
    return f"{share.count:,} of {share.of:,} ({low:.1%} to {high:.1%})"


def _loss(loss: float) -> str:
    if math.isnan(loss):
        return "–"
    if not math.isfinite(loss):
        return "∞"
    return f"{loss:.4f}" if loss < 1000 else f"{loss:.2g}"


def _epochs(epochs: float) -> str:
    return f"{epochs:.2f}" if math.isfinite(epochs) else "never"
