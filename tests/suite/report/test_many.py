"""Thousands of damaged files cost their own names, and neither the rest nor the afternoon."""

import copy
import json
from pathlib import Path

import pytest

from rmsprop.suite.report.inputs import read_inputs

RESULTS = Path(__file__).parents[3] / "results"
FILES = 3_000
NOT_RECORDS = {"machine.json", "benchmarks.json", "run.json"}


def set_in(*path, to):
    """A change of one value; a path of keys and indices."""

    def change(content):
        *outer, last = path
        inside = content
        for key in outer:
            inside = inside[key]
        inside[last] = to
        return content

    return change


def without(key):
    def change(content):
        del content[key]
        return content

    return change


ENVIRONMENT = {
    "a start that is no date": set_in("environment", "started", to="0000-99-99"),
    "no memory": set_in("environment", "memory_bytes", to=0),
    "a load that is no number": set_in("environment", "load", to=float("nan")),
    "no environment": without("environment"),
    "of another kind": set_in("kind", to="other"),
    "of no kind": without("kind"),
    "of a newer schema": set_in("schema", to=99),
}
CHANGES = {
    "bench": ENVIRONMENT
    | {
        "negative threads": set_in("axes", "threads", to=-1),
        "steps of no time": set_in("measurement", "samples", "step", to=[0.0] * 7),
        "no measurement of what was measured": set_in("measurement", to=None),
    },
    "gate": ENVIRONMENT
    | {
        "alpha 0": set_in("policy", "alpha", to=0),
        "a launch that is not there": set_in("launches", to=[]),
        "a hypothesis on a case that is not there": set_in("cases", to=[]),
        "negative seconds": set_in("seconds", to=-1.0),
    },
    "reproduction": ENVIRONMENT | {"programs that are a list": set_in("programs", to=[])},
    "asv": {
        "results that are a list": set_in("results", to=[]),
        "no results": without("results"),
        "no commit": set_in("commit_hash", to=7),
    },
    "pytest-benchmark": {
        "benchmarks that are a number": set_in("benchmarks", to=7),
        "no benchmarks": without("benchmarks"),
    },
}
TEXTS = ("", "{", "[]", "null", "nothing", '{"x": ' + "7" * 400 + "}", '{"x": "\\ud800"}', "[" * 10**5)
"""What is no record of any kind."""


def damaged(kind, content, number):
    """The text of the damaged file of that number: each way in turn."""
    ways = [*TEXTS, *CHANGES[kind].values()]
    way = ways[number % len(ways)]
    return way if isinstance(way, str) else json.dumps(way(copy.deepcopy(content)))


@pytest.mark.slow
def test_each_of_thousands_of_damaged_files_is_named_and_the_rest_is_read(tmp_path):
    if not RESULTS.is_dir():
        pytest.skip("needs the checkout's results")
    made, whole = set(), set()
    for kind in CHANGES:
        paths = [path for path in sorted((RESULTS / kind).rglob("*.json")) if path.name not in NOT_RECORDS]
        paths = [path for path in paths if '"skipped"' not in path.read_text("utf-8")]
        smallest = min(paths, key=lambda path: path.stat().st_size)
        for beside in (
            smallest,
            *(path for path in (RESULTS / kind).rglob("*.json") if path.name in NOT_RECORDS),
        ):
            place = tmp_path / beside.relative_to(RESULTS)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(beside.read_bytes())
        whole.add(smallest.relative_to(RESULTS))
        content = json.loads(smallest.read_text("utf-8"))
        for number in range(FILES // len(CHANGES)):
            place = tmp_path / smallest.relative_to(RESULTS).with_name(f"{number}-{smallest.name}")
            place.write_text(damaged(kind, content, number))
            made.add(place.relative_to(tmp_path))
    inputs = read_inputs(tmp_path)
    named = {problem.path.relative_to(tmp_path) for problem in inputs.problems}
    assert {f"{path}: {damage_of(path)}" for path in made - named} == set()
    assert not whole & named
    assert (len(inputs.gates), len(inputs.reproductions)) == (1, 1)
    assert {Path(file) for file in inputs.frame["file"]} == {
        path for path in whole if path.parts[0] in {"bench", "asv", "pytest-benchmark"}
    }


def damage_of(path):
    """What was done to the file, for the message."""
    number = int(path.name.split("-")[0])
    ways = [*TEXTS, *CHANGES[path.parts[0]]]
    return ways[number % len(ways)][:40]
