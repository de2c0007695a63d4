"""Numbers, times and commits as people read them."""

import re
from typing import Any

import pandas as pd


def duration(seconds: float) -> str:
    """Three digits and a unit, such as `12.3 µs`."""
    rounded = float(f"{seconds:.3g}")
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if rounded >= scale:
            return f"{rounded / scale:.3g} {unit}" if rounded < 1000 else f"{rounded:,.0f} s"
    return f"{rounded / 1e-9:.3g} ns"


def size_of(number: float) -> str:
    """Bytes as B, KiB or MiB, such as `3.81 MiB`."""
    if number < 2**10:
        return f"{number:.0f} B"
    return f"{number / 2**10:.1f} KiB" if number < 2**20 else f"{number / 2**20:,.2f} MiB"


def when(started: str) -> str:
    """`2026-01-02T03:04:05+00:00` -> `2026-01-02 03:04 UTC`."""
    return f"{started[:16].replace('T', ' ')} UTC"


def measure(value: float, unit: str) -> str:
    """A number of the frame with its unit: seconds, bytes, or neither."""
    if unit == "seconds":
        return duration(value)
    return size_of(value) if unit == "bytes" else f"{value:.4g}"


def slug(name: str) -> str:
    """The name as a part of a file's name or of an address."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def moment(started: Any) -> str:
    """A time of the frame, such as `2026-01-02 03:04 UTC`."""
    return "unknown" if pd.isna(started) else f"{started:%Y-%m-%d %H:%M} UTC"


def count(number: int, noun: str) -> str:
    """Such as `1 case` and `1,200 cases`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def text(value: Any) -> str:
    """The value as text; nothing where it is missing."""
    return "" if pd.isna(value) else str(value)


def commit_name(commit: Any, dirty: Any = False) -> str:
    """Nine characters, and whether there were local changes."""
    name = text(commit)[:9] or "an installed wheel"
    return name + (" with local changes" if pd.notna(dirty) and dirty else "")
