"""`rmsprop reproduce`: the section's claims, judged."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree

import torch
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rmsprop.book.claims import CHAPTER, PRIMARY, claims
from rmsprop.errors import UserError
from rmsprop.suite.cli.options import ReproduceOptions
from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.rows import load_rows
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.measure.devices import device_of
from rmsprop.suite.measure.reproduction import check_size, reproduce, stages
from rmsprop.suite.measure.tasks import Progress
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.records.store import read_reproductions, short_commit, write_reproduction
from rmsprop.suite.verdicts.exclusion import worth
from rmsprop.suite.verdicts.reproduction import Judgement, Verdict, judge, subject
from rmsprop.suite.verdicts.seconds import COMPARED, Counted, compared_counts

_STYLES = {
    "reproduced": "green",
    "consistent": "green",
    "not reproduced": "bold red",
    "not consistent": "bold red",
    "undecided": "yellow",
}


def run(options: ReproduceOptions) -> None:
    """Reproduce, store the record, and show the verdicts."""
    dtype = getattr(torch, options.dtype)
    device = device_of(options.device, dtype)
    check_size(options.seeds, options.timed)
    check_writable(options.output)
    airfoil = load_rows(options.data)
    claimed = claims(options.claimed)
    keep = options.output / "reproduction" / "unfinished"
    planned = stages(
        claimed,
        options.seeds,
        options.timed,
        wrong=options.others,
        real=airfoil.source == "real",
        cpu=device.type == "cpu",
    )
    with reproduction_progress(planned) as progress:
        record = reproduce(
            claimed,
            airfoil,
            seeds=options.seeds,
            runs=options.timed,
            device=device,
            dtype=dtype,
            progress=progress,
            keep=keep,
            wrong=options.others,
        )
    path = None
    try:
        path = write_reproduction(options.output, record)
    except UserError as error:  # minutes of work: the answer is given all the same
        typer.echo(f"the record is not stored: {error}. The answer follows.", err=True)
    if path and not record.interrupted:
        rmtree(keep, ignore_errors=True)
    judgement = judge(record, claimed)
    if options.as_json:
        print(reproduction_json(judgement, path))
    else:
        others, _ = read_reproductions(options.output)
        show_reproduction(judgement, path, [one for one in others if one != record])
    if record.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(0 if judgement.holds else 1)


@contextmanager
def reproduction_progress(planned: dict[str, tuple[str, int]]) -> Iterator[Progress]:
    """Bars for the stages of a reproduction, with the time that remains."""
    with bars() as shown:
        tasks = {name: shown.add_task(words, total=total) for name, (words, total) in planned.items()}
        yield lambda stage, done: shown.advance(tasks[stage], done)


def show_reproduction(
    judgement: Judgement, path: Path | None, others: Sequence[ReproductionRecord] = ()
) -> None:
    """The claims of the primary edition, then where every other edition's values stand.

    The counts are compared with those of `others`, the records that were there before.
    """
    console = Console()
    record = judgement.record
    console.print(escape(judgement.headline), soft_wrap=True)
    show_table(console, _primary_table(judgement))
    if any(name in record.programs for name in COMPARED):
        show_table(console, _editions_table(judgement.verdicts))
    if judgement.fits:
        show_table(console, _curves_table(judgement))
    for fit in judgement.fits:
        if fit.remark:
            console.print(escape(fit.remark), soft_wrap=True)
    if judgement.not_told_apart:
        console.print(escape(judgement.not_told_apart), soft_wrap=True)
    if judgement.exclusions:
        show_table(console, _exclusions_table(judgement))
        console.print(escape(judgement.nothing_excludes), soft_wrap=True)
    counts = compared_counts(record, others)
    if counts:
        show_table(console, _counts_table(counts))
    for warning in record.warnings:
        console.print(f"[yellow]a warning speaks against the seconds: {escape(warning)}[/]")
    environment = record.environment
    state = " with local changes" if environment.dirty else ""
    console.print(
        escape(
            f"data: {record.data.source} ({record.data.detail}); {record.device} {record.dtype}; "
            f"torch {environment.versions['torch']}, {environment.threads} threads; {environment.words}; "
            f"commit {short_commit(environment)}{state}"
        )
    )
    for name, p_value in judgement.agreement.items():
        if p_value is not None:
            console.print(
                f"{record.programs[name].program.title}: sequential runs against the seeds at once, "
                f"Kolmogorov-Smirnov p = {p_value:.3f}"
                + (" [bold red](they disagree)[/]" if p_value < 0.001 else "")
            )
    if record.interrupted:
        console.print("[yellow]interrupted: what was finished is kept and judged[/]")
    if path:
        console.print(f"record: {escape(str(path))}", soft_wrap=True)


def reproduction_json(judgement: Judgement, path: Path | None) -> str:
    """The verdicts of all editions, for programs."""
    record, order = judgement.record, judgement.order
    answer = {
        "record": str(path) if path else None,
        "data": record.data.source,
        "interrupted": record.interrupted,
        "verdicts": [asdict(verdict) | {"decides": verdict.decides} for verdict in judgement.verdicts],
        "order": None if order is None else asdict(order),
        "agreement": judgement.agreement,
        "section": record.section,
        "headline": judgement.headline,
        "curves": [
            {"curve": f.curve.name, "p": f.p, "status": f.status, "words": f.words, "decides": f.decides}
            for f in judgement.fits
        ],
        "matrix": [asdict(cell) for cell in judgement.matrix],
        "exclusions": [asdict(e) | {"p": e.p, "excluded": e.excluded} for e in judgement.exclusions],
        "worth": [asdict(one) for one in worth(judgement.exclusions)],
        "editions_together": judgement.joint,
        "nothing_excludes": [e.change for e in judgement.exclusions if not e.excluded],
        "counts": {
            name: asdict(measured.counts) for name, measured in record.programs.items() if measured.counts
        },
        "warnings": list(record.warnings),
    }
    return json.dumps(answer, indent=1)


def _primary_table(judgement: Judgement) -> Table:
    table = Table(title=f"{_place(judgement)}: the book's printed values")
    for column in ("claim", "book", "here", "verdict"):
        table.add_column(column, justify="right" if column in ("book", "here") else "left")
    for verdict in judgement.verdicts:
        claim = verdict.claim
        if claim.edition != PRIMARY:
            continue
        style = _STYLES.get(verdict.status, "default")
        table.add_row(
            f"{subject(claim)}, {claim.quantity.replace('_', ' ')}",
            claim.printed,
            verdict.printed_here,
            f"[{style}]{verdict.status}[/]: {escape(verdict.words)}",
        )
    order = judgement.order
    if order is None:
        return table
    interval = "" if order.interval is None else f" [{order.interval[0]:.3f}, {order.interval[1]:.3f}]"
    table.add_row(
        "seconds, scratch / concise",
        f"{order.book:.3f}",
        "" if order.here is None else f"{order.here:.3f}",
        f"compared: {escape(order.words + interval)}. {escape(order.draw)}",
    )
    return table


def _place(judgement: Judgement) -> str:
    section = judgement.record.section
    return "The chapter" if section == CHAPTER else f"Section {section}"


def _curves_table(judgement: Judgement) -> Table:
    table = Table(title="Printed training curves: does the curve fit its own program?")
    for column in ("curve", "verdict"):
        table.add_column(column)
    for fit in judgement.fits:
        style = {"fits": "green", "does not fit": "bold red"}.get(fit.status, "default")
        table.add_row(fit.curve.name, f"[{style}]{fit.status}[/]: {escape(fit.words)}")
    return table


def _exclusions_table(judgement: Judgement) -> Table:
    table = Table(title="Other programs in the place of RMSProp: excluded, or the power that there was")
    for column in ("program", "trace", "loss", "editions", "curves", "all"):
        table.add_column(column, justify="left" if column == "program" else "right")
    for exclusion in judgement.exclusions:
        cells = []
        for kind in ("trace", "loss", "editions", "curve"):
            excludes = exclusion.by(kind)
            power = exclusion.power(kind)
            cells.append("–" if excludes is None else "excluded" if excludes else f"{power:.0%}")
        name = escape(exclusion.change) + (" (diverged)" if exclusion.diverged > 0.5 else "")
        cells.append("excluded" if exclusion.excluded else "no")
        table.add_row(name if exclusion.excluded else f"[yellow]{name}[/]", *cells)
    return table


def _counts_table(counts: Sequence[Counted]) -> Table:
    table = Table(title="One epoch, counted exactly")
    for column in ("program", "torch operations", "Python calls", "C calls", "compared"):
        table.add_column(column, justify="left" if column in ("program", "compared") else "right")
    for one in counts:
        numbers = (one.counts.torch_operations, one.counts.python_calls, one.counts.c_calls)
        words = f"[bold red]{escape(one.words)}[/]" if one.changed else escape(one.words)
        table.add_row(one.program, *(f"{number:,}" for number in numbers), words)
    return table


def _editions_table(verdicts: tuple[Verdict, ...]) -> Table:
    table = Table(
        title="Every edition: its printed loss, the percentile among the seeds, seconds here / its seconds"
    )
    table.add_column("edition", no_wrap=True)
    for program in COMPARED:
        table.add_column(program.rpartition("-")[2], justify="right", no_wrap=True)
        table.add_column("%ile", justify="right", no_wrap=True)
        table.add_column("sec", justify="right", no_wrap=True)
    trained = [verdict for verdict in verdicts if verdict.claim.program in COMPARED]
    for label in dict.fromkeys(verdict.claim.label for verdict in trained):
        row = {(v.claim.program, v.claim.quantity): v for v in trained if v.claim.label == label}
        cells = []
        for program in COMPARED:
            loss, seconds = row[program, "loss"], row[program, "sec_per_epoch"]
            style = _STYLES.get(loss.status, "default")
            percentile = "-" if loss.percentile is None else f"[{style}]{loss.percentile:.1f}[/]"
            ratio = "-" if seconds.ratio is None else f"{seconds.ratio:.2f}"
            cells += [loss.claim.printed, percentile, ratio]
        table.add_row(label, *cells)
    return table
