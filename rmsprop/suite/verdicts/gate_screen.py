"""The gate's screen: which cases, or families of cases, the second stage tests."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from rmsprop.suite.records.gate import Hypothesis, Policy
from rmsprop.suite.verdicts.gate_statistics import LEAST_SCREEN


def choose(
    screened: Mapping[str, Sequence[float]], families: Mapping[str, str], policy: Policy, most: int
) -> tuple[tuple[Hypothesis, ...], tuple[Hypothesis, ...]]:
    """The hypotheses that the second stage tests, by each case's log ratios; and those without room.

    Cases whose estimate and most of whose launches say slower come first, the largest change first, then
    those that say faster. `most` is how many cases there is time for. Where more than that say slower, or
    more than `policy.candidates`, their families are tested, of each those cases that say so, and beside
    them as many single cases as there is room for: a family hides what befell one of its cases.
    """
    slower, faster = (dict(_moved(screened, sign, policy)) for sign in (1, -1))
    if len(slower) > min(policy.candidates, most):
        chosen = _by_family(slower, families, policy, most)
        measured = {name for family in chosen if len(family.cases) > 1 for name in family.cases}
        singles = [Hypothesis(name, (name,), True) for name in slower if name in measured]
        chosen += singles[: policy.candidates - len(chosen)]
    else:
        chosen = [Hypothesis(name, (name,), True) for name in slower]
    tested = {name for hypothesis in chosen for name in hypothesis.cases}
    left = tuple(Hypothesis(name, (name,), True) for name in slower if name not in tested)
    room = max(0, min(policy.candidates, most) - sum(len(hypothesis.cases) for hypothesis in chosen))
    return (*chosen, *(Hypothesis(name, (name,), False) for name in list(faster)[:room])), left


def choose_rare(
    summed: Mapping[str, Sequence[float]], screened: Mapping[str, Sequence[float]], policy: Policy
) -> tuple[Hypothesis, ...]:
    """The cases whose sums of turns are tested, by the log ratios of the sums and of the trimmed means.

    A step that is slow now and then moves the sum of few launches, so that most of them need not agree. What
    moves the trimmed mean half as far is tested there. The largest change comes first.
    """
    if not policy.rare:
        return ()
    line = math.log1p(policy.rare_screen)
    moved = {
        name: float(np.mean(sums))
        for name, sums in summed.items()
        if len(sums) >= LEAST_SCREEN
        if np.mean(sums) >= max(line, 2 * float(np.mean(screened[name])))
    }
    most = sorted(moved, key=lambda name: -moved[name])[: policy.rare_candidates]
    return tuple(Hypothesis(name, (name,), True, rare=True) for name in most)


def _moved(screened: Mapping[str, Sequence[float]], sign: int, policy: Policy) -> list[tuple[str, float]]:
    line = math.log1p(policy.screen)
    moved = []
    for name, log_ratios in screened.items():
        if len(log_ratios) < LEAST_SCREEN:
            continue
        towards = sign * np.asarray(log_ratios)
        if towards.mean() >= line and (towards > 0).mean() >= policy.agree:
            moved.append((name, float(towards.mean())))
    return sorted(moved, key=lambda pair: -pair[1])


def _by_family(
    moved: Mapping[str, float], families: Mapping[str, str], policy: Policy, most: int
) -> list[Hypothesis]:
    groups: dict[str, list[str]] = {}
    for name in moved:  # the largest change first
        groups.setdefault(families[name], []).append(name)
    kept = list(groups.items())[: policy.candidates]
    while sum(len(names) for _, names in kept) > max(most, len(kept)):
        max((names for _, names in kept), key=len).pop()
    return [
        Hypothesis(
            f"{family}, {len(names)} cases together" if len(names) > 1 else names[0], tuple(names), True
        )
        for family, names in kept
    ]
