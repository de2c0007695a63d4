"""What `rmsprop gate` measures, and the protocol for a suite of your own.

A suite is a module with

    PACKAGE        the import package under test: it must come from the tree that is measured, and the gate
                   refuses one that comes from elsewhere; None where only interpreters are compared
    cases()        the ids of all cases, the same on every machine
    make(case)     a context manager that makes a case ready, warm and proved right, and gives `run(steps)`

The root of the tree and its src/ are on the path. A suite may have

    family(case)   the name of the cases that a change meets together (all one family)

`run(steps)` takes that many steps. The gate times the call; where the call returns seconds, as for a device
that works on after it, those count. `make` raises NotImplementedError with the reason for a case that this
machine or this commit cannot run; whatever else it raises is the case's failure.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from rmsprop.suite.case import Case
from rmsprop.suite.measure.matrix import cases as listed

PACKAGE = "rmsprop"
MOST_ELEMENTS = 1e6
"""Of a case: a step of more takes longer than a turn should, and memory's speed is everybody's."""


def cases() -> list[str]:
    """The points of the regular profile on the CPU, up to a million elements, all with one thread."""
    chosen = (case for case in listed("regular", device=("cpu",)) if case.elements <= MOST_ELEMENTS)
    return list(dict.fromkeys(replace(case, threads=1).id for case in chosen))


def family(case: str) -> str:
    """The implementation."""
    return Case.parse(case).implementation


@contextmanager
def make(case: str) -> Iterator[Callable[[int], None]]:
    """The case's workload: checked against float64, and warm."""
    from rmsprop.suite.measure.workload import Workload  # noqa: PLC0415 (listing the cases needs no torch)

    with Workload(Case.parse(case)) as workload:

        def run(steps: int) -> None:
            workload.rotate()
            workload.run(steps)

        yield run
