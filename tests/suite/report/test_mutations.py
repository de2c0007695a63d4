"""One field of one record, changed to anything, stops nothing: the rest is reported as it was."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rmsprop.suite.report.build import build_report, files_of
from rmsprop.suite.report.inputs import read_inputs

RESULTS = Path(__file__).parents[3] / "results"
KINDS = ("bench", "asv", "pytest-benchmark", "gate", "reproduction")
ODD = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            False,
            "",
            "x" * 300,
            "\ud800",
            "0000-99-99",
            "::error::\n",
            "../..",
            [],
            {},
            [None],
            {"a": None},
            0,
            -1,
            10**12,
            10**30,
            -(10**400),
            1e308,
            5e-324,
            -0.5,
            math.inf,
            -math.inf,
            math.nan,
        ]
    ),
    st.text(max_size=5),
    st.floats(),
    st.integers(),
)


@pytest.fixture(scope="module")
def smallest():
    """The smallest committed record of each kind that measured something, with its path below results/."""
    if not RESULTS.is_dir():
        pytest.skip("needs the checkout's results")
    found = {}
    for kind in KINDS:
        for path in sorted((RESULTS / kind).rglob("*.json"), key=lambda path: path.stat().st_size):
            content = path.read_text("utf-8")
            if (
                path.name not in {"machine.json", "benchmarks.json", "run.json"}
                and '"skipped"' not in content
            ):
                found[kind] = path.relative_to(RESULTS), content
                break
    assert set(found) == set(KINDS)
    return found


def fields(content, path=()):
    """The path of each value of a JSON document, containers too."""
    parts = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in parts:
        yield (*path, key)
        if isinstance(value, dict | list) and value:
            yield from fields(value, (*path, key))


def changed(content, path, value):
    *outer, last = path
    inside = content
    for key in outer:
        inside = inside[key]
    inside[last] = value
    return content


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_any_field_of_any_record_may_hold_anything(kind, smallest, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    for where, text in smallest.values():
        (folder / where).parent.mkdir(parents=True, exist_ok=True)
        (folder / where).write_text(text)
    whole = read_inputs(folder)
    assert whole.problems == ()
    where, text = smallest[kind]
    others = [str(path) for path, _ in smallest.values() if path != where]
    paths = list(fields(json.loads(text)))
    drawn = 0

    @settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, len(paths) - 1), ODD)
    def one(number, value):
        nonlocal drawn
        (folder / where).write_text(json.dumps(changed(json.loads(text), paths[number], value)))
        inputs = read_inputs(folder)
        named = {str(problem.path.relative_to(folder)) for problem in inputs.problems}
        assert named <= {str(where)}
        kept = set(inputs.frame["file"]) - {str(where)}
        assert kept == set(whole.frame["file"]) - {str(where)}
        assert len(inputs.gates) >= (kind != "gate")
        assert len(inputs.reproductions) >= (kind != "reproduction")
        assert others
        drawn += 1
        if drawn % 5 == 0 and not named:  # to draw all pages takes longer than to read
            files_of(inputs)

    one()


@pytest.mark.slow
@pytest.mark.parametrize("machine", ["x" * 300, "../..", "a/b", ""])
def test_a_machine_of_any_name_leads_to_no_file_outside_the_report(machine, smallest, tmp_path):
    for kind, (where, text) in smallest.items():
        content = json.loads(text)
        if kind in {"bench", "gate", "reproduction"}:
            content["environment"]["machine"] = machine
        (tmp_path / "results" / where).parent.mkdir(parents=True)
        (tmp_path / "results" / where).write_text(json.dumps(content))
    build_report(tmp_path / "results", tmp_path / "reports")
    assert {path.name for path in tmp_path.iterdir()} == {"results", "reports"}
    assert (tmp_path / "reports" / "gate.html").exists()
