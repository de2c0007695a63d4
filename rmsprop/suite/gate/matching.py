"""Which cases both sides have: those are compared, and what they cost is known."""

from collections.abc import Mapping
from dataclasses import replace
from statistics import median

from rmsprop.suite.gate.costs import Cost, Costs
from rmsprop.suite.gate.prepare import Opened, Prepared
from rmsprop.suite.gate.turns import phase_steps
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
        dear = name in base.dear | head.dear
        uncounted = before.uncounted or after.uncounted
        counters = (before.counters, after.counters)
        cases.append(GateCase(name, family, status, reason, steps, (), *counters, uncounted, dear))
        if status == "compared":
            # The first case of a family pays for its imports. The sides take the cases in opposite orders,
            # so that the difference of a case between the sides is at most what the imports cost.
            step = before.turn / (before.steps or 1)
            ahead = phase_steps(before.steps or 1, step) / 2 * step
            costs[name] = Cost(family, min(before.used, after.used) + ahead, before.turn, dear)
            imports[family] = max(imports.get(family, 0.0), abs(before.used - after.used))
    opened = [one for side in (base, head) for one in side.opened.values() if one.used]
    busy = median(one.seconds / one.used for one in opened) if opened else 1.0
    return tuple(cases), Costs(imports, costs, max(1.0, busy))


def unequal(prepared: Mapping[str, Prepared]) -> set[str]:
    """The cases whose counters differ between the sides: they may also differ from step to step."""
    base, head = prepared["base"].opened, prepared["head"].opened
    return {
        name
        for name, before in base.items()
        if before.counters and name in head and (after := head[name].counters) and before.counters != after
    }


def counted_again(prepared: Mapping[str, Prepared], again: Mapping[str, Prepared]) -> dict[str, Prepared]:
    """The same, with the counters of the cases that were counted again."""
    return {
        side: replace(
            one,
            opened=one.opened
            | {
                name: replace(one.opened[name], counters=opened.counters or one.opened[name].counters)
                for name, opened in again[side].opened.items()
            },
        )
        for side, one in prepared.items()
    }


def _status(before: Opened, after: Opened) -> tuple[CaseStatus, str | None]:
    failed = [f"{side}: {one.failed}" for side, one in (("base", before), ("head", after)) if one.failed]
    if failed and before.failed == after.failed:
        return "failed", f"both sides: {before.failed}"
    if failed:
        return "failed", "; ".join(failed)
    if before.skipped and after.skipped:
        return "skipped", after.skipped
    if before.skipped:
        return "added", f"base: {before.skipped}"
    if after.skipped:
        return "removed", f"head: {after.skipped}"
    return "compared", None
