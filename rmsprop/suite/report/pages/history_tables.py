"""The tables of change points: by commit, and one by one, as `rmsprop alerts` groups and orders them."""

from rmsprop.suite.history.alerts import Alert
from rmsprop.suite.history.groups import AlertGroup, by_commit
from rmsprop.suite.report.figures.history import commit_anchor
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import Cell, Table, capped


def groups_table(inputs: Inputs, most: int) -> Table:
    """What each commit changed. A commit leads to where it can be read, or else to its row of the page."""
    rows: list[tuple[str | Cell, ...]] = [
        (
            Cell(group.first_bad[:9], href=_address(inputs, group.first_bad)),
            Cell(group.last_good[:9], href=_address(inputs, group.last_good)),
            group.machine,
            group.runner,
            f"{sum(alert.stands for alert in group.alerts):,} of {len(group.alerts):,}",
            f"{change(group.alerts[0])}: {group.case_of(group.alerts[0])}",
            _remarks(group),
        )
        for group in by_commit(inputs.alerts, inputs.history)
    ]
    columns = ("First after", "Last before", "Machine", "Measured by", "Still so", "Such as", "Remarks")
    return capped("Commits that changed something, the largest change first", columns, rows, most)


def alerts_table(inputs: Inputs, most: int, path: str) -> Table:
    """The change points by commit; `path` is the page that has the commits, empty on that page."""
    rows: list[tuple[str | Cell, ...]] = [
        (
            group.case_of(alert),
            alert.series.quantity,
            alert.series.machine,
            Cell(change(alert), alert.ratio, status=_colour(alert)),
            Cell(alert.since or "still so", status="slower" if alert.fails and not alert.stands else None),
            f"{alert.low:.2f} to {alert.high:.2f}",
            Cell(alert.last_good[:9], href=f"{path}#{commit_anchor(alert.last_good)}"),
            Cell(alert.first_bad[:9], href=f"{path}#{commit_anchor(alert.first_bad)}"),
            str(alert.points_after),
            alert.series.runner,
        )
        for group in by_commit(inputs.alerts, inputs.history)
        for alert in group.alerts
    ]
    return capped(
        "Change points by commit, the largest first",
        ("Case", "Quantity", "Machine", "Change", "Since then", "After / before, 95%", "Last before",
         "First after", "Points after", "Measured by"),
        rows,
        most,
    )  # fmt: skip


def change(alert: Alert) -> str:
    """Such as `33% slower`, `5% less` of what is no time, or `27% slower, by 24 commits together`."""
    words = {} if alert.timed else {"slower": "more", "faster": "less"}
    together = f", by {alert.together} commits together" if alert.together > 1 else ""
    return f"{abs(alert.ratio - 1):.0%} {words.get(alert.direction, alert.direction)}{together}"


def _colour(alert: Alert) -> str | None:
    return alert.direction if alert.stands and alert.followed else None


def _address(inputs: Inputs, commit: str) -> str:
    return f"{inputs.commit_url}{commit}" if inputs.commit_url else f"#{commit_anchor(commit)}"


def _remarks(group: AlertGroup) -> str:
    said = []
    if unmeasured := group.alerts[0].unmeasured:
        said.append(f"{unmeasured:,} commits between not measured")
    if group.suspicion:
        said.append(group.suspicion)
    return "; ".join(said)
