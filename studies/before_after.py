"""FusedRMSprop's step in two checkouts, measured in turns.

    python -m studies.before_after --before ../before --output studies/results/before-after

starts a process for each checkout, which imports FusedRMSprop from there, and lets them take their steps in
turns, so that what else the machine does meets both. `own`: steps on end. `others`: 64 MiB are read and
written before each step, as a backward pass would, and only the step is timed. Each round is kept, in
seconds per step.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from rmsprop.suite.records.files import write_atomically

LAYOUTS = {"6": [6], "1e5": [10**5], "1e6": [10**6], "1e7": [10**7], "1000x1000": [1000] * 1000}
DTYPES = ("float32", "bfloat16", "float16")
ROUND = 0.01
"""Seconds that a round of steps on end shall take."""


class Worker:
    """A process that steps with the FusedRMSprop of one checkout."""

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
        asked["sizes"] = LAYOUTS[asked["layout"]]
        print(json.dumps(asked), file=self.process.stdin, flush=True)
        return float(self.process.stdout.readline())


_ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description="FusedRMSprop's step in two checkouts, in turns.")
    parser.add_argument("--before", type=Path, required=True, help="the other checkout")
    parser.add_argument("--output", type=Path, default=Path("studies/results/before-after"))
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    sides = {"before": Worker(options.before), "after": Worker(_ROOT)}
    commits = {"before": _commit(options.before), "after": _commit(_ROOT)}
    cases: list[dict[str, Any]] = []
    for layout in LAYOUTS:
        for dtype in DTYPES:
            for threads in (1, torch.get_num_threads()):
                for caches in ("own", "others") if layout in {"1e6", "1000x1000"} else ("own",):
                    asked = {"layout": layout, "dtype": dtype, "threads": threads, "caches": caches}
                    once = min(sides["after"].seconds(**asked, steps=1) for _ in range(3))
                    steps = 1 if caches == "others" else max(1, round(ROUND / once))
                    rounds: dict[str, list[float]] = {side: [] for side in sides}
                    for number in range(options.rounds):
                        for side in list(sides)[:: 1 if number % 2 else -1]:
                            rounds[side].append(sides[side].seconds(**asked, steps=steps))
                    middle = {side: statistics.median(found) for side, found in rounds.items()}
                    ratios = [a / b for b, a in zip(rounds["before"], rounds["after"], strict=True)]
                    cases.append({**asked, "steps": steps, "seconds": rounds})
                    print(
                        f"{layout:>9} {dtype:8} {threads} threads, {caches:6}: before "
                        f"{middle['before'] * 1e6:10.2f} us, after {middle['after'] * 1e6:10.2f} us, "
                        f"after/before {statistics.median(ratios):.3f}",
                        flush=True,
                    )
    record = {
        "kind": "before-after",
        "schema": 1,
        "commits": commits,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "processor": platform.processor() or platform.machine(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cases": cases,
    }
    name = f"{commits['before'][:9]}-{commits['after'][:9]}.json"
    write_atomically(options.output / name, json.dumps(record) + "\n")


def _commit(checkout: Path) -> str:
    found = subprocess.run(
        ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
        capture_output=True,
        text=True,
        check=True,
    )
    return found.stdout.strip()


if __name__ == "__main__":
    main()
