"""README.md of a record of `studies.delays`: a row for each family and detector."""

import textwrap
from collections.abc import Sequence
from typing import Any

from rmsprop.suite.verdicts.shares import exact_interval
from studies.changepoint_series import DELAYS, UNEVEN

TOLD = (3, 8)
"""Points after a change of which the page says what `rmsprop alerts` tells."""


def page(record: dict[str, Any], before: Sequence[dict[str, Any]] = ()) -> str:
    """README.md of a record, with rows of those `before` it, newest first."""
    environment, head = record["environment"], [f"after {delay}" for delay in DELAYS]
    sources = [
        f"- {name} at {source['commit'][:9]}: {source['series']:,} series of {source['points']:,} points"
        for name, source in record["sources"].items()
    ]
    rows = []
    for one in _with(record["counts"], before):
        found = [
            _share(one["found"][str(delay)], one["judged"][str(delay)]) for delay in DELAYS if one["found"]
        ]
        rows.append(
            (
                one["family"],
                one["detector"],
                f"{one['points']:,}",
                _rate(one["alarms"], one["points"]) if one["alarms"] or not one["changes"] else "",
                f"{one['again']:,}" if not one["changes"] and "again" in one else "",
                f"{one['changes']:,}" if one["changes"] else "",
                *(found or [""] * len(DELAYS)),
            )
        )
    table = [
        ("family", "detector", "points", "alarms in 1,000 points", "of them again", "changes", *head),
        ("---",) * 10,
        *rows,
    ]
    return "\n".join(
        (
            "# How soon change points are found, and how often falsely",
            "",
            textwrap.fill(
                f"Made from the newest record beside it by `python -m studies.delays`, of commit "
                f"{(environment['commit'] or 'unknown')[:9]}{' with local changes' * environment['dirty']}. "
                "Rates and shares have the 95% interval of Clopper and Pearson. In families without a change "
                "all alarms are false. In a real history nobody knows which alarms are, and the changes are "
                "those that nobody could miss who knows what came later. Alarms of one series are not "
                "independent, so that an interval of a rate is too narrow where alarms come together.",
                150,
            ),
            "",
            textwrap.fill(
                "Of noise that stays in one of two modes (sticky), the first visit to the second mode is a "
                "change of level like any other, for all that anybody can know then: one alarm for each "
                "series. 'Of them again' are the alarms that are not the first of their series. Young series "
                f"have 10 to 25 points before the change; `{UNEVEN}` noise has a smaller change among them. "
                "Their changes are clear ones, too, by the definition for real histories. A change is to a "
                "new level where no earlier point lies within a quarter of the change from it. Rows of "
                "2623c63 may be of a record before: that code and the series are the same.",
                150,
            ),
            "",
            *sources,
            *([""] if sources else []),
            *_lines(table),
            *_told(record["counts"]),
            "",
        )
    )


def _told(counts: list[dict[str, Any]]) -> list[str]:
    """What `rmsprop alerts` tells of the changes of real histories; nothing where it was not asked."""
    rows = []
    for one in (one for one in counts if one["alerts"]):
        for delay in map(str, TOLD):
            judged, alerts, turns = (
                one["judged"][delay],
                *(one[how].get(delay, 0) for how in ("alerts", "turns")),
            )
            numbers = (judged, one["found"][delay], alerts, turns, judged - alerts - turns)
            rows.append((one["family"], delay, *map(str, numbers)))
    if not rows:
        return []
    head = ("history", "points after", "changes", "found", "own alert", "turn of another", "not told")
    return [
        "",
        "## What `rmsprop alerts` tells of the changes of real histories",
        "",
        textwrap.fill(
            "It is asked when so many points after the change are measured. A change has an alert of its "
            "own, or it is the commit since which the change of another alert is `back`, `lost` or there "
            "`again`, or it is not told. A change that is found and not told leads to a known level.",
            150,
        ),
        "",
        *_lines([head, ("---",) * len(head), *rows]),
    ]


def _lines(table: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in table]


def _with(counts: list[dict[str, Any]], before: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The counts, each followed by what records before, newest first, have of its family.

    That is what today's detector did in the one before, and what a detector did that was not asked again: its
    code and the seeds are the same.
    """
    then = []
    for record in before[:1]:
        name = f"today at {(record['environment']['commit'] or 'unknown')[:9]}"
        then += [one | {"detector": name} for one in record["counts"] if one["detector"] == "today"]
    asked = {(one["family"], one["detector"]) for one in counts}
    for one in (one for record in before for one in record["counts"] if one["detector"] != "today"):
        if (one["family"], one["detector"]) not in asked:
            asked.add((one["family"], one["detector"]))
            then.append(one)
    rows = []
    for one in counts:
        rows.append(one)
        if one["detector"] == "today":
            rows += [former for former in then if former["family"] == one["family"]]
    return rows


def _share(found: int, judged: int) -> str:
    if not judged:
        return "none so long"
    low, high = exact_interval(found, judged)
    return f"{found / judged:.1%} ({low:.0%} to {high:.0%})"


def _rate(alarms: int, points: int) -> str:
    low, high = exact_interval(alarms, points)
    return f"{1000 * alarms / points:.2f} ({1000 * low:.2f} to {1000 * high:.2f})"
