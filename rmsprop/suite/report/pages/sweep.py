"""The page of the newest sweep: each optimizer's best point, and maps of where it works."""

import math
from collections.abc import Iterable, Iterator, Mapping
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
from rmsprop.suite.verdicts.sweep import Best, Plane, Share, best_points, jobs_of, planes, within
from rmsprop.suite.words import commit_name, count, duration, when

PATH = "sweep.html"
_JOBS, _FIGURES_BYTES, _ROWS = 4, 1_100_000, 200
"""Jobs with a section of their own; bytes of all maps; rows of a map's table."""
NEAR = 0.01
"""How far above an optimizer's best median a point still counts as near it."""


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, of the newest sweep."""
    if inputs.sweeps:
        yield Page(PATH, "Where the chapter's optimizers work", tuple(_blocks(inputs)), "Sweep")


def _blocks(inputs: Inputs) -> Iterator[Block]:
    sweep = inputs.sweeps[-1]
    jobs = jobs_of(sweep.points)
    first = best_points(sweep.points, jobs[0])
    yield headline(_answer(first, jobs[0]))
    yield _facts(sweep)
    yield paragraph(
        "Each point was trained with the same seeds. A point is chosen as an optimizer’s best by its median "
        "over the seeds with even numbers; the losses shown are of the seeds with odd numbers, which did not "
        "choose it. A training has diverged if its final loss is not below the loss at its start; it stays "
        "in every quantile. The job is convex and has six parameters: nothing here is about networks."
    )
    for number, job in enumerate(jobs[:_JOBS]):
        section = tuple(_section(sweep, job, number))
        yield from section if number == 0 else (Detail(section),)
    if len(jobs) > _JOBS:
        yield note(f"{count(len(jobs) - _JOBS, 'job')} more: points.parquet of the record has them.")
    if len(inputs.sweeps) > 1:
        yield Detail((_others(inputs.sweeps[:-1]),))


def _answer(bests: tuple[Best, ...], job: Mapping[str, Any]) -> str:
    lowest = bests[0]
    words = (
        f"With {_job(job)} the lowest median loss at a best point is that of {lowest.optimizer}: "
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


def _section(sweep: Sweep, job: Mapping[str, Any], number: int) -> Iterator[Block]:
    bests = best_points(sweep.points, job)
    yield Heading(f"Each optimizer’s best: {_job(job)}")
    yield _best_table(sweep, bests)
    yield Figures((draw_best(f"sweep-{number}-best", bests, _job(job)),))
    yield note(
        "An asterisk: the best point lies at the end of that axis, and a better one may lie beyond. Near: "
        f"points whose median over the odd seeds is at most {NEAR:.0%} above the best point’s. Optimizers "
        "have different numbers of points; more points find a lower one more easily."
    )
    yield note("In a map a colour stands for values from its number up to the next one’s.")
    ordered = sorted(bests, key=lambda best: best.optimizer != "rmsprop")
    shown = [(best, plane) for best in ordered for plane in _planes(sweep, best)]
    drawn = [
        draw_map(f"sweep-{number}-{best.optimizer}-{plane.x}-{plane.y}", plane, _job(job))
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


def _best_table(sweep: Sweep, bests: tuple[Best, ...]) -> Table:
    rows = []
    for best in bests:
        points = within(sweep.points, {"optimizer": best.optimizer, **best.job})
        near = int((points["held_median"] <= best.median * (1 + NEAR)).sum())
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
            Cell(_share(share := Share(point["diverged"], point["seeds"])), share.value),
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


def _job(job: Mapping[str, Any]) -> str:
    return f"batch {job['batch_size']}, {count(job['epochs'], 'epoch')}, {job['dtype']}"


def _share(share: Share) -> str:
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
