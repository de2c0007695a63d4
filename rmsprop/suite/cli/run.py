"""`rmsprop run`: the section reproduced, the steps measured, the report built, in one go."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import typer
from rich.markup import escape

from rmsprop.book.airfoil import Airfoil
from rmsprop.book.claims import claims
from rmsprop.suite.case import IMPLEMENTATIONS, Case
from rmsprop.suite.cli.options import RUN_PROFILES, RunOptions
from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.rows import load_rows
from rmsprop.suite.measure.matrix import cases
from rmsprop.suite.measure.registry import implementations, load_optimizers
from rmsprop.suite.measure.reproduction import reproduce
from rmsprop.suite.measure.session import EFFORTS, bench
from rmsprop.suite.measure.tasks import COUNTS, RANKS
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.build import BuiltReport, build_report
from rmsprop.suite.report.inputs import Invocation
from rmsprop.suite.verdicts import correctness
from rmsprop.suite.words import command, count, printable

StageProgress = Callable[[str, int, str], None]
"""Called with a stage, what was just finished of it, and what is at work."""

_SIZES = {"smoke": (10_000, 20), "regular": (10_000, 100)}
"""By profile: seeds of each program, and sequential runs."""


@dataclass(frozen=True)
class Plan:
    """What a profile does here.

    Attributes
    ----------
    profile
        Its name: smoke or regular.
    seeds, runs
        How many trainings of each program: at once, and one after the other.
    cases
        What is measured.
    """

    profile: str
    seeds: int
    runs: int
    cases: tuple[Case, ...]

    @property
    def stages(self) -> dict[str, int]:
        """How much there is to do, by stage, in order."""
        return {
            "sequential runs": self.runs,
            "seeds": 2 * self.seeds,
            "measurements": len(self.cases) * EFFORTS[self.profile].processes,
            "report": 1,
        }


@dataclass(frozen=True)
class RunOutcome:
    """What the command left.

    Attributes
    ----------
    report
        What was built at the end, also of a run that was interrupted.
    good
        Whether every claim is reproduced and no case failed.
    interrupted
        Whether the user ended a stage.
    remarks
        What was left out, a sentence for each.
    checks
        A sentence for each of other people's optimizers and for each implementation that failed, and one that
        names the cases that failed.
    """

    report: BuiltReport
    good: bool
    interrupted: bool
    remarks: tuple[str, ...]
    checks: tuple[str, ...] = ()


def run(options: RunOptions) -> None:
    """Carry out the profile; the last lines are the page and its three sentences."""
    load_optimizers(options.optimizer)
    plan = plan_of(options.profile, options.optimizer)
    check_writable(options.results)
    check_writable(options.output)
    rows = load_rows(options.data)
    with stage_progress(plan.stages) as progress:
        outcome = carry_out(plan, options.results, options.output, rows, progress)
    for remark in outcome.remarks:
        typer.echo(remark, err=True)
    typer.echo(options.output / "index.html")
    for sentence in outcome.report.sentences:
        typer.echo(sentence)
    for check in outcome.checks:
        typer.echo(printable(check))
    typer.echo(_next(options, outcome))
    if outcome.interrupted:
        raise typer.Exit(130)
    raise typer.Exit(0 if outcome.good else 1)


def _next(options: RunOptions, outcome: RunOutcome) -> str:
    """What the user can do now."""
    page = f"Next: open {options.output / 'index.html'} in a browser."
    if outcome.interrupted:
        return f"{page} What was not finished is not known yet: `{_command(options)}` begins again."
    said = [page]
    for longer in RUN_PROFILES[RUN_PROFILES.index(options.profile) + 1 :][:1]:
        said.append(f"`{_command(options, profile=longer)}` takes longer and measures more cases.")
    if not options.optimizer:
        own = _command(options, optimizer="package.module:Class")
        said.append(f"`{own}` measures your own optimizer too.")
    return " ".join(said)


def _command(options: RunOptions, **changed: str) -> str:
    """The command as it was given, but for what is changed."""
    given = {
        field.name: value
        for field in fields(options)
        if (value := changed.get(field.name, getattr(options, field.name))) != field.default
    }
    return command("run", **given)


@contextmanager
def stage_progress(stages: Mapping[str, int]) -> Iterator[Callable[[str, int, str], None]]:
    """A bar for each stage, from the start, with what is at work; stage -> how much there is to do."""
    with bars() as shown:
        tasks = {name: shown.add_task(name, total=total, start=False) for name, total in stages.items()}

        def advance(stage: str, done: int, doing: str) -> None:
            shown.start_task(tasks[stage])
            words = f"{stage}: {doing}" if doing else stage
            shown.update(tasks[stage], description=escape(words), advance=done)

        yield advance


def plan_of(profile: str, optimizers: Sequence[str] = ()) -> Plan:
    """What the profile smoke or regular does, with other people's optimizers beside ours."""
    seeds, runs = _SIZES[profile]
    return Plan(profile, seeds, runs, tuple(cases(profile, others=[*implementations(), *optimizers])))


def carry_out(plan: Plan, results: Path, reports: Path, rows: Airfoil, progress: StageProgress) -> RunOutcome:
    """Reproduce, measure, report. Records are on disk as soon as they exist.

    Everything is measured anew, and the sentences of the report answer for what was measured here. What
    `results` held before stands apart. KeyboardInterrupt ends the stage at work: what was finished is kept
    and reported.
    """
    remarks = []
    record = reproduce(
        claims(),
        rows,
        wrong=False,
        seeds=plan.seeds,
        runs=plan.runs,
        device=torch.device("cpu"),
        dtype=torch.float32,
        progress=lambda stage, done: (
            progress("sequential runs" if stage == "runs" else "seeds", done, stage)
            if stage not in (COUNTS, RANKS)
            else None
        ),
    )
    reproduced = write_reproduction(results, record)
    measured: list[BenchRecord] = []
    interrupted = record.interrupted
    if not interrupted:
        try:
            _bench(plan, results, progress, measured)
        except KeyboardInterrupt:
            interrupted = True
    if interrupted:
        remarks.append("interrupted: what was finished is kept and reported")
    progress("report", 0, "")
    invocation = Invocation(reproduced, measured[0].run if measured else None)
    report = build_report(results, reports, repo=Path(), invocation=invocation)
    progress("report", 1, "")
    good = bool(report.holds) and all(record.status != "failed" for record in measured)
    return RunOutcome(report, good, interrupted, tuple(remarks), tuple(_checks(measured)))


def _checks(records: Sequence[BenchRecord]) -> Iterator[str]:
    """Whether each of other people's optimizers is right, and what failed."""
    of_each: dict[str, list[BenchRecord]] = {}
    for record in records:
        of_each.setdefault(record.axes.implementation, []).append(record)
    failed = [record.axes.id for record in records if record.status == "failed"]
    for name, own in of_each.items():
        if name not in IMPLEMENTATIONS or any(record.status == "failed" for record in own):
            yield correctness.sentence(name, [correctness.check_of_record(one) for one in own], why=True)
    if failed:
        yield f"{count(len(failed), 'case')} failed: {', '.join(failed)}."


def _bench(plan: Plan, results: Path, progress: StageProgress, measured: list[BenchRecord]) -> None:
    """Measure the cases; `measured` gets the record of each when it ends."""

    def show(case: Case, record: BenchRecord | None) -> None:
        if record is not None:
            measured.append(record)
        progress("measurements", 0, case.id)

    bench(
        plan.cases,
        results,
        EFFORTS[plan.profile],
        profile=plan.profile,
        again=True,
        progress=show,
        count=lambda case, ended: progress("measurements", ended, case.id),
    )
