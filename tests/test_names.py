"""No name stands for two things: a reader who meets a class knows which one it is. No module is long."""

import ast
from collections import defaultdict
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
ROOMS = ("rmsprop", "benchmarks", "studies", "tools")

SAME = {"Array", "Floats"}
"""Short words for numpy's types, which several modules spell alike."""
OF_ASV = {"Digits"}
"""asv's name of a benchmark is its class's, and its history goes by it."""


def test_no_two_classes_or_types_share_a_name():
    places = defaultdict(list)
    for path in (path for room in ROOMS for path in sorted((CHECKOUT / room).rglob("*.py"))):
        for node in ast.parse(path.read_text("utf-8")).body:
            match node:
                case ast.ClassDef(name=name) | ast.AnnAssign(target=ast.Name(id=name)):
                    pass
                case ast.Assign(targets=[ast.Name(id=name)]):
                    pass
                case _:
                    continue
            if not name.startswith("_") and not name.isupper():
                places[name].append(path.relative_to(CHECKOUT).as_posix())
    assert len(places) > 100
    assert {
        name: found for name, found in places.items() if len(found) > 1 and name not in SAME | OF_ASV
    } == {}


def test_no_module_is_longer_than_350_lines():
    modules = [
        path for room in ROOMS for kind in ("*.py", "*.cpp", "*.h") for path in (CHECKOUT / room).rglob(kind)
    ]
    assert len(modules) > 100
    lines = {
        path.relative_to(CHECKOUT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in modules
    }
    assert {path: number for path, number in lines.items() if number > 350} == {}
