"""How many calls a step makes: a count that no clock and no other process can change.

    python -m studies.calls --output studies/results/calls

counts, for each implementation, the calls of Python functions and of functions in C that one step makes once
its state exists, stores them under the version of torch, and renews the table in README.md beside them. Two
versions of torch whose steps differ in their calls differ in their code. If only the times differ, the cause
may be the build.
"""

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from rmsprop.suite.measure.registry import builtins
from rmsprop.suite.records.files import write_atomically

TENSORS = (1, 10)
"""Numbers of parameters, each of three elements: what a step costs beyond its arithmetic."""
IMPLEMENTATIONS = ("scratch", "builtin-loop", "builtin-foreach", "fused")


def calls_of_a_step(name: str, tensors: int) -> dict[str, int]:
    """Calls of Python functions and of functions in C, of the third step over so many parameters."""
    params: list[torch.Tensor] = [torch.nn.Parameter(torch.ones(3)) for _ in range(tensors)]
    stepper = builtins()[name].make(params, lr=0.01, alpha=0.9, eps=1e-8)
    for p in params:
        p.grad = torch.ones(3)
    stepper.step()
    stepper.step()
    counts = {"python": -1, "c": 0}  # the call of `step` itself is none that it makes

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        if event in ("call", "c_call"):
            counts["python" if event == "call" else "c"] += 1

    former = sys.getprofile()
    sys.setprofile(count)
    try:
        stepper.step()
    finally:
        sys.setprofile(former)
    counts["c"] -= 1  # of sys.setprofile, which ends the count
    return counts


def study() -> Mapping[str, object]:
    """The counts of every implementation, with the versions that they are of."""
    return {
        "kind": "calls",
        "schema": 1,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "calls": {
            f"{name}, {tensors} tensor{'s' * (tensors > 1)}": calls_of_a_step(name, tensors)
            for name in IMPLEMENTATIONS
            for tensors in TENSORS
        },
    }


def page(folder: Path) -> str:
    """A Markdown table of every version on record."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("torch*.json"))]
    lines = [
        "# Calls of one step",
        "",
        "How many functions one step calls, in Python + in C, by the version of torch. "
        "`python -m studies.calls` counts.",
        "",
        f"| implementation | {' | '.join(one['torch'] for one in found)} |",
        f"| --- |{' ---: |' * len(found)}",
    ]
    for name in found[0]["calls"]:
        cells = [f"{one['calls'][name]['python']} + {one['calls'][name]['c']}" for one in found]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Count, store and print."""
    parser = argparse.ArgumentParser(description="Count the calls that a step makes.")
    parser.add_argument("--output", type=Path, default=Path("studies/results/calls"))
    output = parser.parse_args().output
    found = study()
    text = json.dumps(found, indent=1)
    write_atomically(output / f"torch{found['torch']}.json", text + "\n")
    write_atomically(output / "README.md", page(output))
    print(text)


if __name__ == "__main__":
    main()
