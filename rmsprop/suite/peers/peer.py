"""One package's RMSProp: its call as data, and how to make it over torch parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from rmsprop.errors import UserError
from rmsprop.suite.peers.semantics import Argument, Fixed, Flag, Number, Settings, Value

if TYPE_CHECKING:  # a translation is answered without torch
    from torch import Tensor

Arguments = Mapping[str, float | bool]
DTYPES = ("float64", "float32", "bfloat16", "float16")


@dataclass(frozen=True)
class Peer:
    """An RMSProp of some package.

    Attributes
    ----------
    name : str
        By which commands and pages name it.
    call : str
        The class or function that its users call.
    distribution : str
        What pip installs; its version is recorded.
    modules : tuple of str
        What must be importable.
    arguments : Mapping of str to Argument
        Field of `Settings` -> how the call says it.
    make : callable
        (torch parameters, arguments of the call) -> something whose `.step()` updates them from `.grad`.
    neutral : tuple of str
        Further arguments, which change how a step is computed and not what it is.
    dtypes : tuple of str
        Parameters that it updates in their own dtype.
    untimed : str or None
        Why a step from here costs another time than one of its users.
    """

    name: str
    call: str
    distribution: str
    modules: tuple[str, ...]
    arguments: Mapping[str, Argument]
    make: Callable[["list[Tensor]", Arguments], Any]
    neutral: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = DTYPES
    untimed: str | None = None

    @property
    def absent(self) -> str | None:
        """Why it cannot run here; None if it can."""
        try:
            version(self.distribution)
        except PackageNotFoundError:
            return f"{self.distribution} is not installed"
        missing = [module for module in self.modules if find_spec(module) is None]
        return f"not importable: {', '.join(missing)}" if missing else None

    @property
    def version(self) -> str:
        """Of its distribution; PackageNotFoundError where it is absent."""
        return version(self.distribution)

    @property
    def names(self) -> tuple[str, ...]:
        """The arguments of the call that this module knows."""
        named = [argument.name for argument in self.arguments.values() if not isinstance(argument, Fixed)]
        ignored = [a.ignores for a in self.arguments.values() if isinstance(a, Fixed) and a.ignores]
        return (*named, *ignored, *self.neutral)

    def settings(self, given: Mapping[str, float | bool]) -> Settings:
        """What a call with these arguments means; UserError for one that is unknown or missing."""
        for name in given:
            if name not in self.names:
                raise UserError(f"{self.call} has no argument {name!r} here: {', '.join(self.names)}")
        values: dict[str, Value] = {}
        for field, argument in self.arguments.items():
            match argument:
                case Number(name, default):
                    if name not in given and default is None:
                        raise UserError(f"{self.call} has no default of {name}: give --{name}")
                    value = given.get(name, default)
                    assert value is not None
                    if isinstance(value, bool):
                        raise UserError(f"--{name}: expected a number")
                    values[field] = float(value)
                case Flag(name, means, default):
                    chosen = given.get(name, default)
                    if not isinstance(chosen, bool):
                        raise UserError(f"--{name} {chosen!r}: expected true or false")
                    values[field] = means[chosen]
                case Fixed(value):
                    values[field] = value
        return Settings(**values)  # type: ignore[arg-type]
