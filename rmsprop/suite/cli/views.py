"""What the command line shows: progress on stderr, tables on stdout."""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from rmsprop.book.claims import PRIMARY, PROGRAMS
from rmsprop.suite.gate.formats import headline, interval, note_on, percent, side
from rmsprop.suite.measure import reproduction
from rmsprop.suite.records.bench import Axes, BenchRecord
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.records.store import short_commit
from rmsprop.suite.verdicts.changepoints import SHORTEST
from rmsprop.suite.verdicts.gate import Decision
from rmsprop.suite.verdicts.gate import judge as judge_gate
from rmsprop.suite.verdicts.reproduction import Verdict, agreement, judge, judge_order
from rmsprop.suite.verdicts.speed import speed_ups

if TYPE_CHECKING:  # pandas, which only this command's caller needs
    from rmsprop.suite.history.series import Alert, History

_NAMES = {
    "rmsprop_2d": "2-D RMSProp",
    "adagrad_2d": "2-D AdaGrad",
    "scratch": "from scratch",
    "concise": "torch.optim.RMSprop",
}
_STYLES = {"reproduced": "green", "not reproduced": "bold red", "undecided": "yellow"}


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


@contextmanager
def reproduction_progress(seeds: int, runs: int) -> Iterator[reproduction.Progress]:
    """Bars for the three stages of a reproduction, with the time that remains."""
    with Progress(*_columns(), console=Console(stderr=True)) as bars:
        tasks = {
            "runs": bars.add_task("sequential runs, in pairs", total=runs),
            "scratch": bars.add_task("seeds from scratch", total=seeds),
            "concise": bars.add_task("seeds of torch.optim.RMSprop", total=seeds),
        }
        yield lambda stage, done: bars.advance(tasks[stage], done)


def show_reproduction(record: ReproductionRecord, path: Path) -> None:
    """The claims of the primary edition, then where every other edition's values stand."""
    console = Console()
    verdicts = judge(record)
    console.print(_primary_table(record, verdicts))
    console.print(_editions_table(verdicts))
    environment = record.environment
    state = " with local changes" if environment.dirty else ""
    console.print(
        escape(
            f"data: {record.data.source} ({record.data.detail}); {record.device} {record.dtype}; "
            f"torch {environment.versions['torch']}, {environment.threads} threads; {environment.processor}; "
            f"commit {short_commit(environment)}{state}"
        )
    )
    for program in PROGRAMS:
        p_value = agreement(record, program)
        if p_value is not None:
            console.print(
                f"{_NAMES[program]}: sequential runs against the seeds at once, Kolmogorov-Smirnov "
                f"p = {p_value:.3f}" + (" [bold red](they disagree)[/]" if p_value < 0.001 else "")
            )
    if record.interrupted:
        console.print("[yellow]interrupted: what was finished is kept and judged[/]")
    console.print(f"record: {escape(str(path))}", soft_wrap=True)


def reproduction_json(record: ReproductionRecord, path: Path) -> str:
    """The verdicts of all editions, for programs."""
    answer = {
        "record": str(path),
        "data": record.data.source,
        "interrupted": record.interrupted,
        "verdicts": [asdict(verdict) | {"decides": verdict.decides} for verdict in judge(record)],
        "order": asdict(judge_order(record)),
        "agreement": {program: agreement(record, program) for program in PROGRAMS},
    }
    return json.dumps(answer, indent=1)


@dataclass
class BenchProgress:
    """A bar over cases; keeps the records, also when it is interrupted."""

    bars: Progress
    task: TaskID
    records: list[BenchRecord] = field(default_factory=list)
    interrupted: bool = False

    def update(self, case: Any, record: BenchRecord | None) -> None:
        """Show the case at work, or count the one that ended."""
        if record is None:
            self.bars.update(self.task, description=escape(case.id))
        else:
            self.records.append(record)
            self.bars.advance(self.task)


@contextmanager
def bench_progress(cases: int) -> Iterator[BenchProgress]:
    """A bar over the cases, with the one at work and the time that remains."""
    with Progress(*_columns(), console=Console(stderr=True)) as bars:
        yield BenchProgress(bars, bars.add_task("cases", total=cases))


