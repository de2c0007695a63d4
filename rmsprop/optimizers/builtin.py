"""torch.optim.RMSprop in its variants: the loop, foreach, capturable, and a compiled step.

    s = α s + (1 - α) g²
    p = p - lr g / (sqrt(s) + ε)

With momentum μ: b = μ b + g / (sqrt(s) + ε), p = p - lr b.

No torch release has a fused one.
"""

import os
import shutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from inspect import signature

import torch
from torch import Tensor
from torch.optim import RMSprop


def loop(params: Iterable[Tensor], *, lr: float, alpha: float, eps: float, momentum: float = 0.0) -> RMSprop:
    """One tensor after the other: torch's default on the CPU."""
    return RMSprop(params, lr, alpha, eps, momentum=momentum, foreach=False)


def foreach(
    params: Iterable[Tensor], *, lr: float, alpha: float, eps: float, momentum: float = 0.0
) -> RMSprop:
    """Each operation over the whole list: torch's default on CUDA."""
    return RMSprop(params, lr, alpha, eps, momentum=momentum, foreach=True)


def capturable(
    params: Iterable[Tensor], *, lr: float, alpha: float, eps: float, momentum: float = 0.0
) -> RMSprop:
    """State and step counter on the device, so that a CUDA graph can hold the step; foreach within."""
    return RMSprop(params, lr, alpha, eps, momentum=momentum, foreach=True, capturable=True)


def compiled(
    params: Iterable[Tensor], *, lr: float, alpha: float, eps: float, momentum: float = 0.0
) -> RMSprop:
    """`optimizer.step = torch.compile(optimizer.step)`: compiles in its first step, and not again."""
    params = list(params)
    # On CUDA the step counter goes there too: on the CPU it would need a C++ compiler beside Triton.
    optimizer = RMSprop(
        params, lr, alpha, eps, momentum=momentum, capturable=all(p.device.type == "cuda" for p in params)
    )
    # All optimizers share the code of Optimizer.step, and torch.compile falls back to the slow path, with
    # no more than a log line, after eight compilations of one code: each step needs its own count.
    isolate = "isolate_recompiles" in signature(torch.compile).parameters
    if not isolate:  # an older torch: count from none, at the price of earlier steps compiling anew
        torch.compiler.reset()
    options = {"isolate_recompiles": True} if isolate else {}
    optimizer.step = torch.compile(optimizer.step, **options)  # type: ignore[method-assign, call-overload]
    return optimizer


def capturable_unavailable(device: torch.device, _dtype: torch.dtype) -> str | None:
    """Why the capturable variant cannot run there; None if it can."""
    return None if device.type == "cuda" else f"capturable runs on CUDA alone, not on {device.type}"


def compiled_unavailable(device: torch.device, _dtype: torch.dtype) -> str | None:
    """Why a compiled step cannot run there; None if it can."""
    if device.type == "cpu":
        defaults = {"darwin": "clang++", "win32": "cl"}
        compiler = os.environ.get("CXX") or defaults.get(sys.platform, "g++")  # as torch chooses it
        if shutil.which(compiler) is None:
            return f"torch.compile needs a C++ compiler on the CPU, and there is no {compiler} (CXX names it)"
        return None
    if device.type == "cuda":
        return None if find_spec("triton") else "torch.compile needs Triton on CUDA, and it is not installed"
    return f"torch.compile of the step runs on CPU and CUDA, not on {device.type}"
