"""How soon change points are found and how often falsely, by someone who looks after each commit.

`python -m studies.delays --fetch FOLDER` clones three public histories of asv's results into FOLDER, scores
the detector of today and that of commit 2623c63 on them and on synthetic series, and writes the counts.
"""

import argparse
import json
import math
import subprocess
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track
from scipy import stats

from rmsprop.errors import UserError
from rmsprop.suite.history.series import read_history
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.files import check_writable, write_atomically, write_new
from rmsprop.suite.verdicts.changepoints import find_change_points
from studies.changepoint_series import MODES, NULLS, Floats, noise, staircase
from studies.former_changepoints import find_steps

Alarm = tuple[int, bool, int]
"""First point after the change, whether it is slower, and the points of the series when it was raised."""
Detector = Callable[[Floats], list[Alarm]]

HISTORIES = (
    "https://github.com/sunpy/sunpy-benchmarks",
    "https://github.com/UXARRAY/uxarray-asv",
    "https://github.com/tskit-dev/msprime-asv",
)
DELAYS = (3, 6, 8, 12)
STAIRCASES = ((0.0005, 0.10), (0.005, 0.05), (0.008, 0.05))
"""Standard deviation, and the rise of the last level."""
TUNE, REPORT = 11, 12
"""First words of the seeds: thresholds were chosen on the first, the second is reported."""


@dataclass(frozen=True)
class Count:
    """What a detector did in one family or history.

    Attributes
    ----------
    points, alarms, slower
        Points looked at, all alarms, and those of a higher level; for a null all are false.
    changes : int
        Clear changes, or true ones.
    found : dict
        Points after the change -> changes that had an alarm by then.
    judged : dict
        Points after the change -> changes that have so many points after them.
    """

    family: str
    detector: str
    points: int
    alarms: int
    slower: int
    changes: int
    found: dict[int, int]
    judged: dict[int, int]


def today(values: Floats) -> list[Alarm]:
    """Alarms as they come; changes to a known level raise none."""
    return [(one.index, one.ratio > 1, one.seen) for one in find_change_points(values) if not one.known]


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


DETECTORS: dict[str, Detector] = {"today": today, "2623c63": former, "2623c63, once": former_once}


def null(detector: str, family: str, series: int, points: int, seeds: int) -> Count:
    """False alarms: noise of 4% without a change, `series` times."""
    alarms = [
        alarm
        for number in range(series)
        for alarm in DETECTORS[detector](
            np.exp(0.04 * noise(family, points, np.random.default_rng([seeds, number])))
        )
    ]
    return Count(family, detector, series * points, len(alarms), sum(up for _, up, _ in alarms), 0, {}, {})


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


def clear_changes(values: Floats) -> Iterator[tuple[int, bool]]:
    """Changes of 5% or more that nobody could miss who knows what came later: where, and whether slower.

    The 8 points before lie apart from the 8 after (from what there is, 3 or more, at the end of the series)
    by more than half of the change, and the change is above six standard deviations of either side.
    """
    logs = np.log(values)
    last = -8
    for at in range(8, len(logs) - 2):
        before, after = logs[at - 8 : at], logs[at : at + 8]
        gap = float(np.median(after) - np.median(before))
        if abs(gap) < math.log(1.05) or at - last < 8:
            continue
        apart = after.min() - before.max() if gap > 0 else before.min() - after.max()
        if apart > abs(gap) / 2 and abs(gap) > 6 * max(before.std(ddof=1), after.std(ddof=1)):
            last = at
            yield at, gap > 0


def public(detector: str, name: str, histories: Sequence[Floats]) -> Count:
    """Clear changes of real histories as they stood after each point; changes to known levels are found."""
    found, judged = dict.fromkeys(DELAYS, 0), dict.fromkeys(DELAYS, 0)
    alarms = slower = changes = 0
    for values in histories:
        if detector == "today":
            every = [(one.index, one.ratio > 1, one.seen) for one in find_change_points(values)]
            raised = today(values)
        else:
            every = raised = DETECTORS[detector](values)
        alarms += len(raised)
        slower += sum(up for _, up, _ in raised)
        for at, up in clear_changes(values):
            changes += 1
            for delay in DELAYS:
                if at + delay <= len(values):
                    judged[delay] += 1
                    found[delay] += any(
                        up == was_up and abs(place - at) <= 3 and seen <= at + delay
                        for place, was_up, seen in every
                    )
    return Count(name, detector, sum(map(len, histories)), alarms, slower, changes, found, judged)


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


