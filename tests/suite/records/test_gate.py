"""A record of the gate that contradicts itself, or that no run can have written, is not a record."""

import json
import math

import pytest

from rmsprop.suite.records.store import read_gate, write_gate


@pytest.fixture
def refused(simulate, rng, tmp_path):
    """Asserts that a run of which `change` altered the JSON document is refused in words that match."""
    path = write_gate(tmp_path, simulate(rng, {"loop-0": 0.2, "loop-1": 0.0}))
    read_gate(path)

    def refused(change, match):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=match):
            read_gate(path)

    return refused


def test_two_cases_have_two_ids(refused):
    refused(lambda run: run["cases"][1].update(id="loop-0"), "two cases have the same id")


@pytest.mark.parametrize("launch", [-1, 10**12, 1])
def test_each_sample_of_a_case_is_of_another_launch_that_there_was(refused, launch):
    refused(lambda run: run["cases"][0]["samples"][0].update(launch=launch), "samples of loop-0 need each")


@pytest.mark.parametrize("cases", [[], ["foreach-0"]])
def test_a_hypothesis_is_of_cases_of_the_record(refused, cases):
    refused(lambda run: run["hypotheses"][0].update(cases=cases), "loop-0 needs cases of this record")


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e12, -1e12])
@pytest.mark.parametrize("field", ["log_ratio", "control", "base", "head_sum"])
def test_no_sample_is_beyond_what_a_verdict_can_be_computed_of(refused, field, value):
    refused(lambda run: run["cases"][0]["samples"][0].update({field: value}), f"samples.0.{field}")


@pytest.mark.parametrize("field", ["alpha", "power", "margin", "rare"])
@pytest.mark.parametrize("value", [1.0, -0.5, math.nan])
def test_a_share_of_the_policy_is_one(refused, field, value):
    refused(lambda run: run["policy"].update({field: value}), f"policy.{field}")
