"""The one list of cases that every runner measures: as data, and the same on every machine.

What a machine or a commit cannot run is skipped with its reason (`measure.subject.skip_reason`), and
never missing from the list. This module imports no torch.
"""

import math
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import product

from rmsprop.errors import UserError
from rmsprop.suite.case import DEVICES, IMPLEMENTATIONS, ITEMSIZE, Case

GROUP = "rmsprop.optimizers"
"""The group of entry points by which other packages add implementations."""
VARIABLE = "RMSPROP_OPTIMIZERS"
SIZES = {
    "single": ("1e3", "1e5", "1e6", "1e7", "1e8", "1e9"),
    "book": ("6",),
    "digits": ("2410",),
    "many": ("1e6",),
    "resnet50": ("25557032",),
    "gpt2": ("124439808",),
}
"""Elements by layout: one tensor; the book's w and b; the network of the digits; 1,000 tensors of 1,000; two
models' real shapes."""
THREADS = (1, 0)
"""torch's intra-op threads; 0 stands for all, as many as torch takes by default."""
MOMENTA = (0.0, 0.9)
"""Of the step; 0 is the book's and torch's default, 0.9 what most people set who set one."""


def named() -> list[str]:
    """What `RMSPROP_OPTIMIZERS` holds: package.module:Class, or several with spaces between them.

    It is for what has no option: asv, and the suite of the gate.
    """
    return os.environ.get(VARIABLE, "").split()


def others() -> list[str]:
    """Other people's implementations: those of installed packages, and those that the variable names."""
    return list(dict.fromkeys([*(entry.name for entry in entry_points(group=GROUP)), *named()]))


@dataclass(frozen=True)
class CaseBlock:
    """A block of a profile: each device, dtype, (size, layout) and threads with each implementation.

    Attributes
    ----------
    devices, dtypes
        As in `Case`.
    layouts
        Each a size and a layout.
    threads
        On a GPU the threads of the host do not matter, and the cases say 1.
    compiled
        False leaves builtin-compiled to the full profile: it compiles 161 or 1,000 tensors for minutes.
    momenta
        Of the step, each with each of the others; 0 is none.
    """

    devices: tuple[str, ...]
    dtypes: tuple[str, ...]
    layouts: tuple[tuple[str, str], ...]
    threads: tuple[int, ...] = (1,)
    compiled: bool = True
    momenta: tuple[float, ...] = (0.0,)


CPU, GPU = ("cpu",), ("cuda", "mps")
FLOAT32, HALF = ("float32",), ("bfloat16", "float16")
BOOK, DIGITS, MANY, RESNET50, GPT2 = (
    (SIZES[layout][0], layout) for layout in ("book", "digits", "many", "resnet50", "gpt2")
)
E3, E5, E6, E7, E8, E9 = ((size, "single") for size in SIZES["single"])

PROFILES = {
    "smoke": (
        CaseBlock(DEVICES, FLOAT32, (E5,)),
        CaseBlock(DEVICES, FLOAT32, (BOOK, E6, MANY), compiled=False),
    ),
    "regular": (
        CaseBlock(CPU, FLOAT32, (BOOK, DIGITS, E3)),
        CaseBlock(CPU, FLOAT32, (E5, E6, E7), THREADS),
        CaseBlock(CPU, FLOAT32, (MANY, RESNET50), THREADS, compiled=False),
        CaseBlock(CPU, ("float64", *HALF), (E6,), (0,)),
        CaseBlock(CPU, FLOAT32, (E5, E6), (0,), compiled=False, momenta=(0.9,)),
        CaseBlock(GPU, FLOAT32, (BOOK, DIGITS, E5, E6, E7, E8)),
        CaseBlock(GPU, FLOAT32, (MANY, RESNET50), compiled=False),
        CaseBlock(GPU, HALF, (E7,)),
    ),
    "fused": (
        CaseBlock(CPU, FLOAT32, (BOOK, E3, E5, E6, E7), THREADS),
        CaseBlock(CPU, FLOAT32, (MANY, RESNET50, GPT2), THREADS, compiled=False),
        CaseBlock(CPU, ("float64", "bfloat16"), (E6, E7), (0,)),
        CaseBlock(CPU, ("float64", "bfloat16"), (MANY, RESNET50, GPT2), (0,), compiled=False),
        CaseBlock(CPU, FLOAT32, (E5, E6, E7, RESNET50), (0,), compiled=False, momenta=(0.9,)),
        CaseBlock(GPU, (*FLOAT32, "bfloat16"), (BOOK, E5, E6, E7, E8)),
        CaseBlock(GPU, (*FLOAT32, "bfloat16"), (MANY, RESNET50, GPT2), compiled=False),
    ),
    "full": (
        CaseBlock(CPU, tuple(ITEMSIZE), (BOOK, DIGITS, E3, E5, E6, E7, E8, MANY, RESNET50, GPT2), THREADS),
        CaseBlock(GPU, tuple(ITEMSIZE), (BOOK, DIGITS, E3, E5, E6, E7, E8, MANY, RESNET50, GPT2)),
        CaseBlock(("cuda",), (*FLOAT32, *HALF), (E9,)),
        CaseBlock(DEVICES, FLOAT32, (E5, E6, E7, RESNET50), (0,), momenta=(0.9,)),
    ),
}
"""smoke: under two minutes. regular: what people ask about, in under 10 minutes on two cores. fused: what
FusedRMSprop is held to, in a quarter of an hour. full: all, in hours."""


