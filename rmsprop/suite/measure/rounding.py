"""What rounding does to steps: the same steps in float64, with each result rounded to a narrower dtype."""

from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Rounding(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Inside this context, what an operation computes in float64 is rounded as `dtype` would round it.

    So float64 takes the branches that it takes for float64, with the rounding of another dtype. The roundings
    inside one operation, such as a kernel of the author's own, are not seen.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._dtype = dtype

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the operation, then round what it made and what it wrote to."""
        kwargs = kwargs or {}
        given = func(*args, **kwargs)
        schema = func._schema
        by_name = dict(zip((argument.name for argument in schema.arguments), args, strict=False)) | kwargs
        written = [
            by_name.get(argument.name)
            for argument in schema.arguments
            if argument.alias_info and argument.alias_info.is_write
        ]
        # A view is of numbers that are rounded already, and may hold one of them many times.
        made = () if any(one.alias_info for one in schema.returns) else given
        for tensor in tree_leaves((written, made)):
            if isinstance(tensor, Tensor) and tensor.dtype == torch.float64:
                tensor.copy_(tensor.to(self._dtype))
        return given
