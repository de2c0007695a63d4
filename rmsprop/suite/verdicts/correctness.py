"""Whether somebody's optimizer is right, and by what that is known: rows of `Runs` -> verdicts."""

from dataclasses import dataclass
from typing import Literal

from rmsprop.suite.records.frame import Row
from rmsprop.suite.words import BY_FORMULA, BY_ITSELF, BY_SHAPE, CHECKS, ILL

Answer = Literal["right", "ill-conditioned", "not known", "wrong", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """What the check of a case before its timing found.

    Attributes
    ----------
    answer
        right: it equals a formula in this dtype. ill-conditioned: it equals the author's formula in float64
        alone, and rounding explains the rest. not known: no formula is known, and the optimizer equals itself
        in float64. wrong: it differs from its formula or from itself, is not finite, or moves nothing.
        failed: it raised. skipped: it did not run.
    why
        What it was held against; of a case without a time, the reason.
    """

    answer: Answer
    why: str


def check_of(row: Row) -> Check:
    """The check of the case that a row of quantity `step` is."""
    if row["status"] == "skipped":
        return Check("skipped", row["reason"] or "no reason given")
    if row["status"] == "failed":
        reason = row["reason"] or "no reason given"
        kind, _, rest = reason.partition(": ")
        return Check("wrong", rest) if kind == "WrongResultError" else Check("failed", reason)
    notes = (row["notes"] or "").split("; ")
    why = next((note for note in notes if note.startswith(CHECKS)), BY_FORMULA)
    if why.startswith((BY_ITSELF, BY_SHAPE)):
        return Check("not known", why)
    return Check("ill-conditioned" if ILL in why else "right", why)
