"""FusedRMSprop's step in torch's own foreach operations: where its kernels cannot go.

That is without a compiler, on other devices, and for tensor subclasses. The arithmetic is the kernels'
(half types in float32); it costs temporaries of parameter size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor


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
    stochastic_rounding: bool,
    grad_scale: Tensor | None,
    found_inf: Tensor | None,
) -> None:
    """One step in place of params, grads, square_avgs, grad_avgs, buffers, steps: real, of one device.

    Gradients are left unscaled, as torch's fused optimizers leave them.
    """
    if found_inf is not None and found_inf.item():
        return
    params, grads, square_avgs, grad_avgs, momentum_buffers, steps = map(list, tensors)
    torch._foreach_add_(steps, 1)
    if grad_scale is not None:
        torch._foreach_div_(grads, grad_scale.item())
    w, g, s = (_wide(each) for each in (params, grads, square_avgs))
    if maximize:
        g = torch._foreach_neg(g)
    if weight_decay:
        g = torch._foreach_add(g, w, alpha=weight_decay)
    s = torch._foreach_mul(s, alpha)
    torch._foreach_addcmul_(s, g, g, 1 - alpha)
    torch._foreach_copy_(square_avgs, s)
    if centered:
        a = torch._foreach_lerp(_wide(grad_avgs), g, 1 - alpha)
        torch._foreach_copy_(grad_avgs, a)
        torch._foreach_addcmul_(s, a, a, -1)
        torch._foreach_clamp_min_(s, 0)
    if eps_inside_sqrt:
        torch._foreach_add_(s, eps)
    torch._foreach_sqrt_(s)
    if not eps_inside_sqrt:
        torch._foreach_add_(s, eps)
    if eps < torch.finfo(torch.float32).tiny:
        for numerator, denominator in zip(g, s, strict=True):
            denominator.masked_fill_((numerator == 0) & (denominator == 0), 1.0)
    if momentum > 0:
        b = torch._foreach_mul(_wide(momentum_buffers), momentum)
        torch._foreach_addcdiv_(b, g, s)
        torch._foreach_copy_(momentum_buffers, b)
        w = torch._foreach_add(w, b, alpha=-float(lr))
    else:
        w = torch._foreach_addcdiv(w, g, s, -float(lr))
    if stochastic_rounding and params[0].dtype == torch.bfloat16:
        w = tuple(_stochastically_rounded(values) for values in w)
    torch._foreach_copy_(params, w)


def _wide(tensors: list[Tensor]) -> tuple[Tensor, ...]:
    """In the type that the arithmetic is in; the tensors themselves where they have it."""
    return tuple(t.float() if t.dtype in {torch.bfloat16, torch.float16} else t for t in tensors)


def _stochastically_rounded(values: Tensor) -> Tensor:
    """float32 whose lower 16 bits are 0, above or below by chance, so that the mean is the value."""
    bits = values.contiguous().view(torch.int32)
    noise = torch.randint(0, 2**16, bits.shape, dtype=torch.int32, device=bits.device)
    return torch.where(values.isfinite(), ((bits + noise) & -(2**16)).view(torch.float32), values)
