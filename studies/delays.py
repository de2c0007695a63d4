"""How soon change points are found and how often falsely, by someone who looks after each commit.

`python -m studies.delays --fetch FOLDER` clones three public histories of asv's results into FOLDER, scores
the detector of today and that of commit 2623c63 on them and on synthetic series, and writes the counts.
"""

import argparse
import json
import math
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.progress import track

from rmsprop.errors import UserError
from rmsprop.suite.history.alerts import alerts_of
from rmsprop.suite.history.reading import read_history
from rmsprop.suite.history.series import History, Series
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.files import check_writable, write_atomically, write_new
from rmsprop.suite.verdicts.changepoints import find_change_points
from studies.changepoint_series import (
    DELAYS,
    MODES,
    NULLS,
    UNEVEN,
    Floats,
    clear_changes,
    is_new,
    noise,
    staircase,
    young,
)
from studies.delays_page import page
from studies.former_changepoints import find_steps

Alarm = tuple[int, bool, int]
"""First point after the change, whether it is slower, and the points of the series when it was raised."""
AlarmDetector = Callable[[Floats], list[Alarm]]

HISTORIES = (
    "https://github.com/sunpy/sunpy-benchmarks",
    "https://github.com/UXARRAY/uxarray-asv",
    "https://github.com/tskit-dev/msprime-asv",
)
SHORTER = (200, 40)
"""Points of the shorter series without a change: those of 40 are all young."""
STAIRCASES = ((0.0005, 0.10), (0.005, 0.05), (0.008, 0.05))
"""Standard deviation, and the rise of the last level."""
KINDS = ("", ", to a new level", ", slower")
"""The changes of a history that are counted: all of them, and two parts of them."""
NEAR = 3
"""Points by which an alarm of a real history may miss the change."""
TUNE, REPORT = 11, 12
"""First words of the seeds: thresholds were chosen on the first, the second is reported."""


@dataclass
class Count:
    """What a detector did in one family or history.

    Attributes
    ----------
    family, detector
        The family of noise or changes, or the history; a name in `DETECTORS`.
    points, alarms, slower
        Points looked at, all alarms, and those of a higher level; for a null all are false.
    changes : int
        Clear changes, or true ones.
    found : dict
        Points after the change -> changes that had an alarm by then.
    judged : dict
        Points after the change -> changes that have so many points after them.
    again : int
        Alarms that are not the first one of their series. Noise with two modes looks like a change of level
        when the second mode is met first; what alarms later is wrong in any case.
    alerts, turns : dict
        Of real histories: points after the change -> changes of which `rmsprop alerts` tells by then, by an
        alert of their own, or by one that is `back`, `lost` or `again` since then. The rest it does not tell.
    """

    family: str
    detector: str
    points: int
    alarms: int
    slower: int
    changes: int
    found: dict[int, int]
    judged: dict[int, int]
    again: int = 0
    alerts: dict[int, int] = field(default_factory=dict)
    turns: dict[int, int] = field(default_factory=dict)


def today(values: Floats) -> list[Alarm]:
    """Alarms as they come; changes to a known level raise none."""
    return [(one.index, one.slower, one.seen) for one in find_change_points(values) if not one.known]


def former(values: Floats) -> list[Alarm]:
    """The detector of 2623c63, asked after each point; what it says again within 5 points counts once."""
    raised: list[Alarm] = []
    for seen in range(11, len(values) + 1):
        for step in find_steps(values[max(0, seen - 400) : seen]):
            place, up = step.index + max(0, seen - 400), step.ratio > 1
            if not any(up == was_up and abs(place - at) <= 5 for at, was_up, _ in raised):
                raised.append((place, up, seen))
    return raised


def former_once(values: Floats) -> list[Alarm]:
    """The same, asked once, at the end."""
    return [(step.index, step.ratio > 1, len(values)) for step in find_steps(values)]


DETECTORS: dict[str, AlarmDetector] = {"today": today, "2623c63": former, "2623c63, once": former_once}


def null(detector: str, family: str, series: int, points: int, seeds: int, name: str = "") -> Count:
    """False alarms: noise of 4% without a change, `series` times."""
    count = Count(name or family, detector, series * points, 0, 0, 0, {}, {})
    for number in range(series):
        values = np.exp(0.04 * noise(family, points, np.random.default_rng([seeds, number])))
        alarms = DETECTORS[detector](values)
        count.alarms += len(alarms)
        count.slower += sum(up for _, up, _ in alarms)
        count.again += max(len(alarms) - 1, 0)
    return count


