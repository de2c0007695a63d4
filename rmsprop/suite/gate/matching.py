"""Which cases both sides have: those are compared, and what they cost is known."""

from collections.abc import Mapping
from statistics import median

from rmsprop.suite.gate.plan import Cost, Costs
from rmsprop.suite.gate.prepare import Opened, Prepared
from rmsprop.suite.records.gate import CaseStatus, GateCase

_ABSENT = Opened(skipped="the suite lists no such case there")


def match(prepared: Mapping[str, Prepared]) -> tuple[tuple[GateCase, ...], Costs]:
    """Every case of either side, without samples, and the costs of those that can be compared."""
    base, head = prepared["base"], prepared["head"]
    cases: list[GateCase] = []
    costs: dict[str, Cost] = {}
    imports: dict[str, float] = {}
    for name, family in (base.families | head.families).items():
        before, after = base.opened.get(name, _ABSENT), head.opened.get(name, _ABSENT)
        status, reason = _status(before, after)
        steps = before.steps if status == "compared" else None
        cases.append(GateCase(name, family, status, reason, steps, (), before.counters, after.counters))
        if status == "compared":
            # The first case of a family pays for its imports. The sides take the cases in opposite orders,
            # so that the difference of a case between the sides is at most what the imports cost.
            costs[name] = Cost(family, min(before.used, after.used), before.turn)
            imports[family] = max(imports.get(family, 0.0), abs(before.used - after.used))
    opened = [one for side in (base, head) for one in side.opened.values() if one.used]
    busy = median(one.seconds / one.used for one in opened) if opened else 1.0
    return tuple(cases), Costs(imports, costs, max(1.0, busy))


def _status(before: Opened, after: Opened) -> tuple[CaseStatus, str | None]:
    failed = [f"{side}: {one.failed}" for side, one in (("base", before), ("head", after)) if one.failed]
    if failed:
        return "failed", "; ".join(failed)
    if before.skipped and after.skipped:
        return "skipped", after.skipped
    if before.skipped:
        return "added", f"base: {before.skipped}"
    if after.skipped:
        return "removed", f"head: {after.skipped}"
    return "compared", None
