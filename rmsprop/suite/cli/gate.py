"""`rmsprop gate`: is head slower than base?"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from rmsprop.errors import UserError
from rmsprop.suite.cli.gate_options import GateOptions
from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.gate.formats import failure, format_of
from rmsprop.suite.gate.request import GateRequest, seconds_of, share_of
from rmsprop.suite.gate.session import gate
from rmsprop.suite.gate.starter import write_suite
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.records.store import read_gate, write_gate
from rmsprop.suite.verdicts.gate import GateVerdict, judge_gate
from rmsprop.suite.verdicts.gate_words import headline, remark_on, side_of
from rmsprop.suite.words import interval, percent, printable


def run(options: GateOptions) -> None:
    """Measure both sides, store the record and show the verdict."""
    if options.init:
        made = write_suite(Path.cwd())
        typer.echo(f"wrote {made}; run `rmsprop gate --suite {made.stem} --base HEAD`")
        return
    if options.record:
        _answer(options, read(options.record), options.record)
    try:
        with gate_progress() as progress:
            record = gate(_request(options), progress)
    except KeyboardInterrupt:
        typer.echo("interrupted before anything was measured: inconclusive", err=True)
        raise typer.Exit(3) from None
    except UserError as error:
        if said := failure(options.form, str(error)):
            typer.echo(said)
        raise
    path: Path | None = None
    try:
        path = write_gate(options.output / "gate", record)
    except UserError as error:  # minutes of work: the answer is given all the same
        typer.echo(printable(f"the record is not stored: {error}. The answer follows."), err=True)
    _answer(options, record, path)


def read(path: Path) -> GateRecord:
    """The record of that file; UserError if it is none."""
    try:
        return read_gate(path)
    except (OSError, ValueError) as error:
        raise UserError(f"--from {path}: expected a record of the gate, and {error}") from None


def _answer(options: GateOptions, record: GateRecord, path: Path | None) -> None:
    """Print the verdict, and end with its exit code, also where nobody reads or the disk is full."""
    write, verdict = format_of(options.form), judge_gate(record)
    if write is None:
        show_gate(record, verdict, path)
    else:
        typer.echo(write(record, verdict))
    sys.stdout.flush()
    if getattr(sys.stdout, "lost", False):
        typer.echo(printable(headline(record, verdict)), err=True)
    if write and path:
        typer.echo(f"record: {path}", err=True)
    raise typer.Exit(verdict.code)


def _request(options: GateOptions) -> GateRequest:
    return GateRequest(
        folder=Path.cwd(),
        base=options.base,
        head=options.head,
        base_python=options.base_python,
        head_python=options.head_python,
        budget=seconds_of(options.budget),
        aim=share_of(options.aim),
        suite=options.suite,
        patterns=options.case,
        pairs=options.pairs,
        prepare=options.prepare,
        timed=not options.counters,
        results=options.output,
    )


@dataclass
class GateProgress:
    """Lines and a bar on stderr while the gate runs.

    Attributes
    ----------
    bars
        What is drawn.
    task
        The one bar, of the stage that is at work; None before the first stage.
    """

    bars: Progress
    task: TaskID | None = None

    def say(self, text: str) -> None:
        """One line."""
        self.bars.console.print(escaped(text), soft_wrap=True, highlight=False)

    def plan(self, record: GateRecord, promised: Mapping[str, float], measured: bool) -> None:
        """What the budget buys."""
        plan = record.plan
        compared = sum(case.status == "compared" for case in record.cases)
        self.say(f"base: {side_of(record.base)}")
        self.say(f"head: {side_of(record.head)}")
        self.say(
            f"{compared} cases, {plan.pairs} launches at a time: {plan.screen} to screen, {plan.confirm} to "
            f"confirm, {plan.turns} turns a side of {plan.turn_seconds * 1e3:.0f} ms or a step"
        )
        left_out = [case.id for case in record.cases if case.status == "left out"]
        if left_out:
            self.say(f"left out by the budget: {', '.join(left_out)}")
        seen = ", ".join(f"{family} {least:.1%}" for family, least in promised.items())
        source = "noise as in this machine's last runs" if measured else "assumed noise"
        self.say(f"smallest detectable slowdown ({source}): {seen}")

    def begin(self, stage: str, total: int | None) -> None:
        """A new bar in place of the last."""
        if self.task is not None:
            self.bars.remove_task(self.task)
        self.task = self.bars.add_task(stage, total=total)

    def advance(self) -> None:
        """One case of a launch is done."""
        if self.task is not None:
            self.bars.advance(self.task)


@contextmanager
def gate_progress() -> Iterator[GateProgress]:
    """A bar that is drawn once a second: to draw it takes a CPU that is being measured."""
    with bars(refresh_per_second=1) as shown:
        yield GateProgress(shown)


def show_gate(record: GateRecord, verdict: GateVerdict, path: Path | None) -> None:
    """Every case with its change, what was not compared, and the answer below them."""
    console = Console()
    if record.launches:
        show_table(console, _gate_table(verdict))
    for change in verdict.counters:
        style = "bold red" if change.alarm else "default"
        console.print(f"[{style}]{escaped(change.words)}[/]", soft_wrap=True, highlight=False)
    said: dict[str, list[str]] = {}
    for view in verdict.cases:
        compared = view.case.status == "compared"
        if not compared or (record.timed and not (view.powered or view.finding)):
            said.setdefault(remark_on(view, record), []).append(view.case.id)
        if compared and view.case.uncounted:
            said.setdefault(f"not counted: {view.case.uncounted}", []).append(view.case.id)
    for note, names in said.items():
        shown = names if note.startswith("underpowered") else names[:2]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        console.print(escaped(f"{note}: {', '.join(shown)}{more}"), soft_wrap=True, highlight=False)
    colour = {"pass": "green", "regression": "bold red"}.get(verdict.outcome, "yellow")
    console.print(f"[{colour}]{escaped(headline(record, verdict))}[/]", soft_wrap=True, highlight=False)
    for reason in verdict.reasons if verdict.outcome != "regression" else ():
        console.print(escaped(f"  {reason}"), soft_wrap=True, highlight=False)
    console.print(f"base: {escaped(side_of(record.base))}", soft_wrap=True, highlight=False)
    console.print(f"head: {escaped(side_of(record.head))}", soft_wrap=True, highlight=False)
    if path:
        console.print(f"record: {escaped(str(path))}", soft_wrap=True)


def escaped(text: str) -> str:
    """A foreign text as rich prints it as it is, on one line."""
    return escape(printable(text))


def _gate_table(verdict: GateVerdict) -> Table:
    table = Table(
        title="Head against base: change, 95% interval, minimum detectable slowdown",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("case", no_wrap=True)
    for column in ("change", "interval", "detectable"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    styles = {"slower": "bold red", "faster": "green"}
    for view in verdict.cases:
        if view.launches:
            found = view.finding.verdict if view.finding else ""
            shown = found.removeprefix("not confirmed") or ("" if view.powered else "underpowered")
            table.add_row(
                escaped(view.case.id),
                percent(view.change),
                interval(view.low, view.high),
                "" if view.detectable is None else f"{view.detectable:.1%}",
                shown,
                style=styles.get(found),
            )
    return table
