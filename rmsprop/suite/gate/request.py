"""What the gate is asked to do, checked before anything is done."""

import math
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rmsprop.errors import UserError

LEAST_PYTHON = (3, 11)


@dataclass(frozen=True)
class GateRequest:
    """What is compared, how, and for how long.

    Attributes
    ----------
    folder
        Where the gate is started: a folder of a git checkout.
    base, head
        Revisions; None is the working tree as it is.
    base_python, head_python
        The interpreters that measure; None is the one that runs the gate.
    budget
        Seconds for everything.
    aim
        The slowdown to detect, as a share of a step's time.
    suite
        The module or file that lists the cases, below `folder`.
    patterns
        Keep the cases whose id matches one of them; all if there is none.
    pairs
        Launches at a time; None leaves it to the gate.
    prepare
        A shell command that runs once in each tree before anything is imported.
    timed
        False for the exact counters alone.
    results
        The folder of records: earlier runs say how noisy this machine is.
    """

    folder: Path
    base: str | None = None
    head: str | None = None
    base_python: Path | None = None
    head_python: Path | None = None
    budget: float = 480.0
    aim: float = 0.03
    suite: str = "benchmarks.suite"
    patterns: tuple[str, ...] = ()
    pairs: int | None = None
    prepare: str | None = None
    timed: bool = True
    results: Path = Path("results")

    def __post_init__(self) -> None:
        """UserError if there is nothing to compare."""
        for side, revision in (("base", self.base), ("head", self.head)):
            if revision is not None and not revision.strip():
                raise UserError(f"--{side} is empty: expected a revision such as origin/main")

    def interpreters(self) -> dict[str, Path]:
        """The interpreter of each side; UserError if one is missing or too old."""
        return {"base": _interpreter(self.base_python), "head": _interpreter(self.head_python)}

    def revisions(self) -> Mapping[str, str | None]:
        """The revision of each side."""
        return {"base": self.base, "head": self.head}


def seconds_of(budget: str) -> float:
    """The seconds in 8m, 90s, 1h or 480."""
    units = {"s": 1, "m": 60, "h": 3600}
    number, unit = (budget[:-1], units[budget[-1]]) if budget[-1:] in units else (budget, 1)
    try:
        seconds = float(number) * unit
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise UserError(f"--budget {budget!r}: expected a time such as 8m or 90s")
    return seconds


def share_of(aim: str) -> float:
    """0.03 for 3%."""
    try:
        share = float(aim.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not 0 < share < 1:
        raise UserError(f"--aim {aim!r}: expected a slowdown such as 3%")
    return share


def _interpreter(python: Path | None) -> Path:
    """The path as it is, not resolved: a virtual environment is known by its link."""
    if python is None:
        return Path(sys.executable)
    found = shutil.which(python)
    if found is None:
        raise UserError(f"there is no interpreter {python}; expected the path of a python")
    least = ".".join(map(str, LEAST_PYTHON))
    code = f"import sys; print(sys.version_info >= {LEAST_PYTHON})"
    answer = subprocess.run([found, "-c", code], capture_output=True, text=True, check=False)
    if answer.stdout.strip() != "True":
        raise UserError(f"{python} is no Python {least} or newer, which is what measures")
    return Path(found).absolute()
