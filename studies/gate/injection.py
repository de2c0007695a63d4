"""Real extra work in a step, or in the book's training loop, to test the gate. Copied into the slowed tree.

work     a loop in Python for the share of a step; how long that is differs from case to case, and is tuned

passes   the share of another step, over the same gradients and a copy of the rest; tuned likewise, for what
         share of a step's elements takes that share of its time differs too (`studies.gate.tuning`)
offset   a constant number of seconds, in Python, whatever the size
memory   reading and writing the share of what a step reads and writes, elsewhere
every20, every100
         the share on average, all of it in every 20th or 100th step: such a step takes that many times the
         share longer, as measured when the first one is taken

The module of the tree that holds the implementation is renamed, and one of its name takes its place: it has
all that the renamed one has, and the implementation slowed as `injection.json` beside this module says.
The implementation `loop` is the book's training loop: after each batch the process works on for the share of
the processor time that the batch took, whatever its optimizer.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial, wraps
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from torch import Tensor

How = Literal["work", "passes", "offset", "memory", "every20", "every100"]
LOOP = "loop"
"""The name of the book's training loop, where others are implementations."""

SLICED = 500_000
"""Elements from which a part of each tensor is stepped through; below, whole steps come now and then."""
PASS_SECONDS = 1.5e-8
"""Of one turn of an empty loop, about."""
CALIBRATED = 15
"""Steps that say how long one takes."""
STEP_PASSES = 5 / 2
"""A step reads or writes its tensors five times, an addition in place twice."""
RENAMED = "before_injection"
IN_ITS_PLACE = '''"""All of `{module}`, with an implementation slowed: see `rmsprop.optimizers.injection`."""

from rmsprop.optimizers.injection import replaced
from {module} import *  # noqa: F403

globals().update(replaced("{module}"))
'''


def inject(tree: Path, name: str, how: How, amount: float, tuned: Mapping[str, float] | None = None) -> None:
    """Slow what is of that name in a tree by a share of a step or, for offset, by seconds.

    `tuned` has another amount for some lists of parameters, by `key`: for work, in seconds.
    What was injected before is replaced.
    """
    package = tree / "rmsprop"
    optimizers = package / "optimizers"
    file, attribute = place_of(name)
    plain = (package / file).with_name(f"{Path(file).stem.strip('_')}_{RENAMED}.py")
    if not plain.exists():
        (package / file).rename(plain)
        module = ".".join(plain.relative_to(tree).with_suffix("").parts)
        (package / file).write_text(IN_ITS_PLACE.format(module=module), encoding="utf-8")
    (optimizers / "injection.py").write_text(Path(__file__).read_text(encoding="utf-8"), encoding="utf-8")
    told = {"attribute": attribute, "how": how, "amount": amount, "tuned": dict(tuned or {})}
    (optimizers / "injection.json").write_text(json.dumps(told), encoding="utf-8")


def place_of(name: str) -> tuple[str, str]:
    """The file of the package that holds an implementation, and what it is called there."""
    if name.startswith("builtin-"):
        return "optimizers/builtin.py", name.removeprefix("builtin-")
    return {
        "scratch": ("optimizers/scratch.py", "rmsprop"),
        "fused": ("optimizers/fused/__init__.py", "FusedRMSprop"),
        LOOP: ("book/training.py", "_epochs"),
    }[name]


def replaced(module: str) -> dict[str, Any]:
    """What takes the place of a module's implementation, by its name there, as `injection.json` says."""
    told = json.loads(Path(__file__).with_name("injection.json").read_text(encoding="utf-8"))
    name, how, amount, tuned = told["attribute"], told["how"], told["amount"], told["tuned"]
    holder = import_module(module)
    plain = getattr(holder, name)
    if name == "_epochs":
        holder._epochs = slowed_epochs(plain, amount)  # type: ignore[attr-defined]  # both loops call it
        return {}
    slow = slowed_function if name == "rmsprop" else slowed
    return {name: slow(plain, how, amount, tuned)}


def key(dtype: str, elements: int, tensors: int) -> str:
    """What a list of parameters is known by, such as `float32 1000000 1`."""
    return f"{dtype} {elements} {tensors}"


def slowed(
    make: Callable[..., Any], how: How, amount: float, tuned: Mapping[str, float] | None = None
) -> Callable[..., Any]:
    """What makes steppers that do so much more; see `inject`."""

    @wraps(make)  # the suite looks at the signature
    def made(params: Iterable[Tensor], **hyperparameters: Any) -> Any:
        listed = list(params)
        stepper = make(listed, **hyperparameters)
        extra = _extra(make, listed, hyperparameters, how, amount, tuned)
        step = stepper.step

        def slow_step(*arguments: Any) -> Any:
            result = step(*arguments)
            extra()
            return result

        stepper.step = slow_step
        return stepper

    return made


