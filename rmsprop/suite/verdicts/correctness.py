"""Whether somebody's optimizer is right, and by what that is known: rows of `Runs` -> verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.frame import Row
from rmsprop.suite.words import BY_FORMULA, BY_ITSELF, BY_SHAPE, CHECKS, ILL, STEPS, count

Answer = Literal["right", "ill-conditioned", "not known", "wrong", "failed", "skipped"]
MEANINGS: dict[Answer, str] = {
    "wrong": "it is wrong",
    "failed": "it raises an error",
    "ill-conditioned": f"its first {STEPS} steps equal its formula in float64, and it amplifies rounding",
    "not known": f"its first {STEPS} steps show no error, and whether its formula is right is not known",
    "right": f"its first {STEPS} steps equal its formula",
    "skipped": "it did not run",
}
"""What is to be said first stands first."""


@dataclass(frozen=True)
class Check:
    """What the check of a case before its timing found.

    Attributes
    ----------
    answer
        Of the first steps alone. right: they equal a formula in this dtype. ill-conditioned: they equal the
        author's formula in float64 alone, and rounding explains the rest. not known: no formula is known, and
        they equal the optimizer's own in float64, as far as rounding lets them, or it has no float64. wrong:
        they differ from the formula or from its own, are not finite, or move nothing. failed: it raised.
        skipped: it did not run.
    why
        What it was held against; of a case without a time, the reason.
    """

    answer: Answer
    why: str


def check_of(row: Row) -> Check:
    """The check of the case that a row of quantity `step` is."""
    return _check(row["status"], row["reason"], (row["notes"] or "").split("; "))


def check_of_record(record: BenchRecord) -> Check:
    """The check of a case that was just measured."""
    return _check(record.status, record.reason, record.notes)


def sentence(name: str, checks: Sequence[Check], *, why: bool = False) -> str:
    """How many of an optimizer's cases had which answer, the worst first; `why` adds one reason for each."""
    parts = []
    for answer, meaning in MEANINGS.items():
        if found := [check for check in checks if check.answer == answer]:
            reason = f" ({found[0].why})" if why else ""
            parts.append(f"in {count(len(found), 'case')} {meaning}{reason}")
    return f"{name}: {'; '.join(parts)}."


def _check(status: str, reason: str | None, notes: Sequence[str]) -> Check:
    reason = reason or "no reason given"
    if status == "skipped":
        return Check("skipped", reason)
    if status == "failed":
        kind, _, rest = reason.partition(": ")
        return Check("wrong", rest) if kind == "WrongResultError" else Check("failed", reason)
    why = next((note for note in notes if note.startswith(CHECKS)), BY_FORMULA)
    if why.startswith((BY_ITSELF, BY_SHAPE)):
        return Check("not known", why)
    return Check("ill-conditioned" if ILL in why else "right", why)
