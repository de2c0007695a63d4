"""The gate's records -> series of ratios, each of a commit to what it was compared with."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime

import numpy as np

from rmsprop.suite.history.order import CommitOrder
from rmsprop.suite.history.series import Series
from rmsprop.suite.records.gate import GateCase, GateRecord
from rmsprop.suite.verdicts.gate import JudgedRun


def of_commits(gates: Iterable[JudgedRun]) -> Iterator[JudgedRun]:
    """Those that compare one clean commit with another under one interpreter."""
    for run in gates:
        base, head = run.record.base, run.record.head
        same = base.python == head.python and base.versions == head.versions
        clean = base.commit and head.commit and not base.dirty and not head.dirty
        if same and clean and base.commit != head.commit:
            yield run


def started(run: JudgedRun) -> datetime:
    """When the gate began, with its time zone."""
    return datetime.fromisoformat(run.record.environment.started)


def ratios(gates: Iterable[JudgedRun], order: CommitOrder) -> Iterator[Series]:
    """The series of what `of_commits` gives, in the order of commits."""
    found: defaultdict[tuple[str, str, str], dict[str, tuple[str, list[float]]]] = defaultdict(dict)
    for run in gates:
        record = run.record
        base, head = record.base, record.head
        if not base.commit or not head.commit or head.commit in order.left_out:
            continue
        environment = f"py{head.python}-torch{head.versions.get('torch')}"
        unsteady = {name for one in run.verdict.found("unsteady") for name in one.cases}
        for case in record.cases:
            key = (record.environment.machine, environment, case.id)
            launches = [] if case.id in unsteady else _launches(record, case)
            former = found[key].get(head.commit)
            if launches and (former is None or former[0] == base.commit):
                found[key][head.commit] = (base.commit, [*(former[1] if former else ()), *launches])
    for (machine, environment, case_id), points in sorted(found.items()):
        if not points:
            continue
        commits = order.sorted(points)
        yield Series(
            machine=machine,
            environment=environment,
            case=case_id,
            quantity="step",
            unit="1",
            runner="gate",
            commits=tuple(commits),
            times=tuple(order.times[commit] for commit in commits),
            values=np.exp([np.mean(points[commit][1]) for commit in commits]),
            bases=tuple(points[commit][0] for commit in commits),
            launches=tuple(tuple(points[commit][1]) for commit in commits),
        )


def _launches(record: GateRecord, case: GateCase) -> list[float]:
    """log(head / base) of each launch: of the confirming ones alone where there are any.

    The screen chose what was confirmed, so that its launches of those cases look too large.
    """
    if case.status != "compared":
        return []
    by_stage: dict[str, list[float]] = {"confirm": [], "screen": []}
    for sample in case.samples:
        by_stage[record.launches[sample.launch].stage].append(sample.log_ratio)
    return by_stage["confirm"] or by_stage["screen"]