def stepped(
    detector: str, draw: Callable[..., tuple[Floats, int]], name: str, series: int, seeds: int
) -> Count:
    """Series that end in a change: how many are found so many points after it, within 2 points."""
    found = dict.fromkeys(DELAYS, 0)
    points = 0
    for number in range(series):
        values, at = draw(np.random.default_rng([seeds, number]))
        points += len(values)
        for delay in DELAYS:
            alarms = DETECTORS[detector](values[: at + delay])
            found[delay] += any(up and abs(place - at) <= 2 for place, up, _ in alarms)
    return Count(name, detector, points, 0, 0, series, found, dict.fromkeys(DELAYS, series))


def single_step(rng: np.random.Generator) -> tuple[Floats, int]:
    """100 points of white noise of 2%, then 12 that are 5% higher."""
    logs = 0.02 * rng.standard_normal(112)
    logs[100:] += math.log(1.05)
    return np.exp(logs), 100


def public(detector: str, name: str, histories: Sequence[Floats]) -> list[Count]:
    """Clear changes of real histories as they stood after each point; changes to known levels are found.

    A count for each of `KINDS`.
    """
    points = sum(map(len, histories))
    counts = [Count(f"{name}{kind}", detector, points, 0, 0, 0, _none(), _none()) for kind in KINDS]
    for values in histories:
        if detector == "today":
            every = [(one.index, one.slower, one.seen) for one in find_change_points(values)]
            raised = today(values)
        else:
            every = raised = DETECTORS[detector](values)
        counts[0].alarms += len(raised)
        counts[0].slower += sum(up for _, up, _ in raised)
        for at, up in clear_changes(values):
            is_of_kind = (True, is_new(values, at), up)
            mine = [count for count, is_mine in zip(counts, is_of_kind, strict=True) if is_mine]
            for count in mine:
                count.changes += 1
            seen = min((s for place, u, s in every if u == up and abs(place - at) <= NEAR), default=math.inf)
            for delay in (delay for delay in DELAYS if at + delay <= len(values)):
                told = told_by(values[: at + delay], at, up) if detector == "today" else None
                for count in mine:
                    count.judged[delay] += 1
                    count.found[delay] += seen <= at + delay
                    if told:
                        kind = getattr(count, told)
                        kind[delay] = kind.get(delay, 0) + 1
    return counts


def told_by(values: Floats, at: int, up: bool) -> Literal["alerts", "turns"] | None:
    """How `rmsprop alerts` tells of a change to somebody who has measured these points; None if it does not.

    An alert of its own comes before one that was undone by it, or that stands again since.
    """
    commits = tuple(str(place) for place in range(len(values)))
    near = commits[max(0, at - NEAR) : at + NEAR + 1]
    series = Series("machine", "environment", "case", "", "seconds", "asv", commits, (), values)
    told = [(one, (one.direction == "slower") == up) for one in alerts_of(History((series,), ()))]
    if any(one.first_bad in near and same for one, same in told):
        return "alerts"
    if any((one.again if same else one.recovered) in near for one, same in told):
        return "turns"
    return None


def _none() -> dict[int, int]:
    return dict.fromkeys(DELAYS, 0)


def together(counts: Sequence[Count], family: str) -> Count:
    """The sum of the counts of one detector."""
    total = Count(family, counts[0].detector, 0, 0, 0, 0, _none(), _none())
    for one in counts:
        for name in ("points", "alarms", "slower", "changes"):
            setattr(total, name, getattr(total, name) + getattr(one, name))
        for name in ("found", "judged", "alerts", "turns"):
            sums, more = getattr(total, name), getattr(one, name)
            sums.update({delay: sums.get(delay, 0) + number for delay, number in more.items()})
    return total


