"""What is derived from a case's seconds, and what is measured beside them.

A step reads p, g and s and writes p and s, five passes over memory as large as the parameters, and with
momentum its buffer too. (torch's loop makes 13, the book's version 21.)
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function

from rmsprop.book.programs import MATRIX, program
from rmsprop.suite.case import ITEMSIZE, Case
from rmsprop.suite.measure.digits import DigitsRun, load_digits, train_digits
from rmsprop.suite.measure.pauses import Pauses
from rmsprop.suite.measure.registry import NOT_HERE, Implementation
from rmsprop.suite.measure.registry import implementation as find
from rmsprop.suite.measure.subject import skip_reason
from rmsprop.suite.measure.workload import CaseSkippedError, Workload, hyperparameters

CEILING_SAMPLES = 30
CEILING_SECONDS = 3e-3
"""Of one sample of the ceiling."""


def five_pass_bytes(case: Case) -> int:
    """Bytes that a step of the case reads and writes in one pass over each of its arrays."""
    return case.passes * case.bytes


def ns_per_element(case: Case, seconds: float) -> float:
    """Nanoseconds of a step per parameter."""
    return seconds / case.elements * 1e9


def effective_bandwidth(case: Case, seconds: float) -> float:
    """Bytes per second at which a step moves the bytes of its five passes."""
    return five_pass_bytes(case) / seconds


class FivePasses:
    """p = p - lr g; s = -s: reads p, g and s, writes p and s, and computes next to nothing.

    With momentum b = -b too: seven passes.

    Attributes
    ----------
    pairs
        For each parameter: p, its s, which begins with 1, and the parameter, whose `.grad` is g.
    buffers
        The b of each parameter; none without momentum.
    """

    def __init__(
        self, params: list[Tensor], *, lr: float, alpha: float, eps: float, momentum: float = 0.0
    ) -> None:
        self.pairs = [(p.detach(), torch.ones_like(p), p) for p in params]
        self.buffers = [torch.ones_like(p) for p in params if momentum]
        self._lr = lr

    def step(self) -> None:
        for p, s, parameter in self.pairs:
            assert parameter.grad is not None
            p.add_(parameter.grad, alpha=-self._lr)
            s.neg_()
        for b in self.buffers:
            b.neg_()


FIVE_PASSES = Implementation("five-passes", "five passes over memory", FivePasses, 1.0, None, momentum=True)


def five_passes(case: Case) -> Workload:
    """Five passes over as many bytes as the case's parameters, what a step is held against.

    On the case's device with its threads and its rotation of gradients, so at its level of cache or
    memory, by two of torch's plainest operations on one tensor. Always in float32: bytes count, and
    torch's arithmetic on half types is slower than memory. (torch's fused Adagrad moves the same bytes, as
    fast from memory, half as fast from the cache, where its roots and divisions tell.) It is no bound: a step
    may take less.
    """
    elements = max(1, case.bytes // ITEMSIZE["float32"])
    passes = replace(case, implementation="five-passes", dtype="float32", size=str(elements), layout="single")
    workload = Workload(passes, FIVE_PASSES)
    workload.rotates_each_step = Workload(case).rotates_each_step
    return workload


def ceiling_seconds(case: Case) -> float:
    """Least seconds of the case's five passes, for a runner whose cases do not take turns with them.

    The fastest of the samples: a busy moment must not count.
    """
    with five_passes(case) as workload:
        steps = workload.steps_for(CEILING_SECONDS)
        return min(workload.time(steps) / steps for _ in range(CEILING_SAMPLES))


class Ceilings:
    """The ceilings of one run: measured anew beside each case, and the fastest so far counts."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, int, str, int, int], float] = {}

    def seconds(self, case: Case) -> float:
        """As `ceiling_seconds`; cases of one device, size in bytes, layout and threads share the fastest."""
        key = (case.device, case.bytes, case.layout, case.threads, case.passes)
        self._seconds[key] = min(ceiling_seconds(case), self._seconds.get(key, math.inf))
        return self._seconds[key]


def peak_extra_bytes(workload: Workload) -> int | None:
    """Largest memory alive during one step beyond what was alive before it: temporaries, not state.

    CUDA: by the caching allocator. CPU: by torch's profiler, which sees whatever torch's CPU allocator
    gives, to compiled code too, but not what a library takes from the system. None on MPS: no such figure.
    """
    device = workload.case.device
    workload.rotate()
    workload.synchronize()
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        workload.run(1)
        workload.synchronize()
        return torch.cuda.max_memory_allocated() - before
    return _peak_on_cpu(lambda: workload.run(1)) if device == "cpu" else None


