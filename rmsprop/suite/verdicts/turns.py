"""One implementation against another that was measured in turns with it: rows of `Runs` -> verdicts."""

from dataclasses import dataclass

import pandas as pd

from rmsprop.suite.records.frame import Row
from rmsprop.suite.verdicts.ratios import speed_up
from rmsprop.suite.verdicts.speed import POINT, as_rows, measured_steps
from rmsprop.suite.words import factor


@dataclass(frozen=True)
class Comparison:
    """A step of one implementation against another in the same turn.

    Attributes
    ----------
    other
        The implementation that it is compared with.
    ratio, interval
        As in `verdicts.speed.SpeedUp`: above 1, the other takes longer.
    trusted
        As `SpeedUp.is_trusted` says.
    """

    other: str
    ratio: float
    interval: tuple[float, float] | None
    trusted: bool

    @property
    def words(self) -> str:
        """Such as `7.90× (7.61 to 8.20)`."""
        if self.interval is None:
            return f"{factor(self.ratio)}×"
        low, high = map(factor, self.interval)
        return f"{factor(self.ratio)}× ({low} to {high})"


def turns_of(rows: pd.DataFrame, name: str, other: str) -> list[pd.DataFrame]:
    """Of each point the newest steps of `name`, with all that was measured in turns with them.

    Parameters
    ----------
    rows
        Those of one machine, from `Runs`. Turns without `other` are left out.
    """
    steps = measured_steps(rows)
    own = steps[(steps["implementation"] == name) & steps["latest"]]
    turns = [turn for _, turn in steps.groupby([*POINT, "turn"], sort=False)]
    known, both = set(own["turn"]), {name, other}
    return [turn for turn in turns if turn["turn"].iloc[0] in known and both <= set(turn["implementation"])]


def compare(turn: pd.DataFrame, name: str, other: str) -> Comparison:
    """One implementation of a turn at one point against another of it."""
    own, rival = row_of(turn, name), row_of(turn, other)
    alike = own["processes"] is not None and own["processes"] == rival["processes"]
    found = speed_up(_samples(rival), _samples(own), int(own["processes"]) if alike else 1)
    trusted = found.is_trusted(own["warnings"], rival["warnings"])
    return Comparison(other, found.ratio, found.interval, trusted)


def row_of(turn: pd.DataFrame, implementation: str) -> Row:
    """The step of an implementation that the turn has."""
    return as_rows(turn[turn["implementation"] == implementation])[0]


def _samples(row: Row) -> list[float]:
    return list(row["samples"]) if len(row["samples"]) else [row["median"]]
