"""What `rmsprop gate` measures, and the protocol for a suite of your own.

A suite is a module with

    PACKAGE        the import package under test: it must come from the tree that is measured, and the gate
                   refuses one that comes from elsewhere; None where only interpreters are compared
    cases()        the ids of all cases, the same on every machine
    make(case)     a context manager that makes a case ready, warm and proved right, and gives `run(steps)`

The root of the tree and its src/ are on the path. A suite may have

    family(case)          the name of the cases that a change meets together (all one family)
    dear(case)            whether a turn of it is long, so that a quarter of the turns is enough (none is)
    uncounted(case)       why its exact counters are not compared; None if they are (all are)
    make_to_count(case)   as make, for `--counters` alone: what it gives need not be proved right

`run(steps)` takes that many steps. The gate times the call; if it returns seconds, as for a device that works
on after it, those count. If `run` has an attribute `result`, that is called after the counting, and what it
returns must be the same to the last bit on both sides, or the difference is told. `make` raises
NotImplementedError with the reason for a case that this machine or this commit cannot run; whatever else it
raises is the case's failure.
"""

from contextlib import AbstractContextManager
from dataclasses import replace

from benchmarks.fresh import START, start
from rmsprop.suite.case import Case
from rmsprop.suite.measure.matrix import cases as listed
from rmsprop.suite.measure.matrix import named, others

PACKAGE = "rmsprop"
MOST_ELEMENTS = 1e6
"""Of most cases: a larger step outlasts a turn, and shared memory bandwidth limits it."""
BESIDE = tuple(
    f"{implementation}-cpu-float32-{point}"
    for implementation in ("builtin-foreach", "fused")
    for point in ("1e6-single-all", "1e7-single-1t")
)
"""With all threads, and above a million elements: what a user of two implementations meets there."""
COMPILED = "builtin-compiled"
"""Not measured: torch makes its step, and each process of each launch would import torch's compiler."""
JOBS = ("job-scratch", "job-concise", "job-ensemble")
"""An epoch of the book's job: from scratch, with torch.optim.RMSprop, and of 128 seeds at once."""


def cases() -> list[str]:
    """Up to a million elements with one thread; some beyond; the book's job; import and first step.

    The points of the regular profile on the CPU and on CUDA. UserError where the variable
    RMSPROP_OPTIMIZERS names what is no optimizer.
    """
    if specs := named():
        from rmsprop.suite.measure.registry import load_optimizer  # noqa: PLC0415 (it loads torch)

        for spec in specs:
            load_optimizer(spec)
    points = listed("regular", others=others(), device=("cpu", "cuda"))
    small = (case for case in points if case.elements <= MOST_ELEMENTS and case.implementation != COMPILED)
    return [*dict.fromkeys(replace(case, threads=1).id for case in small), *BESIDE, *JOBS, *START]


def family(case: str) -> str:
    """The implementation (on CUDA apart), the book's job, or the start of a process."""
    if case in JOBS or case in START:
        return case.partition("-")[0]
    parsed = Case.parse(case)
    return parsed.implementation if parsed.device == "cpu" else f"{parsed.implementation}-{parsed.device}"


def dear(case: str) -> bool:
    """An epoch, a process's start, and more than a million elements: each turn averages over much."""
    return case in JOBS or case in START or case in BESIDE


def uncounted(case: str) -> str | None:
    """What another process does."""
    return "it runs in a process of its own" if case in START else None


def make(case: str) -> AbstractContextManager[object]:
    """A context that gives `run`: of a step that was checked against float64, of the job, or of a start."""
    return _make(case, checked=True)


def make_to_count(case: str) -> AbstractContextManager[object]:
    """The same step, unchecked, which takes a quarter of the time."""
    return _make(case, checked=False)


def _make(case: str, checked: bool) -> AbstractContextManager[object]:
    from benchmarks import jobs  # noqa: PLC0415 (listing the cases needs no torch)

    if case in START:
        return start(case)
    return jobs.job(case) if case in JOBS else jobs.steps(Case.parse(case), checked=checked)
