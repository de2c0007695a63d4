"""`rmsprop alerts`: change points in the history."""

import json
from collections.abc import Sequence
from pathlib import Path

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.style import Style
from rich.table import Table
from rich.text import Text

from rmsprop.suite.cli.left_out import show_left_out
from rmsprop.suite.cli.options import AlertsOptions
from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.history.alerts import Alert, alerts_of, searched
from rmsprop.suite.history.groups import AlertGroup, by_commit
from rmsprop.suite.history.links import commit_url
from rmsprop.suite.history.reading import read_history
from rmsprop.suite.history.series import History
from rmsprop.suite.verdicts.looks import SHORTEST

_GROUPS = 40
"""Commits in the table."""
_LISTED = 8
"""Series of a commit in the table."""


def run(options: AlertsOptions) -> None:
    """Read the history and show its change points."""
    with bars() as shown:
        files = shown.add_task("files read", total=None)
        history = read_history(options.results, Path(), lambda number: shown.advance(files, number))
        shown.update(files, total=shown.tasks[0].completed)
        series = shown.add_task("series searched", total=len(searched(history)))
        found = alerts_of(history, options.recent, lambda number: shown.advance(series, number))
    show_left_out(history.problems)
    for remark in history.remarks:
        typer.echo(remark, err=True)
    url = commit_url(options.results)
    if options.as_json:
        print(alerts_json(history, found, url))
    else:
        show_alerts(history, found, url)
    if any(alert.fails for alert in found):
        raise typer.Exit(1)
    raise typer.Exit(0 if any(series.long_enough for series in history.series) else 3)


def show_alerts(history: History, alerts: tuple[Alert, ...], url: str | None = None) -> None:
    """The change points by the commits that they lie between, the largest first; then what was looked at.

    `url` is what comes before a hash in the address of a commit, where that is known.
    """
    console = Console()
    if alerts:
        _show_groups(console, by_commit(alerts, history), url)
    for runner in sorted({series.runner for series in history.series}):
        followed = [series for series in history.series if series.runner == runner]
        console.print(
            f"{runner}: {len(followed)} series of up to {max(len(one.commits) for one in followed)} commits, "
            f"{sum(one.long_enough for one in followed)} of them long enough"
            + ("" if runner == "gate" else f" ({SHORTEST} or more)"),
            soft_wrap=True,
        )
    if not any(series.long_enough for series in history.series):
        why = ": nothing is left of what was measured" if history.remarks and not history.series else ""
        console.print(f"[yellow]not enough history to say whether anything has changed{why}[/]")
    elif not alerts:
        console.print("no change point")


def _show_groups(console: Console, groups: Sequence[AlertGroup], url: str | None) -> None:
    """What each commit changed: a line of its own, then a table."""
    console.print("[italic]Change points, with 95% intervals[/]")
    for group in groups[:_GROUPS]:
        first = group.alerts[0]
        unmeasured = f", {first.unmeasured} between not measured" if first.unmeasured else ""
        if first.together > 1:
            unmeasured += f", by {first.together} commits together"
        console.print(
            f"\n[bold]{group.head} since {escape(group.first_bad[:9])}, not at "
            f"{escape(group.last_good[:9])}{unmeasured}[/]; "
            + escape(f"{group.runner} on {group.machine}, {first.points_after} measured since"),
            soft_wrap=True,
        )
        if url:
            address = f"{url}{group.first_bad}"
            console.print(Text(address, style=Style(link=address)), soft_wrap=True)
        if group.suspicion:
            console.print(f"[yellow]{escape(group.suspicion)}[/]", soft_wrap=True)
        show_table(console, _alerts_table(group))
        if len(group.alerts) > _LISTED:
            console.print(f"and {len(group.alerts) - _LISTED} smaller ones")
    if len(groups) > _GROUPS:
        console.print(f"and {len(groups) - _GROUPS} commits more; --json has them all")


def _alerts_table(group: AlertGroup) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("case")
    table.add_column("what", no_wrap=True)
    for column in ("change", "p"):
        table.add_column(column, justify="right", no_wrap=True)
    for alert in group.alerts[:_LISTED]:
        better = alert.followed and alert.direction == "faster"
        style = "bold red" if alert.fails else "green" if better else "yellow"
        since = f", {alert.since}" if alert.since else ""
        table.add_row(
            escape(group.case_of(alert)),
            escape(f"{alert.series.quantity}{since}"),
            f"[{style}]{alert.ratio - 1:+.1%}[/] \\[{alert.low - 1:+.1%}, {alert.high - 1:+.1%}]",
            f"{alert.p_value:.1g}",
        )
    return table


def alerts_json(history: History, alerts: tuple[Alert, ...], url: str | None = None) -> str:
    """The alerts, what was looked at and what could not be read, for programs."""
    identity = ("machine", "environment", "case", "quantity", "unit", "version", "runner")
    facts = ("last_good", "first_bad", "ratio", "low", "high", "p_value", "direction")
    counts = ("points_after", "unmeasured", "recovered", "again", "faded", "ended", "together", "fails")
    answer = {
        "alerts": [
            {name: getattr(alert.series, name) for name in identity}
            | {name: getattr(alert, name) for name in facts + counts}
            | {"url": f"{url}{alert.first_bad}" if url else None}
            for alert in alerts
        ],
        "series": len(history.series),
        "long_enough": sum(series.long_enough for series in history.series),
        "left_out": [{"path": str(p.path), "reason": p.reason} for p in history.problems],
        "remarks": history.remarks,
    }
    return json.dumps(answer, indent=1)
