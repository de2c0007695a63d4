"""The gate's verdict in words: the same ones in the terminal, in every format and on the page."""

from rmsprop.suite.records.gate import GateRecord, Side
from rmsprop.suite.verdicts.gate import CaseView, Finding, GateVerdict
from rmsprop.suite.verdicts.gate_counters import counted_cases
from rmsprop.suite.words import count, interval, percent

HEADLINES = {
    "pass": "No slowdown",
    "regression": "Slower",
    "failed": "The measurement failed",
    "inconclusive": "Inconclusive",
}


def headline(record: GateRecord, verdict: GateVerdict) -> str:
    """The answer in a line."""
    if not record.timed:
        return _counted(record, verdict)
    words = HEADLINES[verdict.outcome]
    slower, faster = verdict.found("slower"), verdict.found("faster")
    wanted = [view for view in verdict.cases if view.case.status in ("compared", "left out")]
    if verdict.outcome == "regression":
        words += ": " + "; ".join(
            (*map(_change, slower), *(one.words for one in verdict.counters if one.alarm))
        )
    elif verdict.outcome != "pass":
        words += ": " + "; ".join(verdict.reasons[:3])
    powered = sum(view.powered for view in wanted)
    words += f"; {powered} of {count(len(wanted), 'case')} could detect {record.policy.gates_at:.0%}"
    unseen = {
        "left out by the budget": sum(view.case.status == "left out" for view in wanted),
        "not measured": sum(view.case.status == "compared" and not view.launches for view in wanted),
    }
    words += "".join(f"; {number} {how}" for how, number in unseen.items() if number)
    words += _compared(record.base, record.head)
    if faster:
        words += "; faster: " + "; ".join(map(_change, faster))
    return words


def side_of(side: Side) -> str:
    """What was measured on one side."""
    commit = f" ({side.commit[:9]})" if side.commit and not side.commit.startswith(side.revision) else ""
    state = ", with local changes, measured as it is" if side.dirty else ""
    return f"{side.revision}{commit}{state}, {_interpreter(side)}"


def remark_on(view: CaseView, record: GateRecord) -> str:
    """What must be said of a case, in a few words; nothing if it is a case without a change."""
    if view.case.status != "compared":
        return f"{view.case.status}: {view.case.reason}"
    if view.finding and view.finding.verdict != "not confirmed":
        return view.finding.verdict
    if not view.launches:
        return "not measured"
    return "" if view.powered else f"underpowered at {record.policy.gates_at:.0%}"


def sentence_of(finding: Finding) -> str:
    """The finding with its numbers."""
    if not finding.launches:
        return f"{finding.verdict}: there was no time to confirm it"
    numbers = f"{percent(finding.change)}, 95% interval {interval(finding.low, finding.high)}"
    return f"{finding.verdict}: {numbers}, over {finding.launches} launches"


def _change(finding: Finding) -> str:
    return f"{finding.title} {percent(finding.change)}"


def _counted(record: GateRecord, verdict: GateVerdict) -> str:
    """The answer of a run that counted, and took no time."""
    alarms = [change.words for change in verdict.counters if change.alarm]
    words = {"pass": "No more work", "regression": f"More work: {'; '.join(alarms)}"}.get(
        verdict.outcome, f"{HEADLINES[verdict.outcome]}: {'; '.join(verdict.reasons[:3])}"
    )
    changed = len({change.case for change in verdict.counters if not change.unstable})
    words += f"; {count(counted_cases(record), 'case')} counted, {changed} of them differ"
    return words + _compared(record.base, record.head)


def _compared(base: Side, head: Side) -> str:
    """What a reader must know of the two sides: that they are the same, or differ in more than the code."""
    clean = base.commit is not None and not base.dirty and not head.dirty
    same = (base.commit, base.python, base.versions) == (head.commit, head.python, head.versions)
    if clean and same:
        return "; base and head are the same commit"
    before, after = _interpreter(base), _interpreter(head)
    return "" if before == after else f"; base has {before}, and head has {after}"


def _interpreter(side: Side) -> str:
    return f"Python {side.python}, torch {side.versions.get('torch', 'none')}"
