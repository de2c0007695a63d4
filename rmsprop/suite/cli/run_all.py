"""`rmsprop run`: the section reproduced, the steps measured, the report built, in one go."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rmsprop.book.airfoil import load_airfoil
from rmsprop.errors import UserError
from rmsprop.suite.measure.reproduction import reproduce
from rmsprop.suite.records.store import check_writable, write_reproduction
from rmsprop.suite.report.pages import Report, build_report
from rmsprop.suite.verdicts.reproduction import deciding, judge

Progress = Callable[[str, int, str], None]
"""Called with a stage, what was just finished of it, and what is at work."""

_SIZES = {"smoke": (2_560, 20), "regular": (10_000, 100)}
"""By profile: seeds of each program, and sequential runs."""


@dataclass(frozen=True)
class Plan:
    """What a profile does here."""

    profile: str
    seeds: int
    runs: int
    cases: tuple[Any, ...]
    """Of the checkout's benchmarks/; none where there is no checkout."""

    @property
    def stages(self) -> dict[str, int]:
        """How much there is to do, by stage, in order."""
        reproduction = {"sequential runs": self.runs, "seeds": 2 * self.seeds}
        return reproduction | ({"cases": len(self.cases)} if self.cases else {}) | {"report": 1}


@dataclass(frozen=True)
class Outcome:
    """What a run left."""

    report: Report
    good: bool
    """Whether every claim is reproduced and no case failed."""
    interrupted: bool
    remarks: tuple[str, ...]
    """What was left out, a sentence for each."""


def plan_of(profile: str) -> Plan:
    """What the profile smoke or regular does in this folder; a UserError for another."""
    if profile not in _SIZES:
        raise UserError(f"--profile {profile}: choose one of {', '.join(_SIZES)}")
    seeds, runs = _SIZES[profile]
    return Plan(profile, seeds, runs, _cases(profile))


def run(plan: Plan, results: Path, reports: Path, data: str, progress: Progress) -> Outcome:
    """Reproduce, measure, report. Records are on disk as soon as they exist.

    KeyboardInterrupt ends the stage at work: what was finished is kept and reported.
    """
    check_writable(results)
    check_writable(reports)
    remarks = []
    record = reproduce(
        load_airfoil(data),
        seeds=plan.seeds,
        runs=plan.runs,
        device=torch.device("cpu"),
        dtype=torch.float32,
        progress=lambda stage, done: progress("sequential runs" if stage == "runs" else "seeds", done, stage),
    )
    write_reproduction(results, record)
    good = all(verdict.status == "reproduced" for verdict in deciding(judge(record)))
    interrupted = record.interrupted
    if not plan.cases:
        remarks.append("steps are not measured: that needs the root of a checkout, whose benchmarks/ it runs")
    elif not interrupted:
        try:
            good = _bench(plan, results, progress) and good
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        remarks.append("interrupted: what was finished is kept and reported")
    progress("report", 0, "")
    report = build_report(results, reports)
    progress("report", 1, "")
    return Outcome(report, good, interrupted, tuple(remarks))


def _cases(profile: str) -> tuple[Any, ...]:
    if not Path("rmsprop/suite/measure/matrix.py").is_file():
        return ()
    sys.path.insert(0, str(Path.cwd()))
    from rmsprop.suite.measure.matrix import cases  # noqa: PLC0415 (there is none beside an installed wheel)
    from rmsprop.suite.measure.registry import implementations  # noqa: PLC0415

    return tuple(cases(profile, others=implementations()))


def _bench(plan: Plan, results: Path, progress: Progress) -> bool:
    """Measure the cases; whether none failed."""
    from rmsprop.suite.measure.session import EFFORTS, bench  # noqa: PLC0415 (imports the checkout's benchmarks/)

    def show(case: Any, record: Any) -> None:
        progress("cases", 0 if record is None else 1, case.id)

    records = bench(plan.cases, results, EFFORTS[plan.profile], progress=show)
    return all(record.status != "failed" for record in records)