@contextmanager
def stage_progress(stages: Mapping[str, int]) -> Iterator[Callable[[str, int, str], None]]:
    """A bar for each stage, from the start, with what is at work; stage -> how much there is to do."""
    with Progress(*_columns(), console=Console(stderr=True)) as bars:
        tasks = {name: bars.add_task(name, total=total, start=False) for name, total in stages.items()}

        def advance(stage: str, done: int, doing: str) -> None:
            bars.start_task(tasks[stage])
            words = f"{stage}: {doing}" if doing else stage
            bars.update(tasks[stage], description=escape(words), advance=done)

        yield advance


def show_bench(records: list[BenchRecord], results: Path) -> None:
    """Time per step of each case, against builtin-loop and against the memory's limit."""
    console = Console()
    measured = [record for record in records if record.measurement]
    if measured:
        console.print(_bench_table(measured))
    said: dict[str, list[str]] = {}
    for record in records:
        remarks = [f"note: {note}" for note in record.notes]
        if record.reason:
            remarks.append(f"{record.status}: {record.reason}")
        for remark in remarks:
            said.setdefault(remark, []).append(_name(record.axes))
    for remark, names in said.items():
        shown = ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")
        console.print(f"{escape(remark)} ({escape(shown)})", soft_wrap=True)
    console.print(f"records: {escape(str(results / 'bench'))}", soft_wrap=True)


