"""What `rmsprop alerts` takes in seconds and memory, over histories of several sizes and kinds.

    python -m studies.alerts_scale

makes up results of asv, calls the command on them, and writes what it took beside README.md. A history has
the same commits in each series, one file each. White noise of 2%; in the first kind one series of ten becomes
10% slower once, and in the second each series changes its level after every 25 points, as busy histories do.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.files import write_atomically, write_new
from studies.changepoint_series import Floats

COMMITS = 200
SIZES = {"a step in every tenth": (200, 2_000, 20_000), "a level every 25 points": (200, 2_000)}
"""Kind -> numbers of series."""
HOUR = 3_600_000
"""Milliseconds between two commits."""


@dataclass(frozen=True)
class ScaleTaken:
    """What one call took.

    Attributes
    ----------
    kind
        Of histories, in `SIZES`.
    series, points
        How many there are.
    seconds
        From start to end.
    mebibytes
        Resident memory of the largest of its processes at the most.
    commits
        At how many it found change points.
    """

    kind: str
    series: int
    points: int
    seconds: float
    mebibytes: float
    commits: int


def steps(series: int, rng: np.random.Generator) -> Floats:
    """(series, commits): every tenth is 10% slower from one commit on."""
    logs = 0.02 * rng.standard_normal((series, COMMITS))
    for number in range(0, series, 10):
        logs[number, int(rng.integers(40, COMMITS - 20)) :] += np.log(1.1)
    return np.exp(logs)


def levels(series: int, rng: np.random.Generator) -> Floats:
    """(series, commits): each has another level, up to 10% away, after every 25 points."""
    height = rng.uniform(-0.1, 0.1, (series, COMMITS // 25))
    return np.exp(0.02 * rng.standard_normal((series, COMMITS)) + np.repeat(height, 25, axis=1))


KINDS: dict[str, Callable[[int, np.random.Generator], Floats]] = dict(
    zip(SIZES, (steps, levels), strict=True)
)


def write_history(folder: Path, values: Floats) -> None:
    """One file of asv's for each commit, with a benchmark for each series."""
    machine = folder / "box"
    machine.mkdir(parents=True)
    (machine / "machine.json").write_text(
        '{"machine": "box", "cpu": "made up", "num_cpu": "2", "version": 1}'
    )
    for number, column in enumerate(values.T):
        commit = f"{number:040x}"
        results = {f"made.time_{one}": [[float(f"{value:.6g}")]] for one, value in enumerate(column)}
        content: dict[str, Any] = {
            "version": 2,
            "commit_hash": commit,
            "date": 1_600_000_000_000 + HOUR * number,
            "env_name": "py",
            "params": {"machine": "box"},
            "result_columns": ["result"],
            "results": results,
        }
        (machine / f"{commit[-8:]}-py.json").write_text(json.dumps(content))


def taken(kind: str, series: int) -> ScaleTaken:
    """Make the history up, and call the command on it."""
    with tempfile.TemporaryDirectory() as folder:
        write_history(Path(folder), KINDS[kind](series, np.random.default_rng(series)))
        command = [sys.executable, "-m", "rmsprop", "alerts", "--json", "--results", folder]
        with (Path(folder) / "answer").open("w+") as answer:
            begin = time.perf_counter()
            process = subprocess.Popen(command, stdout=answer, cwd=folder)
            _, status, usage = os.wait4(process.pid, 0)  # Popen's own wait tells no memory
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.perf_counter() - begin
            answer.seek(0)
            found = {alert["first_bad"] for alert in json.load(answer)["alerts"]}
    return ScaleTaken(kind, series, series * COMMITS, seconds, usage.ru_maxrss / 1024, len(found))


def scale_page(found: Sequence[ScaleTaken], machine: str) -> str:
    """The README beside the records."""
    rows = [
        f"| {one.kind} | {one.series:,} | {one.points:,} | {one.seconds:.0f} s | "
        f"{one.seconds / one.points * 1e6:.0f} µs | {one.mebibytes:,.0f} MiB | {one.commits} |"
        for one in found
    ]
    return "\n".join(
        [
            "# How long `rmsprop alerts` takes",
            "",
            f"Made by `python -m studies.alerts_scale` on {machine}. Each history has {COMMITS} commits.",
            "",
            "| history | series | points | time | per point | largest process | commits with alerts |",
            "| --- | --- | --- | --- | --- | --- | --- |",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Measure all sizes, the smallest first, and write the record and the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--output", type=Path, default=Path("studies/results/alerts-scale"))
    output: Path = parser.parse_args().output
    environment = capture_environment()
    found = []
    for series, kind in sorted((series, kind) for kind, sizes in SIZES.items() for series in sizes):
        found.append(taken(kind, series))
        print(found[-1], flush=True)
    record = {
        "kind": "alerts-scale-study",
        "schema": 1,
        "environment": asdict(environment),
        "found": [asdict(one) for one in found],
    }
    write_new(output / environment.machine, environment.started[:10], json.dumps(record, indent=1))
    write_atomically(output / "README.md", scale_page(found, environment.machine))


if __name__ == "__main__":
    main()
