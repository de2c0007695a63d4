"""FusedRMSprop's step in torch's own operations: where its kernels cannot go.

That is without a compiler, on other devices, and for tensor subclasses. The arithmetic is the kernels'
(half types in float32); it costs temporaries of parameter size.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rmsprop.optimizers.fused.options import StepOptions


def step(tensors: Sequence[Sequence[Tensor]], options: StepOptions) -> Callable[[], None]:
    """One step of params, grads, square_avgs, grad_avgs, buffers, steps: real, of one device and type.

    Computes it, and changes nothing before what it returns is called: an operation that a tensor subclass
    does not know raises first. Gradients are then left unscaled, as torch's fused optimizers leave them.
    """
    o = options
    params, grads, square_avgs, grad_avgs, momentum_buffers, steps = map(list, tensors)
    if o.found_inf is not None and o.found_inf.item():
        return lambda: None
    do: Any = torch if type(params[0]) in {Tensor, nn.Parameter} else OneByOne()
    written: list[tuple[list[Tensor], Sequence[Tensor]]] = []
    g: Sequence[Tensor] = grads
    if o.grad_scale is not None:
        g = do._foreach_div(g, o.grad_scale.item())
        written.append((grads, g))
    w: Sequence[Tensor]
    s: Sequence[Tensor]
    w, g, s = (_wide(each) for each in (params, g, square_avgs))
    if o.maximize:
        g = do._foreach_neg(g)
    if o.weight_decay:
        g = do._foreach_add(g, w, alpha=o.weight_decay)
    s = do._foreach_mul(s, o.alpha)
    do._foreach_addcmul_(s, g, g, value=1 - o.alpha)
    written.append((square_avgs, s))
    if o.centered:
        a = do._foreach_lerp(_wide(grad_avgs), g, 1 - o.alpha)
        written.append((grad_avgs, a))
        v = do._foreach_addcmul(s, a, a, value=-1)
        do._foreach_clamp_min_(v, 0)
    else:
        v = s
    d = do._foreach_sqrt(do._foreach_add(v, o.eps) if o.eps_inside_sqrt else v)
    if not o.eps_inside_sqrt:
        do._foreach_add_(d, o.eps)
    if o.eps < torch.finfo(torch.float32).tiny:
        for numerator, denominator in zip(g, d, strict=True):
            denominator.masked_fill_((numerator == 0) & (denominator == 0), 1.0)
    if o.momentum > 0:
        b = do._foreach_mul(_wide(momentum_buffers), o.momentum)
        do._foreach_addcdiv_(b, g, d)
        written.append((momentum_buffers, b))
        w = do._foreach_add(w, b, alpha=-float(o.lr))
    else:
        w = do._foreach_addcdiv(w, g, d, value=-float(o.lr))
    if o.stochastic_rounding and params[0].dtype == torch.bfloat16:
        w = tuple(_stochastically_rounded(values) for values in w)
    written.append((params, w))

    def write() -> None:
        for stored, values in reversed(written):
            do._foreach_copy_(stored, values)
        torch._foreach_add_(steps, 1)

    return write


class OneByOne:
    """torch's foreach operations, each as the operation on one tensor after the other.

    Tensor subclasses know these, and torch's own loop takes them.
    """

    def __getattr__(self, name: str) -> Callable[..., list[Tensor]]:
        operation = getattr(Tensor, name.removeprefix("_foreach_"))

        def each(*arguments: Any, **scalars: Any) -> list[Tensor]:
            length = len(arguments[0])
            rows = zip(*(a if isinstance(a, list | tuple) else [a] * length for a in arguments), strict=True)
            return [operation(*row, **scalars) for row in rows]

        return each


def _wide(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """In the type that the arithmetic is in; the tensors themselves where they have it."""
    return tuple(t.float() if t.dtype in {torch.bfloat16, torch.float16} else t for t in tensors)


def _stochastically_rounded(values: Tensor) -> Tensor:
    """float32 whose lower 16 bits are 0, above or below by chance, so that the mean is the value."""
    bits = values.contiguous().view(torch.int32)
    noise = torch.randint(0, 2**16, bits.shape, dtype=torch.int32, device=bits.device)
    return torch.where(values.isfinite(), ((bits + noise) & -(2**16)).view(torch.float32), values)
