"""Which kernels there are: the fast path in C++, Triton's on CUDA, and one warning where one is missing."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeAlias

import torch
from torch import Tensor

from rmsprop.optimizers.fused import cuda
from rmsprop.optimizers.fused.build import KernelUnavailableError, load_kernel
from rmsprop.optimizers.fused.checks import ParamGroup

Pairs: TypeAlias = list[tuple[ParamGroup, Tensor]]
Left: TypeAlias = tuple[Pairs, list[tuple[Any, ...]]]
"""What a walk leaves to others: parameters, and launches of the kernel on CUDA, made ready."""
Walk: TypeAlias = Callable[
    [list[dict[str, Any]], Mapping[Tensor, Any], float, bool, bool, str, int], Left | None
]
"""`step` of cpu_kernel.cpp: (param_groups, state, scale, partly, serial, launched, block) -> what is left."""


def leave_all(
    groups: list[dict[str, Any]],
    _state: Mapping[Tensor, Any],
    _scale: float,
    _partly: bool,
    _serial: bool,
    _launched: str,
    _block: int,
    /,
) -> Left | None:
    """Leaves all to others: until a parameter is met on CPU or CUDA, no C++ need be built."""
    rest: Pairs = [(group, p) for group in groups for p in group["params"] if p.grad is not None]
    return (rest, []) if rest else None


@cache
def cpu_walk() -> Walk:
    try:
        return _untraced(load_kernel().step)
    except KernelUnavailableError as error:
        _warn_slow(f"the C++ kernel cannot be built ({error}); see `rmsprop build`")
        return leave_all


@cache
def cuda_walk() -> Walk:
    """The C++ walk; where there is no compiler Python's, whose step is the same kernel's."""
    try:
        return _untraced(load_kernel().step)
    except KernelUnavailableError:
        return leave_all


@cache
def _untraced(walk: Walk) -> Walk:
    """The walk itself, which a compiled training step calls between its graphs; to say so costs no step."""
    disabled = torch.compiler.disable(walk)  # type: ignore[no-untyped-call]

    def traced(*arguments: Any) -> Left | None:
        left: Left | None = disabled(*arguments)
        return left

    torch.compiler.substitute_in_graph(walk, skip_signature_check=True)(traced)
    return walk


@cache
def has_cuda_kernel() -> bool:
    """Whether there is one; if not, a warning has said so."""
    if reason := cuda.unavailable():
        _warn_slow(reason)
    return reason is None


def _warn_slow(reason: str) -> None:
    warnings.warn(f"FusedRMSprop takes torch's foreach operations: {reason}", RuntimeWarning, stacklevel=2)


def unavailable(device: torch.device, _dtype: torch.dtype) -> str | None:
    """Why a step there would not be a kernel's; None if it is. Builds the CPU's."""
    if device.type == "cuda":
        return cuda.unavailable()
    if device.type != "cpu":
        return f"FusedRMSprop has kernels for cpu and cuda, not for {device.type}"
    try:
        load_kernel()
    except KernelUnavailableError as error:
        return f"the C++ kernel cannot be built: {error}"
    return None
