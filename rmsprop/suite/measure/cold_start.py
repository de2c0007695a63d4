"""What a case costs before its steady state, measured in a process of its own. Imports no torch here."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rmsprop.suite.case import Case

ROOT = Path(__file__).parents[3]
"""Of this rmsprop, the checkout or site-packages: -P keeps the current folder off the path."""
CHILD = """
import sys
sys.path.insert(0, sys.argv[1])
from rmsprop.suite.measure.cold_start import child
child(sys.argv[2])
"""
TIMEOUT = 900.0
"""Seconds, for all: to compile many tensors takes minutes."""


@dataclass(frozen=True)
class ColdStart:
    """Seconds, in the order in which they pass.

    Attributes
    ----------
    import_torch
        By itself, the first import.
    import_rmsprop
        Until the implementation is at hand; torch is there.
    construct
        The optimizer; the parameters are there.
    first_step
        Until the device is done.
    steady_step
        The fastest of ten more.
    """

    import_torch: float
    import_rmsprop: float
    construct: float
    first_step: float
    steady_step: float

    @property
    def compile(self) -> float:
        """What the first step takes beyond a steady one: compilation, and first use of torch's operators."""
        return self.first_step - self.steady_step


def cold_start(case: Case) -> ColdStart:
    """Start the case in a new process with an empty compile cache; RuntimeError carries its last line.

    Left out: Python's own start, and what the parameters cost, on CUDA with the device's context.
    """
    with tempfile.TemporaryDirectory() as cache:
        answer = subprocess.run(
            [sys.executable, "-P", "-c", CHILD, str(ROOT), case.id],
            env={**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache, "RMSPROP_CACHE": cache},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    if answer.returncode:
        last = answer.stderr.strip().splitlines()[-1:] or [f"exit code {answer.returncode}"]
        raise RuntimeError(f"cold start of {case.id}: {last[0]}")
    return ColdStart(**json.loads(answer.stdout.splitlines()[-1]))


def child(case_id: str) -> None:
    """Measure, and print the figures as one line of JSON."""
    import_torch, torch = _timed(lambda: __import__("torch"))
    from rmsprop.suite.measure import registry, workload  # noqa: PLC0415 (they import torch)

    case = Case.parse(case_id)
    import_rmsprop, implementation = _timed(lambda: registry.implementation(case.implementation))
    torch.set_num_threads(case.threads or torch.get_num_threads())
    work = workload.Workload(case, implementation)
    work.draw()

    def step() -> None:
        work.step()
        work.synchronize()

    construct, _ = _timed(work.make)
    first_step, _ = _timed(step)
    steady_step = min(_timed(step)[0] for _ in range(10))
    print(json.dumps(asdict(ColdStart(import_torch, import_rmsprop, construct, first_step, steady_step))))


def _timed(action: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.perf_counter()
    result = action()
    return time.perf_counter() - begin, result
