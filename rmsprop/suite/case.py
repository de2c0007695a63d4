"""A case: one point of the matrix, its names, and what follows from it alone. Standard library only.

An axis is a field of `Case`. Records store it, the frame has a column of its name, and ids, points and
descriptions are made and read here alone.
"""

import math
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar

from rmsprop.suite.shapes import Shape, shapes

IMPLEMENTATIONS = (
    "scratch",
    "builtin-loop",
    "builtin-foreach",
    "builtin-capturable",
    "builtin-compiled",
    "fused",
)
"""Those of rmsprop itself, in the order of tables; stated here, whatever the commit under test has."""
DEVICES = ("cpu", "cuda", "mps")
ITEMSIZE = {"float32": 4, "float64": 8, "bfloat16": 2, "float16": 2}
"""Bytes of one element, by dtype; in the order of tables."""
LAYOUTS = {
    "single": "one tensor",
    "book": "the book’s w and b",
    "digits": "the digits network",
    "many": "1,000 tensors",
    "resnet50": "ResNet-50",
    "gpt2": "GPT-2 small",
}
"""What the parameters look like, and the words for it."""
REFERENCE = "builtin-loop"
"""The implementation that the others are compared with: torch's default on the CPU."""
DEFAULTS = {"cuda": "builtin-foreach"}
"""By device, which implementation `torch.optim.RMSprop` is without options, where it is not `REFERENCE`."""


@dataclass(frozen=True)
class Case:
    """One point of the matrix: strings and numbers only.

    Attributes
    ----------
    implementation : str
        A name in the registry, or package.module:Class.
    device, dtype : str
        One of `DEVICES` and of `ITEMSIZE`.
    size : str
        Elements as the matrix names them, such as 1e5.
    layout : str
        One of `LAYOUTS`.
    threads : int
        torch's intra-op threads; 0 stands for all.
    momentum : float
        Of the step; ids and points leave out 0, which records without the field have.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    """A record that stores a case has these fields and no others."""

    implementation: str = field(metadata={"meaning": "name in the registry"})
    device: str = field(metadata={"meaning": ", ".join(DEVICES)})
    dtype: str = field(metadata={"meaning": ", ".join(ITEMSIZE)})
    size: str = field(metadata={"meaning": "elements as the matrix names them, such as 1e5"})
    layout: str = field(metadata={"meaning": ", ".join(LAYOUTS)})
    threads: int = field(metadata={"meaning": "torch's intra-op threads; 0 stands for all"})
    momentum: float = field(default=0.0, metadata={"meaning": "of the step"})

    @property
    def id(self) -> str:
        """Such as `scratch-cpu-float32-1e5-single-1t`, or `...-all` for all threads."""
        return f"{self.implementation}-{self.point}"

    @property
    def point(self) -> str:
        """The id without the implementation: the cases of one point are compared with each other."""
        threads = f"{self.threads}t" if self.threads else "all"
        momentum = (f"m{self.momentum:g}",) if self.momentum else ()
        return "-".join((self.device, self.dtype, self.size, self.layout, threads, *momentum))

    @classmethod
    def parse(cls, text: str) -> "Case":
        """The case of that id; ValueError says what an id looks like."""
        try:
            rest, _, last = text.rpartition("-")
            momentum = float(last.removeprefix("m")) if last.startswith("m") else 0.0
            named = rest if momentum else text
            implementation, device, dtype, size, layout, threads = named.rsplit("-", 5)
            number = 0 if threads == "all" else int(threads.removesuffix("t"))
        except ValueError as error:
            raise ValueError(
                f"{text!r} is no case of the matrix such as scratch-cpu-float32-1e5-single-1t"
            ) from error
        return cls(implementation, device, dtype, size, layout, number, momentum)

    @classmethod
    def at(cls, implementation: str, point: str) -> "Case":
        """The case of an implementation at that point; ValueError says what a case looks like."""
        return cls.parse(f"{implementation}-{point}")

    @property
    def place(self) -> str:
        """Such as `cpu, 1 thread`; on a GPU the threads of the host do not matter."""
        return ", ".join((self.device, *self._threads()))

    @property
    def description(self) -> str:
        """What the point is beside device and dtype, such as `1e5, one tensor, all threads`."""
        momentum = (f"momentum {self.momentum:g}",) if self.momentum else ()
        return ", ".join((self.size, LAYOUTS.get(self.layout, self.layout), *self._threads(), *momentum))

    def _threads(self) -> tuple[str, ...]:
        if self.device != "cpu":
            return ()
        if self.threads == 0:
            return ("all threads",)
        return (f"{self.threads:,} thread{'' if self.threads == 1 else 's'}",)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Of the parameters, in order."""
        return shapes(self.layout, self.size)

    @property
    def elements(self) -> int:
        """Of all parameters."""
        return sum(math.prod(shape) for shape in self.shapes)

    @property
    def bytes(self) -> int:
        """Of the parameters; the gradients and the squared average have as many each."""
        return self.elements * ITEMSIZE[self.dtype]

    @property
    def passes(self) -> int:
        """Passes over memory as large as the parameters that a step needs: read p, g, s; write p, s.

        Momentum's buffer is read and written too.
        """
        return 7 if self.momentum else 5


AXES = tuple(one.name for one in fields(Case))
"""The fields of a case, in the order of its id."""
REQUIRED = tuple(one.name for one in fields(Case) if one.default is MISSING)
"""The axes that each record has; the others came later and have a value where a record lacks them."""
POINT = tuple(axis for axis in AXES if axis != "implementation")
"""The axes of a point."""
MEANINGS: dict[str, tuple[Any, str]] = {one.name: (one.type, one.metadata["meaning"]) for one in fields(Case)}
"""Axis -> (type, meaning)."""
