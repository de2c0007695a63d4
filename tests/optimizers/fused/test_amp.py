"""FusedRMSprop under torch.amp.GradScaler and in CUDA graphs."""

import copy
import pickle

import pytest
import torch
from torch import nn

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    DEVICES,
    EVERYTHING,
    assert_same_bits,
    gaps,
    loss_of,
    needs_cuda,
    parameters,
    params_of,
    snapshot,
)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("unscale_first", [False, True])
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
@pytest.mark.parametrize("amp_scaling", [False, True])
def test_a_grad_scaler_scales_and_skips(device, unscale_first, options, amp_scaling):
    """A scale of a power of two changes no bit of the steps that are taken."""
    scaler = torch.amp.GradScaler(device, init_scale=2.0**10, growth_interval=2)

    def make():
        first, second, third = parameters((3, 5), (70,), (4, 6), device=device)
        return [first, second, nn.Parameter(gaps(third.detach()))]

    scaled, plain = (FusedRMSprop(make(), **options, amp_scaling=amp_scaling) for _ in range(2))
    plain_steps = 0
    for overflow in (True, False, False, True, False):
        before = snapshot(scaled)
        scaled.zero_grad()
        scaler.scale(loss_of(params_of(scaled)) / 3).backward()
        if overflow:
            params_of(scaled)[1].grad[69] = torch.inf
        if unscale_first:
            scaler.unscale_(scaled)
        scaler.step(scaled)
        scaler.update()
        if overflow:
            assert_same_bits([p for p, _ in snapshot(scaled)], [p for p, _ in before])
            assert all(s["step"] == plain_steps for s in scaled.state.values() if s)
        else:
            plain.zero_grad()
            (loss_of(params_of(plain)) / 3).backward()
            plain.step()
            plain_steps += 1
            assert_same_bits(snapshot(scaled), snapshot(plain))
    assert {s["step"].item() for s in scaled.state.values()} == {3.0}
    assert getattr(scaled, "grad_scale", None) is None
    assert getattr(scaled, "found_inf", None) is None


@pytest.mark.parametrize("amp_scaling", [False, True])
def test_an_overflow_in_one_group_stops_all_groups(amp_scaling):
    first, second = parameters((3,), (4,))
    optimizer = FusedRMSprop([{"params": [first]}, {"params": [second]}], amp_scaling=amp_scaling)
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(loss_of([first, second])).backward()
    second.grad[0] = torch.nan
    before = [p.detach().clone() for p in (first, second)]
    scaler.step(optimizer)
    assert_same_bits([first.detach(), second.detach()], before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_grad_scaler_unscales_in_the_precision_of_the_step(dtype):
    scaled, plain = (FusedRMSprop(parameters((40,), dtype=dtype), lr=0.1, amp_scaling=True) for _ in range(2))
    (p,), (q,) = params_of(scaled), params_of(plain)
    q.grad = torch.linspace(-1, 1, 40, dtype=dtype)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    scaler.scale(torch.zeros(()))
    p.grad = q.grad * 2.0**8
    scaler.step(scaled)
    plain.step()
    assert_same_bits(p, q)


def test_to_a_grad_scaler_it_is_torchs_unless_it_is_asked_to_take_the_scale():
    """Lightning refuses to clip the gradients of what takes the scale itself, as torch's fused optimizers."""

    def takes(optimizer):
        return bool(getattr(optimizer, "_step_supports_amp_scaling", False))

    params = parameters((3,))
    assert takes(torch.optim.RMSprop(params)) is takes(FusedRMSprop(params)) is False
    assert (
        takes(torch.optim.Adam(params, fused=True)) is takes(FusedRMSprop(params, amp_scaling=True)) is True
    )
    for copied in (copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))):
        for asked in (False, True):
            assert takes(copied(FusedRMSprop(params, amp_scaling=asked))) is asked


@pytest.mark.parametrize("amp_scaling", [False, True])
def test_gradients_are_clipped_between_unscaling_and_step(amp_scaling):
    """What Lightning and accelerate do; each step is that of torch's optimizer, clipped without a scaler."""
    clipped = FusedRMSprop(parameters((3, 5), (7,)), momentum=0.9, amp_scaling=amp_scaling)
    plain = torch.optim.RMSprop(parameters((3, 5), (7,)), momentum=0.9, foreach=False)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    for _ in range(4):
        scaler.scale(loss_of(params_of(clipped))).backward()
        scaler.unscale_(clipped)
        loss_of(params_of(plain)).backward()
        for optimizer in (clipped, plain):
            nn.utils.clip_grad_norm_(params_of(optimizer), 0.5)
        scaler.step(clipped)
        scaler.update()
        plain.step()
        torch.testing.assert_close(params_of(clipped), params_of(plain), rtol=2e-6, atol=2e-6)
        for optimizer in (clipped, plain):
            optimizer.zero_grad()


def test_gradients_of_float16_parameters_take_a_step_that_takes_the_scale():
    for kind in (torch.optim.RMSprop, FusedRMSprop):
        p = parameters((40,), dtype=torch.float16)[0]
        p.grad = torch.ones_like(p)
        scaler = torch.amp.GradScaler("cpu")
        scaler.scale(torch.zeros(()))
        with pytest.raises(ValueError, match="FP16 gradients"):
            scaler.step(kind([p]))


@needs_cuda
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
def test_a_captured_step_replays_as_steps(options):
    lr = torch.tensor(1e-2, device="cuda")
    captured, eager = (
        FusedRMSprop(parameters((3, 5), (70,), device="cuda"), **{**options, "lr": rate, "capturable": True})
        for rate in (lr, lr.clone())
    )
    for optimizer in (captured, eager):
        for p in params_of(optimizer):
            p.grad = torch.full_like(p, 0.3)
        optimizer.step()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured.step()
    for factor in (1, 0.1, 0.5):
        for optimizer in (captured, eager):
            optimizer.param_groups[0]["lr"].mul_(factor)
            for p in params_of(optimizer):
                p.grad.mul_(factor)
        graph.replay()
        eager.step()
    assert_same_bits(snapshot(captured), snapshot(eager))
    assert {s["step"].item() for s in captured.state.values()} == {4.0}
