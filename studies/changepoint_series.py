"""Synthetic series whose change points are known, for the studies of detectors."""

import math
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
class Setting:
    """A family of series."""

    family: str
    """null, step, steps, ramp, or every commit: the null looked at again after each point."""
    noise: str
    step: float = 0.0
    """Share by which the level rises; of `steps`, up and down in turn."""
    sd: float = 0.02
    points: int = 100
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


NULLS = ("white", "AR(1) 0.3", "AR(1) 0.6", "AR(1) 0.9", "t 3", "bimodal 0.5", "bimodal 0.1", "spikes 0.03")
MODES = ("sticky 0.9", "sticky 0.95", "sticky 0.97", "changing 4")
"""Noise that no detector of one level knows: two modes that stay, and a scatter that changes."""


def draw(setting: Setting, rng: np.random.Generator) -> tuple[Floats, Found]:
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