def _bench_table(measured: list[BenchRecord]) -> Table:
    table = Table(
        title="One step: median, speed-up over builtin-loop, share of the ceiling, extra memory",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("case", no_wrap=True)
    for column in ("step", "ns/elem", "x loop", "ceil", "MiB"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("not to be trusted")
    faster = speed_ups(measured)
    point = None
    for record in measured:
        assert record.measurement is not None
        if point != (point := _point(record.axes)):
            table.add_section()
            table.add_row(f"[bold]{escape(point)}[/]")
        step = statistics.median(record.measurement.samples["step"])
        ratio = faster.get(record.axes)
        ceiling = record.measurement.ceiling_seconds
        peak = record.measurement.samples.get("peak")
        table.add_row(
            escape(f"  {record.axes.implementation}"),
            _seconds(step),
            f"{step / record.measurement.elements * 1e9:.3g}",
            "" if ratio is None else f"{ratio.ratio:.2f}",
            "" if ceiling is None else f"{ceiling / step:.0%}",
            "" if peak is None else f"{peak[0] / 2**20:.2f}",
            ", ".join(f"[yellow]{warning.partition(':')[0]}[/]" for warning in record.warnings),
        )
    return table


def _point(axes: Axes) -> str:
    """All axes but the implementation; the layout says the size, except for a single tensor."""
    size = (axes.size,) if axes.layout == "single" else ()
    threads = "all" if axes.threads == 0 else f"{axes.threads}t"
    return " ".join((axes.device, axes.dtype, axes.layout, *size, threads))


def _name(axes: Axes) -> str:
    return f"{axes.implementation} {_point(axes)}"


def _seconds(seconds: float) -> str:
    """Such as 12.3 us."""
    for unit, scale in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def show_alerts(history: "History", alerts: "tuple[Alert, ...]") -> None:
    """The steps by the commits that they lie between, with size and certainty; then what was looked at."""
    console = Console()
    if alerts:
        console.print(_alerts_table(history, alerts))
    for runner in sorted({series.runner for series in history.series}):
        followed = [series for series in history.series if series.runner == runner]
        console.print(
            f"{runner}: {len(followed)} series of up to {max(len(one.commits) for one in followed)} commits, "
            f"{sum(one.long_enough for one in followed)} of them long enough"
            + ("" if runner == "gate" else f" ({SHORTEST} or more)"),
            soft_wrap=True,
        )
    if not any(series.long_enough for series in history.series):
        console.print("[yellow]not enough history to say whether anything has changed[/]")
    elif not alerts:
        console.print("no step")


def _alerts_table(history: "History", alerts: "tuple[Alert, ...]") -> Table:
    table = Table(
        title="Steps, with 95% intervals", box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True
    )
    table.add_column("case")
    table.add_column("what", no_wrap=True)
    for column in ("change", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    groups: dict[tuple[str, ...], list[Alert]] = {}
    for alert in alerts:
        one = alert.series
        key = (one.runner, one.machine, alert.last_good, alert.first_bad, alert.direction)
        groups.setdefault(key, []).append(alert)
    for (runner, machine, last_good, first_bad, direction), group in groups.items():
        unmeasured = f", {group[0].unmeasured} between not measured" if group[0].unmeasured else ""
        table.add_section()
        table.add_row(
            f"[bold]{direction} since {first_bad[:9]}, not at {last_good[:9]}{unmeasured}[/]; "
            + escape(f"{runner} on {machine}, {group[0].points_after} measured since")
        )
        peers = [s for s in history.series if (s.runner, s.machine) == (runner, machine) and s.long_enough]
        if len(group) > max(3, len(peers) / 2):
            table.add_row(
                f"[yellow]{len(group)} of {len(peers)} series: rather the machine than the code?[/]"
            )
        for alert in group:
            style = "bold red" if direction == "slower" else "green"
            table.add_row(
                f"  {escape(alert.series.case)}",
                alert.series.quantity,
                f"[{style}]{alert.ratio - 1:+.1%}[/] \\[{alert.low - 1:+.1%}, {alert.high - 1:+.1%}]",
                f"{alert.p_value:.1g}",
            )
    return table


def alerts_json(history: "History", alerts: "tuple[Alert, ...]") -> str:
    """The alerts, what was looked at and what could not be read, for programs."""
    identity = ("machine", "environment", "case", "quantity", "unit", "runner")
    facts = ("last_good", "first_bad", "ratio", "low", "high", "p_value", "direction")
    counts = ("points_after", "unmeasured")
    answer = {
        "alerts": [
            {name: getattr(alert.series, name) for name in identity}
            | {name: getattr(alert, name) for name in facts + counts}
            for alert in alerts
        ],
        "series": len(history.series),
        "long_enough": sum(series.long_enough for series in history.series),
        "left_out": [{"path": str(p.path), "reason": p.reason} for p in history.problems],
    }
    return json.dumps(answer, indent=1)


def _primary_table(record: ReproductionRecord, verdicts: tuple[Verdict, ...]) -> Table:
    table = Table(title="Section 7.6, RMSProp: the book's printed values")
    for column in ("claim", "book", "here", "verdict"):
        table.add_column(column, justify="right" if column in ("book", "here") else "left")
    for verdict in verdicts:
        claim = verdict.claim
        if claim.edition != PRIMARY:
            continue
        here = "" if verdict.here is None else f"{verdict.here:.6f}"
        style = _STYLES.get(verdict.status, "default")
        table.add_row(
            f"{_NAMES[claim.program]}, {claim.quantity.replace('_', ' ')}",
            claim.printed,
            here,
            f"[{style}]{verdict.status}[/]: {escape(verdict.words)}",
        )
    order = judge_order(record)
    interval = "" if order.interval is None else f" [{order.interval[0]:.3f}, {order.interval[1]:.3f}]"
    table.add_row(
        "seconds, scratch / concise",
        f"{order.book:.3f}",
        "" if order.here is None else f"{order.here:.3f}",
        f"compared: {escape(order.words + interval)}",
    )
    return table


def _editions_table(verdicts: tuple[Verdict, ...]) -> Table:
    table = Table(
        title="Every edition: its printed loss, the percentile among the seeds, seconds here / its seconds"
    )
    table.add_column("edition", no_wrap=True)
    for program in PROGRAMS:
        table.add_column(program, justify="right", no_wrap=True)
        table.add_column("%ile", justify="right", no_wrap=True)
        table.add_column("sec", justify="right", no_wrap=True)
    trained = [verdict for verdict in verdicts if verdict.claim.program in PROGRAMS]
    for label in dict.fromkeys(verdict.claim.label for verdict in trained):
        row = {(v.claim.program, v.claim.quantity): v for v in trained if v.claim.label == label}
        cells = []
        for program in PROGRAMS:
            loss, seconds = row[program, "loss"], row[program, "sec_per_epoch"]
            style = _STYLES.get(loss.status, "default")
            percentile = "-" if loss.percentile is None else f"[{style}]{loss.percentile:.1f}[/]"
            ratio = "-" if seconds.here is None else f"{seconds.here / seconds.claim.value:.2f}"
            cells += [loss.claim.printed, percentile, ratio]
        table.add_row(label, *cells)
    return table


@dataclass
class GateProgress:
    """Lines and a bar on stderr while the gate runs."""

    bars: Progress
    task: TaskID | None = None

    def say(self, text: str) -> None:
        """One line."""
        self.bars.console.print(escape(text), soft_wrap=True, highlight=False)

    def plan(self, record: GateRecord, promises: Mapping[str, float], measured: bool) -> None:
        """What the budget buys."""
        plan = record.plan
        compared = sum(case.status == "compared" for case in record.cases)
        self.say(f"base: {side(record.base)}")
        self.say(f"head: {side(record.head)}")
        self.say(
            f"{compared} cases, {plan.pairs} launches at a time: {plan.screen} to screen, {plan.confirm} to "
            f"confirm, {plan.turns} turns a side of {plan.turn_seconds * 1e3:.0f} ms or a step"
        )
        left_out = [case.id for case in record.cases if case.status == "left out"]
        if left_out:
            self.say(f"left out by the budget: {', '.join(left_out)}")
        seen = ", ".join(f"{family} {least:.1%}" for family, least in promises.items())
        source = "by this machine's last runs" if measured else "assumed; this run will measure it"
        self.say(f"should see a slowdown of ({source}): {seen}")

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
    with Progress(*_columns(), console=Console(stderr=True), refresh_per_second=1) as bars:
        yield GateProgress(bars)


def show_gate(record: GateRecord, path: Path) -> None:
    """The gate's answer, every case below it, and what it could not see."""
    console = Console()
    decision = judge_gate(record)
    if record.launches:
        console.print(_gate_table(decision))
    said: dict[str, list[str]] = {}
    for view in decision.cases:
        if view.case.status != "compared" or not (view.gates or view.finding):
            said.setdefault(note_on(view, record), []).append(view.case.id)
    for note, names in said.items():
        shown = names if note.startswith("cannot") else names[:2]
        more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
        console.print(escape(f"{note}: {', '.join(shown)}{more}"), soft_wrap=True, highlight=False)
    colour = {"pass": "green", "regression": "bold red"}.get(decision.outcome, "yellow")
    console.print(f"[{colour}]{escape(headline(record, decision))}[/]", soft_wrap=True, highlight=False)
    for reason in decision.reasons if decision.outcome != "regression" else ():
        console.print(escape(f"  {reason}"), soft_wrap=True, highlight=False)
    console.print(f"base: {escape(side(record.base))}", soft_wrap=True, highlight=False)
    console.print(f"head: {escape(side(record.head))}", soft_wrap=True, highlight=False)
    console.print(f"record: {escape(str(path))}", soft_wrap=True)


def _gate_table(decision: Decision) -> Table:
    table = Table(
        title="Head against base: change, 95% interval, and the slowdown that the run could see",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_column("case", no_wrap=True)
    for column in ("change", "interval", "sees"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    styles = {"slower": "bold red", "faster": "green"}
    for view in decision.cases:
        if view.launches:
            verdict = view.finding.verdict if view.finding else ""
            shown = verdict.removeprefix("not confirmed") or ("" if view.gates else "blind")
            table.add_row(
                escape(view.case.id),
                percent(view.change),
                interval(view.low, view.high),
                "" if view.detectable is None else f"{view.detectable:.1%}",
                shown,
                style=styles.get(verdict),
            )
    return table
