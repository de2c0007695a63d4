"""Name -> implementation: what the matrix measures, and the door for other people's optimizers.

A package joins with an entry point in the group `rmsprop.optimizers`, whose value is a subclass of
`torch.optim.Optimizer` or an `Implementation`:

    [project.entry-points."rmsprop.optimizers"]
    mine = "package.module:MyRMSprop"

Without one, `package.module:MyRMSprop` itself is a name; so is a function that makes an optimizer. Either is
called with those of the matrix's hyperparameters that its signature names: `lr`; `alpha`, else `gamma`, else
`rho`; `eps`, else `epsilon`; and `momentum`, in cases that have one. A constructor with `**kwargs` gets those
that the next constructor in the method resolution order names, too. All other arguments keep their defaults.

If it has an attribute `reference_step`, the suite checks the optimizer by that formula (`ReferenceStep`). The
formula gets what was passed, and what was not passed as it stands in `param_groups`.
A `step` that needs a closure gets one that returns 0 and leaves the gradients as they are.
"""

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.metadata import entry_points
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer

from rmsprop.book.programs import MATRIX, program
from rmsprop.errors import UserError
from rmsprop.suite.case import IMPLEMENTATIONS
from rmsprop.suite.measure.matrix import GROUP
from rmsprop.suite.measure.places import in_one_line

NOT_HERE = "not in this commit"
"""Of the rmsprop under test, which may be an older one."""

_NAMES = {
    "lr": ("lr",),
    "alpha": ("alpha", "gamma", "rho"),
    "eps": ("eps", "epsilon"),
    "momentum": ("momentum",),
}
_NUMBER = (int, float, Tensor)


class Stepper(Protocol):
    """What an implementation makes: one update of its parameters, in place, from their `.grad`."""

    def step(self) -> Any:
        """Take one step."""


class Make(Protocol):
    """Constructs a `Stepper` over parameters of one device and dtype."""

    def __call__(self, params: list[Tensor], *, lr: float, alpha: float, eps: float) -> Stepper:
        """`alpha` is the decay of the squared average, called γ in the book and rho elsewhere."""


class ReferenceStep(Protocol):
    """One step by the author's formula, on float64 tensors on the CPU."""

    def __call__(
        self, params: list[Tensor], gradients: list[Tensor], state: dict[str, Any], **hyperparameters: float
    ) -> None:
        """Change `params` in place. `state` is empty before the first step, and kept from step to step."""


def _anywhere(_device: torch.device, _dtype: torch.dtype) -> str | None:
    return None


@dataclass(frozen=True)
class Implementation:
    """One way to take an RMSProp step.

    Attributes
    ----------
    name
        By which cases and records name it.
    summary
        One line.
    make
        Constructs the optimizer over a list of parameters.
    eps
        The ε that it is run with.
    eps_inside_sqrt
        The formula to check it by: g / sqrt(s + ε) if True, g / (sqrt(s) + ε) if False, first s = 0. None:
        `formula` is what it is checked by, or itself in float64 on the CPU where there is none.
    unavailable
        Why it cannot run on a device in a dtype (no compiler, not on this device); None if it can.
    momentum
        Whether `make` takes `momentum` too, which it is given in cases with one alone.
    formula
        The author's.
    passed
        Which of the hyperparameters `make` passes on; None for all.
    """

    name: str
    summary: str
    make: Make
    eps: float = program(MATRIX).hyperparameters["eps"]
    eps_inside_sqrt: bool | None = False
    unavailable: Callable[[torch.device, torch.dtype], str | None] = _anywhere
    momentum: bool = False
    formula: ReferenceStep | None = None
    passed: set[str] | None = None

    def known(self, stepper: Stepper, given: Mapping[str, float]) -> dict[str, float]:
        """Those of the `given` hyperparameters that were passed; of the others, the new stepper's own.

        One that is not in its `param_groups` either is left out.
        """
        group = getattr(stepper, "param_groups", [{}])[0]
        found = {}
        for ours, value in given.items():
            if self.passed is None or ours in self.passed:
                found[ours] = value
            elif own := [group[name] for name in _NAMES[ours] if isinstance(group.get(name), _NUMBER)]:
                found[ours] = float(own[0])
        return found


