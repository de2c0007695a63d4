"""What every edition printed, and where that stands here: blocks of the reproduction's page."""

from collections.abc import Iterator

from rmsprop.suite.report.figures.reproduction import NAMES, verdicts_on
from rmsprop.suite.report.page import Block, Cell, Heading, Sentences, Table, note, paragraph
from rmsprop.suite.report.pages.reproduction_claims import MARKS
from rmsprop.suite.verdicts.reproduction import Judgement, Verdict
from rmsprop.suite.verdicts.seconds import COMPARED

_APART = "‡"
"""Stands beside seconds that were timed otherwise than the book's."""


def editions(best: Judgement) -> Iterator[Block]:
    yield Heading("Every edition", anchor="editions")
    yield paragraph(
        "The page of Dive-into-DL-PyTorch (docs) is the primary source, and its notebook ran the same code. "
        "The other editions ran code of their own. From scratch it is the same program; their concise loops "
        "start from other weights or train longer, so that the table gives the percentile of those losses "
        "and no verdict."
    )
    for program in COMPARED:
        yield _editions_table(best, program)
    yield note(f"{_APART} These seconds leave out the loss evaluations and cannot be compared.")
    yield Heading("Sources", level=3)
    sources = dict.fromkeys((v.claim.edition, v.claim.source) for v in best.verdicts)
    yield Sentences(tuple(f"{edition}: {source}" for edition, source in sources))


def _editions_table(one: Judgement, program: str) -> Table:
    """What each edition printed for a program, and where that stands here."""
    rows = []
    for loss, seconds in zip(
        verdicts_on(one, program, "loss"), verdicts_on(one, program, "sec_per_epoch"), strict=True
    ):
        mark = "" if seconds.claim.timed_alike else f" {_APART}"
        rows.append(
            (
                loss.claim.label,
                loss.claim.printed,
                Cell(_with_interval(loss.percentile, loss, 1), loss.percentile),
                Cell(f"{MARKS[loss.status]} {loss.status}", status=loss.status),
                Cell(f"{seconds.claim.printed}{mark}", seconds.claim.value),
                Cell(f"{_with_interval(seconds.ratio, seconds, 2)}{mark}", seconds.ratio),
            )
        )
    return Table(
        f"{NAMES[program]}: what each edition printed, and where it stands here (95% intervals)",
        ("Edition", "Loss", "Percentile here", "Verdict", "Seconds per epoch", "Here / printed"),
        tuple(rows),
    )


def _with_interval(value: float | None, verdict: Verdict, digits: int) -> str:
    """Such as `0.45 (0.44 to 0.46)`, of which everything may be missing."""
    if value is None:
        return "–"
    if verdict.interval is None:
        return f"{value:.{digits}f}"
    low, high = verdict.interval
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
