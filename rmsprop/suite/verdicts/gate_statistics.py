"""The statistics of the gate: an exact sign-flip test, Holm's correction, and what a run can detect."""

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from rmsprop.suite.records.gate import Policy

LEAST_SCREEN = 3
"""Launches below which a screen says nothing."""


def sign_flip(log_ratios: NDArray[np.float64], null: float) -> float:
    """One-sided p value of mean(log_ratios) > null: the share of all assignments of signs that reach it.

    It is exact, and equal to scipy.stats.permutation_test(permutation_type="samples"), which takes seconds
    where this takes milliseconds: a page of records and a study need thousands of these tests.
    """
    sums = np.zeros(1)
    for value in log_ratios - null:
        sums = np.concatenate((sums + value, sums - value))
    observed = sums[0]
    return float(np.mean(sums >= observed - 1e-12 * np.abs(sums).max()))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's corrected p values: the chance of any false rejection is at most the level they are held to."""
    order = np.argsort(p_values)
    corrected = np.empty(len(p_values))
    scaled = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    corrected[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return corrected.tolist()


def level(policy: Policy, *, rare: bool = False) -> float:
    """The share of alpha that the tests of trimmed means have, or of sums (`rare`)."""
    return policy.alpha * (policy.rare if rare else 1 - policy.rare)


def least_launches(hypotheses: int, policy: Policy, *, rare: bool = False) -> int:
    """The fewest launches with which a p value can be small enough: 2^-n <= alpha / hypotheses."""
    return math.ceil(math.log2(max(1, hypotheses) / level(policy, rare=rare)))


def detectable(sd: float, screen: int, confirm: int, policy: Policy, hypotheses: int | None = None) -> float:
    """The minimum detectable slowdown: it passes screen, alarm line and test with probability `policy.power`.

    `sd` is the standard deviation of the log ratio between launches. The approximation is normal, with
    Student's t for the test and the strictest level of Holm's correction over `hypotheses` (or over as many
    as the policy allows). Infinite if there are too few launches.
    """
    least = least_launches(hypotheses or policy.candidates, policy)
    if screen < LEAST_SCREEN or confirm < least:
        return math.inf
    z, strictest = _quantiles(confirm, hypotheses or policy.candidates, policy)
    seen = math.log1p(policy.screen) + z * sd / math.sqrt(screen)
    alarmed = math.log1p(policy.alarm) + z * sd / math.sqrt(confirm)
    rejected = math.log1p(policy.margin) + (strictest + z) * sd / math.sqrt(confirm)
    if confirm == least:  # then every launch must be slower
        every = float(stats.norm.ppf(((1 + policy.power) / 2) ** (1 / confirm)))
        rejected = max(rejected, math.log1p(policy.margin) + every * sd)
    return math.expm1(max(seen, alarmed, rejected))


@cache
def _quantiles(confirm: int, hypotheses: int, policy: Policy) -> tuple[float, float]:
    """The normal quantile of one stage's share of the power, and Student's of Holm's strictest level."""
    share = (1 + policy.power) / 2
    return float(stats.norm.ppf(share)), float(stats.t.ppf(1 - level(policy) / hypotheses, confirm - 1))


def interval(log_ratios: NDArray[np.float64]) -> tuple[float | None, float | None, float | None]:
    """The change as a share, and the ends of its 95% interval (Student's t); None where there are too few."""
    count = len(log_ratios)
    if not count:
        return None, None, None
    if count == 1:
        return math.expm1(log_ratios[0]), None, None
    mean, reach = float(log_ratios.mean()), float(stats.t.ppf(0.975, count - 1) * stats.sem(log_ratios))
    return math.expm1(mean), math.expm1(mean - reach), math.expm1(mean + reach)


def pooled_sd(groups: Sequence[NDArray[np.float64]]) -> float | None:
    """Standard deviation about each group's own mean; None where there are too few launches."""
    freedom = sum(max(0, len(group) - 1) for group in groups)
    if freedom < LEAST_SCREEN - 1:
        return None
    squares = sum(float(((group - group.mean()) ** 2).sum()) for group in groups if len(group))
    return math.sqrt(squares / freedom)
