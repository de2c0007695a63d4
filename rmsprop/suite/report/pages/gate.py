"""The pages of the regression gate's runs: the newest, and each of the others."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest

from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.report.figures.gate import draw_forests
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    Block,
    Cell,
    Detail,
    Facts,
    Figures,
    Heading,
    Link,
    Page,
    Sentences,
    Table,
    capped,
    headline,
    note,
    paragraph,
)
from rmsprop.suite.verdicts.gate import GateVerdict, JudgedRun
from rmsprop.suite.verdicts.gate_counters import NAMES, counted_cases
from rmsprop.suite.verdicts.gate_words import headline as answer
from rmsprop.suite.verdicts.gate_words import remark_on, side_of
from rmsprop.suite.words import count, interval, percent, slug, when

PATH = "gate.html"
_PAGES = 50
"""Runs with a page of their own; older ones are rows of a table."""
_LISTED = 500


def pages(inputs: Inputs) -> Iterable[Page]:
    """A page for each of the newest runs; the newest is in the navigation, and lists the others."""
    runs = inputs.gates[::-1]
    paths = _paths(runs)
    for run, path in zip(runs, paths, strict=False):
        newest = path == PATH
        blocks = tuple(_blocks(run, _runs_table(runs, paths) if newest else None))
        nav = "Gate" if newest else None
        yield Page(path, "Gate: is head slower than base?", blocks, nav, in_markdown=newest)


def _paths(runs: Sequence[JudgedRun]) -> list[str]:
    """Of the pages of the newest runs, the newest first; a run keeps its path when others join it."""
    older = enumerate(runs[1:_PAGES], start=1)
    named = (
        f"gate-{len(runs) - number}-{slug(run.record.environment.machine)}.html" for number, run in older
    )
    return [PATH, *named]


def _blocks(run: JudgedRun, others: Table | None) -> Iterator[Block]:
    record, verdict = run.record, run.verdict
    yield headline(answer(record, verdict))
    if verdict.reasons and verdict.outcome != "regression":
        yield Sentences(tuple(verdict.reasons))
    yield Facts(_facts(record))
    findings = _findings(verdict)
    if findings.rows:
        yield findings
    policy = record.policy
    yield note(
        "A case is slower when the sign-flip test over launches says so of a slowdown of more than "
        f"{policy.margin:.0%}, at {policy.alpha:.0%} for the whole run by Holm’s correction, and when the "
        f"estimate is at least {policy.alarm:.0%}. A case whose minimum detectable slowdown is above "
        f"{policy.gates_at:.0%} is underpowered, and raises no alarm."
    )
    if counted_cases(record):
        yield Heading("Exact counters")
        yield from _counters(record, verdict)
    if drawings := draw_forests(record, verdict):
        yield Detail((Heading("Paired ratios"), Figures(tuple(drawings))))
    yield Heading("Every case")
    yield _cases(record, verdict)
    if others:
        yield Detail((Heading("Every run"), others))
    else:
        yield paragraph(Link("The newest run, and all others", PATH))


def _facts(record: GateRecord) -> dict[str, str]:
    plan = record.plan
    stolen = [launch.stolen for launch in record.launches if launch.stolen is not None]
    return {
        "Base": side_of(record.base),
        "Head": side_of(record.head),
        "When": when(record.environment.started),
        "Machine": record.environment.words,
        "Launches": f"{len(record.launches)} of {plan.turns} turns a side, {plan.pairs} at a time",
        "Took": f"{record.seconds:.0f} s of {plan.budget_seconds:.0f} s",
        "Stolen by the hypervisor": f"{max(stolen):.1%} of a launch at most" if stolen else "not shown",
        "Suite": record.suite,
    }


def _findings(verdict: GateVerdict) -> Table:
    rows = tuple(
        (
            finding.title,
            Cell(finding.verdict, status=finding.verdict),
            Cell(percent(finding.change), finding.change),
            interval(finding.low, finding.high),
            "" if finding.p_value is None else f"{finding.p_value:.2g}",
            percent(finding.control),
            str(finding.launches),
        )
        for finding in verdict.findings
        if finding.launches
    )
    columns = ("Case or family", "Verdict", "Change", "95% interval", "p", "Base against itself", "Launches")
    return Table("Measured again on fresh launches", columns, rows)


def _counters(record: GateRecord, verdict: GateVerdict) -> Iterator[Block]:
    changed = {change.case for change in verdict.counters if not change.unstable}
    yield note(
        f"A step of {count(counted_cases(record), 'case')} was counted on both sides, without a clock; "
        f"{len(changed)} of them changed. Operations, kernel launches or peak memory that grow by more than "
        f"{record.policy.more_work:.0%} are an alarm, all else is told."
    )
    rows = [
        (
            change.case,
            NAMES[change.counter],
            "unstable" if change.unstable else change.base,
            "unstable" if change.unstable else change.head,
            change.detail,
            Cell("alarm" if change.alarm else "", status="slower" if change.alarm else None),
        )
        for change in verdict.counters
    ]
    if rows:
        columns = ("Case", "Counter", "Base", "Head", "Added and removed", "")
        yield capped("What differs in a step", columns, rows, _LISTED)


def _cases(record: GateRecord, verdict: GateVerdict) -> Table:
    rows = [
        (
            view.case.id,
            Cell(percent(view.change), view.change),
            interval(view.low, view.high),
            Cell("" if view.sd is None else f"{view.sd:.1%}", view.sd),
            Cell("" if view.detectable is None else f"{view.detectable:.1%}", view.detectable),
            remark_on(view, record),
        )
        for view in verdict.cases
    ]
    columns = ("Case", "Change", "95% interval", "Between launches", "Minimum detectable", "Remark")
    return capped("Change of each case, head against base", columns, rows, _LISTED)


def _runs_table(runs: Sequence[JudgedRun], paths: Sequence[str]) -> Table:
    rows = [
        (
            Cell(when(run.record.environment.started), href=path),
            run.record.environment.machine,
            run.record.base.revision,
            run.record.head.revision,
            Cell(run.verdict.outcome, status=run.verdict.outcome),
            answer(run.record, run.verdict),
        )
        for run, path in zip_longest(runs, paths)
    ]
    columns = ("When", "Machine", "Base", "Head", "Outcome", "Answer")
    return capped("Runs on record, the newest first", columns, rows, _LISTED)
