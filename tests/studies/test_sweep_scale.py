"""What a large sweep would cost: the formula, and the simulation that checks it."""

import math

import numpy as np
import pytest

from studies.sweep_scale import RESTART, ScaleCosts, fitted, on_paper, page, scatter_of, simulated

WORKERS = ScaleCosts(a=1.0, b=1e-3, s0=1e-6, s1=0.0)
"""Workers are the limit."""
ASKING = ScaleCosts(a=0.0, b=1e-3, s0=0.1, s1=1e-4)
"""The process that asks is the limit: 10 cores at most."""


def run(costs, n, failures=0.0, scatter=(1.0,), **size):
    return simulated(costs, n, failures, scatter, np.random.default_rng(1), **size)


def test_without_failures_and_scatter_the_simulation_takes_the_rounds_that_there_are():
    seconds, busy = run(WORKERS, 1000, trainings=100_000, cores=10)
    assert seconds == pytest.approx(10 * 2.0, rel=1e-3)
    assert busy < 0.01


def test_every_training_is_counted_once_also_where_the_last_chunks_leave_cores_idle():
    seconds, _ = run(WORKERS, 1000, trainings=11_000, cores=10)
    assert seconds == pytest.approx(2 * 2.0, rel=1e-3)


def test_where_the_process_that_asks_is_the_limit_it_is_always_busy():
    seconds, busy = run(ASKING, 1000, trainings=10**6, cores=100)
    assert seconds == pytest.approx(on_paper(ASKING, 1000, 0.0, 10**6, 100)[0], rel=0.05)
    assert seconds == pytest.approx(1000 * 0.2, rel=0.05)
    assert busy > 0.95
    assert ASKING.cores(10**9) == pytest.approx(ASKING.b / ASKING.s1)


@pytest.mark.parametrize("failures", [0.0, 10.0, 200.0])
def test_formula_and_simulation_agree_where_there_are_many_chunks(failures):
    size = {"trainings": 5_000_000, "cores": 20}
    seconds, _ = run(WORKERS, 1000, failures, (0.8, 1.2), **size)
    least, most = on_paper(WORKERS, 1000, failures, **size)
    assert most == pytest.approx(least, rel=0.01)
    assert seconds == pytest.approx(least, rel=0.05)


@pytest.mark.parametrize("n", [500, 5_000, 50_000])
def test_the_simulation_lies_between_full_overlap_and_none(n):
    costs, size = ScaleCosts(0.1, 1e-3, 0.01, 2e-5), {"trainings": 5_000_000, "cores": 50}
    seconds, _ = run(costs, n, **size)
    least, most = on_paper(costs, n, 0.0, **size)
    assert least <= seconds <= most * 1.001


def test_the_expected_time_of_a_chunk_is_that_of_restarts():
    """Against the mean over 200,000 chunks that are drawn one by one."""
    rng = np.random.default_rng(2)
    rate, chunk, total = 200 / 3600, WORKERS.work(1000), 0.0
    for _ in range(200_000):
        while (until := rng.exponential(1 / rate)) < chunk:
            total += until + RESTART
        total += chunk
    expected = on_paper(WORKERS, 1000, 200.0, 10**9, 1)[0] / 10**6
    assert total / 200_000 == pytest.approx(expected, rel=0.01)


def test_a_line_is_found_through_medians_and_never_begins_below_zero():
    points = [(n, 2.0 + 0.5 * n) for n in (1, 10, 100)] + [(10, 1e9), (10, 0.0)]
    assert fitted(points) == pytest.approx((2.0, 0.5))
    assert fitted([(1, 0.5), (100, 100.0)])[0] == 0.0


def test_the_page_names_the_limit(make_sweep):
    record = {
        "machine": "m", "torch": "2", "load": [0.1, 0.2],
        "work": [(n, 0.1 + 1e-2 * n) for n in (128, 1024)],
        "service": [(n, 0.01 + 1e-6 * n) for n in (128, 1024)],
    }  # fmt: skip
    sweep = make_sweep()
    _, mean = scatter_of(sweep, ScaleCosts(0.1, 1e-2, 0.01, 1e-6))
    assert math.isclose(mean, 10.0 / (0.2 + 9.0))
    text = page(record, sweep, trainings=2_000_000, cores=4)
    assert "one process keeps at most 10,870 cores busy" in text
    assert "| 16,384 |" in text
