"""A history: a series per machine, environment and case or benchmark, in the order of commits.

Two kinds are told apart. A series of asv's, pytest-benchmark's or our own records holds measurements,
one for each commit, in which `rmsprop.suite.history.alerts` looks for change points. A series of the gate's
records holds ratios of commits to their parents, measured side by side: each is evidence by itself, and the
machine may drift or be replaced between two of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from rmsprop.suite.records.files import Problem
from rmsprop.suite.verdicts.looks import SHORTEST

LAUNCHES = 4
"""Fewest launches of the gate from which a ratio is evidence."""


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of one case on one machine in one environment, at one commit after the other.

    Attributes
    ----------
    machine
        As the runner names it.
    environment
        Python and packages, as the runner names them.
    case
        The id of a case, or the name of another benchmark with its parameters.
    quantity
        What of it was measured, such as step or peak.
    unit
        seconds, bytes, or what a track_ of asv's counts; 1 for the gate's ratios.
    runner
        asv, bench, pytest-benchmark or gate.
    commits
        Full hashes, oldest first.
    times
        UTC: of the commits where they are known, else of the measurements.
    values
        Medians; the gate's are ratios of each commit to its base.
    bases
        The gate's: what each commit was compared with.
    launches
        The gate's: the log ratio of each pair of processes.
    version
        Of the benchmark: another one measures something else, and has a history of its own.
    """

    machine: str
    environment: str
    case: str
    quantity: str
    unit: str
    runner: str
    commits: tuple[str, ...]
    times: tuple[datetime, ...]
    values: NDArray[np.float64]
    bases: tuple[str, ...] = ()
    launches: tuple[tuple[float, ...], ...] = ()
    version: str = ""

    @property
    def long_enough(self) -> bool:
        """Whether a change could be found in it: the gate's ratios need no past."""
        if self.runner == "gate":
            return any(len(launches) >= LAUNCHES for launches in self.launches)
        return len(self.commits) >= SHORTEST


@dataclass(frozen=True)
class History:
    """All series, and what could not be read.

    Attributes
    ----------
    series
        Those of the benchmarks, then the gate's.
    problems
        Files that could not be read, and why.
    commits
        The checkout's history, oldest first; empty where there is none, or it has no measured commit.
    measured
        The commits of all series, oldest first.
    remarks
        A sentence each: what was measured and is in no series, and why; where dates order commits that git
        does not know.
    hardware
        Machine and commit -> what the file says of the machine at that time, where it says anything.
    """

    series: tuple[Series, ...]
    problems: tuple[Problem, ...]
    commits: tuple[str, ...] = field(default=(), repr=False)
    measured: tuple[str, ...] = field(default=(), repr=False)
    remarks: tuple[str, ...] = ()
    hardware: Mapping[tuple[str, str], str] = field(default_factory=dict, repr=False)
