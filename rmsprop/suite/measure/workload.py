"""A case made ready to be timed: parameters, gradients, an optimizer that is proved right, warm state.

with Workload(case) as workload:    # raises CaseSkippedError or CaseFailedError: no wrong step is timed
    seconds = workload.time(steps) / steps
"""

import gc
import sys
import time
from contextlib import ExitStack
from itertools import cycle, islice, repeat
from typing import Any, Self

import torch
from torch import Tensor, nn

from rmsprop.book.programs import MATRIX, program
from rmsprop.suite.case import Case
from rmsprop.suite.measure import correctness as reference
from rmsprop.suite.measure.pauses import Pauses
from rmsprop.suite.measure.places import line_of
from rmsprop.suite.measure.registry import Implementation
from rmsprop.suite.measure.registry import implementation as find
from rmsprop.suite.measure.subject import gradient_sets, memory_reason, skip_reason
from rmsprop.suite.shapes import Shape
from rmsprop.suite.words import STEPS

FLOAT16_EPS = 1e-2
"""The least outer ε for float16 parameters; inside the root, its square.

A squared average in float16 is a multiple of 6e-8, so that its root near zero is uncertain by 3e-4; it is
0 for gradients below 5e-4, and torch's ε of 1e-8 is 0 too: torch.optim.RMSprop then gives NaN or infinity.
With the ε of other dtypes no float16 case would pass a check that means anything, and none would have
a time. So the matrix measures a step whose result is defined in float16, and says so in `notes`.
"""
ROTATED_EACH_STEP = 2**16
"""Bytes of the average gradient tensor from which each step has its own gradients; see `Workload.run`."""


def hyperparameters(implementation: Implementation, dtype: str) -> dict[str, float]:
    """lr, alpha and eps that an implementation is run with: the book's, and its own ε."""
    book = program(MATRIX).hyperparameters
    floor = FLOAT16_EPS**2 if implementation.eps_inside_sqrt else FLOAT16_EPS
    eps = max(implementation.eps, floor) if dtype == "float16" else implementation.eps
    return {"lr": book["lr"], "alpha": book["alpha"], "eps": eps}


class CaseSkippedError(NotImplementedError):
    """The reason why this machine or this commit cannot run the case. (asv skips on NotImplementedError.)"""


class CaseFailedError(Exception):
    """The case has no time, and the message says why: its optimizer is wrong, raised, or recompiles."""


