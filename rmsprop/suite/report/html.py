"""Blocks -> HTML, with all text escaped."""

import re
from collections.abc import Iterable, Sequence
from typing import assert_never

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

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

GENERATOR = '<meta name="generator" content="rmsprop report">'
"""In the head of each page, so that a former build's page is told from somebody else's."""

_WIDE = 110
"""Characters of a row from which on the cells of a table are broken into lines."""
_MANY = 12
"""Columns from which on their names are written downwards."""
_NAME = 16
"""Characters of a name that no line breaks."""
_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|µs|ns|B|KiB|MiB|GiB|GB/s)(?!\w))| (?=[†‡])")
"""A blank at which no cell is broken."""
_LINES = Markup("\n")


def document(page: Page, pages: Sequence[Page]) -> str:
    """The whole page, with the navigation over all `pages`, style and script."""
    environment = Environment(
        loader=PackageLoader("rmsprop.suite.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    body, generator = render(page.blocks), Markup(GENERATOR)
    return environment.get_template("base.html.j2").render(
        page=page, pages=pages, body=body, generator=generator
    )


def render(blocks: Iterable[Block]) -> Markup:
    """What stands below the title."""
    return _LINES.join(_block(block) for block in blocks)


def _block(block: Block) -> Markup:  # noqa: PLR0911 (one for each kind of block)
    match block:
        case Heading(text, level, anchor):
            return Markup("<h{0}{1}>{2}</h{0}>").format(level, _attribute("id", anchor), text)
        case Paragraph(words, "plain"):
            return Markup("<p>{}</p>").format(_words(words))
        case Paragraph(words, kind):
            return Markup('<p class="{}">{}</p>').format(kind, _words(words))
        case Sentences(items, large):
            listed = _LINES.join(Markup("<li>{}</li>").format(_words(words)) for words in items)
            return Markup("<ul{}>\n{}\n</ul>").format(
                _attribute("class", "sentences" if large else None), listed
            )
        case Facts(facts):
            listed = _LINES.join(Markup("<dt>{}</dt><dd>{}</dd>").format(*fact) for fact in facts.items())
            return Markup('<dl class="facts">\n{}\n</dl>').format(listed)
        case Table():
            return _table(block)
        case Figures(drawings):
            drawn = _LINES.join(
                Markup("<figure>\n{}\n<figcaption>{}</figcaption>\n</figure>").format(
                    Markup(drawing.inline), drawing.caption
                )
                for drawing in drawings
            )
            return Markup('<div class="pair">\n{}\n</div>').format(drawn) if len(drawings) > 1 else drawn
        case Detail(blocks):
            return render(blocks)
        case _:
            assert_never(block)


def _table(table: Table) -> Markup:
    left_out = Markup()
    if table.left_out:
        left_out = Markup(" ({:,} further rows are left out here)").format(table.left_out)
    heads = Markup().join(
        Markup('<th scope="col">{}</th>').format(_breakable(column)) for column in table.columns
    )
    rows = _LINES.join(
        Markup("<tr>{}</tr>").format(Markup().join(_cell(cell, head=i == 0) for i, cell in enumerate(row)))
        for row in table.rows
    )
    return Markup(
        '<div class="scroll" role="region" aria-label="{0}" tabindex="0">\n<table{4}>\n'
        "<caption>{0}{1}</caption>\n<thead><tr>{2}</tr></thead>\n<tbody>\n{3}\n</tbody>\n</table>\n</div>"
    ).format(table.caption, left_out, heads, rows, _attribute("class", _class(table)))


def _class(table: Table) -> str | None:
    if len(table.columns) > _MANY:
        return "wide many"
    return "wide" if _is_wide(table) else None


def _is_wide(table: Table) -> bool:
    lines = (table.columns, *table.rows)
    lengths = [[len(cell.text if isinstance(cell, Cell) else cell) + 3 for cell in line] for line in lines]
    widest: list[int] = [max(column) for column in zip(*lengths, strict=True)]
    return sum(widest) > _WIDE


def _cell(value: str | Cell, *, head: bool) -> Markup:
    cell = value if isinstance(value, Cell) else Cell(value)
    text = _UNIT.sub("\N{NO-BREAK SPACE}", cell.text)
    content = _part(Link(text, cell.href)) if cell.href else _breakable(text)
    if cell.status:
        content = _status(content, cell.status)
    name = " " not in text and len(text) <= _NAME
    attributes = (
        _attribute("class", "name" if name else None)
        + _attribute("id", cell.anchor)
        + _attribute("data-key", None if cell.key is None else str(cell.key))
    )
    if head:
        return Markup('<th scope="row"{}>{}</th>').format(attributes, content)
    return Markup("<td{}>{}</td>").format(attributes, content)


def _breakable(text: str) -> Markup:
    """The text, which a line may break after the dots and colons of a name."""
    return Markup(re.sub(r"(?<=[A-Za-z][.:])(?=[A-Za-z])", "<wbr>", str(escape(text))))


def _words(words: Words) -> Markup:
    return Markup().join(_part(part) for part in (words if isinstance(words, tuple) else (words,)))


def _part(part: Phrase) -> Markup:
    match part:
        case Code(text):
            return Markup("<code>{}</code>").format(text)
        case Link(text, href):
            return Markup('<a href="{}">{}</a>').format(href, text)
        case Tag(text, status):
            return _status(text, status)
        case _:
            return Markup("{}").format(part)


def _status(content: str, status: str) -> Markup:
    return Markup('<span class="status {}">{}</span>').format(status.replace(" ", "-"), content)


def _attribute(name: str, value: str | None) -> Markup:
    return Markup() if value is None else Markup(' {}="{}"').format(Markup(name), value)
