"""What `rmsprop gate` measures, and the protocol for a suite of your own.

A suite is a module with

    PACKAGE        the import package under test: it must come from the tree that is measured, and the gate
                   refuses one that comes from elsewhere; None where only interpreters are compared
    cases()        the ids of all cases, the same on every machine
    make(case)     a context manager that makes a case ready, warm and proved right, and gives `run(steps)`

The root of the tree and its src/ are on the path. A suite may have

    family(case)   the name of the cases that a change meets together (all one family)
    counted(case)  whether its exact counters are compared (all are): operations, calls and memory of a step

`run(steps)` takes that many steps. The gate times the call; if it returns seconds, as for a device that works
on after it, those count. If `run` has an attribute `result`, that is called after the counting, and what it
returns must be the same to the last bit on both sides, or the difference is told. `make` raises
NotImplementedError with the reason for a case that this machine or this commit cannot run; whatever else it
raises is the case's failure.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rmsprop.suite.case import Case
from rmsprop.suite.measure.matrix import cases as listed

PACKAGE = "rmsprop"
MOST_ELEMENTS = 1e6
"""Larger cases are left out: a step outlasts a turn and is limited by shared memory bandwidth."""
JOBS = {"job-scratch": "scratch", "job-concise": "builtin-loop"}
"""The book's job with an implementation: two epochs of 1,500 rows, the training loop and its loss."""


def cases() -> list[str]:
    """The points of the regular profile on the CPU, up to a million elements, with one thread; the jobs."""
    chosen = (case for case in listed("regular", device=("cpu",)) if case.elements <= MOST_ELEMENTS)
    return [*dict.fromkeys(replace(case, threads=1).id for case in chosen), *JOBS]


def family(case: str) -> str:
    """The implementation, or the book's job."""
    return "job" if case in JOBS else Case.parse(case).implementation


def counted(case: str) -> bool:
    """All but the compiled step: what it dispatches is no operation of torch any more."""
    return family(case) != "builtin-compiled"


def make(case: str) -> Any:
    """A context that gives `run`: of the book's job, or of a step that was checked against float64."""
    return _job(JOBS[case]) if case in JOBS else _steps(Case.parse(case))


@contextmanager
def _steps(case: Case) -> Iterator[Callable[[int], None]]:
    from rmsprop.suite.measure.workload import Workload  # noqa: PLC0415 (listing the cases needs no torch)

    with Workload(case) as workload:

        def run(steps: int) -> None:
            workload.rotate()
            workload.run(steps)

        yield run


@contextmanager
def _job(implementation: str) -> Iterator[Callable[[int], None]]:
    from rmsprop.suite.measure.metrics import book_job  # noqa: PLC0415

    def train() -> float:
        job = book_job(implementation, "cpu", "float32", threads=1, data="surrogate", seeds=(0,))
        return job.losses[0]

    def run(steps: int) -> None:
        for _ in range(steps):
            train()

    run.result = lambda: f"loss {train().hex()}"  # type: ignore[attr-defined]
    yield run
