"""FusedRMSprop's step in two checkouts, measured in turns.

    python -m studies.before_after --before ../before --output studies/results/before-after

starts a process for each checkout, which imports FusedRMSprop from there, and lets them take their steps in
turns, dtype by dtype, so that what else the machine does meets all. One thread is timed in processor time,
which does not count while other programs have the core; two are timed by the clock on the wall. `own`: steps
on end. `others`: 64 MiB are read and written before each step, as a backward pass would, and only the step is
timed. Each round is kept, in seconds per step.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from rmsprop.suite.records.files import write_atomically
from studies.paired import ratio

LAYOUTS = {"6": [6], "1e5": [10**5], "1e6": [10**6], "1e7": [10**7], "1000x1000": [1000] * 1000}
DTYPES = ("float32", "bfloat16", "float16")
CASES = [
    ("6", "own"),
    ("1e5", "own"),
    ("1e6", "own"),
    ("1e6", "others"),
    ("1e7", "own"),
    ("1000x1000", "own"),
    ("1000x1000", "others"),
]
ROUND = 0.002
"""Seconds that a round of steps on end shall take: less than a busy machine gives a process at a time."""

REST = 0.01
"""Seconds in which the threads of the other process, which wait for work, fall asleep."""


class SideWorker:
    """A process that steps with the FusedRMSprop of one checkout.

    Attributes
    ----------
    process
        It reads a request a line, and answers each with seconds.
    """

    def __init__(self, checkout: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("before_after_worker.py"))],
            env={**os.environ, "PYTHONPATH": str(checkout.resolve())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def seconds(self, **asked: Any) -> float:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        time.sleep(REST)
        asked["sizes"] = LAYOUTS[asked["layout"]]
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


def page(folder: Path) -> str:
    """A Markdown table of each record in the folder."""
    lines = [
        "# FusedRMSprop's step before and after a change",
        "",
        "Made from the records beside it by `python -m studies.before_after`, which says how it measures. "
        "Ratios are medians over",
        "rounds in which all take turns, with the median's 95% interval. One thread is timed in processor "
        "time, which does not count",
        "while other programs have the core; more are timed by the clock on the wall. A commit is the last "
        "that changed FusedRMSprop.",
    ]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        lines += [
            "",
            f"## {found['commits']['before'][:9]} and {found['commits']['after'][:9]}",
            f"torch {found['torch']}, {found['instructions']}, load {found['load'][0]:.1f} at first and "
            f"{found['load'][1]:.1f} at last.",
            "",
            "| layout | dtype | threads | caches | fastest before, µs | after, µs | times as fast as before "
            "| as float32 |",
            "| --- | --- | ---: | --- | ---: | ---: | ---: | ---: |",
            *(_line(found["cases"], case) for case in found["cases"]),
        ]
    return "\n".join(lines) + "\n"


def _line(cases: list[dict[str, Any]], case: dict[str, Any]) -> str:
    alike = ("layout", "threads", "caches")
    float32 = next(
        one for one in cases if one["dtype"] == DTYPES[0] and all(one[key] == case[key] for key in alike)
    )
    before, after = (case["seconds"][side] for side in ("before", "after"))
    cells = (
        case["layout"],
        case["dtype"],
        case["threads"],
        case["caches"],
        f"{min(before) * 1e6:.2f}",
        f"{min(after) * 1e6:.2f}",
        ratio(before, after),
        "" if case is float32 else ratio(float32["seconds"]["after"], after),
    )
    return f"| {' | '.join(map(str, cells))} |"


_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description="FusedRMSprop's step in two checkouts, in turns.")
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--output", type=Path, default=Path("studies/results/before-after"))
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, torch.get_num_threads()}),
        help="numbers of threads",
    )
    options = parser.parse_args()
    sides = {"before": SideWorker(options.before), "after": SideWorker(_ROOT)}
    commits = {"before": _commit(options.before), "after": _commit(_ROOT)}
    load = os.getloadavg()[0]
    cases: list[dict[str, Any]] = []
    for layout, caches in CASES:
        for threads in options.threads:
            asked = {"layout": layout, "threads": threads, "caches": caches}
            turns = [(side, dtype) for side in sides for dtype in DTYPES]
            once = min(sides["after"].seconds(**asked, dtype=DTYPES[0], steps=1) for _ in range(3))
            steps = 1 if caches == "others" else max(1, round(ROUND / once))
            seconds: dict[tuple[str, str], list[float]] = {turn: [] for turn in turns}
            for number in range(options.rounds):
                for side, dtype in turns[:: 1 if number % 2 else -1]:
                    seconds[side, dtype].append(sides[side].seconds(**asked, dtype=dtype, steps=steps))
            for dtype in DTYPES:
                found = {side: seconds[side, dtype] for side in sides}
                cases.append({**asked, "dtype": dtype, "steps": steps, "seconds": found})
                print(_line(cases, cases[-1]), flush=True)
    record = {
        "kind": "before-after",
        "schema": 1,
        "commits": commits,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "load": [load, os.getloadavg()[0]],
        "cases": cases,
    }
    name = f"{commits['before'][:9]}-{commits['after'][:9]}.json"
    write_atomically(options.output / name, json.dumps(record) + "\n")
    write_atomically(options.output / "README.md", page(options.output))


def _commit(checkout: Path) -> str:
    """The last commit that changed FusedRMSprop, marked where the files have changed since."""
    git = ["git", "-C", str(checkout)]
    measured = ["--", "rmsprop/optimizers/fused"]
    found = subprocess.check_output([*git, "log", "-1", "--format=%H", *measured], text=True).strip()
    changed = subprocess.check_output([*git, "status", "--porcelain", *measured], text=True)
    return f"{found}-dirty" if changed else found


if __name__ == "__main__":
    main()
