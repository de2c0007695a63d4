"""The page that says whether section 7.6 of the book still holds, and shows by what."""

from collections.abc import Iterable, Iterator, Sequence

from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.report.figures.canvas import Drawing
from rmsprop.suite.report.figures.reproduction import NAMES, draw_reproduction
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    Block,
    Code,
    Facts,
    Figures,
    Heading,
    Link,
    Page,
    Paragraph,
    Table,
    capped,
    headline,
    note,
    paragraph,
    warning,
)
from rmsprop.suite.report.pages.reproduction_claims import answer, claim_sentences, commit_of
from rmsprop.suite.report.pages.reproduction_editions import editions
from rmsprop.suite.report.pages.reproduction_evidence import curves, excluded
from rmsprop.suite.report.pages.reproduction_jobs import blocks_of, jobs_table
from rmsprop.suite.report.pages.reproduction_seconds import ensemble_speed, seconds_and_counts
from rmsprop.suite.verdicts.reproduction import Judgement
from rmsprop.suite.verdicts.seconds import COMPARED
from rmsprop.suite.words import command, count, when

PATH = "reproduction.html"
BOOK = "https://github.com/ShusenTang/Dive-into-DL-PyTorch/blob/master/docs/chapter07_optimization/7.6_rmsprop.md"
"""The section, in the edition that the verdicts go by."""
SURROGATE = warning("These numbers are from the moment-matched surrogate, not from the real airfoil data.")
_LISTED = 50
_DISAGREE = 0.001
"""A Kolmogorov-Smirnov p value below this says that loop and ensemble are two programs."""


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, of the record that is shown and of every implementation's run of the book's job.

    None in somebody else's repository, where nobody asked for the book.
    """
    best = shown(inputs.reproductions)
    jobs = jobs_table(inputs)
    if best is None and (inputs.elsewhere or not jobs.rows):
        return
    blocks: list[Block] = []
    if best is None:
        blocks += [
            headline("There is no record of the reproduction to show yet."),
            to_show(inputs, "reproduce"),
        ]
    else:
        blocks += _evidence(best, [one.record for one in inputs.reproductions])
    if jobs.rows:
        blocks += blocks_of(jobs)
    if best is not None:
        blocks += editions(best)
        others = _others_table([one for one in reversed(inputs.reproductions) if one is not best])
        blocks += [Heading("Other records"), others] if others.rows else []
    yield Page(PATH, "Reproduction: does section 7.6 still hold?", tuple(blocks), nav="Reproduction")


def to_show(inputs: Inputs, measuring: str, **options: str) -> Paragraph:
    """What to run, so that these pages get what they lack."""
    return paragraph(
        "Run ",
        Code(command(measuring, **options, output=inputs.results)),
        ", then ",
        Code(command("report", results=inputs.results, output=inputs.pages)),
        ".",
    )


def shown(reproductions: Sequence[Judgement]) -> Judgement | None:
    """Of the records of section 7.6, alone or in the chapter, the one that says most.

    Records that decide come first, then those that ran to their end, then those of a CPU, on which the book's
    numbers were printed; then the newest.
    """
    of_section = [one for one in reproductions if all(name in one.record.programs for name in COMPARED)]
    numbered = enumerate(of_section)
    best = max(
        numbered,
        key=lambda one: (
            one[1].decides,
            not one[1].record.interrupted,
            one[1].record.device == "cpu",
            one[0],
        ),
        default=None,
    )
    return best[1] if best else None


def _evidence(best: Judgement, others: Sequence[ReproductionRecord] = ()) -> Iterator[Block]:
    record, drawings = best.record, draw_reproduction(best)
    yield headline(answer(best))
    if best.nothing_excludes:
        yield paragraph(best.nothing_excludes)
    yield paragraph(
        "The book is Dive into Deep Learning in its PyTorch edition; ",
        Link("section 7.6 is on RMSProp", BOOK),
        ".",
    )
    if record.data.source == "surrogate":
        yield SURROGATE
    if record.interrupted:
        yield warning("This run was interrupted: the page shows what was finished.")
    yield claim_sentences(best)
    yield paragraph(
        "Traces have no chance in them: their digits are reproduced or not. A loss is one unseeded draw. It "
        "is consistent when it lies within the central 99% of the same program’s losses over many seeds, "
        "which says little: other programs end there too. Seconds are compared and never decide."
    )
    yield Heading("What was run")
    yield Facts(_facts(record))
    yield note(
        "Of all records the page shows the newest complete one of a CPU, since the book’s numbers are of a "
        "CPU. The others are listed below."
    )
    yield Heading("Two dimensions", anchor="traces")
    yield from _drawn(drawings, "trajectories")
    yield Heading("Loss during training")
    yield from _drawn(drawings, "curves-rmsprop-scratch", "curves-rmsprop-concise")
    yield from curves(best)
    yield from excluded(best)
    yield Heading("Final loss over seeds", anchor="distribution")
    yield from _drawn(drawings, "distribution-rmsprop-scratch", "distribution-rmsprop-concise")
    for program in COMPARED:
        yield paragraph(_agreement(best, program))
    yield Heading("Seconds per epoch", anchor="seconds")
    yield from _drawn(drawings, "seconds-rmsprop-scratch", "seconds-rmsprop-concise")
    yield paragraph(_order(best))
    yield from _drawn(drawings, "order")
    yield from seconds_and_counts(best, others)
    yield from ensemble_speed(best)


def _drawn(drawings: dict[str, Drawing], *names: str) -> Iterator[Block]:
    found = tuple(drawings[name] for name in names if name in drawings)
    if found:
        yield Figures(found)


def _facts(record: ReproductionRecord) -> dict[str, str]:
    machine, data = record.environment, record.data
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB" if machine.memory_bytes else "unknown memory"
    return {
        "Data": f"{data.source}, {data.detail}" + (f", SHA-256 {data.sha256[:12]}…" if data.sha256 else ""),
        "When": when(machine.started),
        "Machine": ", ".join(filter(None, (machine.words, memory, machine.gpu))),
        "Run on": f"{record.device}, {record.dtype}, {machine.threads} threads",
        "Software": f"torch {machine.versions.get('torch', 'unknown')}, Python {machine.python}, "
        f"{machine.platform}",
        "Commit": commit_of(record),
    } | {NAMES[program]: record.programs[program].program.words for program in COMPARED}


def _agreement(one: Judgement, program: str) -> str:
    """Whether the seeds that were trained at once speak of the book's loop."""
    measured = one.record.programs[program]
    summary, p_value = measured.ensemble, one.agreement[program]
    seeds = summary.seeds if summary else 0
    lost = ""
    if summary and summary.not_finite:
        lost = f", of which {summary.not_finite:,} ended without a finite loss"
    words = f"{NAMES[program]}: {count(seeds, 'seed')} trained at once{lost}, and "
    words += f"{count(len(measured.seeds), 'run')} of the book’s own loop. "
    if p_value is None:
        return words + "That is too little to compare the two."
    chance = f"(Kolmogorov-Smirnov test, p = {p_value:.2g})"
    if p_value < _DISAGREE:
        return words + f"Their losses disagree {chance}, so that the seeds say nothing about the book."
    return words + f"The test finds no difference between their losses {chance}."


def _order(one: Judgement) -> str:
    order = one.order
    assert order is not None
    if order.here is None:
        return f"From scratch over concise: {order.book:.3f} in the book; {order.words}."
    low, high = order.interval or (None, None)
    interval = "" if low is None else f" (95% interval {low:.3f} to {high:.3f})"
    return (
        f"From scratch takes {order.here:.3f} times as long as concise here{interval}, "
        f"{order.book:.3f} times in the book: {order.words}."
    )


def _others_table(others: Sequence[Judgement]) -> Table:
    rows = [
        (
            when(one.record.environment.started),
            one.record.environment.machine,
            one.record.device,
            one.record.dtype,
            one.record.data.source,
            one.record.environment.versions.get("torch", "unknown"),
            one.verdict,
        )
        for one in others
    ]
    columns = ("When", "Machine", "Device", "dtype", "Data", "torch", "Verdict")
    return capped("Other records, the newest first", columns, rows, _LISTED)