class Scratch:
    """The book's functional RMSProp with its states and hyperparameters, as something with `.step()`.

    Attributes
    ----------
    params, states
        Those that it steps, and the s of each.
    hyperparams
        lr, gamma and eps, as the book's function takes them.
    """

    def __init__(self, params: list[Tensor], *, lr: float, alpha: float, eps: float) -> None:
        self._scratch = import_module("rmsprop.optimizers.scratch")
        self.params = params
        self.states = self._scratch.init_rmsprop_states(params)
        self.hyperparams = {"lr": lr, "gamma": alpha, "eps": eps}

    def step(self) -> None:
        """One step in place."""
        self._scratch.rmsprop(self.params, self.states, self.hyperparams)


def _scratch() -> Implementation:
    import_module("rmsprop.optimizers.scratch")
    eps = program("rmsprop-scratch").hyperparameters["eps"]
    return Implementation("scratch", "the book's, ε inside the root", Scratch, eps, True)


def _builtin(variant: str, summary: str) -> Callable[[], Implementation]:
    def load() -> Implementation:
        builtin = import_module("rmsprop.optimizers.builtin")
        unavailable = getattr(builtin, f"{variant}_unavailable", _anywhere)
        make = getattr(builtin, variant)
        return Implementation(
            f"builtin-{variant}",
            summary,
            make,
            unavailable=unavailable,
            momentum="momentum" in inspect.signature(make).parameters,  # an older commit's takes none
        )

    return load


def _fused() -> Implementation:
    fused = import_module("rmsprop.optimizers.fused")
    return Implementation(
        "fused",
        "FusedRMSprop, one pass over memory",
        fused.FusedRMSprop,
        unavailable=fused.unavailable,
        momentum=True,
    )


_BUILTINS: Mapping[str, Callable[[], Implementation]] = {
    "scratch": _scratch,
    "builtin-loop": _builtin("loop", "torch.optim.RMSprop, tensor by tensor"),
    "builtin-foreach": _builtin("foreach", "torch.optim.RMSprop, foreach=True"),
    "builtin-capturable": _builtin("capturable", "torch.optim.RMSprop, capturable=True"),
    "builtin-compiled": _builtin("compiled", "torch.compile of torch.optim.RMSprop's step"),
    "fused": _fused,
}


def builtins() -> dict[str, Implementation]:
    """The implementations of this package and of torch that the rmsprop under test has."""
    known = {}
    for name, load in _BUILTINS.items():
        with suppress(ImportError, AttributeError):  # an older commit's
            known[name] = load()
    return known


def implementations() -> Mapping[str, Implementation]:
    """All that are built in or installed. One that does not load says so in its summary and when made."""
    known = builtins()
    for entry in entry_points(group=GROUP):
        try:
            if entry.name in known:
                raise UserError("the name is taken")
            known[entry.name] = _implementation(entry.name, entry.load())
        except (Exception, SystemExit) as error:  # a plug-in may raise anything; the others must not suffer
            name = f"{entry.name} ({entry.value})" if entry.name in known else entry.name
            known[name] = _broken(name, f"entry point {entry.name} = {entry.value}: {in_one_line(error)}")
    return known


def implementation(name: str) -> Implementation:
    """The implementation of that name, or of that `package.module:Class`; UserError lists the known ones.

    LookupError if the rmsprop under test is older than the implementation.
    """
    known = implementations()
    if name in known:
        return known[name]
    if name in IMPLEMENTATIONS:
        raise LookupError(f"{NOT_HERE}: {name}")
    if ":" in name:
        return load_optimizer(name)
    raise UserError(
        f"unknown implementation {name!r}; choose from {', '.join(known)}, or package.module:Class"
    )


