"""How well step detectors do: false alarms, power and delay on synthetic series whose steps are known.

`python -m studies.changepoints` writes the raw counts of every detector that
is installed and prints a summary. asv, ruptures and apache-otava are compared where they can be imported;
`find_change_points` needs none of them. What has a free threshold takes it from the calibrating seeds, the
counts that are reported come from others.
"""

import argparse
import json
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from rmsprop.errors import UserError
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.files import check_writable, write_atomically
from rmsprop.suite.verdicts.changepoints import find_change_points
from rmsprop.suite.verdicts.looks import AFTER, BEFORE
from studies.changepoint_series import CALIBRATE, NULLS, REPORT, Floats, Found, SeriesSetting, draw, noise

Detector = Callable[[Floats], Found]

TOLERANCE = 5
"""Points by which an alarm may miss the step."""
LEVEL = 1.0
"""False alarms per 1,000 points that a threshold is chosen for, on the worst of the null families."""


@dataclass(frozen=True)
class ScoreCell:
    """What one detector did on the series of one setting."""

    detector: str
    """Name, and its threshold where it has one."""
    setting: SeriesSetting
    """What the series were drawn from."""
    series: int
    """How many there were."""
    steps: int
    """True ones in all series."""
    found: int
    """Of these, how many have an alarm in their direction within `TOLERANCE`."""
    exact: int
    """How many have it at their very point."""
    slower: int
    """Alarms that say slower, true and false."""
    faster: int
    """Alarms that say faster."""
    false_slower: int
    """Those of them that belong to no step."""
    false_faster: int
    """Likewise."""


OURS = "rmsprop"


def find(values: Floats) -> Found:
    """`find_change_points`, without changes to a known level."""
    return [(one.index, one.slower) for one in find_change_points(values) if not one.known]


def t_scan(values: Floats, alpha: float) -> Found:
    """Student's t at each split, Bonferroni over the splits, binary segmentation: blind to neighbours."""
    logs, found, parts = np.log(values), [], [(0, len(values))]
    while parts:
        start, end = parts.pop()
        n = end - start
        if n < BEFORE + AFTER:
            continue
        cuts = np.arange(BEFORE, n - AFTER + 1)
        part = logs[start:end] - logs[start:end].mean()
        before = np.cumsum(part)[cuts - 1]
        gap = -before / (n - cuts) - before / cuts
        within = part @ part - gap**2 * cuts * (n - cuts) / n
        t = gap / np.sqrt(np.maximum(within, 1e-300) / (n - 2) * (1 / cuts + 1 / (n - cuts)))
        best = int(np.argmax(np.abs(t)))
        if 2 * stats.t.sf(abs(t[best]), n - 2) * len(cuts) <= alpha:
            cut = start + int(cuts[best])
            found.append((cut, bool(gap[best] > 0)))
            parts += [(start, cut), (cut, end)]
    return sorted(found)


def asv_steps(values: Floats, threshold: float) -> Found:
    """asv's own: `asv.step_detect`, with `regressions_thresholds`; it reports regressions alone."""
    from asv.step_detect import detect_regressions, detect_steps  # noqa: PLC0415

    _, _, positions = detect_regressions(detect_steps(list(values)), threshold=threshold)
    return [(after, True) for _, after, _, _ in positions or ()]


def ruptures_pelt(values: Floats, penalty: float, kernel: str) -> Found:
    """ruptures' kernel PELT on logs in units of their noise (from differences); penalty in units of log n."""
    import ruptures  # noqa: PLC0415

    logs = np.log(values)
    logs = logs / (stats.median_abs_deviation(np.diff(logs), scale="normal") / math.sqrt(2))
    fitted = ruptures.KernelCPD(kernel=kernel, min_size=AFTER).fit(logs)
    return _directed(values, fitted.predict(pen=penalty * math.log(len(logs)))[:-1])


def otava(values: Floats, p_value: float) -> Found:
    """apache-otava's E-divisive with t-tests, as its command line calls it."""
    from otava.analysis import compute_change_points  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of levels without any spread
        points, _ = compute_change_points(values.tolist(), max_pvalue=p_value)
    return _directed(values, [point.index for point in points])


def _directed(values: Floats, cuts: Sequence[int]) -> Found:
    ends = [0, *cuts, len(values)]
    return [
        (int(cut), bool(np.median(values[cut:end]) > np.median(values[start:cut])))
        for cut, start, end in zip(cuts, ends, ends[2:], strict=False)
    ]


