"""The gate's cases of `benchmarks.suite` that need torch: steps of the matrix, and the book's job."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import torch

from rmsprop.book.programs import MATRIX, program
from rmsprop.suite.case import Case
from rmsprop.suite.measure.metrics import book_trainer
from rmsprop.suite.measure.subject import skip_reason
from rmsprop.suite.measure.workload import CaseFailedError, CaseSkippedError, Workload

SEEDS = range(128)


@contextmanager
def steps(case: Case, *, checked: bool) -> Iterator[Callable[[int], None]]:
    """Steps of a case; unless it is to be `checked`, of a workload that was stepped once through its sets."""
    with _threads(case.threads):
        workload = Workload(case)
        if checked:
            try:
                workload.__enter__()
            except CaseFailedError as failed:  # the gate tells what was raised, and where
                raise failed.__cause__ or failed from None
        elif reason := skip_reason(case):
            raise CaseSkippedError(reason)
        else:
            workload.draw()
            workload.make()
            workload.rotate()
            workload.step()

        def run(steps: int) -> None:
            workload.rotate()
            workload.run(steps)
            workload.synchronize()

        try:
            yield run
        finally:
            if checked:
                workload.__exit__()


@contextmanager
def job(case: str) -> Iterator[Callable[[int], None]]:
    """An epoch of the book's job on the surrogate; its result is the loss."""
    train: Callable[[], Any]
    if case == "job-ensemble":
        train = _ensemble()
    else:
        name = {"job-scratch": "scratch", "job-concise": "builtin-loop"}[case]
        once, _ = book_trainer(name, "cpu", "float32", threads=1, data="surrogate", epochs=1)

        def train() -> Any:
            return once(0).loss

    def run(steps: int) -> None:
        for _ in range(steps):
            train()

    run.result = lambda: f"loss {train().hex()}"  # type: ignore[attr-defined]
    yield run


def _ensemble() -> Callable[[], float]:
    if find_spec("rmsprop.book.wrong_steps") is None:
        raise CaseSkippedError("not in this commit: an ensemble that takes the book's programs as data")
    from rmsprop.book.airfoil import load_airfoil  # noqa: PLC0415 (the commit may have none)
    from rmsprop.book.ensemble import ensemble  # noqa: PLC0415

    rows = load_airfoil("surrogate").to("cpu", torch.float32)
    book = replace(program(MATRIX), num_epochs=1)
    return lambda: float(ensemble(book, *rows, SEEDS).final_losses.sum())


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    """As many threads, on all processors where that is all (0): the gate has bound this process to one."""
    before, bound = torch.get_num_threads(), hasattr(os, "sched_getaffinity") and os.sched_getaffinity(0)
    if not threads:
        if bound:
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
        torch.set_num_threads(len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if bound:
            os.sched_setaffinity(0, bound)
