"""Does FusedRMSprop reach what this project wants of it? `python -m studies.fused_aims [RESULTS]`.

Prints a line for each aim and ends with exit code 0 if each is reached, 1 if one is missed, 3 if the
measurements leave one open or say nothing of one.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from rmsprop.suite.case import REFERENCE
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.verdicts.speed import Runs
from rmsprop.suite.verdicts.turns import Comparison, compare, row_of, turns_of

NAME = "fused"
OF_PASSES = 0.9
"""The time of five plain passes over its own that a step must reach from `PASSES_FROM` elements up."""
PASSES_FROM = 1e6
TIMES_DEFAULT = {
    ("book", "6"): 4.0,
    ("single", "1e7"): 7.0,
    ("many", "1e6"): 30.0,
    ("resnet50", "25557032"): 2.2,
    ("gpt2", "124439808"): 5.5,
}
"""(layout, size) -> how many times as fast as torch's default in the same dtype a step on the CPU must be."""

AimAnswer = Literal["reached", "missed", "open"]


@dataclass(frozen=True)
class Aim:
    """One aim at one case, what was measured, and whether the whole interval reaches it.

    Attributes
    ----------
    case
        Machine, dtype and point.
    words
        What is aimed at.
    measured
        What it is compared with: a ratio with its interval, or the five plain passes over the step.
    answer
        open where the interval holds the aim, or there is none.
    """

    case: str
    words: str
    measured: str
    answer: AimAnswer


def aims(runs: Runs) -> Iterator[Aim]:
    """Each aim that the measurements speak of: on each machine, at each case on the CPU."""
    for machine in runs.machines:
        for turn in turns_of(runs.on(machine), NAME, REFERENCE):
            if turn["device"].iloc[0] == "cpu":
                yield from _aims(machine, turn)


def _aims(machine: str, turn: pd.DataFrame) -> Iterator[Aim]:
    own = row_of(turn, NAME)
    case = f"{machine}, {own['dtype']}, {own['point']}"
    if least := TIMES_DEFAULT.get((own["layout"], own["size"])):
        yield _faster(case, f"{least:g} times as fast as {REFERENCE}", compare(turn, NAME, REFERENCE), least)
    for rival in turn["implementation"]:
        if rival not in {NAME, REFERENCE, "scratch"}:
            yield _faster(case, f"no slower than {rival}", compare(turn, NAME, rival), 1.0)
    if own["elements"] >= PASSES_FROM and own["ceiling"] is not None:
        share = own["ceiling"] / own["median"]
        answer: AimAnswer = "reached" if share >= OF_PASSES else "missed"
        yield Aim(case, f"five plain passes are {OF_PASSES:.0%} of it", f"{share:.0%}", answer)


def _faster(case: str, words: str, found: Comparison, least: float) -> Aim:
    low, high = found.interval or (-float("inf"), float("inf"))
    answer: AimAnswer = "reached" if low >= least else "missed" if high < least else "open"
    return Aim(case, words, found.words, answer)


def main(results: Path) -> int:
    """Print the aims; the exit code."""
    frame, problems = read_frame(results)
    for problem in problems:
        print(f"left out {problem.path}: {problem.reason}", file=sys.stderr)
    found = list(aims(Runs.of(frame)))
    for aim in found:
        print(f"{aim.answer:8}{aim.case}: {aim.words}: {aim.measured}")
    answers = {aim.answer for aim in found}
    return 1 if "missed" in answers else 0 if answers == {"reached"} else 3


if __name__ == "__main__":
    sys.exit(main(Path(*sys.argv[1:2] or ["results"])))
