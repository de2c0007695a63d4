"""Templates -> HTML and Markdown, with every name in them shown and none obeyed."""

import html as html_module
import re
from typing import Any

from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rmsprop.suite.report.tables import Cell
from rmsprop.suite.words import when


def html(template: str, *others: BaseLoader, **context: Any) -> str:
    """The HTML template, here or among `others`, with that context; text in it is escaped."""
    return _templates(*others, autoescape=True).get_template(template).render(context)


def markdown(template: str, *others: BaseLoader, **context: Any) -> str:
    """The Markdown template with that context; text in it stays text, also inside a table."""
    return _templates(*others, finalize=_escape_markdown).get_template(template).render(context)


def _templates(*others: BaseLoader, **options: Any) -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("rmsprop.suite.report"), *others]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters |= {"when": when, "cell": _cell}
    return environment


def _cell(value: str | Cell) -> Cell:
    return value if isinstance(value, Cell) else Cell(value)


def _escape_markdown(value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = re.sub(r"[\r\n]+", " ", html_module.escape(value, quote=False))
    return re.sub(r"([\\`*_~\[\]|$])", r"\\\1", line)