def _peak_on_cpu(step: Callable[[], object]) -> int:
    with _quiet(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as run:
        # The profiler does not see memory freed that it did not see taken, such as the state that scratch
        # replaces in each step. What the first of two steps takes, it knows when the second frees it.
        step()
        with record_function("second step"):
            step()
    events = sorted(run.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    begin = next(event.start_ns() for event in events if event.name() == "second step")
    alive = peak = 0
    for event in events:
        if event.name() == "[memory]" and event.start_ns() >= begin:
            alive += event.nbytes()
            peak = max(peak, alive)
    return peak


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the profiler's C++ writes to the terminal, which no Python setting silences."""
    terminal = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@dataclass(frozen=True)
class Trainings:
    """Trainings of the book's job or of the digits with one implementation.

    Attributes
    ----------
    epoch_seconds
        Of each run, the last epoch: the first one may compile.
    losses
        The final loss of each run: as the book prints it, or the cross-entropy.
    curve
        The mean over the runs of all losses: at the start, and after each 100 rows or each epoch.
    data
        real or surrogate.
    """

    epoch_seconds: tuple[float, ...]
    losses: tuple[float, ...]
    curve: tuple[float, ...]
    data: str

    @classmethod
    def of(cls, runs: Sequence[Any], data: str) -> "Trainings":
        """Of some `rmsprop.book.training.TrainingRun` or `measure.digits.DigitsRun`."""
        return cls(
            epoch_seconds=tuple(run.sec_per_epoch for run in runs),
            losses=tuple(run.loss for run in runs),
            curve=tuple(map(fmean, zip(*(run.losses for run in runs), strict=True))),
            data=data,
        )


def book_job(
    name: str,
    device: str,
    dtype: str,
    *,
    threads: int = 0,
    data: str = "auto",
    seeds: Sequence[int] = (0,),
) -> Trainings:
    """Train once per seed in the book's own loop, with the matrix's hyperparameters, which are the book's.

    `threads` is torch's (0: all); all else is as in `book_trainer`.
    """
    train, source = book_trainer(name, device, dtype, data=data, threads=threads)
    return Trainings.of(_trainings(train, seeds, threads), source)


def digits_job(
    name: str, device: str, dtype: str, *, threads: int = 0, seeds: Sequence[int] = (0,)
) -> Trainings:
    """Train the digits once per seed, with the matrix's hyperparameters, which are the book's.

    CaseSkippedError if this machine or this commit cannot; ModuleNotFoundError without scikit-learn.
    """
    if reason := skip_reason(Case(name, device, dtype, "2410", "digits", threads)):
        raise CaseSkippedError(reason)
    rows, implementation = load_digits(), find(name)
    given = hyperparameters(implementation, dtype)

    def train(seed: int) -> DigitsRun:
        def make(params: list[nn.Parameter]) -> Any:
            return implementation.make(list(params), **given)

        return train_digits(make, rows, device, getattr(torch, dtype), seed=seed)

    return Trainings.of(_trainings(train, seeds, threads), rows.source)


def _trainings(train: Callable[[int], Any], seeds: Sequence[int], threads: int) -> list[Any]:
    """One for each seed, with so many threads of torch (0: all), and again where the machine paused."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        pauses = Pauses()
        return [pauses.undisturbed(partial(train, seed)) for seed in seeds]
    finally:
        torch.set_num_threads(before)


def book_trainer(
    name: str,
    device: str,
    dtype: str,
    *,
    threads: int = 0,
    data: str = "auto",
    epochs: int | None = None,
) -> tuple[Callable[[int], Any], str]:
    """What trains the book's job with an implementation by a seed, and the source of its rows.

    A torch optimizer goes through the concise loop, `train_pytorch_ch7`; what has `.step()` and no more
    goes through the from-scratch loop, `train_ch7`. `data` is as `load_airfoil` takes it, `epochs` the
    book's if None. CaseSkippedError if this machine or this commit cannot.
    """
    try:
        from rmsprop.book import airfoil, training  # noqa: PLC0415 (the commit may have none)
    except ImportError as missing:
        raise CaseSkippedError(f"{NOT_HERE}: {missing}") from None
    if reason := skip_reason(Case(name, device, dtype, "6", "book", threads)):
        raise CaseSkippedError(reason)
    implementation, torch_dtype = find(name), getattr(torch, dtype)
    given = hyperparameters(implementation, dtype)
    book = program(MATRIX)
    size = {"batch_size": book.batch_size, "num_epochs": epochs or book.num_epochs}

    def make(params: Iterable[Tensor]) -> Any:
        return implementation.make(list(params), **given)

    table = airfoil.load_airfoil(data)
    features, labels = table.to(device, torch_dtype)
    is_optimizer = isinstance(make([nn.Parameter(features[:1].clone())]), torch.optim.Optimizer)

    def train(seed: int) -> Any:
        if is_optimizer:
            return training.train_pytorch_ch7(make, {}, features, labels, seed=seed, **size)
        return training.train_ch7(
            lambda _params, states, _hyperparams: cast(Any, states[0]).step(),
            lambda params: [make(params)],
            {},
            features,
            labels,
            seed=seed,
            **size,
        )

    return train, table.source


def program_job(name: str, *, data: str = "auto", seeds: Sequence[int] = (0,)) -> Trainings:
    """Train a program of the book's chapter once per seed on the CPU in float32, as its section does.

    CaseSkippedError if this commit has no such program.
    """
    try:
        from rmsprop.book import airfoil  # noqa: PLC0415 (the commit may have none)
        from rmsprop.book.chapter import OPTIMIZERS  # noqa: PLC0415
        from rmsprop.book.training import train  # noqa: PLC0415
    except ImportError as missing:
        raise CaseSkippedError(f"{NOT_HERE}: {missing}") from None
    book = program(name)
    if book.optimizer not in OPTIMIZERS:
        raise CaseSkippedError(f"{NOT_HERE}: the optimizer {book.optimizer}")
    table = airfoil.load_airfoil(data)
    features, labels = table.to("cpu", torch.float32)
    runs = [train(book, features, labels, seed) for seed in seeds]
    return Trainings.of(runs, table.source)
