"""Exact counters of base and head: which differ, by what, and which of them are alarms. Pure functions.

More work is an alarm where it is certain to cost: operations dispatched, kernels launched, or peak memory,
larger by more than `policy.more_work` (and memory by at least a page). Calls and allocated bytes are told,
and so is a result that is not the same to the last bit. A counter that differs between two steps of the same
tree is unstable: it is named, and not compared.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rmsprop.suite.records.gate import Counters, GateCase, GateRecord, Policy
from rmsprop.suite.words import size_of

NAMES = {
    "operations": "operations",
    "kernels": "kernel launches",
    "python_calls": "Python calls",
    "c_calls": "C calls",
    "allocated": "allocated memory",
    "peak": "peak memory",
    "result": "result",
}
"""Counters by their field, as people read them."""
PAGE = 4096
"""Bytes: no smaller difference of peak memory is an alarm."""


@dataclass(frozen=True)
class CounterChange:
    """A counter of a case that differs between the sides, or is unstable on one.

    Attributes
    ----------
    case, counter
        The case's id, and the counter's field.
    base, head
        What was counted, in words.
    detail
        For operations and kernels, which were added and removed.
    unstable
        Whether it differs between two steps of one tree; then it is not compared.
    alarm
        Whether head's is so much larger that the gate fails.
    """

    case: str
    counter: str
    base: str
    head: str
    detail: str
    unstable: bool
    alarm: bool

    @property
    def words(self) -> str:
        """Such as `scratch: operations 26 -> 28 (aten.add.Tensor +2)`."""
        name = f"{self.case}: {NAMES[self.counter]}"
        if self.unstable:
            return f"{name} unstable: two steps of one tree differ"
        return f"{name} {self.base} -> {self.head}" + (f" ({self.detail})" if self.detail else "")


def counted_cases(record: GateRecord) -> int:
    """How many cases were counted on both sides."""
    return sum(bool(case.base_counters and case.head_counters) for case in record.cases)


def counter_changes(record: GateRecord) -> tuple[CounterChange, ...]:
    """All differences, case by case."""
    return tuple(
        change
        for case in record.cases
        if case.base_counters and case.head_counters
        for change in _changes(case, case.base_counters, case.head_counters, record.policy)
    )


def _changes(case: GateCase, base: Counters, head: Counters, policy: Policy) -> Iterator[CounterChange]:
    for counter in NAMES:
        before, after = getattr(base, counter), getattr(head, counter)
        if counter in (*base.unstable, *head.unstable):
            yield CounterChange(case.id, counter, "", "", "", unstable=True, alarm=False)
        elif before != after:
            yield CounterChange(
                case.id,
                counter,
                _words(counter, before),
                _words(counter, after),
                _detail(before, after),
                unstable=False,
                alarm=_is_alarm(counter, before, after, policy),
            )


def _is_alarm(counter: str, before: object, after: object, policy: Policy) -> bool:
    if before is None or after is None or counter not in ("operations", "kernels", "peak"):
        return False
    less, more = _number(before), _number(after)
    return more > less * (1 + policy.more_work) and (counter != "peak" or more - less >= PAGE)


def _number(value: object) -> int:
    assert isinstance(value, int | dict)
    return sum(value.values()) if isinstance(value, dict) else value


def _words(counter: str, value: object) -> str:
    if value is None:
        return "none"
    if counter == "result":
        return str(value)
    number = _number(value)
    return size_of(number) if counter in ("allocated", "peak") else f"{number:,}"


def _detail(before: object, after: object) -> str:
    if not isinstance(before, dict) or not isinstance(after, dict):
        return ""
    differences = {name: after.get(name, 0) - before.get(name, 0) for name in sorted({*before, *after})}
    return ", ".join(f"{name} {number:+d}" for name, number in differences.items() if number)
