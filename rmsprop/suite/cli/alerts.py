"""`rmsprop alerts`: change points in the history."""

import json
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rmsprop.suite.cli.left_out import show_left_out
from rmsprop.suite.cli.options import Alerts
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.history.series import Alert, History, alerts_of, read_history
from rmsprop.suite.verdicts.changepoints import SHORTEST


def run(options: Alerts) -> None:
    """Read the history and show its change points."""
    history = read_history(options.results, Path())
    show_left_out(history.problems)
    found = alerts_of(history, options.recent)
    if options.as_json:
        print(alerts_json(history, found))
    else:
        show_alerts(history, found)
    if any(alert.direction == "slower" for alert in found):
        raise typer.Exit(1)
    raise typer.Exit(0 if any(series.long_enough for series in history.series) else 3)


def show_alerts(history: History, alerts: tuple[Alert, ...]) -> None:
    """The steps by the commits that they lie between, with size and certainty; then what was looked at."""
    console = Console()
    if alerts:
        show_table(console, _alerts_table(history, alerts))
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


def _alerts_table(history: History, alerts: tuple[Alert, ...]) -> Table:
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


def alerts_json(history: History, alerts: tuple[Alert, ...]) -> str:
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
