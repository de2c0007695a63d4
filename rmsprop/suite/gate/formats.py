"""A record of the gate in the forms that others read: code hosts, dashboards, test reports."""

import json
import os
import statistics
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from rmsprop.errors import UserError
from rmsprop.suite.gate.junit import junit, junit_failure
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.verdicts.gate import CaseView, Finding, GateVerdict
from rmsprop.suite.verdicts.gate_words import HEADLINES, headline, remark_on, sentence_of, side_of
from rmsprop.suite.words import interval, percent, printable

Format = Callable[[GateRecord, GateVerdict], str]

SUMMARY_BYTES = 2**20
"""What a code host takes as a job's summary."""
ANNOTATIONS = 9
"""A code host shows ten of a kind for a step."""


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


def github(record: GateRecord, verdict: GateVerdict) -> str:
    """Workflow commands: one error that says all, then a notice for each finding.

    Where $GITHUB_STEP_SUMMARY names a file, the Markdown goes there.
    """
    _summarise(markdown(record, verdict))
    level = {"pass": "notice", "regression": "error", "failed": "error", "inconclusive": "warning"}
    lines = [_command(level[verdict.outcome], "Regression gate", headline(record, verdict))]
    told = [finding for finding in verdict.findings if finding.verdict != "not confirmed"]
    lines += [_command("notice", finding.name, sentence_of(finding)) for finding in told[:ANNOTATIONS]]
    return "\n".join(lines)


def failure(form: str, message: str) -> str | None:
    """What a run that measured nothing says in that format; None if an empty answer says it."""
    words = f"{HEADLINES['failed']}: {message}"
    if form == "github":
        _summarise(f"### {_text(words)}\n")
        return _command("error", "Regression gate", words)
    if form == "markdown":
        return f"### {_text(words)}\n"
    if form == "json":
        return json.dumps({"outcome": "failed", "code": 2, "reasons": [message]}, indent=1)
    if form == "junit":
        return junit_failure(message)
    return None


def _summarise(text: str) -> None:
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        # The answer stands in the job's log and in its exit code, whatever becomes of the summary.
        with suppress(OSError), Path(summary).open("a", encoding="utf-8") as file:
            file.write(text.encode()[:SUMMARY_BYTES].decode(errors="ignore"))


def _command(level: str, title: str, message: str) -> str:
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        title, message = title.replace(character, escaped), message.replace(character, escaped)
    title, message = printable(title), printable(message)
    return f"::{level} title={title.replace(':', '%3A').replace(',', '%2C')}::{message}"


def markdown(record: GateRecord, verdict: GateVerdict) -> str:
    """For a comment or a summary: the answer, its reasons, what was confirmed, and all cases folded away."""
    plan, policy = record.plan, record.policy
    lines = [
        f"### {_text(headline(record, verdict))}",
        "",
        f"Base: {_text(side_of(record.base))}  ",
        f"Head: {_text(side_of(record.head))}",
        "",
    ]
    if verdict.reasons:
        lines += [*(f"- {_text(reason)}" for reason in verdict.reasons), ""]
    if again := [finding for finding in verdict.findings if finding.launches]:
        lines += ["| confirmed on fresh launches | change | 95% interval | p | base against itself | |"]
        lines += ["| --- | --- | --- | --- | --- | --- |"]
        lines += [_row(finding) for finding in again]
        lines += [""]
    if verdict.counters:
        lines += [
            "Exact counters that differ:",
            "",
            *(f"- {_text(one.words)}" for one in verdict.counters),
            "",
        ]
    lines += [
        f"<details><summary>All {len(verdict.cases)} cases</summary>",
        "",
        "| case | change | 95% interval | minimum detectable | |",
        "| --- | --- | --- | --- | --- |",
        *(_case_row(view, record) for view in verdict.cases),
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
        f"| {percent(view.detectable)} | {_text(remark_on(view, record))} |"
    )


def _text(text: str) -> str:
    """The text on one line, with all escaped that Markdown gives a meaning.

    Nobody is mentioned, no issue and no address linked: a space of no width parts what a code host looks for.
    """
    text = printable(" ".join(text.split())).replace("&", "&amp;")
    for character in "\\`*_~[]<>|":
        text = text.replace(character, f"\\{character}")
    for start, rest in (("@", ""), ("#", ""), (":", "//"), ("www", ".")):
        text = text.replace(start + rest, f"{start}&#8203;{rest}")
    return text


def as_json(record: GateRecord, verdict: GateVerdict) -> str:
    """The verdict, for programs; changes are shares, 0.05 for 5% slower."""
    answer = {
        "outcome": verdict.outcome,
        "code": verdict.code,
        "reasons": verdict.reasons,
        "base": asdict(record.base),
        "head": asdict(record.head),
        "policy": asdict(record.policy),
        "seconds": record.seconds,
        "findings": [asdict(finding) for finding in verdict.findings],
        "counters": [asdict(change) for change in verdict.counters],
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
                "powered": view.powered,
                "verdict": view.finding.verdict if view.finding else None,
            }
            for view in verdict.cases
        ],
    }
    return json.dumps(answer, indent=1)


def github_action_benchmark(record: GateRecord, verdict: GateVerdict) -> str:
    """For its tool `customSmallerIsBetter`: head's step as a share of base's, which no machine moves."""
    entries = [
        {
            "name": view.case.id,
            "unit": "of base",
            "value": round(1 + view.change, 4),
            "range": "" if view.low is None or view.high is None else f"± {(view.high - view.low) / 2:.4f}",
            "extra": f"{_significant(statistics.median(seconds) * 1e6)} us/step on head; "
            f"{percent(view.change)} ({interval(view.low, view.high)}) {remark_on(view, record)}".rstrip(),
        }
        for view in verdict.cases
        if view.change is not None and (seconds := [sample.head for sample in view.case.samples])
    ]
    return json.dumps(entries, indent=1)


def bencher(record: GateRecord, _verdict: GateVerdict) -> str:
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