class Workload:
    """A case as a context: once entered it is checked and warm, and torch has the case's threads.

    Gradients are normal with scales of 1e-2, 1e-3 and 1e-4 from tensor to tensor, parameters normal with
    scale 0.02; both are seeded, and the same on every device. The second half of the gradient sets is the
    first one negated: both halves have the same squares, so the moves of a whole cycle cancel, and
    parameters and state stay where they are however many steps are timed. (Where one set serves a whole
    call of `run`, the parameters go away by about lr a step, and come back in a later call.)
    """

    def __init__(self, case: Case, implementation: Any = None) -> None:
        """`implementation` is measured in place of what the commit has by the case's name."""
        self.case = case
        """Says what is drawn, where, and with how many threads."""
        self.notes: list[str] = []
        """What a reader of the times must know: another ε, a check against less than a formula."""
        self.rotates_each_step = case.bytes >= ROTATED_EACH_STEP * len(case.shapes)
        """Whether each step of `run` has a set of gradients of its own."""
        self.checks = True
        """Whether the first steps are checked on entry: not where another process has just checked them."""
        self._implementation = implementation
        self.params: list[nn.Parameter] = []
        """Empty before `draw` and after the context."""
        self._sets: list[list[Tensor]] = []
        self.step: Any = None
        """The optimizer's; None before `make` and after the context."""
        self._pauses = Pauses()
        self._clear()

    def __enter__(self) -> Self:
        if self._implementation is None and (reason := skip_reason(self.case)):
            raise CaseSkippedError(reason)
        threads = torch.get_num_threads()
        with ExitStack() as context:
            context.callback(torch.set_num_threads, threads)
            context.callback(self._clear)
            if (
                self.case.device == "cpu"
            ):  # elsewhere they do not matter, but to the check, which is faster with all
                torch.set_num_threads(self.case.threads or threads)
            try:
                if self.checks:
                    self.check()
                else:
                    self.draw()
                    self.make()
                self._warm_up()
            except Exception as error:
                if _out_of_memory(error):
                    raise CaseSkippedError(f"out of memory: {memory_reason(self.case)}") from error
                raise CaseFailedError(line_of(error)) from error
            self._context = context.pop_all()
        return self

    def __exit__(self, *_error: object) -> None:
        self._context.close()

    def check(self) -> None:
        """Start anew and prove the first steps right, or raise `reference.WrongResultError`."""
        self.draw()
        initial = [parameter.detach().to("cpu", copy=True) for parameter in self.params]
        self.make()
        for step in range(STEPS):
            self._set(self._sets[step % len(self._sets)])
            self.step()
            reference.check_unchanged(self.params, initial)
        self._check_gradients()
        note = reference.check(
            self._implementation, self.params, initial, self._sets, self._hyperparameters, self._known
        )
        if note:
            self._note(note)

    def run(self, steps: int) -> None:
        """Take steps, and nothing else; a GPU may still be at work on return (`synchronize`).

        Where tensors are large, each step has its own set of gradients: a set that stayed in the cache
        would make a fused step of a million elements up to a quarter faster, and to assign another takes
        0.1 us per tensor, at most 1% of the step. Where they are small it would take up to a quarter, and
        the cache hardly matters: there a set serves the whole call, and `rotate` comes before the next one.
        """
        step = self.step
        if not self.rotates_each_step:
            for _ in repeat(None, steps):
                step()
            return
        params = self.params
        for gradients in islice(self._turn, steps):
            for parameter, gradient in zip(params, gradients):  # noqa: B905 (strict costs time)
                parameter.grad = gradient
            step()

    def rotate(self) -> None:
        """Give the parameters the next set of gradients."""
        self._set(next(self._turn))

    def time(self, steps: int) -> float:
        """Seconds that `run(steps)` takes on the device, with nothing else in flight and without a pause."""
        return self._pauses.undisturbed(lambda: self._time(steps))

    def _time(self, steps: int) -> float:
        self.rotate()
        self.synchronize()
        if self.case.device == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            self.run(steps)
            end.record()
            end.synchronize()
            return float(start.elapsed_time(end)) / 1e3
        begin = time.perf_counter()
        self.run(steps)
        self.synchronize()
        return time.perf_counter() - begin

    def steps_for(self, seconds: float) -> int:
        """How many steps take about that long, at least one."""
        steps, taken = 1, self.time(1)
        while taken < seconds / 2:
            steps = max(2 * steps, int(0.7 * steps * seconds / max(taken, 1e-9)))
            taken = self.time(steps)
        return max(1, round(steps * seconds / taken))

    def synchronize(self) -> None:
        """Wait for the device; a runner with a clock of its own does so before each reading."""
        if self.case.device != "cpu":
            getattr(torch, self.case.device).synchronize()

    def draw(self) -> None:
        """Fresh parameters, and all sets of gradients."""
        case = self.case
        self._clear()
        self._implementation = self._implementation or find(case.implementation)
        self.params = [nn.Parameter(self._initial(i).to(case.device)) for i in range(len(case.shapes))]
        drawn = [
            [
                self._normal(shape, 10.0 ** -(2 + i % 3), 1 + number, i).to(case.device)
                for i, shape in enumerate(case.shapes)
            ]
            for number in range(gradient_sets(case) // 2)
        ]
        self._sets = drawn + [[-gradient for gradient in gradients] for gradients in drawn]
        self._turn = cycle(self._sets)
        self._set(self._sets[0])

    def make(self) -> None:
        """A new optimizer over the parameters."""
        self._hyperparameters = hyperparameters(self._implementation, self.case.dtype)
        if self.case.momentum:
            self._hyperparameters["momentum"] = self.case.momentum
        optimizer = self._implementation.make(list(self.params), **self._hyperparameters)
        self._known = self._implementation.known(optimizer, self._hyperparameters)
        self.step = optimizer.step
        own, eps = self._implementation.eps, self._hyperparameters["eps"]
        if eps != own and self._known.get("eps") == eps:
            self._note(f"eps is {eps:g}: with {own:g} a small gradient has no defined step in float16")

    def _initial(self, index: int) -> Tensor:
        return self._normal(self.case.shapes[index], 0.02, 0, index)

    def _normal(self, shape: Shape, scale: float, kind: int, index: int) -> Tensor:
        generator = torch.Generator().manual_seed(kind * 2**20 + index)
        return torch.randn(shape, generator=generator).mul_(scale).to(getattr(torch, self.case.dtype))

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _set(self, gradients: list[Tensor]) -> None:
        for parameter, gradient in zip(self.params, gradients, strict=True):
            parameter.grad = gradient

    def _check_gradients(self) -> None:
        """They are what the reference goes by, so a step must leave them alone."""
        half = len(self._sets) // 2
        for first, second in zip(self._sets[:half], self._sets[half:], strict=True):
            for index, (gradient, negated) in enumerate(zip(first, second, strict=True)):
                if not torch.equal(gradient, -negated):
                    raise reference.WrongResultError(f"a step changed the gradient of tensor {index}")

    def _warm_up(self) -> None:
        """Through all sets, twice where torch.compile is in use: it must be done with compiling by now."""
        for _ in self._sets:
            self.rotate()
            self.step()
        if "torch._dynamo" in sys.modules:
            with torch.compiler.set_stance("fail_on_recompile"):
                for _ in self._sets:
                    self.rotate()
                    self.step()
        self.synchronize()

    def _clear(self) -> None:
        """Give the memory back."""
        held = bool(getattr(self, "params", ()))
        self.params = []
        self._sets = []
        self._turn = cycle(self._sets)
        self.step = None
        if held and self.case.bytes >= 2**24:
            gc.collect()  # a compiled optimizer is a cycle, and a large one must not wait for the collector
        if held and self.case.device == "cuda":
            torch.cuda.empty_cache()  # what the allocator keeps, the next case's skip_reason would miss


def _out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
