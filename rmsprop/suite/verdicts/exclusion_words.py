"""What the evidence excludes, in sentences that name each kind of evidence that was tried, and no other."""

from collections.abc import Sequence

from rmsprop.book.wrong import CHANGES
from rmsprop.suite.verdicts.exclusion import Exclusion, worth

_NAMES = {
    "trace": "the digits of the 2-D trace",
    "loss": "the final losses",
    "curve": "the curves",
    "all": "all evidence together",
}
"""Without the losses of all editions, which are final losses too."""


def excluded_by(found: Sequence[Exclusion], rows: str) -> str:
    """Of how many other programs; `rows`, such as ` on the surrogate rows`, are those of the losses.

    Next to other evidence the digits have no number of their own: they are a part of all evidence.
    """
    tried = {one.kind: one for one in worth(found)}
    named = _NAMES | {"loss": _NAMES["loss"] + rows}
    kinds = [kind for kind in named if kind in tried and (kind != "trace" or len(tried) == 1)]
    shares = [f"{tried[kind].excluded} of {tried[kind].tried}" for kind in kinds]
    verbs = [" exclude", *[""] * (len(kinds) - 1)]
    words = [f"{named[kind]}{verb} {share}" for kind, verb, share in zip(kinds, verbs, shares, strict=True)]
    return f"of other programs in the place of RMSProp, {', '.join(words)}"


def not_excluded(found: Sequence[Exclusion]) -> str:
    """The other programs that stay, and how many were not tried; empty where none was tried."""
    if not found:
        return ""
    tried = {one.kind for one in worth(found)}
    *some, last = [words for kind, words in _NAMES.items() if kind in tried - {"all"}]
    by = f"{', '.join(some)} or {last}" if some else last
    left = [exclusion.change for exclusion in found if not exclusion.excluded]
    said = f"Not excluded by {by}: {'; '.join(left)}."
    if not left:
        said = f"Each of the {len(found)} other programs that were tried is excluded by {by}."
    untried = {change.name for change in CHANGES} - {exclusion.change for exclusion in found}
    return f"{said} {len(untried)} more were not tried." if untried else said
