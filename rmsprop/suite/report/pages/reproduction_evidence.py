"""The blocks of the page that say what the printed curves and values can tell: fit, matrix, exclusions."""

from collections.abc import Iterator

from rmsprop.book.claims import CURVES_SOURCE
from rmsprop.suite.report.page import Block, Cell, Heading, Table, paragraph
from rmsprop.suite.verdicts.exclusion import worth
from rmsprop.suite.verdicts.reproduction import Judgement


def curves(best: Judgement) -> Iterator[Block]:
    """Each printed curve against its own program, and for the chapter against every program."""
    if not best.fits:
        return
    yield Heading("The printed curves", anchor="curves")
    yield paragraph(
        "The notebooks print each training as a figure of 31 points. A curve fits when it is not among the "
        "1% least typical of its own program’s held-out runs, divided by the number of curves of the "
        f"primary edition. All curves together do not fit when Fisher’s sum of log p is below 1%: one curve "
        f"alone is typical of many programs, also of wrong ones. Source of the points: {CURVES_SOURCE}."
    )
    rows = tuple(
        (fit.curve.name, fit.curve.printed_loss, Cell(fit.status, status=fit.status), fit.words)
        for fit in best.fits
    )
    yield Table(
        "Does each printed curve fit its own program?", ("Curve", "Printed loss", "Verdict", "Why"), rows
    )
    for fit in best.fits:
        if fit.remark:
            yield paragraph(fit.remark)


def matrix_table(best: Judgement) -> Table:
    """p of each printed curve among the held-out runs of each program of the chapter."""
    cells = {(cell.curve, cell.program): cell for cell in best.matrix}
    programs = list(best.record.programs)
    rows = []
    for fit in best.fits:
        row: list[str | Cell] = [fit.curve.name]
        for name in programs:
            cell = cells.get((fit.curve.name, name))
            if cell is None:
                row.append("–")
                continue
            text = f"{cell.p:.4f}" if cell.points else "points"
            row.append(Cell(f"{text} *" if name == cell.claimed else text, cell.p, status=cell.status))
        rows.append(tuple(row))
    return Table(
        "p of each printed curve among each program’s held-out runs (* its own)",
        ("Curve", *programs),
        tuple(rows),
    )


def excluded(best: Judgement) -> Iterator[Block]:
    """What the printed values of section 7.6 exclude, by piece of evidence."""
    if not best.exclusions:
        return
    yield Heading("What the printed values exclude", anchor="excluded")
    yield paragraph(
        "Each other program was run in the place of RMSProp. A value excludes it when fewer than 1% of "
        "its own runs stand where the value stands (p). The power is the share of the other program’s runs "
        "that would have excluded RMSProp: a power of 1% is that of a guess. Several pieces of evidence "
        "together exclude a program when the least p, times the number of pieces, is below 1%."
    )
    yield worth_table(best)
    names = list(dict.fromkeys(e.name for exclusion in best.exclusions for e in exclusion.evidence))
    rows = []
    for exclusion in best.exclusions:
        by_name = {e.name: e for e in exclusion.evidence}
        cells: list[str | Cell] = [exclusion.change + " (diverged)" * (exclusion.diverged > 0.5)]
        for name in names:
            e = by_name.get(name)
            if e is None:
                cells.append("–")
            else:
                status = "excluded" if e.excludes else "not excluded"
                cells.append(
                    Cell(f"{'✗' if e.excludes else '·'} {e.p:.2g} / {e.power:.0%}", e.p, status=status)
                )
        together = "excluded" if exclusion.excluded else "not excluded"
        cells.append(Cell("yes" if exclusion.excluded else "no", exclusion.p, status=together))
        rows.append(tuple(cells))
    yield Table(
        "Other programs: p / power (✗ excludes, · does not, – cannot show it)",
        ("Program", *(_COLUMNS.get(name, name.replace("rmsprop-", "Curve, ")) for name in names), "Excluded"),
        tuple(rows),
    )
    yield paragraph(best.nothing_excludes)


_KINDS = {
    "trace": "The digits of the 2-D trace",
    "loss": "The final losses of the primary edition",
    "editions": "The losses of all editions together",
    "curve": "The printed training curves",
    "all": "All evidence together",
}


_COLUMNS = {
    "trace": "Trace",
    "loss, rmsprop-scratch": "Loss, scratch",
    "loss, rmsprop-concise": "Loss, concise",
    "editions": "All editions, scratch",
    "curves together": "Curves together",
}


def worth_table(best: Judgement) -> Table:
    """A row for each kind of evidence: how many other programs it excludes; empty where none was tried."""
    rows = tuple(
        (
            _KINDS[one.kind],
            f"{one.excluded} of {one.tried}",
            f"{one.optimizers_excluded} of {one.optimizers_tried}",
        )
        for one in worth(best.exclusions)
    )
    columns = ("Evidence", "Excludes, of the other programs that it can show", "Of these, other optimizers")
    return Table("What the evidence of section 7.6 is worth", columns, rows)
