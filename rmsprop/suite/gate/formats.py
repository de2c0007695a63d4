"""A record of the gate in the forms that others read: code hosts, dashboards, test reports."""

import json
import os
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from rmsprop.errors import UserError
from rmsprop.suite.records.gate import GateRecord, Side
from rmsprop.suite.verdicts.gate import CaseView, Decision, Finding, judge

Format = Callable[[GateRecord], str]

SUMMARY_BYTES = 2**20
"""What a code host takes as a job's summary."""
ANNOTATIONS = 9
"""A code host shows ten of a kind for a step."""
HEADLINES = {
    "pass": "No slowdown",
    "regression": "Slower",
    "failed": "The measurement failed",
    "inconclusive": "Inconclusive",
}


def format_of(name: str) -> Format | None:
    """The format of that name; None for `table`, which the terminal draws. UserError lists the names."""
    formats: dict[str, Format | None] = {
        "table": None,
        "github": github,
        "markdown": markdown,
        "json": as_json,
        "junit": junit,
        "github-action-benchmark": github_action_benchmark,
        "bencher": bencher,
    }
    if name not in formats:
        raise UserError(f"unknown format {name!r}; choose from {', '.join(formats)}")
    return formats[name]


def headline(record: GateRecord, decision: Decision) -> str:
    """The answer in a line."""
    words = HEADLINES[decision.outcome]
    slower, faster = decision.found("slower"), decision.found("faster")
    compared = [view for view in decision.cases if view.launches]
    gated = sum(view.gates for view in compared)
    if decision.outcome == "regression":
        words += ": " + "; ".join(_change(finding) for finding in slower)
    elif decision.outcome != "pass":
        words += ": " + "; ".join(decision.reasons[:3])
    else:
        words += f" in {gated} case{'' if gated == 1 else 's'}"
    if len(compared) > gated:
        words += f"; {len(compared) - gated} of {len(compared)} cannot gate at {record.policy.gates_at:.0%}"
    unseen = {
        "left out by the budget": sum(view.case.status == "left out" for view in decision.cases),
        "not measured": sum(view.case.status == "compared" and not view.launches for view in decision.cases),
    }
    words += "".join(f"; {number} {how}" for how, number in unseen.items() if number)
    if faster:
        words += "; faster: " + "; ".join(_change(finding) for finding in faster)
    return words


def side(of: Side) -> str:
    """A side in words."""
    commit = f" ({of.commit[:9]})" if of.commit and not of.commit.startswith(of.revision) else ""
    state = ", with local changes, measured as it is" if of.dirty else ""
    return f"{of.revision}{commit}{state}, Python {of.python}, torch {of.versions.get('torch', 'none')}"


def github(record: GateRecord) -> str:
    """Workflow commands: one error that says all, then a notice for each finding.

    Where $GITHUB_STEP_SUMMARY names a file, the Markdown goes there.
    """
    decision = judge(record)
    _summarise(markdown(record))
    level = {"pass": "notice", "regression": "error", "failed": "error", "inconclusive": "warning"}
    lines = [_command(level[decision.outcome], "Regression gate", headline(record, decision))]
    told = [finding for finding in decision.findings if finding.verdict != "not confirmed"]
    lines += [_command("notice", finding.name, _sentence(finding)) for finding in told[:ANNOTATIONS]]
    return "\n".join(lines)


def failure(form: str, message: str) -> str | None:
    """What a run that measured nothing says in that format; None where an empty answer says it."""
    words = f"{HEADLINES['failed']}: {message}"
    if form == "github":
        _summarise(f"### {_text(words)}\n")
        return _command("error", "Regression gate", words)
    if form == "markdown":
        return f"### {_text(words)}\n"
    if form == "json":
        return json.dumps({"outcome": "failed", "code": 2, "reasons": [message]}, indent=1)
    if form == "junit":
        suite = ElementTree.Element("testsuite", name="rmsprop gate")
        return _junit(suite, [("gate", "failed", ("error", message))])
    return None


