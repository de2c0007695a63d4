"""The CUDA kernel of FusedRMSprop: one launch steps a whole list of tensors.

Imports triton, and is itself imported on first use alone.
"""
# mypy: ignore-errors
# ruff: noqa: SIM102
# Triton's language only looks like Python: an annotation says how an argument is passed, and what an
# `if x is not None` leaves out is not compiled, where an `and` would be.

import torch
import triton
import triton.language as tl

DTYPES = {
    torch.float64: tl.float64,
    torch.float32: tl.float32,
    torch.bfloat16: tl.bfloat16,
    torch.float16: tl.float16,
}

_GRANULE = tl.constexpr(16)
"""Bytes that vectors are aligned to, and elements of which a vector's mask takes all or none."""


@triton.jit
def _sqrt(x):
    return tl.sqrt(x) if x.dtype == tl.float64 else tl.sqrt_rn(x)


@triton.jit
def _divide(x, y):
    return x / y if x.dtype == tl.float64 else tl.div_rn(x, y)


@triton.jit
def _round_stochastically(x, seed, BLOCK: tl.constexpr):
    """float32 to bfloat16, up with the probability of the part that bfloat16 cannot hold."""
    counter = tl.program_id(0) * (BLOCK // 4) + tl.arange(0, BLOCK // 4)
    a, b, c, d = tl.randint4x(tl.load(seed), counter, 7)  # rounds: the fewest that pass BigCrush
    noise = tl.reshape(tl.join(tl.join(a, b), tl.join(c, d)), (BLOCK,)).to(tl.uint32, bitcast=True)
    bits = x.to(tl.uint32, bitcast=True)
    rounded = ((bits + (noise >> 16)) & 0xFFFF0000).to(tl.float32, bitcast=True)
    finite = (bits & 0x7F800000) != 0x7F800000
    return tl.where(finite, rounded, x).to(tl.bfloat16)


@triton.jit
def _last_not_above(column, value, levels):
    """Where among the 2 ** levels numbers of an ascending column the last stands that is at most `value`."""
    found = 0
    for level in range(levels):
        later = found + (1 << (levels - 1 - level))
        found = tl.where(tl.load(column + later) <= value, later, found)
    return found


@triton.jit
def _pointers(address, start, lanes, DTYPE: tl.constexpr, VECTORS: tl.constexpr):
    """To the lanes after element `start`; with VECTORS the compiler is told that they are aligned."""
    first = address.to(tl.pointer_type(DTYPE)) + start
    if VECTORS:
        first = tl.multiple_of(first, _GRANULE)
    return first + lanes


@triton.jit(
    do_not_specialize=[
        "table",
        "levels",
        "lr_tensor",
        "grad_scale",
        "found_inf",
        "seed",
    ]
)
def fused_step(  # noqa: PLR0915  # one pass over memory is one function
    table,
    levels,
    lr: tl.float64,
    alpha: tl.float64,
    eps_inside: tl.float64,
    eps_outside: tl.float64,
    weight_decay: tl.float64,
    momentum: tl.float64,
    sign: tl.float64,
    lr_tensor,
    grad_scale,
    found_inf,
    seed,
    PARAM: tl.constexpr,
    STATE: tl.constexpr,
    STEP: tl.constexpr,
    ACC: tl.constexpr,
    CENTERED: tl.constexpr,
    MOMENTUM: tl.constexpr,
    DECAYS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Program i steps BLOCK elements, or fewer, of the last tensor whose first program is at most i.

    `table` is that of cuda.Launch, with rows of 2 ** levels numbers. STEP is None where steps are not
    counted here, as are the tensors of one element from `lr_tensor` to `seed` that there are not.
    The order of operations is that of cpu_kernel.cpp; nothing is contracted but what tl.fma says.
    """
    if found_inf is not None:
        if tl.load(found_inf) != 0:
            return

    program = tl.program_id(0)
    width = tl.full((), 1, tl.int64) << levels
    column = table + _last_not_above(table, program, levels)
    start = (program - tl.load(column)) * BLOCK
    count = tl.minimum(tl.load(column + width) - start, BLOCK).to(tl.int32)

    if STEP is not None:
        if start == 0:
            step = tl.load(column + (5 + CENTERED + MOMENTUM) * width).to(tl.pointer_type(STEP))
            tl.store(step, tl.load(step) + 1)

    if lr_tensor is not None:
        lr = tl.load(lr_tensor).to(tl.float64)
    minus_lr, mu = tl.full((BLOCK,), -lr, ACC), tl.full((BLOCK,), momentum, ACC)
    keep, take = tl.full((BLOCK,), alpha, ACC), tl.full((BLOCK,), 1 - alpha, ACC)
    inside, outside = tl.full((BLOCK,), eps_inside, ACC), tl.full((BLOCK,), eps_outside, ACC)
    signs, decay = tl.full((BLOCK,), sign, ACC), tl.full((BLOCK,), weight_decay, ACC)

    p_address, g_address = tl.load(column + 2 * width), tl.load(column + 3 * width)
    s_address = tl.load(column + 4 * width)
    m_address = tl.load(column + 5 * width) if CENTERED else s_address
    b_address = tl.load(column + (5 + CENTERED) * width) if MOMENTUM else s_address
    aligned = (p_address | g_address | s_address | m_address | b_address) % _GRANULE == 0
    whole = tl.multiple_of(tl.where(aligned, count // _GRANULE * _GRANULE, 0), _GRANULE)

    for vectors in tl.static_range(1, -1, -1):  # what vectors can take; then the rest, element by element
        begin, end = (0, whole) if vectors else (whole, count)
        if begin < end:
            lanes = tl.arange(0, BLOCK)
            here = (lanes >= begin) & (lanes < end)
            p_at = _pointers(p_address, start, lanes, PARAM, vectors)
            g_at = _pointers(g_address, start, lanes, PARAM, vectors)
            s_at = _pointers(s_address, start, lanes, STATE, vectors)
            m_at = _pointers(m_address, start, lanes, STATE, vectors)
            b_at = _pointers(b_address, start, lanes, STATE, vectors)

            p, g, s = tl.load(p_at, here).to(ACC), tl.load(g_at, here).to(ACC), tl.load(s_at, here).to(ACC)
            if grad_scale is not None:
                g = _divide(g, tl.load(grad_scale).to(ACC))
                tl.store(g_at, g.to(PARAM), here)  # torch's fused optimizers leave it so
            h = g * signs
            if DECAYS:
                h = tl.fma(p, decay, h)
            s = s * keep + take * h * h
            tl.store(s_at, s.to(STATE), here)
            v = s
            if CENTERED:
                m = tl.load(m_at, here).to(ACC)
                m = tl.fma(take, h - m, m)
                tl.store(m_at, m.to(STATE), here)
                v = s - m * m
                v = tl.where(v < 0, 0.0, v)  # tl.maximum would make 0 of NaN
            d = _sqrt(v + inside) + outside
            q = _divide(h if MOMENTUM else minus_lr * h, d)
            q = tl.where((h == 0) & (d == 0), 0.0, q)
            if MOMENTUM:
                b = tl.load(b_at, here).to(ACC) * mu + q
                tl.store(b_at, b.to(STATE), here)
                p = tl.fma(b, minus_lr, p)
            else:
                p = p + q
            stored = p.to(PARAM) if seed is None else _round_stochastically(p, seed, BLOCK)
            tl.store(p_at, stored, here)