def cases(
    profile: str = "regular", *, others: Iterable[str] = (), **filters: Sequence[str | float]
) -> list[Case]:
    """The cases of a profile, implementations of one point next to each other so that noise meets them alike.

    `others` are implementations beyond `IMPLEMENTATIONS`: other people's. Each filter, named after an axis,
    keeps the values that it holds (all if it is empty).
    UserError lists the known values of an unknown one, and names a known one that no case has.
    """
    known: dict[str, tuple[str | float, ...]] = {
        "implementation": tuple(dict.fromkeys((*IMPLEMENTATIONS, *others))),
        "device": DEVICES,
        "dtype": tuple(ITEMSIZE),
        "size": tuple(dict.fromkeys(size for sizes in SIZES.values() for size in sizes)),
        "layout": tuple(SIZES),
        "threads": THREADS,
        "momentum": MOMENTA,
    }
    blocks = PROFILES[str(_one_of("profile", profile, PROFILES))]
    wanted = {axis: [_one_of(axis, value, known[axis]) for value in filters.get(axis, ())] for axis in known}
    if unknown := set(filters) - set(known):
        raise TypeError(f"cases() has no filter {', '.join(sorted(unknown))}")
    listed = [
        case
        for block in blocks
        for device, dtype, (size, layout), threads, momentum in product(
            block.devices, block.dtypes, block.layouts, block.threads, block.momenta
        )
        for name in map(str, known["implementation"])
        if block.compiled or name != "builtin-compiled"
        if _kept(case := Case(name, device, dtype, size, layout, threads, momentum), wanted)
    ]
    asked = "; ".join(
        f"{axis} {', '.join(map(str, missing))}"
        for axis, values in wanted.items()
        if (missing := [value for value in values if all(getattr(case, axis) != value for case in listed)])
    )
    if asked:
        advice = "loosen a filter"
        with suppress(UserError):
            if profile != "full" and cases("full", others=map(str, known["implementation"]), **filters):
                advice += ", or ask for profile full"
        raise UserError(f"profile {profile} has no case with {asked}; {advice}")
    return list(dict.fromkeys(listed))


def _kept(case: Case, wanted: dict[str, list[str | float]]) -> bool:
    return all(not values or getattr(case, axis) in values for axis, values in wanted.items())


def _one_of(axis: str, value: str | float, known: Iterable[str | float]) -> str | float:
    """The known value that equals `value` or, for sizes and threads, is the same number."""
    listed = list(known)
    for candidate in listed:
        if str(candidate) == str(value) or (
            axis in {"size", "threads", "momentum"} and _number(candidate) == _number(value)
        ):
            return candidate
    names = ["all" if axis == "threads" and candidate == 0 else str(candidate) for candidate in listed]
    raise UserError(f"unknown {axis} {value!r}; choose from {', '.join(names)}")


def _number(value: str | float) -> float:
    try:
        return 0.0 if value == "all" else float(value)
    except ValueError:
        return math.nan
