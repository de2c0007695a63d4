"""One side of studies/before_after.py: steps with the FusedRMSprop that PYTHONPATH names.

Each line of stdin is a case and how many steps to take; the answer is the seconds of one: of one thread in
processor time, which does not count while other programs have the core. It imports nothing else of the
project, since the other checkout may not have it.
"""

import json
import sys
import time

import torch

from rmsprop import FusedRMSprop

FILLED = 2**24
"""Elements of float32 that are read and written to fill the caches."""


def optimizer_of(sizes: list[int], dtype: torch.dtype) -> FusedRMSprop:
    """FusedRMSprop after one step over such parameters."""
    torch.manual_seed(0)
    params = [torch.nn.Parameter(torch.randn(size).to(dtype)) for size in sizes]
    for p in params:
        p.grad = torch.randn(p.shape).to(dtype)
    optimizer = FusedRMSprop(params, lr=1e-4)
    optimizer.step()
    return optimizer


def work() -> None:
    """Answer until stdin ends."""
    layout, made = "", dict[str, FusedRMSprop]()
    filling = torch.zeros(FILLED)
    for line in sys.stdin:
        asked = json.loads(line)
        torch.set_num_threads(asked["threads"])
        if asked["layout"] != layout:
            layout = asked["layout"]
            made.clear()
        if asked["dtype"] not in made:
            made[asked["dtype"]] = optimizer_of(asked["sizes"], getattr(torch, asked["dtype"]))
        step = made[asked["dtype"]].step
        (filling.add_(1) if asked["caches"] == "others" else step())
        clock = time.thread_time if asked["threads"] == 1 else time.perf_counter
        begin = clock()
        for _ in range(asked["steps"]):
            step()
        print((clock() - begin) / asked["steps"], flush=True)


if __name__ == "__main__":
    work()
