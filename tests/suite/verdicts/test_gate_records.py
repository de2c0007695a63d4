"""Records of every schema give the verdicts that they gave when they were written."""

import json
from pathlib import Path

import pytest

from rmsprop.suite.records.store import read_gate
from rmsprop.suite.verdicts.gate import judge_gate

CHECKOUT = Path(__file__).parents[3]
GOLD = json.loads(Path(__file__).with_name("gate_verdicts.json").read_text())
"""What commit 2623c63 made of the records of schema 1."""


@pytest.mark.parametrize("path", GOLD)
def test_a_committed_record_gives_the_verdict_that_it_gave_before(path):
    verdict = judge_gate(read_gate(CHECKOUT / path))
    found = {f.name: [f.verdict, f.launches, f.change, f.p_value] for f in verdict.findings}
    expected = GOLD[path]
    assert verdict.outcome == expected["outcome"]
    assert found.keys() == expected["findings"].keys()
    for name, values in expected["findings"].items():
        assert found[name][:2] == values[:2]
        assert found[name][2:] == pytest.approx(values[2:], rel=1e-9)
    assert sum(view.powered for view in verdict.cases) == expected["powered"]
    assert sum(view.detectable or 0 for view in verdict.cases) == pytest.approx(
        expected["detectable"], rel=1e-9
    )
