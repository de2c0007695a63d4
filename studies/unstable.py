"""What the warning `unstable` is worth: how often it stands at a time that was not repeated.

    python -m studies.unstable results

reads what asv, pytest-benchmark and `rmsprop bench` measured in one process, compares each time of a case
with the next one on the same machine, and writes studies/results/unstable/README.md: for several limits, at
how many changes of each size the limit is exceeded at either end. Most commits between two measurements
change no step, but some do: such a change is real, and the table is then too strict with the warning.
"""

import argparse
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from rmsprop.suite.case import AXES
from rmsprop.suite.records.files import write_atomically
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.verdicts.speed import RUNNERS, measured_steps
from rmsprop.suite.words import SCATTERED

OUTPUT = Path("studies/results/unstable/README.md")
LIMITS = (0.05, SCATTERED, 0.2, 0.3)
"""Of the distance of the quartiles over the median, in one process; the second is the suite's."""
GROUPS = {"above 20%": (0.20, math.inf), "5 to 20%": (0.05, 0.20), "below 5%": (0.0, 0.05)}


@dataclass(frozen=True)
class Changes:
    """What was measured twice by one runner: for each pair the change, and the larger spread of the two.

    Attributes
    ----------
    sizes
        Of the logarithm of the ratio of the two medians, without its sign.
    spreads
        Distance of the quartiles over the median.
    """

    sizes: np.ndarray
    spreads: np.ndarray

    def flagged(self, group: str, limit: float) -> tuple[int, int]:
        """How many changes of that size have a spread above the limit, and how many there are."""
        low, high = (math.log1p(end) for end in GROUPS[group])
        members = (self.sizes >= low) & (self.sizes < high)
        return int((members & (self.spreads > limit)).sum()), int(members.sum())


def changes_of(steps: pd.DataFrame) -> Changes:
    """Of the measured steps of one runner, each case's measurements in the order of time."""
    ordered = steps.assign(spread=(steps["q75"] - steps["q25"]) / steps["median"]).sort_values("started")
    cases = ordered.groupby(["machine", *AXES], dropna=False)
    logs = ordered["median"].map(math.log)
    sizes = (logs - cases["median"].shift().map(math.log, na_action="ignore")).abs()
    spreads = ordered["spread"].combine(cases["spread"].shift(), max)
    known = sizes.notna() & spreads.notna()
    return Changes(sizes[known].to_numpy(dtype=float), spreads[known].to_numpy(dtype=float))


def page(found: dict[str, Changes]) -> str:
    """The README."""
    return "\n".join(
        [
            "# What the warning `unstable` is worth",
            "",
            "Made by `python -m studies.unstable results`: at how many changes of a step's time, from one "
            "measurement to the next,",
            "the quartiles of one of the two, over its median, are further apart than the limit. "
            f"The suite's limit is {SCATTERED:.0%}.",
            "All samples of a time are of one process.",
            "",
            "| runner | change of the time | " + " | ".join(f"limit {limit:.0%}" for limit in LIMITS) + " |",
            "| --- | --- |" + " --- |" * len(LIMITS),
            *_rows(found),
            "",
        ]
    )


def _rows(found: dict[str, Changes]) -> Iterable[str]:
    for runner, changes in found.items():
        for group in GROUPS:
            pairs = [changes.flagged(group, limit) for limit in LIMITS]
            cells = [f"{flagged} of {number}" for flagged, number in pairs]
            yield f"| {runner} | {group} | {' | '.join(cells)} |"


def main() -> None:
    """Read the results, and write the README."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("results", type=Path)
    frame, _ = read_frame(parser.parse_args().results)
    steps = measured_steps(frame[frame["implementation"].notna()])
    one_process = steps["processes"].isna() | (steps["processes"] == 1)
    steps = steps[one_process & (steps["count"] > 1)]
    found = {runner: changes_of(steps[steps["runner"] == runner]) for runner in RUNNERS}
    text = page({runner: changes for runner, changes in found.items() if len(changes.sizes)})
    write_atomically(OUTPUT, text)
    print(text)


if __name__ == "__main__":
    main()
