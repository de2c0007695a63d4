"""A class lists its attributes in its docstring, as CONTRIBUTING.md asks."""

import ast
import re
from collections.abc import Iterator
from inspect import cleandoc
from itertools import pairwise
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
FOLDERS = ("rmsprop", "studies", "benchmarks", "tools")
OPTIONS = "rmsprop/suite/cli/*options.py"
"""Their classes are commands: the docstring is what `--help` says, and a field's annotation has its help."""

SECTION = re.compile(r"^Attributes\n-+\n(.*?)(?=^\w[^\n]*\n-+$|\Z)", re.MULTILINE | re.DOTALL)
ENTRY = re.compile(r"^(\w[\w, ]*?)(?: : .*)?$", re.MULTILINE)


def classes(source: str) -> Iterator[ast.ClassDef]:
    """Those of the module that are public."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node


def undescribed(node: ast.ClassDef) -> list[str]:
    """The class's public fields that neither its docstring names nor a literal behind them describes."""
    named = {
        name
        for section in SECTION.findall(cleandoc(ast.get_docstring(node) or ""))
        for entry in ENTRY.findall(section)
        for name in entry.split(", ")
    }
    made = (one for one in node.body if getattr(one, "name", "") in {"__init__", "__post_init__"})
    return [
        name
        for body in (node.body, *(one.body for one in made))
        for name in dict.fromkeys(_bare(body))
        if name not in named and not name.startswith("_")
    ]


def _bare(body: list[ast.stmt]) -> Iterator[str]:
    """The fields that the statements annotate or set, but for those with a docstring of their own."""
    described = {
        name
        for statement, following in pairwise(body)
        if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
        for name in _set(statement)
    }
    for statement in body:
        yield from (name for name in _set(statement) if name not in described)


def _set(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
        yield statement.target.id
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return
    for node in ast.walk(statement):
        match node:
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def test_the_docstring_of_a_class_names_each_field():
    paths = [path for folder in FOLDERS for path in sorted((CHECKOUT / folder).rglob("*.py"))]
    found = {
        f"{path.relative_to(CHECKOUT)}: {node.name}": undescribed(node)
        for path in (*paths, CHECKOUT / "tools" / "gpu-check")
        if not path.relative_to(CHECKOUT).match(OPTIONS)
        for node in classes(path.read_text("utf-8"))
    }
    assert len(found) > 200
    assert {place: names for place, names in found.items() if names} == {}


def test_a_field_that_no_docstring_names_is_found():
    source = '''
class Seen:
    """Some.

    Attributes
    ----------
    low, high : float
        In seconds.

    Notes
    -----
    other
    """

    low: float
    high: float
    told: int
    """How often."""
    other: int
    _own: int

    def __init__(self):
        self.told_too = 0
        """How often."""
        self.more, self._less = 1, 2
'''
    (seen,) = classes(source)
    assert undescribed(seen) == ["other", "more"]
