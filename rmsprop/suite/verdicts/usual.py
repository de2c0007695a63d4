"""Warnings that most times of a run have. They are said of the run, once, and mark none of its times.

On a busy or shared machine nearly each time has them; a mark at each would hide the times that are worse.
"""

from collections import Counter
from collections.abc import Collection, Sequence

from rmsprop.suite.words import kind

_LEAST_TIMES = 5
"""Of fewer times none is usual."""


def usual_warnings(times: Collection[Sequence[str]]) -> frozenset[str]:
    """The kinds of warnings that more than half of the times have; `times` are the warnings of each."""
    if len(times) < _LEAST_TIMES:
        return frozenset()
    counts = Counter(found for warnings in times for found in set(map(kind, warnings)))
    return frozenset(found for found, number in counts.items() if 2 * number > len(times))


def usual_sentence(kinds: Collection[str]) -> str:
    """What is said of a run, such as `Most times of this run have the warning unstable.`, or nothing."""
    if not kinds:
        return ""
    return f"Most times of this run have the warning {', and most the warning '.join(sorted(kinds))}."
