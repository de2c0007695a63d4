"""How often the interval of one run covers another run of the same code, and what warnings are worth.

    rmsprop bench --profile smoke --output studies/results/coverage     # at least three times
    python -m studies.coverage studies/results/coverage

reads the runs of one machine, commit and torch, compares each with each other one, and writes README.md
beside them. If every run drew its processes from one distribution, Student's interval of one run would hold
the mean of another one with probability P(|T| < t / sqrt(2)), since that mean varies as well. Runs differ by
more, so that `rmsprop.suite.verdicts.ratios` takes a wider interval.
"""

import argparse
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from rmsprop.suite.case import AXES, REFERENCE
from rmsprop.suite.records.files import write_atomically
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.verdicts.ratios import LEAST_PROCESSES
from rmsprop.suite.verdicts.speed import Runs, measured_steps

CASE = list(AXES)
_DRAWS = 4_000
"""Of the bootstrap."""
LARGE, SMALL = 0.20, 0.05
"""Changes, between two runs of the same code, that warnings should and should not meet."""


@dataclass(frozen=True)
class Coverage:
    """What pairs of runs of the same code say.

    Attributes
    ----------
    ratios
        Ordered pairs of speed-ups: each run's interval and another run's ratio.
    covered
        How many of them: the interval holds the other's ratio.
    between
        The 95% interval of that share, from drawing the cases again: pairs of one case depend on each other.
    expected
        The share that a 95% interval would hold if processes of all runs had one distribution.
    disjoint
        How many of the unordered pairs have intervals without a common point.
    times, speed_ups
        Size of the change of a step's time, and of a speed-up -> pairs, and pairs in which a warning stands
        at either.
    """

    ratios: int
    covered: int
    between: tuple[float, float]
    expected: float
    disjoint: int
    times: dict[str, tuple[int, int]]
    speed_ups: dict[str, tuple[int, int]]


def coverage(runs: Sequence[pd.DataFrame]) -> Coverage:
    """Compare each run with each other one; a run is its measured steps, as `Runs.rows` has them."""
    pairs = [
        one.merge(other, on=CASE, suffixes=("", "_other"), how="inner")
        for one, other in permutations(runs, 2)
    ]
    ordered = pd.concat(pairs, ignore_index=True)
    known = ordered[
        (ordered["implementation"] != REFERENCE) & ordered["low"].notna() & ordered["low_other"].notna()
    ]
    covered = known["ratio_other"].between(known["low"], known["high"])
    apart = (known["high"] < known["low_other"]) | (known["high_other"] < known["low"])
    processes = int(known["processes"].min()) if len(known) else LEAST_PROCESSES
    t = stats.t.ppf(0.975, processes - 1)
    once = pd.concat(
        [one.merge(other, on=CASE, suffixes=("", "_other")) for one, other in combinations(runs, 2)],
        ignore_index=True,
    )
    compared = once[(once["implementation"] != REFERENCE) & once["low"].notna() & once["low_other"].notna()]
    return Coverage(
        len(known),
        int(covered.sum()),
        _between(covered.groupby([known[axis] for axis in CASE], dropna=False).agg(["sum", "count"])),
        float(2 * stats.t.cdf(t / math.sqrt(2), processes - 1) - 1),
        int(apart.sum()) // 2,
        _flagged(once, "median", "trusted"),
        _flagged(compared, "ratio", "ratio_trusted"),
    )


def _between(cases: pd.DataFrame) -> tuple[float, float]:
    """Bootstrap of the share, from what was covered and counted of each case."""
    if cases.empty:
        return 0.0, 1.0
    drawn = np.random.default_rng(0).integers(0, len(cases), (_DRAWS, len(cases)))
    sums = cases.to_numpy()[drawn].sum(axis=1)
    low, high = np.quantile(sums[:, 0] / sums[:, 1], (0.025, 0.975))
    return float(low), float(high)


def _flagged(pairs: pd.DataFrame, number: str, trusted: str) -> dict[str, tuple[int, int]]:
    """By the size of the number's change: the pairs, and how many of them have a warning at either end."""
    change = (pairs[f"{number}_other"] / pairs[number]).map(lambda ratio: abs(math.log(ratio)))
    flagged = ~pairs[trusted].astype(bool) | ~pairs[f"{trusted}_other"].astype(bool)
    groups = {
        f"above {LARGE:.0%}": change > math.log1p(LARGE),
        f"{SMALL:.0%} to {LARGE:.0%}": (change <= math.log1p(LARGE)) & (change >= math.log1p(SMALL)),
        f"below {SMALL:.0%}": change < math.log1p(SMALL),
    }
    return {name: (int(members.sum()), int((members & flagged).sum())) for name, members in groups.items()}


def steps_by_run(results: Path) -> tuple[list[pd.DataFrame], list[str]]:
    """The measured steps of each run, the oldest first, and their words; ValueError for several codes."""
    frame, _ = read_frame(results)
    if (
        frame["run"].nunique() < 3
        or len(frame[["machine", "commit", "dirty", "torch"]].drop_duplicates()) > 1
    ):
        raise ValueError("expected at least three runs of one machine, commit and torch")
    parts, words, began = [], [], []
    for name, rows in frame.groupby("run", sort=True):
        parts.append(measured_steps(Runs.of(rows.reset_index(drop=True)).rows))
        began.append(rows["started"].min())
        loads = rows["load"]
        words.append(
            f"{name}: load {loads.min():.1f} to {loads.max():.1f}, {rows['processes'].max()} processes"
        )
    minutes = math.ceil((max(began) - min(began)).total_seconds() / 60)
    words.append(f"all began within {minutes} minutes; of runs further apart this says nothing")
    return parts, words


def page(found: Coverage, words: Iterable[str]) -> str:
    """The README beside the records."""
    share = found.covered / max(1, found.ratios)
    low, high = found.between
    lines = [
        "# Runs of the same code",
        "",
        "Made by `python -m studies.coverage`. The runs:",
        "",
        *(f"- {word}" for word in words),
        "",
        "| question | found |",
        "| --- | --- |",
        f"| the 95% interval of a run's speed-up holds another run's | {found.covered} of {found.ratios} "
        f"({share:.0%}, {low:.0%} to {high:.0%} over cases; {found.expected:.0%} is what a 95% interval "
        "for the true ratio holds) |",
        f"| the intervals of two runs have no common point | {found.disjoint} of {found.ratios // 2} |",
        *(
            f"| a warning stands at a {what} that changed by {name} | {flagged} of {number} |"
            for what, changes in (("speed-up", found.speed_ups), ("step's time", found.times))
            for name, (number, flagged) in changes.items()
        ),
    ]
    return "\n".join([*lines, ""])


def main() -> None:
    """Read the runs, and write the README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path)
    results: Path = parser.parse_args().results
    runs, words = steps_by_run(results)
    text = page(coverage(runs), words)
    write_atomically(results / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
