"""The page of the whole chapter: each printed value, each curve, and which curves tell which programs."""

from collections.abc import Iterable, Iterator, Sequence

from rmsprop.suite.report.figures.chapter import draw_matrix
from rmsprop.suite.report.figures.reproduction import draw_curves
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    Block,
    Cell,
    Figures,
    Heading,
    Page,
    Table,
    headline,
    note,
    paragraph,
    warning,
)
from rmsprop.suite.report.pages.reproduction import SURROGATE
from rmsprop.suite.report.pages.reproduction_claims import answer, origin
from rmsprop.suite.report.pages.reproduction_evidence import curves, matrix_table
from rmsprop.suite.report.pages.reproduction_seconds import ensemble_speed, seconds_and_counts
from rmsprop.suite.verdicts.reproduction import Judgement, Verdict, subject

PATH = "chapter.html"


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, of the newest record of the chapter that ran to its end; none without one."""
    best = shown(inputs.chapters)
    if best is None:
        return
    others = [one.record for one in inputs.reproductions]
    blocks = (
        headline(answer(best)),
        *((paragraph(best.nothing_excludes),) if best.nothing_excludes else ()),
        note(origin(best.record)),
        *((SURROGATE,) if best.record.data.source == "surrogate" else ()),
        *(
            (warning("This run was interrupted: the page shows what was finished."),)
            * best.record.interrupted
        ),
        *_traces(best),
        *_losses(best),
        Heading("The printed curves over the seeds", anchor="bands"),
        *_bands(best),
        *curves(best),
        *_matrix(best),
        Heading("Seconds per epoch", anchor="seconds"),
        *seconds_and_counts(best, others),
        *ensemble_speed(best),
    )
    yield Page(PATH, "The chapter: sections 7.2 to 7.8", blocks, nav="Chapter", in_markdown=False)


def shown(chapters: Sequence[Judgement]) -> Judgement | None:
    """The newest record of the chapter that ran to its end, else the newest."""
    best = max(
        enumerate(chapters),
        key=lambda one: (not one[1].record.interrupted, one[0]),
        default=None,
    )
    return best[1] if best else None


def _traces(best: Judgement) -> Iterator[Block]:
    rows = [_row(v) for v in best.verdicts if v.claim.quantity in ("x", "x1", "x2")]
    if rows:
        yield Heading("Traces in one and two dimensions", anchor="traces")
        yield paragraph(
            "A trace has no chance in it, so that its digits are reproduced or not. One is an exception: the "
            "trace of stochastic gradient descent in section 7.2 adds unseeded noise, and its end is one "
            "draw of a normal distribution that is known exactly."
        )
        yield Table(
            "The end of each trace",
            ("Trace", "Coordinate", "Edition", "Book", "Here", "Verdict"),
            tuple(rows),
        )


def _losses(best: Judgement) -> Iterator[Block]:
    rows = [_row(v) for v in best.verdicts if v.claim.quantity == "loss"]
    if rows:
        yield Heading("Final losses", anchor="losses")
        yield paragraph(
            "Each printed loss is one unseeded draw. It is consistent when it lies within the central 99% of "
            "its own program’s seeds. That says little: other programs of the chapter end there too. Only "
            "the values of the docs decide. Each is judged at 1%: of sixteen values that all hold, one or "
            "more lies outside by chance in 15% of cases."
        )
        yield Table(
            "The final loss of each program",
            ("Program", "Quantity", "Edition", "Book", "Here", "Verdict"),
            tuple(rows),
        )
    if best.joint:
        yield Table(
            "The losses of all editions of a program together (one run counts once)",
            ("Program", "p"),
            tuple(
                (best.record.programs[name].program.title, Cell(f"{p:.3f}", p))
                for name, p in best.joint.items()
            ),
        )


def _row(verdict: Verdict) -> tuple[str | Cell, ...]:
    return (
        subject(verdict.claim),
        verdict.claim.quantity,
        verdict.claim.label,
        verdict.claim.printed,
        verdict.printed_here or "–",
        Cell(f"{verdict.status}: {verdict.words}", status=verdict.status),
    )


def _bands(best: Judgement) -> Iterator[Block]:
    drawings = tuple(
        draw_curves(best, name, prefix="chapter-")
        for name, measured in best.record.programs.items()
        if measured.ensemble and measured.ensemble.curve
    )
    if drawings:
        yield Figures(drawings)


def _matrix(best: Judgement) -> Iterator[Block]:
    drawing = draw_matrix(best)
    if drawing is None:
        return
    yield Heading("Which curve could have come from which program", anchor="matrix")
    yield Figures((drawing,))
    if best.not_told_apart:
        yield paragraph(best.not_told_apart)
    yield paragraph(
        "A program is excluded when p is below 0.01, and p is never below one in all held-out runs and one "
        "more. Where the program’s curve has another number of points, the table says points."
    )
    yield matrix_table(best)
