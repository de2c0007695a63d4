"""Ratios of times that were measured in turns, in words."""

import statistics
from collections.abc import Sequence

import numpy as np

from rmsprop.suite.verdicts.medians import median_interval


def ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """The median of the rounds' ratios and its 95% interval, as "1.85 (1.80 to 1.91)"."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    interval = median_interval(np.array(ratios))
    sure = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else ", few rounds"
    return f"{statistics.median(ratios):.2f}{sure}"
