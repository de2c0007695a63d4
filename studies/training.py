"""Whole training steps per second: forward, backward and step, with each optimizer in turns.

    python -m studies.training --output studies/results/training

trains a small and a middling network on random numbers. Between two steps a backward pass has filled the
caches and made new gradients, which is not so in `rmsprop bench`, where steps follow one another. Each round
is kept, in seconds per training step (on one thread of the processor, so that a busy machine says the same),
and the largest number of bytes that gradients took at once.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rmsprop import FusedRMSprop, FusedRMSpropInBackward
from rmsprop.suite.records.files import write_atomically
from studies.paired import ratio

OPTIMIZERS: dict[str, Callable[[Iterable[Tensor]], torch.optim.Optimizer]] = {
    "builtin-loop": lambda params: torch.optim.RMSprop(params, lr=1e-4, foreach=False),
    "builtin-foreach": lambda params: torch.optim.RMSprop(params, lr=1e-4, foreach=True),
    "fused": lambda params: FusedRMSprop(params, lr=1e-4),
    "fused in backward": lambda params: FusedRMSpropInBackward(params, lr=1e-4),
    "none": lambda params: torch.optim.SGD(params, lr=0.0),
}
"""`none` is forward and backward alone: its `step` is not called."""
OTHERS = ("builtin-loop", "fused")
"""What the page compares with."""
ROUND = 0.05
"""Seconds that a round of training steps shall take at least."""


def small() -> tuple[nn.Module, Tensor]:
    """Three linear layers, 26,122 parameters in six tensors, 32 rows."""
    net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10))
    return net, torch.randn(32, 64)


def middling() -> tuple[nn.Module, Tensor]:
    """Six layers of a transformer, 4.7 million parameters in 72 tensors, 4 sequences of 16."""
    layer = nn.TransformerEncoderLayer(256, 4, 1024, dropout=0.0, batch_first=True)
    return nn.TransformerEncoder(layer, 6, enable_nested_tensor=False), torch.randn(4, 16, 256)


NETWORKS = {"small": small, "middling": middling}


class Training:
    """A network, its optimizer and one batch.

    Attributes
    ----------
    net, batch
        On the device.
    optimizer
        Over all parameters of the network; with `in backward` it steps during the backward pass.
    steps
        Whether a training step takes one of the optimizer.
    """

    def __init__(self, network: str, optimizer: str, device: torch.device) -> None:
        torch.manual_seed(0)
        net, batch = NETWORKS[network]()
        self.net, self.batch = net.to(device), batch.to(device)
        self.optimizer = OPTIMIZERS[optimizer](self.net.parameters())
        self.steps = optimizer != "none"

    def step(self) -> None:
        self.optimizer.zero_grad()
        self.net(self.batch).pow(2).mean().backward()
        if self.steps:
            self.optimizer.step()

    def seconds(self, times: int) -> float:
        shared = torch.get_num_threads() == 1 and not self.batch.is_cuda
        clock = time.process_time if shared else time.perf_counter
        self.step()
        self._wait()
        begin = clock()
        for _ in range(times):
            self.step()
        self._wait()
        return (clock() - begin) / times

    def _wait(self) -> None:
        if self.batch.is_cuda:
            torch.cuda.synchronize()

    def most_gradients(self) -> int:
        """The largest number of bytes of gradients at once, in one training step."""
        most = 0

        def count(made: Tensor) -> None:
            nonlocal most
            alive = sum(p.grad.nbytes for p in self.net.parameters() if p.grad is not None)
            most = max(most, alive + made.nbytes)

        handles = [p.register_hook(count) for p in self.net.parameters()]  # type: ignore[no-untyped-call]
        self.step()
        for handle in handles:
            handle.remove()
        return most


def page(folder: Path) -> str:
    """A Markdown table of each record in the folder."""
    lines = [
        "# Whole training steps",
        "",
        "Made from the records beside it by `python -m studies.training`, which says how it measures: "
        "forward, backward and",
        "step, in float32. Ratios of speed are medians over rounds in which all take turns, with the "
        "median's 95% interval. `none` is",
        "forward and backward alone. One thread is timed in processor time, which does not count while other "
        "programs have the core;",
        "more, and a GPU, are timed by the clock on the wall.",
    ]
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        lines += [
            "",
            f"## torch {found['torch']}, {found.get('gpu') or found['instructions']}",
            f"Load {found['load'][0]:.1f} at first and {found['load'][1]:.1f} at last.",
            "",
            "| network | tensors | elements | threads | optimizer | training steps per second "
            "| times torch's loop | times fused | bytes of gradients at once |",
            "| --- | ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
            *(line for case in found["cases"] for line in _lines(case)),
        ]
    return "\n".join(lines) + "\n"


def _lines(case: dict[str, Any]) -> list[str]:
    lines = []
    for name, seconds in case["seconds"].items():
        cells = (
            case["network"],
            case["tensors"],
            case["elements"],
            case["threads"],
            name,
            f"{1 / statistics.median(seconds):.1f}",
            *("" if name == other else ratio(case["seconds"][other], seconds) for other in OTHERS),
            case["gradient_bytes"][name],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description="Whole training steps per second.")
    parser.add_argument("--output", type=Path, default=Path("studies/results/training"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--threads",
        type=int,
        nargs="+",
        default=sorted({1, torch.get_num_threads()}),
        help="numbers of threads",
    )
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"), help="cpu or cuda")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    cases: list[dict[str, Any]] = []
    for network in NETWORKS:
        for threads in options.threads:
            torch.set_num_threads(threads)
            trainings = {name: Training(network, name, options.device) for name in OPTIMIZERS}
            times = max(1, round(ROUND / min(trainings["none"].seconds(2) for _ in range(3))))
            rounds: dict[str, list[float]] = {name: [] for name in trainings}
            for number in range(options.rounds):
                for name in list(trainings)[:: 1 if number % 2 else -1]:
                    rounds[name].append(trainings[name].seconds(times))
            bytes_ = {name: each.most_gradients() for name, each in trainings.items()}
            cases.append(
                {
                    "network": network,
                    "threads": threads,
                    "tensors": sum(1 for _ in trainings["none"].net.parameters()),
                    "elements": sum(p.numel() for p in trainings["none"].net.parameters()),
                    "steps": times,
                    "seconds": rounds,
                    "gradient_bytes": bytes_,
                }
            )
            print("\n".join(_lines(cases[-1])), flush=True)
    record = {
        "kind": "training",
        "schema": 1,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "gpu": torch.cuda.get_device_name(options.device) if options.device.type == "cuda" else None,
        "dtype": "float32",
        "load": [load, os.getloadavg()[0]],
        "cases": cases,
    }
    name = f"torch{torch.__version__}{'' if options.device.type == 'cpu' else '-cuda'}"
    write_atomically(options.output / f"{name}.json", json.dumps(record) + "\n")
    write_atomically(options.output / "README.md", page(options.output))


if __name__ == "__main__":
    main()
