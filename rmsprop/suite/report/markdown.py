"""Blocks -> Markdown, in which text stays text, also inside a table. A `Detail` is left out."""

import html
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import assert_never

from rmsprop.suite.report.page import (
    Block,
    Cell,
    Code,
    Detail,
    Facts,
    Figures,
    Heading,
    Link,
    Page,
    Paragraph,
    Phrase,
    Sentences,
    Table,
    Tag,
    Words,
)

_WIDTH = 140
_ROWS = 40
"""Of a table: the site has the others."""


def document(title: str, pages: Iterable[Page]) -> str:
    """One file of all pages that are in Markdown, each below its title."""
    texts = [f"# {_text(title)}\n"]
    for page in pages:
        if page.in_markdown:
            heading = "" if page.title == title else f"## {_text(page.title)}\n\n"
            texts.append(f"{heading}{render(page.blocks)}")
    return "\n".join(texts)


def render(blocks: Iterable[Block], figures: str = "figures", below: int = 1) -> str:
    """The blocks; `figures` is the folder of the drawings' files as seen from the Markdown file.

    `below` is added to the level of each heading.
    """
    return "".join(f"{text}\n\n" for block in blocks if (text := _block(block, figures, below)))


def _block(block: Block, figures: str, below: int) -> str:  # noqa: PLR0911 (one for each kind of block)
    match block:
        case Heading(text, level):
            return f"{'#' * (level + below)} {_text(text)}"
        case Paragraph(words, kind):
            said = _words(words)
            return _filled(f"**{said}**" if kind in ("headline", "warning") else said)
        case Sentences(items):
            return "\n".join(f"- {_filled(_words(words), indent='  ')}" for words in items)
        case Facts(facts):
            return "\n".join(
                f"- {_filled(f'{_text(name)}: {_text(fact)}', indent='  ')}" for name, fact in facts.items()
            )
        case Table():
            return _table(block)
        case Figures(drawings):
            return "\n\n".join(
                f"![{_text(drawing.alt)}]({figures}/{drawing.name}.svg)\n\n{_filled(_text(drawing.caption))}"
                for drawing in drawings
            )
        case Detail():
            return ""
        case _:
            assert_never(block)


def _table(table: Table) -> str:
    shown = [[_text(column) for column in table.columns], ["---"] * len(table.columns)]
    shown += [[_cell(cell) for cell in row] for row in table.rows[:_ROWS]]
    lines = [f"**{_text(table.caption)}**", "", *(f"| {' | '.join(row)} |" for row in shown)]
    if left_out := table.left_out + len(table.rows[_ROWS:]):
        lines += ["", f"{left_out:,} further rows are left out here."]
    return "\n".join(lines)


def _cell(value: str | Cell) -> str:
    return _text(value.text if isinstance(value, Cell) else value)


def _words(words: Words) -> str:
    parts: Sequence[Phrase] = words if isinstance(words, tuple) else (words,)
    return "".join(_part(part) for part in parts)


def _part(part: Phrase) -> str:
    match part:
        case Code(text):
            return _text(text) if "`" in text else f"`{text}`"
        case Link(text, href):
            # A page of the site is no file beside the Markdown.
            return f"[{_text(text)}]({href})" if href.startswith("https://") else _text(text)
        case Tag(text):
            return _text(text)
        case _:
            return _text(part)


def _text(text: str) -> str:
    line = re.sub(r"[\r\n]+", " ", html.escape(text, quote=False))
    return re.sub(r"([\\`*_~\[\]|$])", r"\\\1", line)


def _filled(text: str, indent: str = "") -> str:
    """In lines of `_WIDTH` characters, none of which begins like a list, a heading or a quotation."""
    lines = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
    safe = [re.sub(r"^(\d+)(?=[.)](?:\s|$))|^(?=[-+#=])", r"\1\\", line) for line in lines]
    return f"\n{indent}".join(safe)
