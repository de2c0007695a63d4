"""FusedRMSprop steps tensors of any strides, dtypes and devices as torch.optim.RMSprop does."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    DEVICES,
    EVERYTHING,
    FLOATS,
    Pair,
    checked_step,
    gaps,
    needs_cuda,
    parameters,
    params_of,
)


def shifted(t):
    """The same values, one number away from where the allocator would begin."""
    storage = torch.full((t.numel() + 2,), 7.0, dtype=t.dtype, device=t.device)
    view = storage[1:-1].view(t.shape)
    view.copy_(t)
    return view


def transposed(t):
    return t.clone() if t.dim() < 2 else t.transpose(0, -1).contiguous().transpose(0, -1)


def channels_last(t):
    return t.clone(memory_format=torch.channels_last if t.dim() == 4 else torch.preserve_format)


LAYOUTS = [torch.clone, gaps, shifted, transposed, channels_last]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.complex64])
@pytest.mark.parametrize("of_grad", LAYOUTS)
@pytest.mark.parametrize("of_param", LAYOUTS)
def test_any_strides_of_parameter_and_gradient_will_do(device, dtype, of_param, of_grad):
    shapes = [(2, 3, 4, 5), (9, 2), (35,), (1, 8, 1, 3)]

    def make():
        return [nn.Parameter(of_param(p.detach())) for p in parameters(*shapes, dtype=dtype, device=device)]

    for options in ({}, EVERYTHING):
        pair = Pair(make, **options)
        strides = [p.stride() for p, _ in pair.params]
        pair.step(3, layout=of_grad)
        assert [p.stride() for p, _ in pair.params] == strides
        for p in params_of(pair.fused):  # what lies between and around its numbers is not its own
            around = torch.ones(p.untyped_storage().nbytes() // p.itemsize, dtype=torch.bool, device=device)
            around.as_strided(p.shape, p.stride(), p.storage_offset()).fill_(False)
            storage = torch.empty(0, dtype=dtype, device=device).set_(p.detach().untyped_storage())
            assert bool((storage[around] == 7).all())


def test_an_expanded_gradient_and_one_that_is_negated_lazily_will_do():
    shapes = [(4, 5), (3,)]
    Pair(lambda: parameters(*shapes)).step(3, layout=lambda g: g.flatten()[:1].expand(g.shape))
    lazily = [torch.complex(g, g).conj().imag for g in parameters((3,))]
    assert lazily[0].is_neg()
    Pair(lambda: parameters(*shapes)).step(3, layout=lambda g: torch.complex(g, g).conj().imag)


@pytest.mark.parametrize("layout", [torch.clone, torch.t])
def test_a_gradient_that_is_part_of_a_graph_is_a_gradient(layout):
    def graph(g):
        return layout(g.requires_grad_() * 2)

    Pair(lambda: [p.requires_grad_(False) for p in parameters((4, 4))], **EVERYTHING).step(2, layout=graph)


def test_an_expanded_parameter_raises_as_torchs_does():
    for kind in (torch.optim.RMSprop, FusedRMSprop):
        p = torch.zeros(1).expand(3)
        p.grad = torch.ones(3)
        with pytest.raises(RuntimeError):
            kind([p]).step()
        assert p.tolist() == [0, 0, 0]


def test_parameters_without_gradients_wait_and_their_states_with_them():
    pair = Pair(lambda: parameters((4,), (2, 3), (5,)), **EVERYTHING)
    for present in [(0, 1, 2), (1,), (), (0, 2), (2,), (0, 1, 2)]:
        pair.give_gradients()
        for i, both in enumerate(pair.params):
            if i not in present:
                both[0].grad = both[1].grad = None
        for optimizer in pair.optimizers:
            optimizer.step()
        pair.check()
    assert [pair.fused.state[p]["step"].item() for p in params_of(pair.fused)] == [3, 3, 4]


def test_one_optimizer_holds_several_dtypes():
    dtypes = [torch.float64, torch.float32, torch.complex64, torch.complex128]

    def make():
        return [p for dtype in dtypes for p in parameters((3, 5), (9,), dtype=dtype)]

    Pair(make, **EVERYTHING).step(5)
    params = [p for d in (torch.bfloat16, torch.float32, torch.float16) for p in parameters((17,), dtype=d)]
    optimizer = FusedRMSprop(params, **EVERYTHING)
    for p in params:
        p.grad = torch.ones_like(p)
    checked_step(optimizer)


@needs_cuda
def test_one_optimizer_holds_several_devices():
    def make():
        return [*parameters((3, 5)), *parameters((9,), device="cuda"), *parameters((4,))]

    Pair(make, **EVERYTHING).step(5)


def test_meta_parameters_step_to_meta_state():
    p = nn.Parameter(torch.zeros(3, 2, device="meta"))
    p.grad = torch.zeros_like(p)
    optimizer = FusedRMSprop([p], **EVERYTHING)
    optimizer.step()
    assert {name for name, t in optimizer.state[p].items() if t.is_meta} == {
        "square_avg",
        "momentum_buffer",
        "grad_avg",
    }


def test_a_step_in_inference_mode_is_a_step():
    pair = Pair(lambda: parameters((3, 5)), **EVERYTHING)
    pair.step()
    with torch.inference_mode():
        pair.give_gradients()
        for optimizer in pair.optimizers:
            optimizer.step()
    pair.check()
    pair.step()


# ---- gradients are only read

READ_ONLY = """
import ctypes, mmap
import torch
from rmsprop import FusedRMSprop

