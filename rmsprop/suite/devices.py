"""Device and dtype by name, checked before anything runs."""

import torch

from rmsprop.errors import UserError
from rmsprop.suite.case import DEVICES, ITEMSIZE

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in ITEMSIZE}


def parse_dtype(name: str) -> torch.dtype:
    """The dtype of that name; UserError lists the known ones."""
    if name not in DTYPES:
        raise UserError(f"unknown dtype {name!r}; choose one of {', '.join(DTYPES)}")
    return DTYPES[name]


def parse_device(name: str, dtype: torch.dtype = torch.float32) -> torch.device:
    """The device of that name (`cuda:1` for a second one), if it is here and can hold `dtype`."""
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdecimal()):
        raise UserError(f"unknown device {name!r}; choose one of {', '.join(DEVICES)}, or cuda:1 and so on")
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[kind]:
        raise UserError(
            f"device {name!r} was asked for, but this torch ({torch.__version__}) finds none here"
        )
    try:
        torch.zeros(1, device=name, dtype=dtype)
    except (RuntimeError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"device {name!r} cannot hold {str(dtype).removeprefix('torch.')}: {reason}"
        ) from error
    return torch.device(name)
