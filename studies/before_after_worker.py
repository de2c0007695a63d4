"""One side of studies/before_after.py: steps with the FusedRMSprop that PYTHONPATH names.

Each line of stdin is a case and how many steps to take; the answer is the seconds of one. It imports nothing
else of the project, since the other checkout may not have it.
"""

import json
import sys
import time

import torch

from rmsprop import FusedRMSprop

FILLED = 2**24
"""Elements of float32 that are read and written to fill the caches."""


def work() -> None:
    """Answer until stdin ends."""
    made: dict[str, FusedRMSprop] = {}
    filling = torch.zeros(FILLED)
    for line in sys.stdin:
        asked = json.loads(line)
        torch.set_num_threads(asked["threads"])
        key = f"{asked['layout']} {asked['dtype']}"
        if key not in made:
            made.clear()
            torch.manual_seed(0)
            dtype = getattr(torch, asked["dtype"])
            params = [torch.nn.Parameter(torch.randn(size).to(dtype)) for size in asked["sizes"]]
            for p in params:
                p.grad = torch.randn(p.shape).to(dtype)
            made[key] = FusedRMSprop(params, lr=1e-4)
            made[key].step()
        step = made[key].step
        (filling.add_(1) if asked["caches"] == "others" else step())
        begin = time.perf_counter()
        for _ in range(asked["steps"]):
            step()
        print((time.perf_counter() - begin) / asked["steps"], flush=True)


if __name__ == "__main__":
    work()