def fetch(folder: Path) -> dict[str, tuple[str, list[Floats]]]:
    """Name -> the commit of the clone, and its series of 11 points or more; clones what is not there."""
    read = {}
    for address in HISTORIES:
        name = address.rpartition("/")[2]
        clone = folder / name
        if not clone.exists():
            try:
                subprocess.run(["git", "clone", "--quiet", "--depth=1", address, str(clone)], check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                raise UserError(f"cannot clone {address}: {error}; clone it to {clone} yourself") from error
        head = subprocess.run(
            ["git", "-C", str(clone), "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        history = read_history(clone / "results", None)
        read[name] = (head.stdout.strip(), [one.values for one in history.series if one.long_enough])
    return read


def study(
    series: int, points: int, folder: Path | None, seeds: int = REPORT, only: Sequence[str] = ()
) -> dict[str, Any]:
    """The whole record. The former detector, which is slow when asked after each point, gets a quarter."""
    counts = []
    detectors = list(only or DETECTORS)
    for family in track((*NULLS, *MODES), "without a change"):
        for name in detectors:
            few = max(series // 4, 1) if name == "2623c63" else series
            counts.append(null(name, family, few, points, seeds))
    once = [name for name in detectors if name != "2623c63"]
    for size in SHORTER:
        for family in track((*NULLS, *MODES), f"series of {size} points without a change"):
            for name in once:
                few = max(series * points // size, 1)
                counts.append(null(name, family, few, size, seeds, f"{family}, {size} points"))
    for sd, rise in track(STAIRCASES, "staircases"):
        for name in once:
            counts.append(
                stepped(
                    name,
                    lambda rng, sd=sd, rise=rise: staircase(max(DELAYS), sd, rise, rng),
                    f"staircase +{rise:.0%}, sd {sd:.2%}",
                    5 * series,
                    seeds,
                )
            )
    for family in track((*NULLS, *MODES, UNEVEN), "young series"):
        for name in once:
            counts.append(
                stepped(
                    name,
                    lambda rng, family=family: young(family, max(DELAYS), rng),
                    f"young, {family}",
                    5 * series,
                    seeds,
                )
            )
    counts += [stepped(name, single_step, "step +5%, sd 2%", 5 * series, seeds) for name in once]
    sources, real = (
        _real(folder, [name for name in detectors if name != "2623c63, once"]) if folder else ({}, [])
    )
    return {
        "kind": "delays-study",
        "schema": 3,
        "environment": asdict(capture_environment()),
        "seeds": seeds,
        "sources": sources,
        "counts": [asdict(count) for count in counts + real],
    }


def _real(folder: Path, detectors: Sequence[str]) -> tuple[dict[str, Any], list[Count]]:
    """The real histories: where each is from, and the counts of each and of all together."""
    sources: dict[str, Any] = {}
    counts: list[Count] = []
    for source, (commit, histories) in fetch(folder).items():
        sources[source] = {"commit": commit, "series": len(histories), "points": sum(map(len, histories))}
        for name in track(detectors, source):
            counts += public(name, source, histories)
    for name in detectors:
        mine = [one for one in counts if one.detector == name]
        counts += [
            together(mine[number :: len(KINDS)], f"all real histories{kind}")
            for number, kind in enumerate(KINDS)
        ]
    return sources, counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Score both detectors, write the record, print the summary."""
    parser = argparse.ArgumentParser(prog="python -m studies.delays", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("studies/results/delays-study"), help="folder")
    parser.add_argument(
        "--series", type=int, default=40, help="for each family without a change; 5 x with one"
    )
    parser.add_argument("--points", type=int, default=1000, help="of each series without a change")
    parser.add_argument("--fetch", type=Path, help="where the public histories are, or are cloned to")
    parser.add_argument("--tune", action="store_true", help="the seeds that thresholds are chosen on")
    parser.add_argument(
        "--only", choices=tuple(DETECTORS), action="append", default=[], help="score these; can be repeated"
    )
    parser.add_argument("--page", action="store_true", help="only write README.md, from the newest record")
    options = parser.parse_args(arguments)
    if options.series < 1 or options.points < 20:
        raise UserError("expected --series of 1 or more and --points of 20 or more")
    check_writable(options.output)
    if not options.page:
        seeds = TUNE if options.tune else REPORT
        record = study(options.series, options.points, options.fetch, seeds, options.only)
        environment = record["environment"]
        stamp = environment["started"].replace("-", "").replace(":", "").removesuffix("+0000") + "Z"
        print("record:", write_new(options.output / environment["machine"], stamp, json.dumps(record) + "\n"))
    paths = sorted(options.output.glob("*/*.json"), key=lambda path: path.name)
    newest, *before = [json.loads(path.read_text("utf-8")) for path in paths[::-1]] or [{"schema": 0}]
    if newest["schema"] != 3:  # of schema 2, a record before has no `alerts`, and of schema 1 no `again`
        raise UserError(f"no record of schema 3 in {options.output}; make one without --page")
    write_atomically(options.output / "README.md", page(newest, before))
    print("table:", options.output / "README.md")


if __name__ == "__main__":
    main()
