"""FusedRMSprop's step on CUDA: one launch of the kernel in `triton_kernel.py` for a whole list of tensors.

    g = sign g / grad_scale + weight_decay p
    s = alpha s + (1 - alpha) g²
    m = m + (1 - alpha) (g - m)                               if centered
    d = sqrt(v) + eps, or sqrt(v + eps) if eps_inside_sqrt    v = max(s - m², 0) if centered, else s
    b = momentum b + g / d,  p = p - lr b                     if momentum, else p = p - lr g / d

Triton comes with torch's builds for CUDA. It compiles the kernel on first use for each combination of dtypes
and flags, and keeps what it made on disk; other hyperparameters or other tensors compile nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from itertools import accumulate
from typing import TypeAlias

import torch
from torch import Tensor, nn

from rmsprop.optimizers.fused.batches import Batch

BLOCK, WARPS = 1024, 4
"""Elements of one tensor that one program steps, and what steps them: eight to a thread."""

Column: TypeAlias = tuple[int, ...]
"""One number for each tensor: its size, or an address."""
Table: TypeAlias = tuple[int, int, tuple[Tensor | None, ...]]
"""The number of programs, and the kernel's `levels` and columns."""


def unavailable() -> str | None:
    """Why the kernel can run on no device here; None if it can."""
    return None if find_spec("triton") else "Triton is not installed; torch's builds for CUDA bring it along"


def takes(batch: Batch) -> bool:
    """Whether the kernel can step it: not empty, no subclass of torch's tensors, state of one dtype."""
    state = {tensors[0].dtype for key, tensors in batch.state.items() if key != "step"}
    p, g = batch.params[0], batch.grads[0]
    return p.numel() > 0 and type(p) in {Tensor, nn.Parameter} and g.dtype == p.dtype and len(state) == 1


def step(
    tensors: Sequence[Sequence[Tensor]],
    *,
    lr: float | Tensor,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
    maximize: bool,
    eps_inside_sqrt: bool,
    stochastic_rounding: bool = False,
    grad_scale: Tensor | None = None,
    found_inf: Tensor | None = None,
) -> None:
    """One step in place, queued on the current stream; the host does not wait for it.

    Parameters
    ----------
    tensors
        params, grads, square_avgs, grad_avgs (empty unless `centered`), momentum_buffers (empty unless
        `momentum`), steps: equally long lists on one CUDA device, but steps may be on the CPU. What belongs
        to one parameter is real, not empty and lies in memory in the same order without gaps. Gradients have
        the dtype of the parameters, all state has one dtype, all steps have one. Float64 is computed in
        float64, all else in float32.
    lr
        A CUDA tensor is read on the device.
    stochastic_rounding
        For bfloat16 parameters; draws a seed from torch's generator of the device.
    grad_scale
        One element: the gradients are divided by it first, and left so, as torch's fused optimizers do.
    found_inf
        One element: if it is not 0, nothing changes, but for steps on the CPU, which cannot know.

    A CUDA graph may hold the step if steps are on the device, given a torch that pins memory in a capture.
    """
    params, grads, square_avgs, grad_avgs, momentum_buffers, steps = tensors
    if not params:
        return
    # Triton takes a while to import, and is absent where there is no GPU.
    from rmsprop.optimizers.fused.triton_kernel import DTYPES, fused_step  # noqa: PLC0415

    device, rounds = params[0].device, stochastic_rounding and params[0].dtype == torch.bfloat16
    steps_there = steps[0].device == device
    if not steps_there:
        # A tensor, as in torch's optimizers: a number would be made a tensor anew for each step.
        torch._foreach_add_(list(steps), torch.ones((), device="cpu"), alpha=1.0)
    lists = (params, grads, square_avgs, grad_avgs, momentum_buffers, steps if steps_there else ())
    sizes = tuple(p.numel() for p in params)
    addresses = tuple(tuple(t.data_ptr() for t in tensors) for tensors in lists)

    def there(scalar: Tensor | None) -> Tensor | None:
        return None if scalar is None else scalar.to(device, non_blocking=True)

    lr_there = there(lr) if isinstance(lr, Tensor) and lr.device.type != "cpu" else None
    with torch.cuda.device(params[0].get_device()):
        programs, levels, columns = _table(device, sizes, addresses)
        fused_step[(programs,)](
            *columns,
            levels,
            0.0 if lr_there is not None else float(lr),
            alpha,
            eps if eps_inside_sqrt else 0.0,
            0.0 if eps_inside_sqrt else eps,
            weight_decay,
            momentum,
            -1.0 if maximize else 1.0,
            lr_there,
            there(grad_scale),
            there(found_inf),
            torch.randint(2**63 - 1, (1,), device=device) if rounds else None,
            PARAM=DTYPES[params[0].dtype],
            STATE=DTYPES[square_avgs[0].dtype],
            STEP=DTYPES[steps[0].dtype],
            ACC=DTYPES[torch.promote_types(params[0].dtype, torch.float32)],
            DECAYS=weight_decay != 0,
            BLOCK=BLOCK,
            num_warps=WARPS,
            enable_fp_fusion=False,  # the kernel says what is contracted: what the CPU's contracts
        )
    torch.autograd.graph.increment_version(params)


def _table(device: torch.device, sizes: Column, addresses: tuple[Column, ...]) -> Table:
    if device.type != "cuda":  # Triton's interpreter
        return _upload(device, None, sizes, addresses)
    if torch.cuda.is_current_stream_capturing():
        # The copy is part of the graph, as is the memory that it fills: each replay fills it anew. The host's
        # side stays as it is: torch gives pinned memory that a capture has used to nobody else.
        return _upload.__wrapped__(device, None, sizes, addresses)
    return _upload(device, torch.cuda.current_stream(device), sizes, addresses)


@lru_cache(maxsize=64)  # gradients that are freed and made anew come back to a few sets of addresses
def _upload(
    device: torch.device, stream: torch.cuda.Stream | None, sizes: Column, addresses: tuple[Column, ...]
) -> Table:
    """A table for `stream`, the current one: another one would have to wait for the copy."""
    *firsts, programs = accumulate((-(-size // BLOCK) for size in sizes), initial=0)
    levels = (len(sizes) - 1).bit_length()
    padding = [programs] * (2**levels - len(sizes))
    columns = (firsts, sizes, *addresses)
    rows = [[*column, *padding] for column in columns if column]
    host = torch.tensor(rows, dtype=torch.int64, device="cpu", pin_memory=device.type == "cuda")
    filled = iter(host.to(device, non_blocking=True).unbind())
    return programs, levels, tuple(next(filled) if column else None for column in columns)
