"""The pages of the regression gate's runs: the newest, and each of the others."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rmsprop.suite.gate.formats import headline, interval, note_on, percent, side
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.report.gate_figures import draw_forests
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import Cell, Table, capped
from rmsprop.suite.verdicts.gate import Decision, judge
from rmsprop.suite.words import count, slug, when

PATH = "gate.html"
_PAGES = 50
"""Runs with a page of their own; older ones are rows of a table."""
_LISTED = 500


@dataclass(frozen=True)
class Run:
    """A record, judged."""

    number: int
    """Its place, the oldest first."""
    record: GateRecord
    decision: Decision

    @property
    def path(self) -> str:
        """Of its page, unless it is the newest."""
        return f"gate-{self.number + 1}-{slug(self.record.environment.machine)}.html"


def pages(inputs: Inputs) -> Iterable[Page]:
    """A page for each of the newest runs; the newest is in the navigation, and lists the others."""
    runs = [Run(number, record, judge(record)) for number, record in enumerate(inputs.gates)][::-1]
    for run in runs[:_PAGES]:
        newest = run is runs[0]
        context = _context(run.record, run.decision) | {"runs": _runs_table(runs) if newest else None}
        yield Page(
            PATH if newest else run.path,
            "Gate: head against base",
            html("gate.html.j2", drawings=draw_forests(run.record, run.decision), **context),
            nav="Gate" if newest else None,
            markdown=markdown("gate.md.j2", **context) if newest else "",
        )


def _context(record: GateRecord, decision: Decision) -> dict[str, Any]:
    plan, policy = record.plan, record.policy
    stolen = [launch.stolen for launch in record.launches if launch.stolen is not None]
    return {
        "headline": headline(record, decision),
        "outcome": decision.outcome,
        "reasons": decision.reasons,
        "facts": {
            "Base": side(record.base),
            "Head": side(record.head),
            "When": when(record.environment.started),
            "Machine": f"{record.environment.processor}, {count(record.environment.cpus, 'processor')}",
            "Launches": f"{len(record.launches)} of {plan.turns} turns a side, {plan.pairs} at a time",
            "Took": f"{record.seconds:.0f} s of {plan.budget_seconds:.0f} s",
            "Stolen by the hypervisor": f"{max(stolen):.1%} of a launch at most" if stolen else "not shown",
            "Suite": record.suite,
        },
        "policy": f"Slower is more than {policy.margin:.0%} by the sign-flip test over launches, at "
        f"{policy.alpha:.0%} for the whole run by Holm’s correction, and an estimate of at least "
        f"{policy.alarm:.0%}; a case that cannot see {policy.gates_at:.0%} does not gate.",
        "findings": _findings(decision),
        "cases": _cases(record, decision),
    }


def _findings(decision: Decision) -> Table:
    rows = tuple(
        (
            finding.name,
            Cell(finding.verdict, status=finding.verdict),
            Cell(percent(finding.change), finding.change),
            interval(finding.low, finding.high),
            "" if finding.p_value is None else f"{finding.p_value:.2g}",
            percent(finding.control),
            str(finding.launches),
        )
        for finding in decision.findings
        if finding.launches
    )
    columns = ("Case or family", "Verdict", "Change", "95% interval", "p", "Base against itself", "Launches")
    return Table("Measured again on fresh launches", columns, rows)


def _cases(record: GateRecord, decision: Decision) -> Table:
    rows = [
        (
            view.case.id,
            Cell(percent(view.change), view.change),
            interval(view.low, view.high),
            Cell("" if view.sd is None else f"{view.sd:.1%}", view.sd),
            Cell("" if view.detectable is None else f"{view.detectable:.1%}", view.detectable),
            note_on(view, record),
        )
        for view in decision.cases
    ]
    columns = ("Case", "Change", "95% interval", "Between launches", "Sees from", "Remark")
    return capped("Every case", columns, rows, _LISTED)


def _runs_table(runs: Sequence[Run]) -> Table:
    paths = [PATH, *(run.path for run in runs[1:_PAGES]), *(None for _ in runs[_PAGES:])]
    rows = [
        (
            Cell(when(run.record.environment.started), href=path),
            run.record.environment.machine,
            run.record.base.revision,
            run.record.head.revision,
            Cell(run.decision.outcome, status=run.decision.outcome),
            headline(run.record, run.decision),
        )
        for run, path in zip(runs, paths, strict=True)
    ]
    columns = ("When", "Machine", "Base", "Head", "Outcome", "Answer")
    return capped("Every run, the newest first", columns, rows, _LISTED)