def _summarise(text: str) -> None:
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(text.encode()[:SUMMARY_BYTES].decode(errors="ignore"))


def _command(level: str, title: str, message: str) -> str:
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        title, message = title.replace(character, escaped), message.replace(character, escaped)
    return f"::{level} title={title.replace(':', '%3A').replace(',', '%2C')}::{message}"


def markdown(record: GateRecord) -> str:
    """For a comment or a summary: the answer, what changed, what was not seen, all cases folded away."""
    decision = judge(record)
    plan, policy = record.plan, record.policy
    lines = [
        f"### {_text(headline(record, decision))}",
        "",
        f"Base: {_text(side(record.base))}  ",
        f"Head: {_text(side(record.head))}",
        "",
    ]
    if decision.reasons:
        lines += [*(f"- {_text(reason)}" for reason in decision.reasons), ""]
    if again := [finding for finding in decision.findings if finding.launches]:
        lines += ["| confirmed on fresh launches | change | 95% interval | p | base against itself | |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        lines += [_row(finding) for finding in again]
        lines += [""]
    lines += [
        f"<details><summary>All {len(decision.cases)} cases</summary>",
        "",
        "| case | change | 95% interval | sees from | |",
        "| --- | --- | --- | --- | --- |",
        *(_case_row(view, record) for view in decision.cases),
        "",
        "</details>",
        "",
        f"{len(record.launches)} launches of {plan.turns} turns a side, {record.seconds:.0f} s; slower means "
        f"more than {policy.margin:.0%} by a sign-flip test over launches, at {policy.alpha:.0%} for the "
        f"whole run (Holm), and an estimate of {policy.alarm:.0%} or more.",
        "",
    ]
    return "\n".join(lines)


def _row(finding: Finding) -> str:
    return (
        f"| {_text(finding.name)} | {percent(finding.change)} | {interval(finding.low, finding.high)} "
        f"| {'' if finding.p_value is None else f'{finding.p_value:.2g}'} | {percent(finding.control)} "
        f"| {finding.verdict} |"
    )


def _case_row(view: CaseView, record: GateRecord) -> str:
    return (
        f"| {_text(view.case.id)} | {percent(view.change)} | {interval(view.low, view.high)} "
        f"| {percent(view.detectable)} | {_text(note_on(view, record))} |"
    )


def note_on(view: CaseView, record: GateRecord) -> str:
    """What is to be said of a case in a few words."""
    if view.case.status != "compared":
        return f"{view.case.status}: {view.case.reason}"
    if view.finding and view.finding.verdict != "not confirmed":
        return view.finding.verdict
    if not view.launches:
        return "not measured"
    return "" if view.gates else f"cannot gate at {record.policy.gates_at:.0%}"


def percent(share: float | None) -> str:
    """Such as +1.2%; nothing for None."""
    return "" if share is None else f"{share:+.1%}"


def interval(low: float | None, high: float | None) -> str:
    """Such as +0.3 to +2.1%."""
    return "" if low is None or high is None else f"{100 * low:+.1f} to {high:+.1%}"


def _text(text: str) -> str:
    """Text that stays text in a cell of a Markdown table."""
    for character in "\\`*_~[]<>|":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())


def as_json(record: GateRecord) -> str:
    """The decision, for programs; changes are shares, 0.05 for 5% slower."""
    decision = judge(record)
    answer = {
        "outcome": decision.outcome,
        "code": decision.code,
        "reasons": decision.reasons,
        "base": asdict(record.base),
        "head": asdict(record.head),
        "policy": asdict(record.policy),
        "seconds": record.seconds,
        "findings": [asdict(finding) for finding in decision.findings],
        "cases": [
            {
                "id": view.case.id,
                "status": view.case.status,
                "reason": view.case.reason,
                "launches": view.launches,
                "change": view.change,
                "low": view.low,
                "high": view.high,
                "sd": view.sd,
                "detectable": view.detectable,
                "gates": view.gates,
                "verdict": view.finding.verdict if view.finding else None,
            }
            for view in decision.cases
        ],
    }
    return json.dumps(answer, indent=1)


