"""Exact counts of what an epoch does: the same on every machine, until code or torch changes."""

import gc
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from rmsprop.book.programs import Program
from rmsprop.book.training import train
from rmsprop.suite.records.reproduction import Counts


class _Dispatched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations that torch dispatches, those of the backward pass among them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.operations: int = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.operations += 1
        return func(*args, **(kwargs or {}))


def counts_of(program: Program, features: Tensor, labels: Tensor) -> Counts:
    """The operations and calls of one epoch: what an epoch more adds to a training."""
    one, two = (replace(program, num_epochs=epochs) for epochs in (1, 2))

    def run(which: Program) -> Callable[[], object]:
        return lambda: train(which, features, labels, seed=0)

    run(one)()  # what is done once only, such as imports, is not counted
    operations = [_operations(run(which)) for which in (one, two)]
    calls = [_calls(run(which)) for which in (one, two)]
    return Counts(
        torch_operations=operations[1] - operations[0],
        python_calls=calls[1][0] - calls[0][0],
        c_calls=calls[1][1] - calls[0][1],
        torch=torch.__version__,
    )


def cpu_seconds_of(program: Program, features: Tensor, labels: Tensor) -> float:
    """Processor time of one sequential training, the median of three, by this thread alone.

    Torch should have one thread. Other processes count for nothing but the caches that they share.
    """
    took = []
    for _ in range(3):
        before = time.thread_time()
        train(program, features, labels, seed=0)
        took.append(time.thread_time() - before)
    return sorted(took)[1]


def _operations(work: Callable[[], object]) -> int:
    with _Dispatched() as mode:
        work()
    return int(mode.operations)


def _calls(work: Callable[[], object]) -> tuple[int, int]:
    """Calls of Python functions, and of functions in C."""
    counted = {"call": 0, "c_call": 0}

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        if event in counted:
            counted[event] += 1

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()  # a collection would call what it finalises, at a time of its own
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return counted["call"], counted["c_call"]
