"""FusedRMSprop's step on CUDA: one launch of the kernel in `triton_kernel.py` for a whole list of tensors.

The formula is in `optimizer.py`.

Triton comes with torch's builds for CUDA. It compiles the kernel on first use for each combination of dtypes
and flags, and keeps what it made on disk; other hyperparameters or other tensors compile nothing.
"""

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rmsprop.optimizers.fused.batches import Batch
from rmsprop.optimizers.fused.options import StepOptions

BLOCK, WARPS = 1024, 4
"""Elements of one tensor that one program steps, and what steps them: eight to a thread."""

_COMPILED: dict[tuple[object, ...], Any] = {}
"""What Triton made of the kernel, by what decides it: Triton looks for it longer than it launches it."""
_TABLES: deque[tuple[tuple[torch.device, int | None], bytes, Tensor]] = deque(maxlen=16)
"""Those that were sent last: gradients that are freed and made anew come back to a few sets of addresses."""


class Launch(NamedTuple):
    """A list of tensors that one launch steps; `cpu_kernel.cpp` makes them too."""

    group: Mapping[str, Any]
    """The options, as in `param_groups`."""
    device: int
    """Index of the CUDA device; -1 for the CPU, where Triton's interpreter runs."""
    param: torch.dtype
    """dtype of the parameters and their gradients."""
    state: torch.dtype
    """dtype of all state but the steps."""
    step: torch.dtype | None
    """None: the steps are counted on the CPU, by others."""
    centered: bool
    """Whether there is a grad_avg."""
    momentum: bool
    """Whether there is a momentum_buffer."""
    programs: int
    """How many run, each on a block of one tensor."""
    table: bytes
    """Rows of int64, as long as the next power of two: the first program of each tensor, its size, the
    addresses of its parameter, gradient and square_avg; of grad_avg if `centered`, of momentum_buffer if
    `momentum`, of the step if there is a `step`. What a row has too much is the number of programs."""


def unavailable() -> str | None:
    """Why the kernel can run on no device here; None if it can."""
    return None if find_spec("triton") else "Triton is not installed; torch's builds for CUDA bring it along"


def takes(batch: Batch) -> bool:
    """Whether the kernel can step it: not empty, no subclass of torch's tensors, state of one dtype."""
    state = {tensors[0].dtype for key, tensors in batch.state.items() if key != "step"}
    p, g = batch.params[0], batch.grads[0]
    return p.numel() > 0 and type(p) in {Tensor, nn.Parameter} and g.dtype == p.dtype and len(state) == 1


