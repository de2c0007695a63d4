"""`rmsprop bench`: what a step costs, case by case."""

from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, TaskID
from rich.table import Table

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.cli.options import BenchOptions
from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.measure.devices import check_present
from rmsprop.suite.measure.registry import implementations, load_optimizer, load_optimizers
from rmsprop.suite.measure.session import EFFORTS, bench
from rmsprop.suite.measure.subject import skip_reason
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.verdicts.ratios import SpeedUp, speed_ups
from rmsprop.suite.verdicts.usual import usual_warnings
from rmsprop.suite.words import duration, factor, kind


def run(options: BenchOptions) -> None:
    """Measure the chosen cases and show them."""
    load_optimizers(options.optimizer)
    chosen = options.cases(implementations())
    if options.listed:
        _list(chosen, options.optimizer)
        return
    check_present(options.device)
    check_writable(options.output)
    effort = EFFORTS[options.profile]
    with bench_progress(len(chosen) * effort.processes) as progress:
        try:
            done = bench(
                chosen,
                options.output,
                effort,
                profile=options.profile,
                again=options.again,
                progress=progress.keep,
                count=progress.count,
            )
            if done.continued:
                typer.echo(f"went on with the run {done.folder.name}, which was interrupted", err=True)
        except KeyboardInterrupt:
            progress.interrupted = True
        except UserError:  # such as a full disk: what was measured is shown all the same
            show_bench(progress.records, options.output)
            raise
    show_bench(progress.records, options.output)
    if progress.interrupted:
        typer.echo("interrupted; what was measured is kept, and the same command continues", err=True)
        raise typer.Exit(130)
    raise typer.Exit(1 if any(record.status == "failed" for record in progress.records) else 0)


def _list(cases: list[Case], optimizers: Sequence[str]) -> None:
    """The implementations with what they are, then each case, with the reason where it cannot run here."""
    theirs = {spec: load_optimizer(spec) for spec in optimizers}
    for name, found in {**implementations(), **theirs}.items():
        typer.echo(f"{name}: {found.summary}")
    typer.echo("")
    for case in cases:
        reason = skip_reason(case)
        typer.echo(f"{case.id}: skipped, {reason}" if reason else case.id)


@dataclass
class BenchProgress:
    """A bar over the measurements, of each case in each of its processes; keeps the records.

    Attributes
    ----------
    bars, task
        What is drawn on stderr, and its one bar.
    records
        Of the cases that have ended, in that order.
    interrupted
        Whether the user ended the run; the command sets it.
    """

    bars: Progress
    task: TaskID
    records: list[BenchRecord] = field(default_factory=list)
    interrupted: bool = False

    def keep(self, case: Case, record: BenchRecord | None) -> None:
        """Keep the record of a case that ended, or show that the first case of a point is at work."""
        if record is None:
            self.count(case, 0)
        else:
            self.records.append(record)

    def count(self, case: Case, ended: int) -> None:
        """Show the case at work, and count measurements that ended."""
        self.bars.update(self.task, description=escape(f"measurements: {case.id}"), advance=ended)


@contextmanager
def bench_progress(measurements: int) -> Iterator[BenchProgress]:
    """A bar over the measurements, with the case at work and the time that remains."""
    with bars() as shown:
        yield BenchProgress(shown, shown.add_task("measurements", total=measurements))


def show_bench(records: list[BenchRecord], results: Path) -> None:
    """Time per step of each case, against builtin-loop and against five plain passes."""
    console = Console()
    measured = [record for record in records if record.measurement]
    faster = speed_ups(measured)
    usual = usual_warnings([record.warnings for record in measured])
    if measured:
        show_table(console, _bench_table(measured, faster, usual))
    said: dict[str, list[tuple[str, str]]] = {}
    for record in records:
        remarks = {note: f"note: {note}" for note in record.notes}
        if record.reason:
            remarks[record.reason] = f"{record.status}: {record.reason}"
        # The numbers in warnings of one kind differ: one of them stands for all.
        remarks |= {kind(warning): warning for warning in _warnings(record, faster)}
        for about, remark in remarks.items():
            said.setdefault(about, []).append((remark, record.axes.id))
    for about, ((remark, first), *others) in said.items():
        cases = f"{len(others) + 1} cases, such as {first}" if others else first
        if about in usual:
            cases = f"most times here have it, so it is not marked above: {cases}"
        console.print(f"{escape(remark)} ({escape(cases)})", soft_wrap=True)
    for folder in dict.fromkeys((one.environment.machine, one.run or "") for one in records):
        console.print(f"records: {escape(str(results.joinpath('bench', *folder)))}", soft_wrap=True)


def _warnings(record: BenchRecord, faster: dict[Case, SpeedUp]) -> list[str]:
    """Of its times, and of its speed-up."""
    ratio = faster.get(record.axes)
    return [*record.warnings, *([ratio.warning] if ratio and ratio.warning else [])]


def _reach(ratio: SpeedUp) -> str:
    """How far its interval reaches: as a share, or as a factor in both directions."""
    if not ratio.reach:
        return ""
    return f" ±{max(ratio.reach, 0.01):.0%}" if ratio.reach < 1 else f" ×÷{1 + ratio.reach:.2g}"


def _bench_table(measured: list[BenchRecord], faster: dict[Case, SpeedUp], usual: Container[str]) -> Table:
    """A row for each case; `usual` are the kinds of warnings that most times have."""
    table = Table(
        title="One step: time, speed-up over builtin-loop, five plain passes / step, extra memory",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("case", no_wrap=True)
    for column in ("step", "ns/el", "x loop", "5p", "MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("warnings")
    point = None
    for record in measured:
        assert record.measurement is not None
        if point != (point := record.axes.point.replace("-", " ")):
            table.add_section()
            table.add_row(f"[bold]{escape(point)}[/]")
        step = record.measurement.step_seconds
        nanoseconds = step / record.measurement.elements * 1e9
        ratio = faster.get(record.axes)
        ceiling = record.measurement.ceiling_seconds
        peak = record.measurement.samples.get("peak")
        table.add_row(
            escape(f"  {record.axes.implementation}"),
            duration(step),
            f"{nanoseconds:.3g}" if nanoseconds < 1000 else f"{nanoseconds:.0f}",
            "" if ratio is None else f"{factor(ratio.ratio)}{_reach(ratio)}",
            "" if ceiling is None else f"{ceiling / step:.0%}",
            "" if peak is None else f"{peak[0] / 2**20:.2f}",
            ", ".join(
                f"[yellow]{found}[/]" for found in map(kind, _warnings(record, faster)) if found not in usual
            ),
        )
    return table
