"""Counters of steps whose work is known."""

import sys

import pytest
import torch

from rmsprop.suite.case import Case
from rmsprop.suite.gate import counting
from rmsprop.suite.measure.workload import Workload


def steps_of(step):
    def run(steps):
        for _ in range(steps):
            step()

    return run


def helper():
    return len("abc")


def test_calls_are_counted_exactly():
    def step():
        helper()
        helper()

    counted = counting.count(steps_of(step))
    assert (counted["python_calls"], counted["c_calls"]) == (3, 2)
    assert (counted["operations"], counted["allocated"], counted["peak"]) == ({}, 0, 0)


def test_operations_and_memory_are_counted_exactly():
    x = torch.ones(1000)

    def step():
        y = x + 1  # 4,000 bytes, alive to the end
        y.mul_(2)
        (y * y).sum()

    counted = counting.count(steps_of(step))
    assert counted["operations"] == {
        "aten.add.Tensor": 1,
        "aten.mul.Tensor": 1,
        "aten.mul_.Tensor": 1,
        "aten.sum.default": 1,
    }
    assert 8000 <= counted["peak"] <= 8192
    assert 8000 <= counted["allocated"] <= 8192


@pytest.mark.parametrize(
    ("implementation", "operations", "python_calls"),
    [("fused", 0, 2), ("builtin-loop", 14, 49), ("builtin-foreach", 9, 67), ("scratch", 26, 4)],
)
def test_the_steps_of_the_books_parameters(implementation, operations, python_calls):
    """What torch 2.13 does; the calls of another torch differ, the operations of torch 2.14 do not."""
    with Workload(Case.parse(f"{implementation}-cpu-float32-6-book-1t")) as workload:
        counting.count(workload.run)
        once, again = counting.count(workload.run), counting.count(workload.run)
    assert once == again
    assert sum(once["operations"].values()) == operations
    # Python 3.12 calls no comprehension, and each torch has its own wrappers.
    if implementation == "fused" or (torch.__version__.startswith("2.13.") and sys.version_info < (3, 12)):
        assert once["python_calls"] == python_calls
    if implementation == "fused":
        # step and _step; _profiler_enabled, hasattr and the kernel.
        assert (once["c_calls"], once["allocated"], once["peak"]) == (3, 0, 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("layout", ["6-book", "1e5-single"])
def test_on_cuda_kernels_and_memory_are_counted_exactly(layout):
    """FusedRMSprop's step is one kernel, which allocates nothing; one of torch's loop is one an operation."""
    found = {}
    for implementation in ("fused", "builtin-loop"):
        with Workload(Case.parse(f"{implementation}-cuda-float32-{layout}-1t")) as workload:
            counting.count(workload.run)
            found[implementation] = counting.count(workload.run)
            assert counting.count(workload.run) == found[implementation]
    fused, loop = found.values()
    assert (fused["kernels"], fused["allocated"], fused["peak"]) == ({"fused_step": 1}, 0, 0)
    assert sum(loop["kernels"].values()) > 3
    assert loop["allocated"] >= loop["peak"] > 0


def test_a_profile_function_of_somebody_else_is_put_back():
    def theirs(*_arguments):
        return None

    sys.setprofile(theirs)
    try:
        counting.count(steps_of(helper))
        assert sys.getprofile() is theirs
    finally:
        sys.setprofile(None)