def step(tensors: Sequence[Sequence[Tensor]], options: StepOptions) -> None:
    """One step in place, queued on the current stream; the host does not wait for it.

    Parameters
    ----------
    tensors
        params, grads, square_avgs, grad_avgs (empty unless `centered`), momentum_buffers (empty unless
        `momentum`), steps: equally long lists on one CUDA device, but steps may be on the CPU. What belongs
        to one parameter is real, not empty and lies in memory in the same order without gaps. Gradients have
        the dtype of the parameters, all state has one dtype, all steps have one. Float64 is computed in
        float64, all else in float32.
    options
        An lr on CUDA is read on the device. Stochastic rounding is for bfloat16 parameters, and draws a seed
        from torch's generator of the device. found_inf does not stop steps on the CPU: they cannot know.

    A CUDA graph may hold the step if steps are on the device, given a torch that pins memory in a capture.
    """
    params, grads, square_avgs, grad_avgs, momentum_buffers, steps = tensors
    if not params:
        return
    steps_there = steps[0].device == params[0].device
    if not steps_there:
        # A tensor, as in torch's optimizers: a number would be made a tensor anew for each step.
        torch._foreach_add_(list(steps), torch.ones((), device="cpu"), alpha=1.0)
    sizes = [p.numel() for p in params]
    *firsts, programs = accumulate((-(-size // BLOCK) for size in sizes), initial=0)
    lists = (params, grads, square_avgs, grad_avgs, momentum_buffers, steps if steps_there else ())
    rows = [firsts, sizes, *([t.data_ptr() for t in tensors] for tensors in lists if tensors)]
    padding = [programs] * (2 ** (len(sizes) - 1).bit_length() - len(sizes))
    launch(
        Launch(
            vars(options),
            params[0].get_device(),
            params[0].dtype,
            square_avgs[0].dtype,
            steps[0].dtype if steps_there else None,
            bool(grad_avgs),
            bool(momentum_buffers),
            programs,
            b"".join(array("q", [*row, *padding]).tobytes() for row in rows),
        ),
        grad_scale=options.grad_scale,
        found_inf=options.found_inf,
    )
    torch.autograd.graph.increment_version(params)


def launch(it: Launch, *, grad_scale: Tensor | None = None, found_inf: Tensor | None = None) -> None:
    """Queue the launch on the current stream of its device; see `step`."""
    if it.device >= 0 and it.device != torch.cuda.current_device():
        with torch.cuda.device(it.device):
            launch(it, grad_scale=grad_scale, found_inf=found_inf)
        return
    # Triton takes a while to import, and is absent where there is no GPU.
    from rmsprop.optimizers.fused.triton_kernel import DTYPES, fused_step  # noqa: PLC0415

    device = torch.device("cuda", it.device) if it.device >= 0 else torch.device("cpu")

    def there(scalar: Tensor | None) -> Tensor | None:
        return None if scalar is None else scalar.to(device, non_blocking=True)

    group = it.group
    lr, eps, decay = group["lr"], float(group["eps"]), float(group["weight_decay"])
    lr_there = there(lr) if isinstance(lr, Tensor) and lr.device.type != "cpu" else None
    rounds = group["stochastic_rounding"] and it.param == torch.bfloat16
    rows = 5 + it.centered + it.momentum + (it.step is not None)
    arguments = (
        _table(device, it.table),
        (len(it.table) // (8 * rows)).bit_length() - 1,
        float(lr) if lr_there is None else 0.0,
        float(group["alpha"]),
        eps if group["eps_inside_sqrt"] else 0.0,
        0.0 if group["eps_inside_sqrt"] else eps,
        decay,
        float(group["momentum"]),
        -1.0 if group["maximize"] else 1.0,
        lr_there,
        there(grad_scale),
        there(found_inf),
        torch.randint(2**63 - 1, (1,), device=device) if rounds else None,
    )
    constants = {
        "PARAM": DTYPES[it.param],
        "STATE": DTYPES[it.state],
        "STEP": DTYPES[it.step] if it.step else None,
        "ACC": DTYPES[torch.promote_types(it.param, torch.float32)],
        "CENTERED": it.centered,
        "MOMENTUM": it.momentum,
        "DECAYS": decay != 0,
        "BLOCK": BLOCK,
    }
    decides = (it.param, it.state, it.step, it.centered, it.momentum, decay != 0, BLOCK, WARPS)
    given = (None if scalar is None else scalar.dtype for scalar in arguments[-4:])
    kind = (id(fused_step), it.device, *decides, *given)
    if compiled := _COMPILED.get(kind):
        compiled[(it.programs, 1, 1)](*arguments, *constants.values())
        return
    # The kernel itself says what is contracted: what the CPU's contracts.
    options = {"num_warps": WARPS, "enable_fp_fusion": False}
    compiled = fused_step[(it.programs,)](*arguments, **constants, **options)
    if compiled is not None:  # Triton's interpreter makes none
        _COMPILED[kind] = compiled


def _table(device: torch.device, table: bytes) -> Tensor:
    """The table on the device, for the current stream: another stream would have to wait for the copy."""
    stream = None
    if device.type == "cuda":
        if torch.cuda.is_current_stream_capturing():
            # The copy is part of the graph, as is the memory that it fills: each replay fills it anew. The
            # host's side stays as it is: torch gives pinned memory that a capture has used to nobody else.
            return _upload(device, table)
        stream = torch._C._cuda_getCurrentRawStream(device.index)
    for where, known, there in tuple(_TABLES):  # to compare is faster than to hash
        if known == table and where == (device, stream):
            return there
    uploaded = _upload(device, table)
    _TABLES.appendleft(((device, stream), table, uploaded))
    return uploaded


def _upload(device: torch.device, table: bytes) -> Tensor:
    host = torch.empty(len(table) // 8, dtype=torch.int64, device="cpu", pin_memory=device.type == "cuda")
    host.copy_(torch.frombuffer(bytearray(table), dtype=torch.int64))
    return host.to(device, non_blocking=True)
