"""A device by name, refused before anything runs if it is not here."""

import torch

from rmsprop.errors import UserError


def device_of(name: str, dtype: torch.dtype) -> torch.device:
    """The device `cpu`, `cuda`, `cuda:1` or `mps`; UserError if it is not here or cannot hold `dtype`."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(name.partition(":")[0], True):
        raise UserError(
            f"device {name!r} was asked for, but this torch ({torch.__version__}) finds none here"
        )
    try:
        return torch.zeros(1, device=name, dtype=dtype).device
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"device {name!r} cannot hold {str(dtype).removeprefix('torch.')}: {reason}"
        ) from error
