"""step() and what surrounds it, hooks, profilers, threads, autograd: as with torch.optim.RMSprop."""

import gc
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    EVERYTHING,
    assert_same_bits,
    loss_of,
    parameters,
    params_of,
    snapshot,
)


def test_a_closure_is_called_once_with_gradients_enabled_and_its_loss_returned():
    params = parameters((3, 5))
    optimizer = FusedRMSprop(params)
    calls = []

    def closure():
        calls.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        loss = loss_of(params)
        loss.backward()
        return loss

    with torch.no_grad():
        expected = loss_of(params)
        assert optimizer.step(closure) == expected
        assert optimizer.step(closure=closure) < expected
    assert calls == [True, True]


def test_gradient_mode_is_left_as_it_was_found_also_by_an_error():
    params = parameters((3,))
    params[0].grad = torch.ones(3)
    optimizer = FusedRMSprop(params)
    for mode in (True, False):
        with torch.set_grad_enabled(mode):
            optimizer.step()
            with pytest.raises(ZeroDivisionError):
                optimizer.step(lambda: 1 / 0)
            assert torch.is_grad_enabled() is mode
    assert params[0].is_leaf
    assert params[0].requires_grad
    assert not any(s.requires_grad for s in optimizer.state[params[0]].values())


def test_hooks_run_around_the_step_in_torchs_order():
    def seen(kind):
        order = []
        params = parameters((3,))
        params[0].grad = torch.ones(3)
        optimizer = kind(params)

        def note(word):
            return lambda o, args, kwargs: order.append((word, o is optimizer, params[0][0].item() == start))

        start = params[0][0].item()
        handles = [
            optimizer.register_step_pre_hook(note("own pre")),
            optimizer.register_step_post_hook(note("own post")),
            register_optimizer_step_pre_hook(note("global pre")),
            register_optimizer_step_post_hook(note("global post")),
        ]
        try:
            optimizer.step()
        finally:
            for handle in handles:
                handle.remove()
        optimizer.step()
        return order

    order = seen(FusedRMSprop)
    assert order == seen(torch.optim.RMSprop)
    assert [word for word, _, _ in order] == ["global pre", "own pre", "own post", "global post"]


def test_a_pre_hook_may_change_the_arguments_and_nothing_else():
    params = parameters((3,))
    optimizer = FusedRMSprop(params)
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: (args[:1], {"closure": lambda: 42}))
    assert optimizer.step(lambda: 0) == 42
    handle.remove()
    assert optimizer.step(lambda: 0) == 0
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 17)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


@pytest.mark.parametrize("profiler", [torch.autograd.profiler.profile, torch.profiler.profile])
@pytest.mark.parametrize("name", ["FusedRMSprop", "Heir"])
def test_a_profiler_sees_the_step_by_its_name(name, profiler):
    kind = FusedRMSprop if name == "FusedRMSprop" else type(name, (FusedRMSprop,), {})
    params = parameters((3,))
    params[0].grad = torch.ones(3)
    optimizer = kind(params)
    with profiler() as profile:
        optimizer.step()
        optimizer.zero_grad()
    seen = {event.key for event in profile.key_averages()}
    assert {f"Optimizer.step#{name}.step", f"Optimizer.zero_grad#{name}.zero_grad"} <= seen


def test_a_subclass_may_override_the_step():
    class Clipped(FusedRMSprop):
        steps = 0

        def step(self, closure=None):
            self.steps += 1
            for p in params_of(self):
                p.grad.clamp_(-0.1, 0.1)
            return super().step(closure)

    plain, clipped = FusedRMSprop(parameters((9,)), **EVERYTHING), Clipped(parameters((9,)), **EVERYTHING)
    for _ in range(3):
        for a, b in zip(params_of(plain), params_of(clipped), strict=True):
            a.grad, b.grad = b.detach().clamp(-0.1, 0.1), b.detach().clone()
        plain.step()
        clipped.step()
        assert_same_bits(snapshot(clipped), snapshot(plain))
    assert clipped.steps == 3


def test_autograd_notices_that_a_saved_parameter_was_stepped():
    for kind in (torch.optim.RMSprop, FusedRMSprop):
        params = [*parameters((5,), (2, 3)), *parameters((2,), dtype=torch.complex64)]
        loss = loss_of(params)
        versions = [p._version for p in params]
        for p in params:
            p.grad = torch.ones_like(p)
        kind(params).step()
        assert all(p._version > v for p, v in zip(params, versions, strict=True))
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            loss.backward()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.complex64])
def test_one_thread_and_two_give_the_same_bits(dtype):
    found, threads = [], torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            params = parameters((70_001,), (3,), *[(129,)] * 50, (2, 40_000), dtype=dtype)
            optimizer = FusedRMSprop(params, **EVERYTHING)
            for _ in range(2):
                for p in params:
                    p.grad = p.detach().cos()
                optimizer.step()
            assert torch.get_num_threads() == count
            found.append(snapshot(optimizer))
    finally:
        torch.set_num_threads(threads)
    assert_same_bits(*found)


def test_optimizers_step_side_by_side_in_threads_of_python():
    def run(seed):
        optimizer = FusedRMSprop(parameters((50_001,), (7,), seed=seed), **EVERYTHING)
        for _ in range(10):
            for p in params_of(optimizer):
                p.grad = p.detach().cos()
            optimizer.step()
        return snapshot(optimizer)

    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(run, range(2)))
    assert_same_bits(together, [run(0), run(1)])


def test_a_step_keeps_nothing_alive():
    params = parameters((5,), (4, 4))
    optimizer = FusedRMSprop(params, **EVERYTHING)
    for _ in range(3):
        params[0].grad, params[1].grad = torch.ones(5), torch.ones(4, 4).t()
        optimizer.step()
    state = optimizer.state[params[0]]
    watched = [*params, *(p.grad for p in params), *state.values()]
    references = [weakref.ref(t) for t in watched]
    del optimizer, state, watched
    params.clear()
    gc.collect()
    assert [r() for r in references] == [None] * len(references)


def test_a_step_draws_no_random_numbers_and_leaves_the_defaults():
    params = parameters((100,))
    params[0].grad = torch.ones(100)
    before = torch.get_rng_state(), torch.get_default_dtype()
    FusedRMSprop(params, **EVERYTHING).step()
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_default_dtype() == before[1]


@pytest.mark.slow
def test_a_compiled_training_step_takes_the_same_steps_and_warns_of_nothing():
    def trained(compiled):
        params = parameters((4, 3), (5,))
        optimizer = FusedRMSprop(params, **EVERYTHING)

        def train():
            optimizer.zero_grad()
            loss = loss_of(params)
            loss.backward()
            optimizer.step()
            return loss

        step = torch.compile(train, backend="eager") if compiled else train
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for _ in range(3):
                step()
        torch.compiler.reset()
        assert not [
            str(w.message)[:150] for w in told if "Dynamo does not know how to trace" in str(w.message)
        ]
        return snapshot(optimizer)

    assert_same_bits(trained(True), trained(False))