def load_optimizers(specs: Iterable[str]) -> None:
    """Import each `package.module:Class`, from this folder too; UserError before anything is measured."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for spec in specs:
        load_optimizer(spec)


def load_optimizer(spec: str) -> Implementation:
    """The implementation that `package.module:Class` names; UserError says why it is none."""
    module, _, attribute = spec.partition(":")
    if not module or not attribute:
        raise UserError(f"optimizer {spec!r} is not of the form package.module:Class")
    try:
        imported = import_module(module)
    except (Exception, SystemExit) as error:
        raise UserError(
            f"optimizer {spec!r} cannot be imported ({in_one_line(error)}); install it or set PYTHONPATH"
        ) from error
    try:
        found = attrgetter(attribute)(imported)
    except (Exception, SystemExit) as error:  # a module may make its names as they are asked for
        why = f"{module} has no {attribute}" if isinstance(error, AttributeError) else in_one_line(error)
        raise UserError(f"optimizer {spec!r} cannot be imported: {why}") from error
    return _implementation(spec, found)


def _implementation(name: str, found: Any) -> Implementation:
    if isinstance(found, Implementation):
        return replace(found, name=name)
    is_class = isinstance(found, type) and issubclass(found, Optimizer)
    if not (is_class or inspect.isfunction(found)):
        what = f"the class {found.__name__}" if isinstance(found, type) else f"a {type(found).__name__}"
        raise UserError(f"{name!r} is no torch.optim.Optimizer subclass and no Implementation, but {what}")
    taken: dict[str, str] = {}
    for accepted in _signatures(found):
        for ours, theirs in _NAMES.items():
            if named := [name for name in theirs if name in accepted]:
                taken.setdefault(ours, named[0])
    passed = set(taken)

    def make(params: list[Tensor], **hyperparameters: float) -> Optimizer:
        given = {taken[ours]: value for ours, value in hyperparameters.items() if ours in passed}
        try:
            return _with_closure(found(params, **given))
        except TypeError as error:  # a constructor that forwards **kwargs may set some of them itself
            twice = re.search(r"multiple values for (?:keyword )?argument '(\w+)'", str(error))
            if not twice or twice[1] not in given:
                raise
            passed.difference_update(ours for ours, theirs in taken.items() if theirs == twice[1])
            return make(params, **hyperparameters)

    summary = f"{found.__module__}.{found.__qualname__}"
    return Implementation(
        name,
        summary,
        make,
        eps_inside_sqrt=None,
        momentum="momentum" in taken,
        formula=getattr(found, "reference_step", None),
        passed=passed,
    )


def _signatures(found: Any) -> Iterator[Mapping[str, inspect.Parameter]]:
    """What it takes; of a constructor with **kwargs then what the next one takes."""
    if not isinstance(found, type):
        yield inspect.signature(found).parameters
        return
    for constructor in (vars(one)["__init__"] for one in found.__mro__ if "__init__" in vars(one)):
        yield (accepted := inspect.signature(constructor).parameters)
        if all(one.kind is not one.VAR_KEYWORD for one in accepted.values()):
            return


def _with_closure(optimizer: Optimizer) -> Optimizer:
    """The optimizer; where its step needs a closure, the step has one from now on."""
    needed = [
        one for one in inspect.signature(optimizer.step).parameters.values() if one.default is one.empty
    ]
    if any(one.kind not in {one.VAR_POSITIONAL, one.VAR_KEYWORD} for one in needed):
        step = partial(optimizer.step, lambda: torch.zeros(()))
        optimizer.step = step  # type: ignore[method-assign, assignment]
    return optimizer


def _broken(name: str, error: str) -> Implementation:
    def make(params: list[Tensor], **hyperparameters: float) -> NoReturn:
        raise UserError(error)

    return Implementation(name, f"cannot be used: {error}", make, eps_inside_sqrt=None)
