import json
import math
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.gate.formats import format_of
from rmsprop.suite.records.gate import GateCase
from rmsprop.suite.records.store import read_gate, read_gates, write_gate
from rmsprop.suite.verdicts.gate import judge_gate
from rmsprop.suite.verdicts.gate_words import headline

FORMATS = ("github", "markdown", "json", "junit", "github-action-benchmark", "bencher")
AWKWARD = "a|b*_`<c>:,%\n\rd-1"


@pytest.fixture
def slower(simulate, rng):
    """A run with one slowdown, and one case of each other kind."""
    record = simulate(rng, {"a-1": math.log(1.08), "a-2": 0.0, AWKWARD: math.log(1.2)}, sd=0.01)
    others = tuple(
        GateCase(f"b-{status}", "b", status, f"why it is {status} \x1b[1m", None, ())
        for status in ("added", "removed", "failed", "skipped", "left out")
    )
    return replace(record, cases=record.cases + others)


def write(name, record):
    chosen = format_of(name)
    assert chosen is not None
    return chosen(record, judge_gate(record))


def test_a_record_comes_back_as_it_was_written(slower, tmp_path):
    path = write_gate(tmp_path / "gate", slower)
    assert read_gate(path) == slower
    assert write_gate(tmp_path / "gate", slower) != path
    (path.parent / "cut.json").write_text(path.read_text()[:100])
    records, problems = read_gates(tmp_path)
    assert records == [slower, slower]
    assert [problem.path.name for problem in problems] == ["cut.json"]


def test_junit_fails_what_is_slower_and_never_passes_what_was_not_gated(slower):
    suite = ElementTree.fromstring(write("junit", slower)).find("testsuite")
    results = {case.get("name"): [child.tag for child in case] for case in suite}
    assert results["a-1"] == ["failure"]
    assert results["a-2"] == []
    assert results["b-failed"] == ["error"]
    assert all(
        results[f"b-{status}"] == ["skipped"] for status in ("added", "removed", "skipped", "left out")
    )
    failure = next(case for case in suite if case.get("name") == "a-1")
    assert failure.find("failure").get("type") == "slower"
    assert "95% interval +" in failure.find("failure").text
    assert float(failure.get("time")) == 0.0  # the records of these runs hold no sums
    assert suite.get("failures") == "2"
    assert int(suite.get("tests")) == len(suite.findall("testcase"))
    assert int(suite.get("skipped")) == len(suite.findall(".//skipped"))


def test_junit_of_an_inconclusive_run_holds_an_error(slower):
    nothing = replace(slower, cases=(), launches=(), hypotheses=())
    suite = ElementTree.fromstring(write("junit", nothing)).find("testsuite")
    assert suite.get("errors") == "1"
    assert "nothing was measured" in suite.find("testcase/error").get("message")


