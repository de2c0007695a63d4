"""How many times the faithful sequential loop's throughput per seed an ensemble of 10,000 seeds has.

The time that pytest-benchmark shows is the ensemble's, the drawing of weights and orders included.
Sequential runs come before each round, so that both see the same machine; their seconds per seed and
the ratios stand in extra_info. Rows: the real airfoil data where `RMSPROP_DATA` or the cache has them, else
their surrogate.
"""

import statistics
import time

import torch

SEEDS = 10_000
SEQUENTIAL_RUNS = 6
ROUNDS = 5


def pytest_generate_tests(metafunc):
    from rmsprop.book.programs import PROGRAMS  # noqa: PLC0415 (asv may import this without)

    metafunc.parametrize("program", list(PROGRAMS.values()), ids=list(PROGRAMS))


def test_ensemble_throughput_per_seed_against_the_sequential_loop(benchmark, program):
    from rmsprop.book import airfoil, ensemble, training  # noqa: PLC0415 (asv may import this without)

    data = airfoil.load_airfoil(mirrors=())
    rows = data.to("cpu", torch.float32)
    sequential, at_once = [], []

    def run_the_loop():
        start = time.perf_counter()
        for seed in range(SEQUENTIAL_RUNS):
            training.train(program, *rows, seed)
        sequential.append((time.perf_counter() - start) / SEQUENTIAL_RUNS)

    def run_the_ensemble():
        result = ensemble.ensemble(program, *rows, range(SEEDS))
        at_once.append(result.seconds / SEEDS)
        return result

    run_the_loop()  # the first pays for what torch imports and allocates once
    sequential.clear()
    result = benchmark.pedantic(run_the_ensemble, setup=run_the_loop, rounds=ROUNDS)
    assert result.losses.shape[1] == SEEDS
    ratios = [loop / seed for loop, seed in zip(sequential, at_once, strict=True)]
    benchmark.extra_info |= {
        "program": program.name,
        "data": data.source,
        "seeds": SEEDS,
        "sequential_seconds_per_seed": sequential,
        "ensemble_seconds_per_seed": at_once,
        "throughput_ratios": ratios,
        "median_throughput_ratio": statistics.median(ratios),
    }
