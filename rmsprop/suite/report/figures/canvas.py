"""How figures are drawn: as SVG text that is legible on light and dark and small enough to inline.

Text stays text. Ink (text, axes) is `currentColor`; an implementation has one colour on every page, and
always a marker and a line style of its own as well. The same data give the same bytes. The modules beside
this one draw between `canvas` and `finish`.
"""

import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import matplotlib
from markupsafe import escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import AutoLocator

from rmsprop.suite.case import IMPLEMENTATIONS

WIDTH = 4.4
"""Inches. At a phone's width the 9 pt text is then as large as a caption, about 9 CSS pixels."""

INK, BLUE, ORANGE, GREEN, VERMILLION = "#010203", "#0072B2", "#E69F00", "#009E73", "#D55E00"
_COLOURS = (
    *(BLUE, ORANGE, GREEN, VERMILLION, "#CC79A7", "#56B4E9"),  # Okabe and Ito
    *("#9467BD", "#999933", "#7F7F7F", "#A6761D", "#44AA99", "#E0457B"),
)
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
_LINES: tuple[Any, ...] = ("-", "-.", (0, (5, 1)), ":", (0, (1, 1)), (0, (3, 1, 1, 1, 1, 1)))
_SANS = "'DejaVu Sans', sans-serif"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.w_pad": 0.08,  # a browser may set long words some hundredths wider
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor", "axes.facecolor"), "none"),
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}
_OWN_COLOURS = (
    "<style>svg{color:#1f2328;background:#fff}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}}</style>"
)


Styles = Mapping[str, dict[str, Any]]
"""Implementation -> colour, marker and line, the same in each figure."""


def styles_of(implementations: Iterable[str]) -> Styles:
    """Ours have their style wherever they are shown; the others have the next ones, in this order."""
    others = [name for name in implementations if name not in IMPLEMENTATIONS]
    return {name: series_style(number) for number, name in enumerate((*IMPLEMENTATIONS, *others))}


def series_style(number: int) -> dict[str, Any]:
    """Colour, marker and line of the series of that number; 12 colours, 24 styles."""
    return {
        "color": _COLOURS[number % 12],
        "marker": _MARKERS[number % 8],
        "linestyle": _LINES[number % 6],
    }


_HALF, _LONGEST = 24, 52
"""Characters of a name that fit into half of a figure, and into all of it."""
_BINS = 6
"""Between the numbers below an axis, at most: matplotlib's nine are too many for numbers of six digits."""
_LONG = re.compile(r"(\d\.\d\d)\d+")
"""Coordinates beyond a hundredth of a point, which nobody sees."""


@dataclass(frozen=True)
class Drawing:
    """One figure, finished.

    Attributes
    ----------
    name
        Of its file, without the suffix.
    alt
        What it shows, for people who do not see it.
    caption
        The sentences below it.
    inline
        SVG for an HTML page, whose text colour it takes.
    """

    name: str
    alt: str
    caption: str
    inline: str

    @property
    def file(self) -> str:
        """SVG that stands alone, with colours of its own for light and dark."""
        return self.inline.replace("<desc", f"{_OWN_COLOURS}<desc", 1) + "\n"


@contextmanager
def canvas(name: str, height: float) -> Iterator[Figure]:
    """A figure of `WIDTH` by `height` inches, drawn with our settings and nobody else's."""
    # A reader's own matplotlib settings must not change the figures, nor these figures the settings.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE | {"svg.hashsalt": name})
        yield Figure(figsize=(WIDTH, height))


def finish(figure: Figure, name: str, title: str, alt: str, caption: str) -> Drawing:
    """The SVG; `title` names the figure in a few words, `alt` says what it shows."""
    for axis in (axes.xaxis for axes in figure.axes):
        if isinstance(locator := axis.get_major_locator(), AutoLocator):
            locator.set_params(nbins=_BINS)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip().replace(INK, "currentColor").replace(_SANS, "sans-serif")
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # would not be unique on a page with several figures
    svg = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(r"\1", tag[0]), svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-labelledby="{name}-title {name}-desc"', 1)
    words = f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(alt)}</desc>'
    return Drawing(name, alt, caption, svg.replace(">", f">{words}", 1))


def label_beside(axes: Axes, left: float, right: float, y: float, text: str) -> None:
    """Beside the mark that reaches from left to right, on the side with more room."""
    (a, _), (b, _) = axes.transAxes.inverted().transform(axes.transData.transform([(left, y), (right, y)]))
    on_right = 1 - b >= a
    axes.annotate(
        text,
        (right if on_right else left, y),
        xytext=(6 if on_right else -6, 0),
        textcoords="offset points",
        ha="left" if on_right else "right",
        va="center",
        fontsize=8.5,
    )


def fitting(groups: Iterable[Sequence[Drawing]], most: int) -> int:
    """How many of the groups of figures, from the first on, take `most` bytes at most together."""
    total = accumulate(sum(len(drawing.inline.encode()) for drawing in group) for group in groups)
    return sum(size <= most for size in total)


def legend_height(names: Iterable[str]) -> float:
    """How many inches `legend_below` takes for these names."""
    listed = list(names)
    return 0.2 * math.ceil(len(listed) / _columns(listed))


def legend_below(figure: Figure, handles: Mapping[str, Line2D]) -> None:
    """The names of the lines under the figure, in two columns, or in one where a name needs the width."""
    box = figure.legend(
        list(handles.values()),
        [" "] * len(handles),
        loc="outside lower center",
        ncols=_columns(handles),
        handlelength=3.2,
    )
    for text, label in zip(box.get_texts(), handles, strict=True):
        # Other people's names may hold what matplotlib takes for mathematics.
        text.set(text=label if len(label) <= _LONGEST else f"…{label[1 - _LONGEST :]}", parse_math=False)


def _columns(names: Iterable[str]) -> int:
    return 1 if any(len(name) > _HALF for name in names) else 2