def slowed_function(
    function: Callable[..., None], how: How, amount: float, tuned: Mapping[str, float] | None = None
) -> Callable[..., None]:
    """As `slowed`, for the book's `rmsprop(params, states, hyperparams)`."""

    class Stepper:
        def __init__(self, params: list[Tensor], **hyperparameters: float) -> None:
            self.params, self.hyperparameters = params, hyperparameters
            self.states = [torch.zeros_like(p, requires_grad=False) for p in params]

        def step(self) -> None:
            function(self.params, self.states, self.hyperparameters)

    def slow_function(
        params: Sequence[Any], states: Sequence[Tensor], hyperparams: Mapping[str, Any]
    ) -> None:
        function(params, states, hyperparams)
        first = params[0]
        if not hasattr(first, "extra"):  # it lives as long as its parameters
            first.extra = _extra(Stepper, list(params), dict(hyperparams), how, amount, tuned)
        first.extra()

    return slow_function


def slowed_epochs(epochs: Callable[..., Any], share: float) -> Callable[..., Any]:
    """As the book's `_epochs`, with so much more work for each batch. Waiting is no time of a batch."""

    def slow_epochs(batches: Any, step: Callable[[Any, Any], None], *arguments: Any) -> Any:
        begun = time.thread_time()

        def slow_step(X: Any, y: Any) -> None:
            nonlocal begun
            step(X, y)
            now = time.thread_time()
            begun = _work(now, share * (now - begun))

        return epochs(batches, slow_step, *arguments)

    return slow_epochs


def _work(now: float, seconds: float) -> float:
    """Work on for so many seconds of processor time; the time when that is done."""
    end = now + seconds
    while now < end:
        now = time.thread_time()
    return now


def _extra(
    make: Callable[..., Any],
    params: list[Tensor],
    hyperparameters: dict[str, Any],
    how: How,
    amount: float,
    tuned: Mapping[str, float] | None,
) -> Callable[[], None]:
    kinds: dict[How, Callable[..., Callable[[], None]]]
    kinds = {
        "work": _Offset,
        "passes": _Passes,
        "offset": _Offset,
        "memory": _Memory,
        "every20": partial(_NowAndThen, 20),
        "every100": partial(_NowAndThen, 100),
    }
    untuned = 0.0 if how == "work" else amount  # a share is no number of seconds
    dtype = str(params[0].dtype).removeprefix("torch.")
    known_as = key(dtype, sum(p.numel() for p in params), len(params))
    return kinds[how](make, params, hyperparameters, (tuned or {}).get(known_as, untuned))


class _Passes:
    """Steps of the same kind on copies: of a share of the tensors or of each, or now and then of all."""

    taken = 0
    """Extra steps, of all that there are."""

    def __init__(
        self, make: Callable[..., Any], params: list[Tensor], hyperparameters: dict[str, Any], share: float
    ) -> None:
        self.sources, self.lengths = params, None
        if len(params) * share >= 1:
            self.sources = params[: round(len(params) * share)]
        elif max(p.numel() for p in params) >= SLICED:
            self.lengths = [max(1, round(p.numel() * share)) for p in params]
        whole = self.sources is params and self.lengths is None
        self.each, self.called, self.done = (share if whole else 1.0), 0, 0
        self.copies = [self._part(p.detach(), i).clone().requires_grad_() for i, p in enumerate(self.sources)]
        self.stepper: Any = make(list(self.copies), **hyperparameters)

    def __call__(self) -> None:
        self.called += 1
        if self.called * self.each < self.done + 1 - 1e-9:
            return
        self.done += 1
        for i, (copy, source) in enumerate(zip(self.copies, self.sources, strict=True)):
            copy.grad = None if source.grad is None else self._part(source.grad, i)
        self.stepper.step()
        _Passes.taken += 1

    def _part(self, tensor: Tensor, index: int) -> Tensor:
        return tensor if self.lengths is None else tensor.reshape(-1)[: self.lengths[index]]


class _Offset:
    def __init__(
        self, _make: object, _params: list[Tensor], _hyperparameters: dict[str, Any], seconds: float
    ) -> None:
        self.passes = round(seconds / PASS_SECONDS)

    def __call__(self) -> None:
        for _ in range(self.passes):
            pass


class _NowAndThen:
    """All extra work of so many steps in the last of them, by what steps on copies take."""

    def __init__(
        self,
        every: int,
        make: Callable[..., Any],
        params: list[Tensor],
        hyperparameters: dict[str, Any],
        share: float,
    ) -> None:
        self.every, self.share, self.called, self.seconds = every, share, 0, 0.0
        self.step = _Passes(make, params, hyperparameters, 1.0)

    def __call__(self) -> None:
        self.called += 1
        if self.called % self.every:
            return
        if not self.seconds:
            taken = []
            for _ in range(CALIBRATED):
                begin = time.thread_time()
                self.step()
                taken.append(time.thread_time() - begin)
            self.seconds = self.share * self.every * median(taken)
        _work(time.thread_time(), self.seconds)


class _Memory:
    def __init__(
        self, _make: object, params: list[Tensor], _hyperparameters: dict[str, Any], share: float
    ) -> None:
        elements = sum(p.numel() for p in params) * share * STEP_PASSES
        self.buffer = torch.zeros(max(1, round(elements)), dtype=params[0].dtype, device=params[0].device)

    def __call__(self) -> None:
        self.buffer.add_(1)