@dataclass(frozen=True)
class Rival:
    """A detector with a free threshold."""

    name: str
    """As the page has it."""
    detect: Callable[..., Found]
    """Takes values and the parameter, by its name."""
    parameter: str
    """The name of the threshold."""
    grid: tuple[float, ...]
    """From the most alarms to the fewest."""
    default: float
    """What it does when nobody says otherwise."""


RIVALS = (
    Rival("t scan", t_scan, "alpha", (0.1, 0.03, 0.01, 1e-3, 1e-5, 1e-8, 1e-12), 0.1),
    Rival("asv", asv_steps, "threshold", (0.0, 0.02, 0.05, 0.1, 0.2), 0.05),
    Rival("ruptures linear", partial(ruptures_pelt, kernel="linear"), "penalty", (1, 2, 4, 8, 16, 32, 64), 2),
    Rival("ruptures rbf", partial(ruptures_pelt, kernel="rbf"), "penalty", (0.1, 0.25, 0.5, 1, 2, 4), 1),
    Rival("otava", otava, "p_value", (1e-3, 1e-4, 1e-6, 1e-9, 1e-13), 1e-3),
)


def detectors(series: int) -> tuple[dict[str, Detector], list[str]]:
    """Every detector that is here, as it comes and with its threshold chosen; and what is absent, and why."""
    probe = np.exp(0.02 * noise("white", 40, np.random.default_rng(0)))
    chosen: dict[str, Detector] = {OURS: find}
    absent = []
    for rival in RIVALS:
        at = [partial(rival.detect, **{rival.parameter: value}) for value in rival.grid]
        try:
            at[0](probe)
        except ImportError as error:
            absent.append(f"{rival.name}: {error}")
            continue
        kept = {rival.default: "by default"}
        for name, nulls in (("for white noise", ("white",)), ("for all noise", NULLS)):
            suits = (
                value
                for value, candidate in zip(rival.grid, at, strict=True)
                if all(_false_alarms(candidate, null, series) <= LEVEL for null in nulls)
            )
            value = next(suits, None)
            if value is None:
                absent.append(f"{rival.name}: no {rival.parameter} {name}")
            else:
                kept[value] = f"{kept[value]}, {name}" if value in kept else name
        for value, name in kept.items():
            chosen[f"{rival.name}, {rival.parameter} {value:g} {name}"] = at[rival.grid.index(value)]
    return chosen, absent


def _false_alarms(detect: Detector, null: str, series: int) -> float:
    cell = score("", detect, SeriesSetting("null", null, sd=0.04), series, CALIBRATE)
    return cell.false_slower / (series * cell.setting.points) * 1000


def score(name: str, detect: Detector, setting: SeriesSetting, series: int, seeds: int = REPORT) -> ScoreCell:
    """Run a detector over the series of a setting; the same series for every detector."""
    cell = ScoreCell(name, setting, series, 0, 0, 0, 0, 0, 0, 0)
    for number in range(series):
        words = [seeds, number, *json.dumps(asdict(setting)).encode()]
        values, true = draw(setting, np.random.default_rng(words))
        found = _every_commit(detect, values) if setting.family == "every commit" else detect(values)
        false = [
            (at, up)
            for at, up in found
            if not any(up == truth and abs(at - place) <= TOLERANCE for place, truth in true)
        ]
        cell = replace(
            cell,
            steps=cell.steps + len(true),
            found=cell.found + _near(true, found, TOLERANCE),
            exact=cell.exact + _near(true, found, 0),
            slower=cell.slower + sum(up for _, up in found),
            faster=cell.faster + sum(not up for _, up in found),
            false_slower=cell.false_slower + sum(up for _, up in false),
            false_faster=cell.false_faster + sum(not up for _, up in false),
        )
    return cell


def _near(true: Found, found: Found, tolerance: int) -> int:
    return sum(any(up == u and abs(at - place) <= tolerance for at, u in found) for place, up in true)


def _every_commit(detect: Detector, values: Floats) -> Found:
    """All alarms of someone who looks after each of the points from the 20th on; each is counted once."""
    raised: Found = []
    for end in range(20, len(values) + 1):
        for at, up in detect(values[:end]):
            if not any(up == former and abs(at - place) <= TOLERANCE for place, former in raised):
                raised.append((at, up))
    return raised


def settings() -> Iterator[SeriesSetting]:
    """What every detector is scored on."""
    for null in NULLS:
        for sd in (0.01, 0.02, 0.04):
            yield SeriesSetting("null", null, sd=sd)
        for after in (3, 6, 12):
            yield SeriesSetting("step", null, step=0.05, after=after)
        yield SeriesSetting("steps", null, step=0.05, points=300)
    for step in (0.05, 0.1):
        yield SeriesSetting("ramp", "white", step=step)


