"""How much extra work takes a given share of a step's time: measured, as the gate measures.

A loop in Python costs more or less from machine to machine, and a wrapper costs a small step some percent
by itself. A step over a twentieth of the elements takes up to a sixth of a step's time: its calls cost as
much as a whole step's, and its copies take the cache.
"""

import random
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import expm1
from pathlib import Path
from statistics import mean

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.gate.cpus import bind, cpus
from rmsprop.suite.gate.prepare import prepare
from rmsprop.suite.gate.trees import prepared_trees
from rmsprop.suite.gate.turns import LaunchJob, Turns, log_ratio, run_launch
from rmsprop.suite.gate.worker_client import Arm
from studies.gate.injection import How, inject, key

SUITE = "benchmarks.suite"
ROUNDS, LAUNCHES, TURNS = 3, 2, 48
"""Amounts tried for each case; launches on each processor, and turns in them, for one amount."""
PLAUSIBLE = (0.3, 5.0)
"""Seconds for a second of extra work: a line through two amounts that says otherwise is noise."""
MOST = 3.0
"""Times the amount that is wanted."""


def tune(
    folder: Path,
    implementation: str,
    patterns: Sequence[str],
    how: How,
    amount: float,
    say: Callable[[str], None],
) -> dict[str, float]:
    """For each case of the implementation, by `injection.key`, what makes it slower by `amount`.

    Of those alone that match one of the patterns, if there are any.

    Measured in live pairs on copies of the working tree at `folder`.
    """
    python = Path(sys.executable)
    with prepared_trees(folder, {"base": None, "head": None}, SUITE) as trees:
        base, head = (
            Arm(name, python, tree.path, trees.harness, trees.suite)
            for name, tree in (("base", trees.base), ("head", trees.head))
        )
        opened = prepare(base, patterns or [f"{implementation}-*"], lambda: None).opened
        steps = {
            case: one.steps
            for case, one in opened.items()
            if one.steps and Case.parse(case).implementation == implementation
        }
        # Work is injected in seconds, of which a step's share is a first guess.
        unit = {case: opened[case].turn / steps[case] if how == "work" else 1.0 for case in steps}
        tried: dict[str, list[tuple[float, float]]] = {case: [] for case in steps}
        amounts = dict.fromkeys(steps, amount)
        for number in range(ROUNDS):
            inject(trees.head.path, implementation, how, amount, _by_key(amounts, unit))
            launches = _launches(base, head, steps)
            for case in steps:
                found = expm1(mean(log_ratio(turns[case]["head"], turns[case]["base"]) for turns in launches))
                tried[case].append((amounts[case], found))
                say(f"tuning {number + 1} of {ROUNDS}: {case} {amounts[case]:.4f} takes {found:.4f}")
                amounts[case] = next_amount(tried[case], amount)
    return _by_key(amounts, unit)


def next_amount(tried: Sequence[tuple[float, float]], wanted: float) -> float:
    """The amount to try next, on the line through the last two and what they took, if that rises."""
    last, took = tried[-1]
    if len(tried) > 1:
        before, took_before = tried[-2]
        rise = (took - took_before) / (last - before) if last != before else 0.0
        if PLAUSIBLE[0] <= rise <= PLAUSIBLE[1]:
            return min(MOST * wanted, max(0.0, last + (wanted - took) / rise))
    return min(MOST * wanted, max(0.0, last * wanted / took)) if took > 0 else MOST * wanted


def _launches(base: Arm, head: Arm, steps: dict[str, int]) -> list[dict[str, Turns]]:
    """The turns of every case in each launch."""

    def measure(cpu: int | None) -> list[dict[str, Turns]]:
        bind(cpu)
        done = []
        for _ in range(LAUNCHES):
            launched = run_launch(
                base, head, LaunchJob("screen", random.SystemRandom().randrange(2**32), steps, TURNS)
            )
            if launched.error:
                raise UserError(f"tuning: {launched.error}")
            done.append(launched.turns)
        return done

    places: Sequence[int | None] = cpus()[:2] or (None,)
    with ThreadPoolExecutor(len(places)) as pool:
        return [turns for each in pool.map(measure, places) for turns in each]


def _by_key(amounts: dict[str, float], unit: dict[str, float]) -> dict[str, float]:
    cases = {Case.parse(name): amount * unit[name] for name, amount in amounts.items()}
    return {key(case.dtype, case.elements, len(case.shapes)): amount for case, amount in cases.items()}
