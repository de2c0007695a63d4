"""The blocks that show seconds per epoch beside exact counts, and how fast the seeds are trained."""

from collections.abc import Iterator, Sequence

from rmsprop.book.claims import primary
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.report.page import Block, Cell, Table, paragraph, warning
from rmsprop.suite.verdicts.reproduction import Judgement
from rmsprop.suite.verdicts.seconds import BLOCK, compared_counts, ensemble_speeds, sec_per_epoch


def seconds_and_counts(best: Judgement, others: Sequence[ReproductionRecord]) -> Iterator[Block]:
    """Seconds here and in the book, beside what an epoch does; what the book's order is worth."""
    record = best.record
    if any(measured.epoch_seconds for measured in record.programs.values()):
        yield paragraph(
            f"Intervals are of the medians of blocks of {BLOCK} successive turns, because turns that follow "
            "one another are not independent. They speak of one process in one hour."
        )
    for words in record.warnings:
        yield warning(f"A warning speaks against the seconds: {words}.")
    if best.order is not None:
        yield paragraph(best.order.draw)
    counted = {one.program: one for one in compared_counts(record, others)}
    if not counted:
        return
    rows = []
    for name, measured in record.programs.items():
        here = sorted(sec_per_epoch(measured))
        one = counted.get(name)
        rows.append(
            (
                measured.program.title,
                primary(name, "sec_per_epoch").printed,
                f"{here[len(here) // 2]:.4f}" if here else "–",
                *(
                    Cell(f"{number:,}", number)
                    for number in (
                        (one.counts.torch_operations, one.counts.python_calls, one.counts.c_calls)
                        if one
                        else ()
                    )
                ),
                *(() if one else ("–", "–", "–")),
                Cell(one.words, status="not consistent" if one.changed else None) if one else "–",
            )
        )
    torch = sorted({one.counts.torch for one in counted.values()})
    yield Table(
        f"What one epoch does, counted exactly (torch {', '.join(torch)}, "
        f"Python {record.environment.python})",
        (
            "Program",
            "Book, seconds",
            "Here, median seconds",
            "Torch operations",
            "Python calls",
            "C calls",
            "Compared",
        ),
        tuple(rows),
    )
    yield paragraph(_why(best))


def _why(best: Judgement) -> str:
    two = [best.record.programs[name].counts for name in best.record.programs if name.startswith("rmsprop-")]
    words = "The counts have no noise in them: they change when code, torch or Python changes."
    if len(two) != 2 or two[0] is None or two[1] is None:
        return words
    scratch, concise = two[0], two[1]
    calls = [one.python_calls + one.c_calls for one in (scratch, concise)]
    return (
        f"{words} From scratch, RMSProp dispatches {scratch.torch_operations:,} torch operations an epoch "
        f"and makes {calls[0]:,} calls from Python; concise {concise.torch_operations:,} operations and "
        f"{calls[1]:,} calls. Which of the two is faster depends on what a call costs against an operation."
    )


def ensemble_speed(best: Judgement) -> Iterator[Block]:
    """How many times as many seeds at once as sequential runs a second of one processor trains."""
    found = ensemble_speeds(best.record)
    if not found:
        return
    rows = tuple(
        (best.record.programs[one.program].program.title, Cell(f"{one.ratio:,.0f}", one.ratio))
        for one in found
    )
    yield Table(
        "Seeds trained at once: how many for one sequential run, in processor time of one thread",
        ("Program", "Times as many"),
        rows,
    )
