"""What an operator that is registered with torch would add to FusedRMSprop's step outside torch.compile.

    python -m studies.operator_cost --output studies/results/operator-cost

An operator takes lists of tensors, where the kernel reads the optimizer's dictionaries. In turns are timed
the whole step as it is, the making of the lists alone, and the call of an operator on them, made in Python,
whose implementation does nothing: a step by way of one takes the last two and the arithmetic. Then the same
within torch.compile, whose guards look at each tensor: the step as it is, between two graphs, and the lists
and the operator's call in one graph. On one thread, in
processor time.
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, library

from rmsprop import FusedRMSprop
from rmsprop.suite.records.files import write_atomically
from studies.paired import ratio

LAYOUTS = {"6": [6], "10x100": [100] * 10, "161x1000": [1000] * 161, "1000x1000": [1000] * 1000}
COMPILED = 200
"""Up to how many tensors torch.compile is tried: of 1,000 it takes half a minute."""
ROUND = 0.002
"""Seconds that a round shall take."""


def operator() -> Callable[..., None]:
    """An operator with the arguments of a step, and with a fake implementation; it does nothing."""

    @library.custom_op("rmsprop_study::step", mutates_args=("params", "square_avgs", "steps"))
    def step(
        params: list[Tensor],
        grads: list[Tensor],
        square_avgs: list[Tensor],
        steps: list[Tensor],
        lr: float,
        alpha: float,
        eps: float,
    ) -> None:
        pass

    @step.register_fake
    def _(*_: Any) -> None:
        pass

    return torch.ops.rmsprop_study.step.default


def parts(sizes: list[int], call: Callable[..., None]) -> dict[str, Callable[[], object]]:
    """What is timed, over parameters of these sizes."""
    params: list[Tensor] = [torch.nn.Parameter(torch.ones(size)) for size in sizes]
    for p in params:
        p.grad = torch.ones_like(p)
    optimizer = FusedRMSprop(params)
    optimizer.step()

    def lists() -> tuple[list[Any], ...]:
        having = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        states = [optimizer.state[p] for p in having]
        return (
            having,
            [p.grad for p in having],
            [state["square_avg"] for state in states],
            [state["step"] for state in states],
        )

    made = lists()

    def called() -> None:
        with torch.no_grad():
            call(*made, 1e-2, 0.99, 1e-8)

    def whole() -> None:
        with torch.no_grad():
            call(*lists(), 1e-2, 0.99, 1e-8)

    found: dict[str, Callable[[], object]] = {"step": optimizer.step, "lists": lists, "call": called}
    if len(sizes) <= COMPILED:
        found["compiled step"] = torch.compile(optimizer.step, backend="eager")
        found["compiled operator"] = torch.compile(whole, backend="eager", fullgraph=True)
    return found


def timed(run: Callable[[], object], times: int) -> float:
    """Seconds of the processor for one run."""
    begin = time.thread_time()
    for _ in range(times):
        run()
    return (time.thread_time() - begin) / times


def page(folder: Path) -> str:
    """A Markdown table of each record in the folder."""
    lines = [
        "# What a registered operator would cost",
        "",
        "Made from the records beside it by `python -m studies.operator_cost`, which says what is timed. "
        "Ratios are medians over",
        "rounds in which all take turns, with the median's 95% interval.",
    ]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        lines += [
            "",
            f"## torch {found['torch']}",
            "",
            "| tensors x elements | what | fastest, µs | times the step |",
            "| --- | --- | ---: | ---: |",
            *(line for case in found["cases"] for line in _lines(case)),
        ]
    return "\n".join(lines) + "\n"


def _lines(case: dict[str, Any]) -> list[str]:
    step = case["seconds"]["step"]
    return [
        f"| {case['layout']} | {name} | {min(seconds) * 1e6:.2f} | {ratio(seconds, step)} |"
        for name, seconds in case["seconds"].items()
    ]


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description="What a registered operator would add to a step.")
    parser.add_argument("--output", type=Path, default=Path("studies/results/operator-cost"))
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    torch.set_num_threads(1)
    call = operator()
    cases: list[dict[str, Any]] = []
    for layout, sizes in LAYOUTS.items():
        runs = parts(sizes, call)
        times = {
            name: max(1, round(ROUND / min(timed(run, 2) for _ in range(5)))) for name, run in runs.items()
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                seconds[name].append(timed(run, times[name]))
        cases.append({"layout": layout, "seconds": seconds})
        print("\n".join(_lines(cases[-1])), flush=True)
    record = {
        "kind": "operator-cost",
        "schema": 1,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cases": cases,
    }
    write_atomically(options.output / f"torch{torch.__version__}.json", json.dumps(record) + "\n")
    write_atomically(options.output / "README.md", page(options.output))


if __name__ == "__main__":
    main()
