"""A record of the gate as JUnit's XML, which test reports read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

from rmsprop.suite.records.gate import GateCase, GateRecord
from rmsprop.suite.verdicts.gate import CaseView, Finding, GateVerdict
from rmsprop.suite.verdicts.gate_words import remark_on, sentence_of
from rmsprop.suite.words import interval, percent, printable


@dataclass(frozen=True)
class _Result:
    """A test case. `kind` is failure, error or skipped, and None for a success; `why` is of which type."""

    family: str
    name: str
    seconds: float = 0.0
    kind: str | None = None
    why: str = ""
    message: str = ""
    text: str = ""


def junit(record: GateRecord, verdict: GateVerdict) -> str:
    """A test case per benchmark: a slowdown is a failure, and an underpowered case is skipped, not passed."""
    results = [_result(view, record, verdict) for view in verdict.cases]
    for finding in verdict.findings:
        if len(finding.cases) > 1 or finding.rare:
            results.append(_family(finding))
    if verdict.outcome in ("failed", "inconclusive"):
        said = "; ".join(verdict.reasons)
        results.append(_Result("gate", verdict.outcome, 0.0, "error", verdict.outcome, said))
    return _document(f"rmsprop gate {record.suite}", record.seconds, results)


def junit_failure(message: str) -> str:
    """What a run says that measured nothing."""
    return _document("rmsprop gate", 0.0, [_Result("gate", "failed", 0.0, "error", "failed", message)])


def _document(name: str, seconds: float, results: Sequence[_Result]) -> str:
    suite = ElementTree.Element("testsuite", name=printable(name), time=f"{seconds:.1f}")
    counts = {"tests": len(results), "failures": 0, "errors": 0, "skipped": 0}
    for one in results:
        named = {
            "classname": printable(one.family),
            "name": printable(one.name),
            "time": f"{one.seconds:.3f}",
        }
        element = ElementTree.SubElement(suite, "testcase", named)
        if one.kind:
            about = {"message": printable(one.message), "type": printable(one.why)}
            child = ElementTree.SubElement(element, one.kind, about)
            child.text = "\n".join(map(printable, (one.text or one.message).split("\n")))
            counts[{"failure": "failures", "error": "errors", "skipped": "skipped"}[one.kind]] += 1
    suite.attrib |= {name: str(count) for name, count in counts.items()}
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)


def _result(view: CaseView, record: GateRecord, verdict: GateVerdict) -> _Result:
    case, said = view.case, remark_on(view, record)
    alarms = [change.words for change in verdict.counters if change.alarm and change.case == case.id]
    kind, why, message = None, "", said
    if case.status == "failed":
        kind, why = "error", "failed"
    elif view.finding and _alone(view.finding) and view.finding.verdict == "slower":
        kind, why, message = "failure", "slower", sentence_of(view.finding)
    elif alarms:
        kind, why, message = "failure", "more work", "; ".join(alarms)
    elif not record.timed and case.status == "compared":
        if not (case.base_counters and case.head_counters):
            kind, why, message = "skipped", "not counted", f"not counted: {case.uncounted}"
    elif case.status != "compared":
        kind, why = "skipped", case.status
    elif view.finding and view.finding.verdict in ("undecided", "unsteady"):
        kind, why = "skipped", view.finding.verdict
    elif not view.powered:
        kind, why = "skipped", "underpowered"
    return _Result(case.family, case.id, _seconds(case), kind, why, message, _text(view, message))


def _alone(finding: Finding) -> bool:
    return len(finding.cases) == 1 and not finding.rare


def _family(finding: Finding) -> _Result:
    kinds = {"slower": "failure", "undecided": "skipped", "unsteady": "skipped"}
    kind = kinds.get(finding.verdict)
    family = "now and then" if finding.rare else "families"
    return _Result(family, finding.title, 0.0, kind, finding.verdict, sentence_of(finding))


def _seconds(case: GateCase) -> float:
    """What its turns took on all sides; old records do not say."""
    sums = ((sample.base_sum, sample.head_sum, sample.again_sum) for sample in case.samples)
    return math.fsum(one for each in sums for one in each if one)


def _text(view: CaseView, message: str) -> str:
    """The numbers that the answer stands on."""
    numbers = [
        f"change {percent(view.change)}, 95% interval {interval(view.low, view.high)}",
        f"over {view.launches} launches",
        f"minimum detectable slowdown {percent(view.detectable)}",
    ]
    return "\n".join([message, *numbers] if view.change is not None else [message])
