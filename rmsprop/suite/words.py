"""Numbers, times and names as people read them: the same words in terminal, formats and pages."""

import hashlib
import re
import shlex
import statistics
from collections.abc import Iterable, Sequence
from datetime import datetime

BY_FORMULA = "checked by the suite's formula of RMSProp"
BY_AUTHOR = "checked by the author's reference_step"
BY_ITSELF = "checked against itself in float64: no formula is known"
BY_SHAPE = "checked for shapes and finite values alone: no formula is known, and it has no float64"
ILL = "ill-conditioned"
CHECKS = (BY_AUTHOR, BY_ITSELF, BY_SHAPE)
"""How somebody's optimizer was checked before it was timed: a note of the record begins so."""


def duration(seconds: float) -> str:
    """Three digits and a unit, such as `12.3 µs`."""
    rounded = float(f"{seconds:.3g}")
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if rounded >= scale:
            return f"{rounded / scale:.3g} {unit}" if rounded < 1000 else f"{rounded:,.0f} s"
    return f"{rounded / 1e-9:.3g} ns"


def factor(ratio: float) -> str:
    """Three digits of how many times as fast or as long, such as `1.00`, `0.502` or `40.5`."""
    rounded = float(f"{ratio:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:#.3g}"


def size_of(number: float) -> str:
    """Bytes as B, KiB or MiB, such as `3.81 MiB`."""
    if number < 2**10:
        return f"{number:.0f} B"
    return f"{number / 2**10:.1f} KiB" if number < 2**20 else f"{number / 2**20:,.2f} MiB"


def with_unit(value: float, unit: str) -> str:
    """A number of the frame with its unit: seconds, bytes, or neither."""
    if unit == "seconds":
        return duration(value)
    return size_of(value) if unit == "bytes" else f"{value:.4g}"


def when(started: str | datetime | None) -> str:
    """A time of a record or of the frame in UTC, such as `2026-01-02 03:04 UTC`; `unknown` for None."""
    if started is None:
        return "unknown"
    words = started if isinstance(started, str) else started.isoformat()
    return f"{words[:16].replace('T', ' ')} UTC"


def count(number: int, noun: str) -> str:
    """Such as `1 case` and `1,200 cases`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


_NAMED = 3
"""Of many."""


def few(names: Iterable[str]) -> str:
    """The first names of many, each once, and how many more there are."""
    distinct = list(dict.fromkeys(names))
    more = len(distinct) - _NAMED
    return ", ".join(distinct[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


def commit_name(commit: str | None, dirty: bool | None = False) -> str:
    """The first nine characters, and whether there were local changes."""
    return (commit or "an installed wheel")[: 9 if commit else None] + " with local changes" * bool(dirty)


def command(name: str, **options: object) -> str:
    """What to type, such as `rmsprop bench --output runs/results`; an option of several values is repeated.

    Whoever advises a command names the folders of the run that is spoken of: the defaults of most commands
    are the folders of the published results.
    """
    words = ["rmsprop", name]
    for option, given in options.items():
        for value in given if isinstance(given, tuple) else (given,):
            words += [f"--{option}", str(value)]
    return printable(shlex.join(words))


LONGEST_SLUG = 60
"""Characters."""


def slug(name: str) -> str:
    """The name as a part of a file's name or of an address: lower-case letters, digits and hyphens.

    A system takes names of 255 bytes, and several parts make one; what is left out of a long one is hashed.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if len(plain) <= LONGEST_SLUG:
        return plain
    return f"{plain[: LONGEST_SLUG - 9]}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"


_ALL_BITS = 17
"""Digits of a float64, and more than a float32 has."""
APART = 0.10
"""Distance of the processes' medians, over their median, that is too much."""
SCATTERED = 0.10
"""Distance of the samples' quartiles, over their median, that is too much; of samples of one process."""


_WARNING = re.compile(r"; (?=\w+: )")


def each_warning(joined: str | None) -> list[str]:
    """The warnings of a row of the frame, which joins them."""
    return _WARNING.split(joined) if joined else []


def kind(warning: str) -> str:
    """The keyword that a warning begins with."""
    return warning.partition(":")[0]


def unstable(medians: Sequence[float]) -> str | None:
    """The warning of processes that gave different times; None where they agree, or there is only one."""
    apart = (max(medians) - min(medians)) / statistics.median(medians)
    if apart <= APART:
        return None
    return (
        f"unstable: the processes differ by {apart:.0%}; measure again on a quieter machine, "
        "and trust no smaller difference"
    )


def scattered(q25: float, median: float, q75: float) -> str | None:
    """The warning of samples of one process that scatter too much; None where they do not."""
    spread = (q75 - q25) / median
    if spread <= SCATTERED:
        return None
    return f"unstable: quartiles {spread:.0%} of the median apart; measure again, and trust no smaller change"


def digits_in_words(digits: float | None, unknown: str = "–") -> str:
    """To how many digits two numbers agree, such as `6.9`, or that all bits are equal; `unknown` for None."""
    if digits is None:
        return unknown
    return "all bits" if digits >= _ALL_BITS else f"{digits:.1f}"


def percent(share: float | None) -> str:
    """A change, such as `+1.2%` for 0.012; nothing for None."""
    return "" if share is None else f"{share:+.1%}"


def interval(low: float | None, high: float | None) -> str:
    """The interval of a change, such as `+0.3 to +2.1%`; nothing where an end is None."""
    return "" if low is None or high is None else f"{100 * low:+.1f} to {high:+.1%}"


def printable(text: str) -> str:
    r"""The text without control characters, line ends, odd bytes or half pairs: those as `\\x1b` and so on.

    A foreign name must neither move a terminal's cursor nor begin a line that a code host obeys.
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    if "\udc80" <= character <= "\udcff":  # a byte of a name that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()