_Result = tuple[str, str] | None
"""Kind and message of what is no success."""


def junit(record: GateRecord) -> str:
    """A test case per benchmark: a slowdown is a failure, and what cannot gate is skipped, not passed."""
    decision = judge(record)
    results: list[tuple[str, str, _Result]] = [
        (view.case.family, view.case.id, _result(view, record)) for view in decision.cases
    ]
    for finding in decision.findings:
        if len(finding.cases) > 1:
            kinds = {"slower": "failure", "undecided": "skipped", "unsteady": "skipped"}
            kind = kinds.get(finding.verdict)
            results.append(("families", finding.name, (kind, _sentence(finding)) if kind else None))
    if decision.outcome in ("failed", "inconclusive"):
        results.append(("gate", decision.outcome, ("error", "; ".join(decision.reasons))))
    suite = ElementTree.Element(
        "testsuite", name=f"rmsprop gate {record.suite}", time=f"{record.seconds:.1f}"
    )
    return _junit(suite, results)


def _junit(suite: ElementTree.Element, results: Sequence[tuple[str, str, _Result]]) -> str:
    """The document; each result has a class, a name, and what is no success."""
    counts = {"tests": len(results), "failures": 0, "errors": 0, "skipped": 0}
    for family, name, result in results:
        named = {"classname": _printable(family), "name": _printable(name)}
        element = ElementTree.SubElement(suite, "testcase", named)
        if result:
            kind, message = result
            ElementTree.SubElement(element, kind, message=_printable(message))
            counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[kind]] += 1
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _result(view: CaseView, record: GateRecord) -> _Result:
    said = note_on(view, record)
    if view.case.status == "failed":
        return "error", said
    if view.finding and len(view.finding.cases) == 1 and view.finding.verdict == "slower":
        return "failure", _sentence(view.finding)
    unsure = view.finding and view.finding.verdict in ("undecided", "unsteady")
    if view.case.status != "compared" or not view.gates or unsure:
        return "skipped", said
    return None


def _printable(text: str) -> str:
    """XML has no control characters."""
    return "".join(character for character in text if character.isprintable() or character in "\n\t")


def github_action_benchmark(record: GateRecord) -> str:
    """For its tool `customSmallerIsBetter`: head's step, and in `extra` the ratio, which is what counts."""
    entries = [
        {
            "name": view.case.id,
            "unit": "us/step",
            "value": _significant(statistics.median(seconds) * 1e6),
            "range": f"± {_significant((max(seconds) - min(seconds)) / 2 * 1e6)}",
            "extra": f"{percent(view.change)} against base ({interval(view.low, view.high)}) "
            f"{note_on(view, record)}".rstrip(),
        }
        for view in judge(record).cases
        if (seconds := [sample.head for sample in view.case.samples])
    ]
    return json.dumps(entries, indent=1)


def bencher(record: GateRecord) -> str:
    """Bencher's metric format: head's step as latency, in nanoseconds."""
    answer = {
        case.id: {
            "latency": {
                "value": _significant(statistics.median(seconds) * 1e9),
                "lower_value": _significant(min(seconds) * 1e9),
                "upper_value": _significant(max(seconds) * 1e9),
            }
        }
        for case in record.cases
        if (seconds := [sample.head for sample in case.samples])
    }
    return json.dumps(answer, indent=1)


def _significant(value: float) -> float:
    return float(f"{value:.4g}")


def _change(finding: Finding) -> str:
    return f"{finding.name} {percent(finding.change)}"


def _sentence(finding: Finding) -> str:
    if not finding.launches:
        return f"{finding.verdict}: there was no room to confirm it"
    numbers = f"{percent(finding.change)}, 95% interval {interval(finding.low, finding.high)}"
    return f"{finding.verdict}: {numbers}, over {finding.launches} launches"
