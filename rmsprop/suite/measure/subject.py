"""The rmsprop under test, which may be an older commit's: what it lacks is skipped as "not in this commit".

Of it the harness uses `optimizers.scratch` (rmsprop, init_rmsprop_states), `optimizers.builtin` and
`optimizers.fused` through `measure.registry`, and `book.training` and `book.airfoil` through
`measure.metrics.book_job`.
"""

import torch

from rmsprop.suite.case import Case
from rmsprop.suite.measure.devices import is_present
from rmsprop.suite.measure.memory import host_memory
from rmsprop.suite.measure.registry import implementation

WORKING_COPIES = 4
"""Parameter-sized temporaries that memory must hold: scratch has 3 alive, foreach 1, the check less."""


def skip_reason(case: Case) -> str | None:
    """Why this machine or this commit cannot run the case; None if it can."""
    if not is_present(case.device):
        return f"no device: torch {torch.__version__} finds no {case.device} here"
    if case.device == "mps" and case.dtype == "float64":
        return "unsupported dtype: mps has no float64"
    try:
        found = implementation(case.implementation)
        reason = found.unavailable(torch.device(case.device), getattr(torch, case.dtype))
        if case.momentum and not found.momentum:
            reason = f"{case.implementation} takes no momentum"
    except LookupError as missing:
        return str(missing)
    except Exception:  # a broken plug-in is no reason to skip: its case fails, with the message
        reason = None
    if not reason and memory_needed(case) > memory_available(case.device):
        return f"too little memory: {memory_reason(case)}"
    return reason


def gradient_sets(case: Case) -> int:
    """How many sets of gradients the case rotates: as many as fill 64 MiB, but at least 2 and at most 8.

    A set that stayed in the cache from step to step would be read faster than a backward pass's.
    """
    return 2 * min(4, -(-(2**25) // case.bytes))


def memory_kept(case: Case) -> int:
    """Bytes for parameters, squared average, momentum's buffer and gradients."""
    return case.bytes * (2 + bool(case.momentum) + gradient_sets(case))


def memory_needed(case: Case) -> int:
    """Bytes that a step takes, working copies among them."""
    return memory_kept(case) + case.bytes * WORKING_COPIES


def memory_reason(case: Case) -> str:
    """What the case needs, and what there is."""
    needed, available = memory_needed(case) / 2**30, memory_available(case.device) / 2**30
    return f"needs {needed:.1f} GiB, and {available:.1f} GiB are available"


def memory_available(device: str) -> int:
    """Bytes that can be had now on a device; none on one that is not here."""
    if not is_present(device):
        return 0
    if device == "cuda":
        return torch.cuda.mem_get_info()[0]
    if device == "mps":
        return torch.mps.recommended_max_memory() - torch.mps.current_allocated_memory()
    return host_memory()
