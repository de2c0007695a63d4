"""What stands beside asv's results: machine.json tells a machine, benchmarks.json kinds, units and names.

People edit both by hand. Each odd field is named and read as unknown, so that the results stay.
"""

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rmsprop.suite.records.files import read_json
from rmsprop.suite.records.readers.rows import json_kind, number_of

KINDS = {
    "time": ("time", "seconds"),
    "timeraw": ("time", "seconds"),
    "memory": ("memory", "bytes"),
    "mem": ("memory", "bytes"),
    "peakmemory": ("peak memory", "bytes"),
    "peakmem": ("peak memory", "bytes"),
    "track": ("track", "unknown"),
}
"""asv's types and the prefixes of its names -> quantity and unit; a track_ has a unit of its own."""

BESIDE = {"machine.json": "machine", "benchmarks.json": "version"}
"""What stands beside the results, and the field without which it is another kind of file."""

_PREFIX = re.compile(r"(?i:(timeraw|time|peakmem|mem|track))(?:_.+|(?-i:[A-Z]).*)")


class _Expected(NamedTuple):
    """What a field should hold: whether a value is that, and the words for it."""

    fits: Callable[[Any], bool]
    words: str


def whole_of(value: Any) -> int | None:
    """A number of processors or of samples; asv keeps what its user typed."""
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        return None
    try:
        number = int(value)
    except (ValueError, TypeError, OverflowError):
        return None
    return number if 0 < number < 2**31 else None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_size(value: Any) -> bool:
    if isinstance(value, str):
        return re.search(r"\d", value) is not None
    number = number_of(value)
    return number is not None and 0 < number < math.inf


_MACHINE = {
    "machine": _Expected(_is_text, "a text"),
    "os": _Expected(_is_text, "a text"),
    "arch": _Expected(_is_text, "a text"),
    "cpu": _Expected(_is_text, "a text"),
    "num_cpu": _Expected(lambda value: whole_of(value) is not None, "a whole number above 0"),
    "ram": _Expected(_is_size, "a size of memory such as 4GB"),
}
_BENCHMARK = {
    "type": _Expected(lambda value: isinstance(value, str) and value in KINDS, f"one of {', '.join(KINDS)}"),
    "unit": _Expected(_is_text, "a text"),
    "param_names": _Expected(lambda value: isinstance(value, list), "a list"),
}


def read_machine(folder: Path) -> dict[str, Any]:
    """The fields of the machine of a folder of results that hold what they should; the others are absent."""
    return _only(_MACHINE, _read(folder / "machine.json"))


def read_benchmarks(folder: Path) -> dict[str, dict[str, Any]]:
    """The same of each benchmark of a results folder, by name."""
    found = _read(folder / "benchmarks.json")
    return {name: _only(_BENCHMARK, value) for name, value in found.items() if isinstance(value, dict)}


def kind_of(function: str, known: dict[str, Any]) -> tuple[str, str]:
    """Quantity and unit of a benchmark: by its type, else by its name; ValueError for neither."""
    prefix = _PREFIX.fullmatch(function)
    kind = known.get("type") or (prefix[1].lower() if prefix else None)
    if kind is None:
        raise ValueError("a benchmark of an unknown kind, which neither benchmarks.json nor its name tells")
    quantity, unit = KINDS[kind]
    if quantity == "track":
        unit = known.get("unit") or unit
    return quantity, unit


def odd_fields(name: str, content: dict[str, Any]) -> tuple[str, ...]:
    """A sentence for each field of such a file that cannot be read; ValueError for another kind of file."""
    _check(name, content)
    if name == "machine.json":
        found = [f"{field} {words}" for field, words in _odd(_MACHINE, content)]
        if content.get("num_cpu") in (None, ""):
            found.append(f"num_cpu is missing: expected {_MACHINE['num_cpu'].words}")
        return tuple(found)
    # One sentence for each field: what broke one entry broke many.
    named: dict[str, list[str]] = {}
    for benchmark, value in content.items():
        if isinstance(value, dict):
            for field, words in _odd(_BENCHMARK, value):
                named.setdefault(field, []).append(f"{field} of {benchmark} {words}")
        elif benchmark != "version":
            named.setdefault("", []).append(f"{benchmark} is {json_kind(value)}: expected an object")
    return tuple(
        words[0] + (f" (and {len(words) - 1:,} more)" if len(words) > 1 else "") for words in named.values()
    )


def _odd(expected: dict[str, _Expected], content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each field that holds something else than it should, with what and what was expected."""
    for field, (fits, words) in expected.items():
        value = content.get(field)
        if value not in (None, "") and not fits(value):
            yield field, f"is {repr(value)[:60]}: expected {words}"


def _only(expected: dict[str, _Expected], content: dict[str, Any]) -> dict[str, Any]:
    odd = {field for field, _ in _odd(expected, content)}
    return {field: content[field] for field in expected if field in content and field not in odd}


def _read(path: Path) -> dict[str, Any]:
    try:
        content = read_json(path)
        _check(path.name, content)
    except (OSError, ValueError):
        return {}  # absent; or damaged, and then named when it is read itself
    return content


def _check(name: str, content: dict[str, Any]) -> None:
    field = BESIDE[name]
    if not isinstance(content.get(field), str | int) or "results" in content or "kind" in content:
        raise ValueError(f"not a {name} of asv: expected its field {field}, and none of a file of results")
