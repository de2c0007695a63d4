"""Tables as data: text in columns, with what it takes to sort and to link them."""

from collections.abc import Sequence
from dataclasses import dataclass

MARK = "†"
"""Stands beside each number that warnings speak against."""


@dataclass(frozen=True)
class Cell:
    """A cell that is more than its text."""

    text: str
    key: float | None = None
    """What it is sorted by, where that is not its text."""
    href: str | None = None
    """Where it leads: another page of the site, or a place on one."""
    anchor: str | None = None
    """Under which address within the page it can be found."""
    status: str | None = None
    """A verdict's status, which has a colour of its own."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of each row is its head."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    left_out: int = 0
    """Rows that there were beyond these."""


def capped(caption: str, columns: Sequence[str], rows: Sequence[tuple[str | Cell, ...]], most: int) -> Table:
    """The table of the first `most` rows, which says how many it leaves out."""
    return Table(caption, tuple(columns), tuple(rows[:most]), max(0, len(rows) - most))


def marked(text: str, trusted: bool) -> str:
    """The text, with the mark where it cannot be trusted."""
    return text if trusted else f"{text} {MARK}"
