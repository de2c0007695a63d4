"""A device by name, refused before anything runs if it is not here."""

from collections.abc import Collection

import torch

from rmsprop.errors import UserError


def is_present(kind: str) -> bool:
    """Whether this torch finds a device of the kind cpu, cuda or mps here."""
    return {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[kind]


def check_present(kinds: Collection[str]) -> None:
    """UserError where devices were asked for and not one of them is here; the cases of one are skipped."""
    if kinds and not any(map(is_present, kinds)):
        raise UserError(f"--device {', '.join(kinds)}: this torch ({torch.__version__}) finds none here")


def device_of(name: str, dtype: torch.dtype) -> torch.device:
    """The device `cpu`, `cuda`, `cuda:1` or `mps`; UserError if it is not here or cannot hold `dtype`."""
    if not is_present(name.partition(":")[0]):
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
