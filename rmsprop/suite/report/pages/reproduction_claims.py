"""What is said of each claim of the primary edition, on the overview, in README and on the page."""

from rmsprop.book.claims import PRIMARY
from rmsprop.book.programs import TRACES
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.records.store import short_commit
from rmsprop.suite.report.figures.reproduction import NAMES
from rmsprop.suite.report.page import Link, Phrase, Sentences, Table, Tag
from rmsprop.suite.verdicts.reproduction import Judgement, Verdict
from rmsprop.suite.words import when

_SUBJECTS = {name: trace.title for name, trace in TRACES.items()} | NAMES
_QUANTITIES = {
    "x1": "x₁ after 20 steps",
    "x2": "x₂ after 20 steps",
    "loss": "final loss",
    "sec_per_epoch": "seconds per epoch",
}
MARKS = {
    "reproduced": "✓",
    "consistent": "✓",
    "not reproduced": "✗",
    "not consistent": "✗",
    "undecided": "?",
    "placed": "·",
    "compared": "≈",
    "not run": "–",
}


def answer(one: Judgement) -> str:
    """One sentence: does the book hold?"""
    holds = "Yes" if one.holds else "Not in everything" if one.decides else "Not known yet"
    return f"{holds}: {one.headline}."


def claim_sentences(one: Judgement, page: str = "") -> Sentences:
    """A sentence for each claim of the primary edition; `page` has the evidence, empty on that page."""
    anchors = {"loss": "distribution", "sec_per_epoch": "seconds"}
    items = []
    for verdict in of_primary(one):
        subject, here = _subject(verdict), _here(verdict)
        anchor = anchors.get(verdict.claim.quantity, "traces")
        parts: tuple[Phrase, ...] = (
            Tag(f"{MARKS[verdict.status]} {verdict.status}", verdict.status),
            ": ",
            Link(subject, f"{page}#{anchor}"),
            f": the book prints {verdict.claim.printed}, here {here}; {verdict.words}.",
        )
        items.append(parts)
    return Sentences(tuple(items))


def claims_table(one: Judgement) -> Table:
    """A row for each claim of the primary edition."""
    rows = tuple(
        (
            _subject(verdict),
            verdict.claim.printed,
            _here(verdict),
            f"{MARKS[verdict.status]} {verdict.status}: {verdict.words}",
        )
        for verdict in of_primary(one)
    )
    return Table("What the book prints, and what this run gave", ("Claim", "Book", "Here", "Verdict"), rows)


def origin(record: ReproductionRecord) -> str:
    """One sentence: with which data, where, when and by which commit the record was made."""
    machine = record.environment
    rows = "Real" if record.data.source == "real" else "Surrogate"
    return (
        f"{rows} airfoil rows, {record.device} {record.dtype}, torch {machine.versions['torch']}, "
        f"{machine.processor or 'unknown processor'} with {machine.threads} threads, "
        f"{when(machine.started)}, commit {commit_of(record)}."
    )


def run_on(record: ReproductionRecord) -> str:
    """The same in fewer words, as the sentence on the speed of a step says it."""
    machine = record.environment
    return (
        f"Run on {machine.machine}, {when(machine.started)}, commit {commit_of(record)}, "
        f"torch {machine.versions['torch']}."
    )


def of_primary(one: Judgement) -> list[Verdict]:
    return [verdict for verdict in one.verdicts if verdict.claim.edition == PRIMARY]


def _subject(verdict: Verdict) -> str:
    return f"{_SUBJECTS[verdict.claim.program]}, {_QUANTITIES[verdict.claim.quantity]}"


def _here(verdict: Verdict) -> str:
    if verdict.here is None:
        return "nothing"
    kind = "median " if verdict.claim.quantity in ("loss", "sec_per_epoch") else ""
    return f"{kind}{verdict.printed_here}"


def commit_of(record: ReproductionRecord) -> str:
    return short_commit(record.environment) + " with local changes" * bool(record.environment.dirty)
