"""Synthetic series whose change points are known, for the studies of detectors."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Floats = NDArray[np.float64]
Found = list[tuple[int, bool]]
"""(first point after the change, whether it is slower) of each."""
CALIBRATE, REPORT = 1, 2
"""First words of the seeds: those that thresholds are chosen on, those that are reported."""


@dataclass(frozen=True)
class SeriesSetting:
    """A family of series."""

    family: str
    """null, step, steps, ramp, or every commit: the null looked at again after each point."""
    noise: str
    """What `noise` takes, such as white or AR(1) 0.3."""
    step: float = 0.0
    """Share by which the level rises; of `steps`, up and down in turn."""
    sd: float = 0.02
    """Of the logarithms, about the level."""
    points: int = 100
    """Of a series."""
    after: int = 0
    """Points after the step."""


def noise(name: str, n: int, rng: np.random.Generator) -> Floats:  # noqa: PLR0911 (one for each family)
    """n points of noise of mean 0 and standard deviation 1 (as a family; spikes apart)."""
    kind, _, parameter = name.partition(" ")
    white = rng.standard_normal(n)
    if kind == "white":
        return white
    if kind == "AR(1)":
        phi, warm = float(parameter), 100
        drawn = rng.standard_normal(n + warm) * math.sqrt(1 - phi**2)
        return np.asarray(signal.lfilter([1.0], [1.0, -phi], drawn)[warm:])
    if kind == "t":
        df = float(parameter)
        return np.asarray(rng.standard_t(df, n) / math.sqrt(df / (df - 2)))
    if kind == "bimodal":  # the upper mode has that share of the points; modes of a tenth of the width
        share = float(parameter)
        upper = (rng.random(n) < share) - share
        return np.asarray((upper + 0.1 * white) / math.sqrt(share * (1 - share) + 0.01))
    if kind == "spikes":  # single points, up to ten standard deviations high
        return np.asarray(white + (rng.random(n) < float(parameter)) * rng.uniform(3, 10, n))
    if kind == "sticky":  # two modes; a point stays at the mode of the one before with that probability
        switched = rng.random(n) > float(parameter)
        upper = (np.cumsum(switched) + rng.integers(2)) % 2 - 0.5
        return np.asarray((upper + 0.1 * white) / math.sqrt(0.26))
    if (
        kind == "changing"
    ):  # a standard deviation for every 50 points, up to that many times as large or small
        scales = float(parameter) ** rng.uniform(-1, 1, n // 50 + 1)
        return np.asarray(white * np.repeat(scales, 50)[:n])
    raise ValueError(f"no noise {name!r}")


DELAYS = (3, 6, 8, 12)
"""Points after a change at which is asked whether it was found."""
NULLS = ("white", "AR(1) 0.3", "AR(1) 0.6", "AR(1) 0.9", "t 3", "bimodal 0.5", "bimodal 0.1", "spikes 0.03")
MODES = ("sticky 0.9", "sticky 0.95", "sticky 0.97", "changing 4")
"""Noise that no detector of one level knows: two modes that stay, and a scatter that changes."""

UNEVEN = "uneven"
"""Noise of young series: white, about a level that changes once, by 15 to 40% of the change in question."""


def draw(setting: SeriesSetting, rng: np.random.Generator) -> tuple[Floats, Found]:
    """One series of positive values, and its true steps."""
    logs = setting.sd * noise(setting.noise, setting.points, rng)
    rise = math.log1p(setting.step)
    true: Found = []
    if setting.family == "step":
        true = [(setting.points - setting.after, True)]
        logs[-setting.after :] += rise
    elif setting.family == "steps":
        # Four levels more, each of 25 points or more.
        slack = np.sort(rng.integers(0, setting.points - 5 * 25 + 1, 4))
        true = [(int(at) + 25 * i, i % 2 == 1) for i, at in enumerate(slack, start=1)]
        for at, up in true:
            logs[at:] += rise if up else -rise
    elif setting.family == "ramp":
        logs += rise * np.clip((np.arange(setting.points) - setting.points / 2) / 20, 0, 1)
    return np.exp(logs), true


def staircase(after: int, sd: float, rise: float, rng: np.random.Generator) -> tuple[Floats, int]:
    """Four levels of 10 to 29 points and a fifth of `after`: values, and where the fifth begins.

    Neighbouring levels are 10 to 30% apart in logs; the fifth is higher than the fourth by the share `rise`,
    and 3% or more from every other, so that it is new.
    """
    while True:
        lengths = rng.integers(10, 30, 4)
        levels = np.cumsum(rng.choice([-1, 1], 4) * rng.uniform(0.1, 0.3, 4))
        last = levels[-1] + math.log1p(rise)
        if np.min(np.abs(levels - last)) >= 0.03:
            break
    logs = np.concatenate([np.repeat(levels, lengths), np.full(after, last)])
    return np.exp(logs + sd * rng.standard_normal(logs.size)), int(lengths.sum())


def young(name: str, after: int, rng: np.random.Generator) -> tuple[Floats, int]:
    """A series of 10 to 25 points, then `after` more that are 5 to 40% higher in logs, and where these begin.

    The change is 7 to 20 standard deviations of the noise, of the family `name`, and one of `clear_changes`.
    """
    while True:
        before = int(rng.integers(10, 26))
        rise = rng.uniform(0.05, 0.4)
        sd = rise / rng.uniform(7, 20)
        logs = sd * noise("white" if name == UNEVEN else name, before + after, rng)
        if name == UNEVEN:
            logs[: rng.integers(4, before - 3)] += rise * rng.uniform(0.15, 0.4) * rng.choice([-1, 1])
        logs[before:] += rise
        values = np.exp(logs)
        if (before, True) in clear_changes(values[: before + 8]):
            return values, before


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


def is_new(values: Floats, at: int) -> bool:
    """Whether no point before a change lies within a quarter of it from the level of the points after it."""
    logs = np.log(values)
    level = np.median(logs[at : at + 8])
    gap = abs(level - np.median(logs[at - 8 : at]))
    return bool(np.all(np.abs(logs[:at] - level) > gap / 4))