def study(series: int, points: int, folder: Path | None, seeds: int = REPORT) -> dict[str, Any]:
    """The whole record. The former detector, which is slow when asked after each point, gets a quarter."""
    counts = []
    for family in track((*NULLS, *MODES), "without a change"):
        for name in DETECTORS:
            few = max(series // 4, 1) if name == "2623c63" else series
            counts.append(null(name, family, few, points, seeds))
    once = [name for name in DETECTORS if name != "2623c63"]
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
    counts += [stepped(name, single_step, "step +5%, sd 2%", 5 * series, seeds) for name in once]
    sources = {}
    for source, (commit, histories) in (fetch(folder) if folder else {}).items():
        sources[source] = {"commit": commit, "series": len(histories), "points": sum(map(len, histories))}
        counts += [public(name, source, histories) for name in track(("today", "2623c63"), source)]
    return {
        "kind": "delays-study",
        "schema": 1,
        "environment": asdict(capture_environment()),
        "seeds": seeds,
        "sources": sources,
        "counts": [asdict(count) for count in counts],
    }


def page(record: dict[str, Any]) -> str:
    """README.md of the record: a row for each family and detector."""
    environment, head = record["environment"], [f"after {delay}" for delay in DELAYS]
    sources = [
        f"- {name} at {source['commit'][:9]}: {source['series']:,} series of {source['points']:,} points"
        for name, source in record["sources"].items()
    ]
    rows = []
    for one in record["counts"]:
        found = [
            _share(one["found"][str(delay)], one["judged"][str(delay)]) for delay in DELAYS if one["found"]
        ]
        rows.append(
            (
                one["family"],
                one["detector"],
                f"{one['points']:,}",
                _rate(one["alarms"], one["points"]) if one["alarms"] or not one["changes"] else "",
                f"{one['changes']:,}" if one["changes"] else "",
                *(found or [""] * len(DELAYS)),
            )
        )
    table = [
        ("family", "detector", "points", "alarms in 1,000 points", "changes", *head),
        ("---",) * 9,
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
            *sources,
            *([""] if sources else []),
            *(f"| {' | '.join(row)} |" for row in table),
            "",
        )
    )


def _share(found: int, judged: int) -> str:
    if not judged:
        return "none so long"
    interval = stats.binomtest(found, judged).proportion_ci(0.95, method="exact")
    return f"{found / judged:.1%} ({interval.low:.0%} to {interval.high:.0%})"


def _rate(alarms: int, points: int) -> str:
    interval = stats.binomtest(alarms, points).proportion_ci(0.95, method="exact")
    return f"{1000 * alarms / points:.2f} ({1000 * interval.low:.2f} to {1000 * interval.high:.2f})"


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
    parser.add_argument("--page", action="store_true", help="only write README.md, from the newest record")
    options = parser.parse_args(arguments)
    if options.series < 1 or options.points < 20:
        raise UserError("expected --series of 1 or more and --points of 20 or more")
    check_writable(options.output)
    if options.page:
        path = max(options.output.glob("*/*.json"), key=lambda path: path.name)
    else:
        record = study(options.series, options.points, options.fetch, TUNE if options.tune else REPORT)
        environment = record["environment"]
        stamp = environment["started"].replace("-", "").replace(":", "").removesuffix("+0000") + "Z"
        path = write_new(options.output / environment["machine"], stamp, json.dumps(record) + "\n")
    write_atomically(options.output / "README.md", page(json.loads(path.read_text("utf-8"))))
    print(f"record: {path}\ntable: {options.output / 'README.md'}")


if __name__ == "__main__":
    main()
