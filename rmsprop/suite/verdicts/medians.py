"""The interval of a median, which assumes no distribution."""

from functools import cache
from typing import Any

import numpy as np
from scipy import stats


def median_interval(samples: np.ndarray, confidence: float = 0.95) -> tuple[float, float] | None:
    """The interval of the median of independent values; None where there are too few of them.

    Its ends are order statistics of the samples, so that it holds for every distribution; its probability is
    at least `confidence`.

    Parameters
    ----------
    samples
        Any order, ties allowed.
    confidence
        Between 0 and 1. With 0.95 it takes 6 samples, with 0.975 it takes 7.
    """
    ranks = _ranks(len(samples), confidence)
    if ranks is None:
        return None
    ordered = np.sort(samples)
    return float(ordered[ranks[0]]), float(ordered[ranks[1]])


@cache
def _ranks(number: int, confidence: float) -> tuple[int, int] | None:
    """Which order statistics are the ends, from 0 on; they depend on the number of samples alone."""
    if number == 0:
        return None
    # scipy takes milliseconds, a page needs thousands of intervals: of 0, 1, 2, ... its ends are the ranks.
    found: Any = stats.quantile_test(np.arange(number), p=0.5).confidence_interval(confidence)
    return None if np.isnan(found.low) or np.isnan(found.high) else (int(found.low), int(found.high))