for size in (1, 5, 16, 37):
    for options in ({}, {"momentum": 0.9, "centered": True, "weight_decay": 0.1}):
        values = torch.linspace(-1, 1, size)
        page = mmap.mmap(-1, mmap.PAGESIZE)
        page.write(values.numpy().tobytes())
        address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
        p, q = (torch.nn.Parameter(torch.ones(size)) for _ in range(2))
        p.grad, q.grad = torch.frombuffer(page, dtype=torch.float32, count=size), values
        assert ctypes.CDLL(None).mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ) == 0
        FusedRMSprop([p], **options).step()
        FusedRMSprop([q], **options).step()
        assert torch.equal(p, q)
print("stepped")
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="mprotect is POSIX's")
def test_a_gradient_in_memory_that_cannot_be_written_to_is_a_gradient():
    """In a process of its own, which a write to it kills."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", READ_ONLY], env=environment, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "stepped"), run.stderr


@pytest.mark.parametrize("dtype", [*FLOATS, torch.complex64], ids=str)
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
def test_a_step_neither_writes_to_a_gradient_nor_asks_for_memory_of_its_own(dtype, options):
    """torch's lazy clones get memory of their own as soon as someone means to write."""
    given = [p.detach() for p in parameters((5,), (16,), (37,), dtype=dtype)]
    params = parameters((5,), (16,), (37,), dtype=dtype, seed=2)
    for p, g in zip(params, given, strict=True):
        p.grad = torch._lazy_clone(g)
    FusedRMSprop(params, **options).step()
    for p, g in zip(params, given, strict=True):
        assert torch._C._data_address(p.grad) == torch._C._data_address(g)
        assert torch.equal(p.grad, g)


@pytest.mark.parametrize("size", [1, 5, 16, 33])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"momentum": 0.9, "centered": True}], ids=str)
def test_a_gradient_that_is_its_parameters_own_memory_moves_each_element(size, options):
    pair = Pair(lambda: parameters((size,)), **options)
    for _ in range(3):
        for both in pair.params:
            for p in both:
                p.grad = p.detach()
        for optimizer in pair.optimizers:
            optimizer.step()
        pair.check()


@pytest.mark.parametrize("first", [True, False])
def test_a_gradient_that_is_its_parameters_memory_at_another_place_raises_as_torchs(first):
    for kind in (torch.optim.RMSprop, FusedRMSprop):
        memory = torch.linspace(-1, 1, 41)
        p = nn.Parameter(memory[1:])
        optimizer = kind([p])
        if not first:
            p.grad = torch.zeros(40)
            optimizer.step()
        p.grad = memory[:-1]
        before = p.detach().clone()
        with pytest.raises(RuntimeError, match="single memory location"):
            optimizer.step()
        assert torch.equal(p.detach(), before)
        assert kind is torch.optim.RMSprop or optimizer.state.get(p, {}).get("step", 0) == (0 if first else 1)


# ---- another precision in mid-training


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
@pytest.mark.parametrize("before", [torch.float32, torch.bfloat16, torch.complex64], ids=str)
def test_a_model_that_becomes_double_in_mid_training_goes_on(before, options):
    """As with torch's; the state is converted with the first step, where torch's stays as it is."""
    pair = Pair(lambda: parameters((3, 5), (7,), dtype=before), **options)
    for _ in range(2):
        pair.give_gradients()
        for optimizer in pair.optimizers:
            optimizer.step()
    wide = torch.promote_types(before, torch.float64)
    for both in pair.params:
        for p in both:
            p.grad = None
            p.data = p.data.to(wide)
    with torch.no_grad():
        for p, q in pair.params:
            q.copy_(p)
            for name, stored in pair.fused.state[p].items():
                pair.loop.state[q][name] = stored.clone() if name == "step" else stored.to(wide)
    pair.step(3)
    assert pair.fused.state[pair.params[0][0]]["step"] == 5


@pytest.mark.parametrize(
    ("before", "after"), [(torch.float64, torch.float32), (torch.float32, torch.bfloat16)]
)
def test_a_model_that_becomes_narrower_in_mid_training_goes_on(before, after):
    params = parameters((3, 5), dtype=before)
    optimizer = FusedRMSprop(params, **EVERYTHING)
    for _ in range(2):
        params[0].grad = params[0].detach().cos()
        optimizer.step()
    params[0].grad = None
    params[0].data = params[0].data.to(after)
    for name in ("square_avg", "grad_avg", "momentum_buffer"):
        if after == torch.float32:
            optimizer.state[params[0]][name] = optimizer.state[params[0]][name].float().double()
    params[0].grad = params[0].detach().cos()
    checked_step(optimizer)
    assert {t.dtype for t in optimizer.state[params[0]].values()} == {torch.float32}
