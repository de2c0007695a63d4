"""What a page is: blocks, in the order in which they are read. `html` and `markdown` render the same blocks.

A page module below `report/pages/` has one function,

    def pages(inputs: Inputs) -> Iterable[Page]: ...

and stands in `report.pages.MODULES`, in the order of the navigation. It runs nothing and reads no file: all
that it shows is in `Inputs`, and the same inputs give the same bytes. It gives no page where it has nothing
to say. It knows neither HTML nor Markdown:

    def pages(inputs):
        for record in inputs.gates:
            yield Page(
                path=f"gate-{name}.html",
                title="Gate: base against head",
                nav="Gate",
                blocks=(
                    headline("Nothing is slower."),
                    paragraph("Run ", Code("rmsprop gate"), " again; see ", Link("all runs", "gate.html")),
                    Facts({"Machine": "..."}),
                    Heading("Paired ratios"),
                    Figures(drawings),
                    Table("Every case", ("Case", "Ratio"), rows),
                    Detail((Heading("Every launch"), Table(...))),
                ),
            )

Text is data: names of files, machines and other people's optimizers are shown as they are, whatever they
hold. A `Detail` stands on the site alone, and so does a page with `in_markdown=False`; what is left is
`reports/README.md`, which is committed and therefore short. Figures are drawn between
`figures.canvas.canvas` and `figures.canvas.finish`; words for times, sizes and commits are in `suite.words`.
All pages lie in one folder, so that a link is the other page's file name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rmsprop.suite.report.figures.canvas import Drawing
from rmsprop.suite.verdicts.ratios import WIDE

MAX_BYTES = 2_000_000
"""Of a page. Page modules cap what they show, and say what they left out."""

MARK = "†"
"""Stands beside a number that a warning speaks against, by the one rule of the two texts below."""
TIME_MARK = (
    f"{MARK} Of a time: a warning speaks against it that most times of its run do not have; those that most"
    " have stand in the table of runs on the page Performance."
)
"""For pages that mark times alone."""
RATIO_MARK = (
    f"{TIME_MARK} Of a ratio: its interval reaches further than {WIDE:.0%} from it, its samples are few or"
    " the timer too coarse; or it has no interval, and any warning speaks against one of the two times."
)
"""For pages that mark times and ratios."""


@dataclass(frozen=True)
class Code:
    """A command or a name, as it is typed.

    Attributes
    ----------
    text
        Without backticks.
    """

    text: str


@dataclass(frozen=True)
class Link:
    """Words that lead to another page of the site, to a place on one, or to an address of the web.

    Attributes
    ----------
    text
        What is shown.
    href
        Address, or file name of the page, with or without #anchor.
    """

    text: str
    href: str


@dataclass(frozen=True)
class Tag:
    """A verdict; the style sheet has colours for some statuses, such as `reproduced` or `slower`.

    Attributes
    ----------
    text
        What is shown.
    status
        Decides the colour.
    """

    text: str
    status: str


Phrase = str | Code | Link | Tag
Words = Phrase | tuple[Phrase, ...]
"""A sentence: text, or text with links, commands and verdicts in it."""


@dataclass(frozen=True)
class Heading:
    """A heading below the page's title.

    Attributes
    ----------
    text
        What is shown.
    level
        2, or 3 below that.
    anchor
        Under which address within the page it can be found.
    """

    text: str
    level: Literal[2, 3] = 2
    anchor: str | None = None


@dataclass(frozen=True)
class Paragraph:
    """One or more sentences.

    Attributes
    ----------
    words
        The sentences.
    kind
        How loudly they are said.
    """

    words: Words
    kind: Literal["plain", "headline", "warning", "note"] = "plain"


@dataclass(frozen=True)
class Sentences:
    """A list of sentences.

    Attributes
    ----------
    items
        A sentence each.
    large
        Whether they open a page.
    """

    items: tuple[Words, ...]
    large: bool = False


@dataclass(frozen=True)
class Facts:
    """Names and what they stand for, such as machine, date and commit.

    Attributes
    ----------
    facts
        Name -> what it stands for.
    """

    facts: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """A cell that is more than its text.

    Attributes
    ----------
    text
        What is shown.
    key
        What it is sorted by, where that is not its text.
    href
        Where it leads: another page of the site, or a place on one.
    anchor
        Under which address within the page it can be found.
    status
        A verdict's, which has a colour.
    """

    text: str
    key: float | None = None
    href: str | None = None
    anchor: str | None = None
    status: str | None = None


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of each row is its head.

    Attributes
    ----------
    caption, columns
        What it shows; the heads of the columns.
    rows
        Each as long as `columns`.
    left_out
        How many rows there were beyond these.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | Cell, ...], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Figures:
    """Figures that stand side by side where there is room.

    Attributes
    ----------
    drawings
        In the order in which they stand.
    """

    drawings: tuple[Drawing, ...]


@dataclass(frozen=True)
class Detail:
    """Blocks that only the site has.

    Attributes
    ----------
    blocks
        In the order in which they are read.
    """

    blocks: "tuple[Block, ...]"


Block = Heading | Paragraph | Sentences | Facts | Table | Figures | Detail


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes
    ----------
    path
        File name in reports/, such as performance.html.
    title
        The page's `<title>` and `<h1>`.
    blocks
        In the order in which they are read.
    nav
        Its word in the navigation; None for a page that another one links to.
    in_markdown
        Whether reports/README.md has it too.
    """

    path: str
    title: str
    blocks: tuple[Block, ...]
    nav: str | None
    in_markdown: bool = True


def paragraph(*parts: Phrase) -> Paragraph:
    """Plain sentences."""
    return Paragraph(parts)


def headline(*parts: Phrase) -> Paragraph:
    """The page's answer."""
    return Paragraph(parts, "headline")


def warning(*parts: Phrase) -> Paragraph:
    """What a reader must know before any number."""
    return Paragraph(parts, "warning")


def note(*parts: Phrase) -> Paragraph:
    """What the reader of a table or figure needs beside it."""
    return Paragraph(parts, "note")


def capped(caption: str, columns: Sequence[str], rows: Sequence[tuple[str | Cell, ...]], most: int) -> Table:
    """The table of the first `most` rows, which says how many it leaves out."""
    return Table(caption, tuple(columns), tuple(rows[:most]), max(0, len(rows) - most))


def marked(text: str, trusted: bool) -> str:
    """The text, with `MARK` where a warning speaks against it."""
    return text if trusted else f"{text} {MARK}"


def drawings_of(blocks: Sequence[Block], *, details: bool) -> Iterator[Drawing]:
    """The figures in the blocks, in order; with or without those of a `Detail`."""
    for block in blocks:
        match block:
            case Figures(drawings):
                yield from drawings
            case Detail(within) if details:
                yield from drawings_of(within, details=details)
