"""FusedRMSprop against five plain passes over as many bytes, in turns, by what the caches hold.

own: steps on end, as `rmsprop bench` takes them. A million parameters and their state then stay in the last
cache, out of which two loops over two streams are read faster than one loop over three.
others: 64 MiB are read and written before each step, as a backward pass would, so that all comes from memory.
"""

import statistics

import torch

from rmsprop.suite.case import Case
from rmsprop.suite.measure.metrics import five_passes
from rmsprop.suite.measure.workload import Workload

FILLED = 2**24
"""Elements of float32 that are read and written to fill the caches."""
STEPS = {"1e6": 20, "1e7": 2}
"""In a round, with the caches its own."""
ROUNDS = 40


def pytest_generate_tests(metafunc):
    metafunc.parametrize("caches", ["own", "others"])
    metafunc.parametrize("threads", [1, 0], ids=["1t", "all"])
    metafunc.parametrize("size", list(STEPS))


def test_a_step_against_five_passes(benchmark, size, threads, caches):
    case = Case("fused", "cpu", "float32", size, "single", threads)
    filling = torch.zeros(FILLED)
    steps = STEPS[size] if caches == "own" else 1
    in_passes, in_steps = [], []

    def seconds(workload):
        if caches == "own":
            workload.run(1)
        else:
            filling.add_(1)
        return workload.time(steps) / steps

    with Workload(case) as fused, five_passes(case) as passes:
        benchmark.pedantic(
            lambda: in_steps.append(seconds(fused)),
            setup=lambda: in_passes.append(seconds(passes)),
            rounds=ROUNDS,
        )
    shares = [five / step for five, step in zip(in_passes, in_steps, strict=True)]
    benchmark.extra_info |= {
        "step_seconds": in_steps,
        "five_passes_seconds": in_passes,
        "median_share_of_five_passes": statistics.median(shares),
    }