def test_github_says_all_in_one_error_and_escapes_what_it_must(slower, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    lines = write("github", slower).splitlines()
    assert [line.split(" ")[0] for line in lines].count("::error") == 1
    assert lines[0].startswith("::error title=Regression gate::Slower: ")
    assert "a-1 +" in lines[0]
    assert all(line.startswith("::") for line in lines)
    title = next(line for line in lines if "a|b" in line and "notice" in line).split("title=")[1]
    assert title.startswith("a|b*_`<c>%3A%2C%25%0A%0Dd-1::")
    assert not any("\x1b" in line for line in lines)
    assert (tmp_path / "summary.md").read_text() == write("markdown", slower)


def test_github_has_no_error_for_a_pass_and_a_warning_for_what_is_inconclusive(simulate, rng, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    passed = simulate(rng, {"a-1": 0.0})
    assert write("github", passed).startswith(
        "::notice title=Regression gate::No slowdown; 1 of 1 case could detect 5%"
    )
    stopped = replace(passed, interrupted="interrupted")
    assert write("github", stopped).startswith("::warning title=Regression gate::Inconclusive: interrupted")


def test_markdown_keeps_every_row_whole(slower):
    text = write("markdown", slower)
    assert "a\\|b\\*\\_\\`\\<c\\>" in text
    assert "\x1b" not in text
    tables = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(tables) == 2 + len(judge_gate(slower).findings) + 2 + len(slower.cases)
    unescaped = {line.replace("\\|", "").count("|") for line in tables}
    assert unescaped == {6, 7}
    assert "with local changes, measured as it is" in text


def test_markdown_mentions_nobody_and_links_no_address(slower):
    name = "@everybody #1 https://example.org www.example.org a@b.org \x1b]0;title\x07 &amp; \ud800"
    record = replace(slower, cases=(*slower.cases, GateCase(name, "b", "skipped", "why", None, ())))
    text = write("markdown", record)
    for linked in ("@everybody", "#1", "://", "www.", "a@b", "\x1b", "\x07", "\ud800"):
        assert linked not in text
    assert "&amp;amp;" in text
    text.encode()


def test_json_tells_the_decision(slower):
    answer = json.loads(write("json", slower))
    assert (answer["outcome"], answer["code"]) == ("regression", 1)
    verdicts = {case["id"]: case["verdict"] for case in answer["cases"]}
    assert verdicts["a-1"] == "slower"
    assert verdicts["b-added"] is None


def test_dashboards_get_heads_step(slower):
    entries = {entry["name"]: entry for entry in json.loads(write("github-action-benchmark", slower))}
    assert set(entries) == {"a-1", "a-2", AWKWARD}
    assert entries["a-1"]["unit"] == "of base"
    assert entries["a-1"]["value"] == pytest.approx(1.08, rel=0.01)
    assert entries["a-2"]["extra"].startswith("100")
    latency = json.loads(write("bencher", slower))["a-1"]["latency"]
    assert latency["lower_value"] <= latency["value"] <= latency["upper_value"]
    assert latency["value"] == pytest.approx(1.08e5, rel=0.01)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_takes_a_run_that_measured_nothing(simulate, rng, name, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    record = simulate(rng, {"a-1": 0.0})
    assert write(name, replace(record, cases=(), launches=(), hypotheses=None, error="head: it died"))


def test_the_headline_counts_what_was_not_seen(slower, simulate, rng):
    quiet = simulate(rng, {"a-1": 0.0}, sd=0.01)
    unseen = tuple(
        GateCase(f"b-{i}", "b", status, None, None, ())
        for i, status in enumerate(("left out", "left out", "compared"))
    )
    record = replace(quiet, cases=quiet.cases + unseen)
    said = headline(record, judge_gate(record))
    assert said.startswith("Inconclusive: b: 0 of 3 cases could detect a slowdown of 5%")
    assert "; 1 of 4 cases could detect 5%; 2 left out by the budget; 1 not measured" in said


def test_the_headline_says_that_both_sides_are_one_commit(simulate, rng):
    record = simulate(rng, {"a-1": 0.0})
    clean = replace(record, head=record.base)
    assert headline(clean, judge_gate(clean)).endswith("; base and head are the same commit")
    assert "same commit" not in headline(record, judge_gate(record))  # a working tree with changes
    other = replace(clean, head=replace(record.base, versions={"torch": "2.14.1"}))
    assert "same commit" not in headline(other, judge_gate(other))
    assert "base has" not in headline(record, judge_gate(record))


def test_the_headline_names_both_versions_of_torch_where_they_are_compared(simulate, rng):
    record = simulate(rng, {"a-1": 0.0})
    head = replace(record.head, versions=record.head.versions | {"torch": "9.9.9"})
    words = headline(replace(record, head=head), judge_gate(record))
    ours = f"Python 3.11.7, torch {record.base.versions['torch']}"
    assert words.endswith(f"; base has {ours}, and head has Python 3.11.7, torch 9.9.9")


def test_an_unknown_format_lists_the_known_ones():
    with pytest.raises(UserError, match="choose from table, github, markdown, json, junit"):
        format_of("yaml")