def finer_settings() -> Iterator[SeriesSetting]:
    """What `find_change_points` is scored on besides."""
    for null in NULLS:
        for points in (20, 50, 300):
            yield SeriesSetting("null", null, sd=0.04, points=points)
    for step in (0.02, 0.05, 0.1):
        for sd in (0.01, 0.02, 0.04):
            for after in (1, 2, 3, 4, 6, 8, 12):
                yield SeriesSetting("step", "white", step=step, sd=sd, after=after)
    for points in (20, 30, 50, 300):
        for after in (3, 6):
            yield SeriesSetting("step", "white", step=0.05, points=points, after=after)


def study(series: int) -> dict[str, Any]:
    """The whole record: `series` series for each setting, of which the rivals get a twentieth."""
    few = max(series // 20, 1)
    chosen, absent = detectors(few)
    cells = [
        score(name, detect, setting, series if name == OURS else few)
        for setting in settings()
        for name, detect in chosen.items()
    ]
    common = set(settings())
    cells += [score(OURS, find, one, series) for one in finer_settings() if one not in common]
    again = [SeriesSetting("every commit", null, sd=0.04) for null in NULLS]
    cells += [score(OURS, find, setting, few) for setting in again]
    return {
        "kind": "alerts-study",
        "schema": 2,
        "environment": asdict(capture_environment()),
        "versions": dict(_versions()),
        "absent": absent,
        "tolerance": TOLERANCE,
        "cells": [asdict(cell) for cell in cells],
    }


def _versions() -> Iterator[tuple[str, str]]:
    for package in ("numpy", "scipy", "asv", "ruptures", "apache-otava"):
        try:
            yield package, version(package)
        except ImportError:
            continue


def summary(record: dict[str, Any]) -> str:
    """Worst false alarms, power and F1 of each detector, a line each."""
    lines = [f"{'detector':44} {'false/1,000':>12} {'found, 3 after':>15} {'6 after':>8} {'F1':>6}"]
    cells = [ScoreCell(**{**cell, "setting": SeriesSetting(**cell["setting"])}) for cell in record["cells"]]
    for name in dict.fromkeys(cell.detector for cell in cells):
        mine = [cell for cell in cells if cell.detector == name]
        nulls = [cell for cell in mine if cell.setting.family == "null" and cell.setting.points == 100]
        worst = max(cell.false_slower / cell.series / cell.setting.points * 1000 for cell in nulls)
        power = [_share(mine, SeriesSetting("step", "white", step=0.05, after=after)) for after in (3, 6)]
        many = [
            cell for cell in mine if cell.setting == SeriesSetting("steps", "white", step=0.05, points=300)
        ]
        lines.append(f"{name:44} {worst:12.2f} {power[0]:15.1%} {power[1]:8.1%} {f1(many[0]):6.2f}")
    lines += [f"absent: {line}" for line in record["absent"]]
    return "\n".join(lines)


def f1(cell: ScoreCell) -> float:
    """Harmonic mean of precision and recall, of alarms in either direction."""
    true_alarms = cell.slower + cell.faster - cell.false_slower - cell.false_faster
    precision = true_alarms / max(cell.slower + cell.faster, 1)
    recall = cell.found / max(cell.steps, 1)
    return 2 * precision * recall / max(precision + recall, 1e-300)


def _share(cells: Iterable[ScoreCell], setting: SeriesSetting) -> float:
    return next(cell.found / cell.steps for cell in cells if cell.setting == setting)


def main(arguments: Sequence[str] | None = None) -> None:
    """Score every detector, write the record, print the summary."""
    parser = argparse.ArgumentParser(prog="python -m studies.changepoints", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("studies/results/alerts-study"), help="folder")
    parser.add_argument("--series", type=int, default=1000, help="for each setting; a twentieth for rivals")
    options = parser.parse_args(arguments)
    if options.series < 1:
        raise UserError(f"--series {options.series}: expected 1 or more")
    check_writable(options.output)
    record = study(options.series)
    environment = record["environment"]
    stamp = environment["started"].replace("-", "").replace(":", "").removesuffix("+0000") + "Z"
    path = options.output / environment["machine"] / f"{stamp}.json"
    write_atomically(path, json.dumps(record) + "\n")
    print(summary(record))
    print(f"record: {path}")


if __name__ == "__main__":
    main()
