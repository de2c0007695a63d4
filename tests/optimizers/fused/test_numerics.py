"""Each step of FusedRMSprop lies within rounding of float64, and no hazard of torch's loop is left.

The tolerance is an interval: what any order of the formula's operations in float64 (for float64) or in
float32 (for the other dtypes) can give if each of them rounds once, then rounded to the dtype of the tensor.
"""

import copy
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    DEVICES,
    FLAGS,
    FLOATS,
    Pair,
    assert_stored,
    bounds,
    checked_step,
    parameters,
    params_of,
)

HALVES = [torch.bfloat16, torch.float16]
COMPLEX = [torch.complex128, torch.complex64]
ODD_SIZES = [0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65, 1000]
LARGE_SIZES = [2**16 - 1, 5, 2**16, 2**16 + 1, 2**18 + 5]


def wild(shape, dtype, generator):
    """Normal numbers of magnitudes 1e-6 to 1e3 (10 in float16, for its range), a fifth of them 0."""
    powers = torch.randint(-6, 2 if dtype == torch.float16 else 4, shape, generator=generator)
    present = torch.rand(shape, generator=generator) > 0.2
    wide = torch.complex128 if dtype.is_complex else torch.float64
    drawn = torch.randn(shape, dtype=wide, generator=generator)
    return (drawn * 10.0**powers * present).to(dtype)


def options():
    return st.fixed_dictionaries(
        {
            "lr": st.sampled_from([1e-4, 1e-2, 0.3, 2.0]),
            "alpha": st.sampled_from([0.0, 0.3, 0.9, 0.99, 0.9999]),
            "eps": st.sampled_from([0.0, 1e-10, 1e-8, 1e-6, 1e-3, 1.0]),
            "weight_decay": st.sampled_from([0.0, 1e-4, 0.1]),
            "momentum": st.sampled_from([0.0, 0.5, 0.9, 0.99]),
            "centered": st.booleans(),
            "maximize": st.booleans(),
            "eps_inside_sqrt": st.booleans(),
        }
    )


def wild_steps(device, dtype, shapes, seed, steps, **options):
    """Steps from wild parameters with wild gradients, each checked against its bounds."""
    generator = torch.Generator().manual_seed(seed)
    params = [nn.Parameter(wild(shape, dtype, generator).to(device)) for shape in shapes]
    optimizer = FusedRMSprop(params, **options)
    for _ in range(steps):
        for p in params:
            p.grad = wild(p.shape, dtype, generator).to(device)
        checked_step(optimizer)
    return optimizer


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX, ids=str)
@settings(deadline=None, max_examples=40)
@given(
    options=options(),
    shapes=st.lists(st.lists(st.integers(0, 20), max_size=3).map(tuple), min_size=1, max_size=6),
    seed=st.integers(0, 2**16),
    wide_state=st.booleans(),
)
def test_each_step_is_within_rounding_of_float64(device, dtype, options, shapes, seed, wide_state):
    if wide_state and dtype in HALVES:
        options = {**options, "state_dtype": torch.float32}
    wild_steps(device, dtype, shapes, seed, 3, **options)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX, ids=str)
def test_every_size_and_a_list_of_all_of_them_is_within_rounding_of_float64(device, dtype):
    for flags in FLAGS:
        wild_steps(device, dtype, [(n,) for n in ODD_SIZES], 0, 2, **flags)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_large_sizes_are_within_rounding_of_float64(device, dtype):
    shapes = [(size,) for size in LARGE_SIZES]
    wild_steps(device, dtype, shapes, 0, 2, centered=True, momentum=0.9, weight_decay=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_many_small_tensors_are_within_rounding_of_float64(device, dtype):
    sizes = np.random.default_rng(0).integers(0, 70, 700)
    wild_steps(device, dtype, [(int(n),) for n in sizes], 0, 2, momentum=0.9)


def test_the_bounds_are_tight_enough_to_tell_one_formula_from_another():
    """Some units in the last place wide where the formula is well conditioned; others lie outside."""
    generator = torch.Generator().manual_seed(0)
    p, grad, s = (torch.randn(200, generator=generator).abs() + 0.5 for _ in range(3))
    state, formula = {"square_avg": s}, {"alpha": 0.9, "eps": 1e-6, "lr": 1.0}
    right = bounds(p, grad, state, **formula)
    for interval in right.values():
        assert np.all(interval.hi - interval.lo < 40 * interval.u * (np.abs(interval.hi) + 1))
    for other in ({"lr": 1.0001}, {"alpha": 0.9001}, {"eps": 1e-4}, {"weight_decay": 1e-4}):
        wrong = bounds(p, grad, state, **{**formula, **other})["param"]
        middle = torch.from_numpy((wrong.lo + wrong.hi) / 2).float()
        with pytest.raises(AssertionError, match="wrong"):
            assert_stored(middle, right["param"], "param")


# ---- where torch's loop fails


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("state_dtype", [None, torch.float32])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_zero_and_tiny_gradients_in_float16_stay_finite_and_small(device, state_dtype, momentum):
    gradients = [0.0, 6e-8, 1e-7, 1e-5, 1e-4, -1e-4, 1e-3, 1.0]
    p = nn.Parameter(torch.ones(len(gradients), dtype=torch.float16, device=device))
    optimizer = FusedRMSprop([p], momentum=momentum, state_dtype=state_dtype)
    p.grad = torch.tensor(gradients, dtype=torch.float16, device=device)
    for _ in range(20):
        checked_step(optimizer)
        assert p.isfinite().all()
    assert p[0] == 1
    steps = (p.detach() - 1).abs()
    assert steps.max() <= 20 * 0.1 * (
        1 if momentum == 0 else 10
    )  # g / sqrt(s) is at most 1 / sqrt(1 - alpha)
    assert (p.detach()[3:5] < 1).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("eps_inside_sqrt", [False, True])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX, ids=str)
def test_centred_with_constant_gradients_stays_finite(device, dtype, momentum, eps_inside_sqrt):
    """Where rounding leaves s < gbar^2, the variance counts as 0. Float16 may overflow; it is never NaN."""
    generator = torch.Generator().manual_seed(0)
    p = nn.Parameter(torch.zeros(2000, dtype=dtype, device=device))
    p.grad = torch.randn(2000, dtype=dtype, generator=generator).to(device)
    optimizer = FusedRMSprop(
        [p], lr=1e-6, alpha=0.9, centered=True, momentum=momentum, eps_inside_sqrt=eps_inside_sqrt
    )
    for _ in range(200):
        optimizer.step()
    values = [p.detach(), *optimizer.state[p].values()]
    assert not any(v.isnan().any() for v in values)
    if dtype != torch.float16:
        assert all(v.isfinite().all() for v in values)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("flags", FLAGS, ids=str)
@pytest.mark.parametrize("dtype", FLOATS + COMPLEX, ids=str)
def test_with_eps_0_a_zero_gradient_does_not_move_a_parameter(device, dtype, flags):
    for inside in (False, True):
        p = nn.Parameter(torch.ones(40, dtype=dtype, device=device))
        if flags["weight_decay"]:
            nn.init.zeros_(p)  # else the decay is a gradient
        before = p.detach().clone()
        p.grad = torch.zeros_like(p)
        optimizer = FusedRMSprop([p], eps=0.0, eps_inside_sqrt=inside, **flags)
        for _ in range(3):
            optimizer.step()
        assert torch.equal(p.detach(), before)
        assert all(s.isfinite().all() for s in optimizer.state[p].values())
        p.grad = torch.ones_like(p)
        optimizer.step()
        assert not p.isnan().any()
        assert (p.detach() != before).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("flags", FLAGS, ids=str)
def test_what_is_not_finite_propagates_as_in_torch(device, dtype, flags):
    """In gradients, parameters and beyond the range of a square; numbers beside them are untouched by it."""
    too_large = 20 * torch.finfo(dtype).max ** 0.5  # s overflows; gbar^2 does not
    strange = [torch.nan, torch.inf, -torch.inf, 1.0, 1e-30, 0.5, -2.0, too_large] * 5

    def make():
        params = parameters((40,), (40,), dtype=dtype, device=device)
        params[1].data[:3] = torch.tensor([torch.nan, torch.inf, -torch.inf])
        return params

    pair = Pair(make, **flags)
    for gradients in (strange, [1.0] * 40):
        for both in pair.params:
            for p in both:
                p.grad = torch.tensor(gradients, dtype=dtype, device=device)
        for optimizer in pair.optimizers:
            optimizer.step()
        for p, q in pair.params:
            # torch takes the root of a negative variance, which is NaN; here it counts as 0.
            clamped = (
                (pair.loop.state[q]["square_avg"] - pair.loop.state[q]["grad_avg"] ** 2) < 0
                if flags["centered"]
                else torch.zeros_like(q, dtype=torch.bool)
            )
            torch.testing.assert_close(p[~clamped], q[~clamped], equal_nan=True, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_not_finite_gradients_of_half_types_make_their_own_element_nan_alone(dtype):
    p = nn.Parameter(torch.ones(40, dtype=dtype))
    p.grad = torch.ones_like(p)
    p.grad[::3] = torch.nan
    p.grad[1::3] = torch.inf
    FusedRMSprop([p], momentum=0.9).step()
    assert p[::3].isnan().all()
    assert p[1::3].isnan().all()
    assert p[2::3].isfinite().all()


# ---- half types


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("centered", [False, True])
def test_float32_state_of_bfloat16_parameters_follows_gradients_that_fall(device, centered):
    """At alpha = .999 a bfloat16 average stands still, since it loses what is below 1 / 512 of it."""

    def run(dtype, **more):
        """The average after 20 steps of large and 1000 of small gradients, and a step from 0 with it."""
        p = nn.Parameter(torch.zeros(200, dtype=dtype, device=device))
        optimizer = FusedRMSprop([p], alpha=0.999, centered=centered, **more)
        generator = torch.Generator().manual_seed(0)
        for step in range(1020):
            drawn = torch.randn(200, generator=generator) * (1 if step < 20 else 0.01)
            p.grad = drawn.bfloat16().to(dtype=dtype, device=device)
            p.data.zero_()
            optimizer.step()
        return optimizer.state[p]["square_avg"].double(), p.detach().double()

    exact = run(torch.float64)
    wide, narrow = (
        [((a - b).norm() / b.norm()).item() for a, b in zip(run(torch.bfloat16, **more), exact, strict=True)]
        for more in ({"state_dtype": torch.float32}, {})
    )
    assert wide[0] < 1e-4
    assert wide[1] < 2**-8
    assert narrow[0] > 0.5
    assert narrow[1] > 0.2


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [*HALVES, torch.float32], ids=str)
def test_state_has_the_dtype_that_is_asked_for(device, dtype):
    options = {"centered": True, "momentum": 0.9}
    for asked, given_ in ((None, dtype), (torch.float32, torch.float32)):
        optimizer = wild_steps(device, dtype, [(9,)], 0, 2, state_dtype=asked, **options)
        state = optimizer.state[params_of(optimizer)[0]]
        assert {state[name].dtype for name in ("square_avg", "grad_avg", "momentum_buffer")} == {given_}
        assert state["step"].dtype == torch.float32


# ---- stochastic rounding


def rounded_stochastically(seed, value, step, count=2**16, device="cpu", **options):
    """`count` copies of a bfloat16 `value` after one step of that size downwards."""
    torch.manual_seed(seed)
    p = nn.Parameter(torch.full((count,), value, dtype=torch.bfloat16, device=device))
    p.grad = torch.ones_like(p)
    optimizer = FusedRMSprop(
        [p], lr=step, alpha=0.0, eps=0.0, state_dtype=torch.float32, stochastic_rounding=True, **options
    )
    optimizer.step()
    return p.detach().double().cpu()


@pytest.fixture
def _seeds_restored():
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()  # noqa: NPY002
    yield
    torch.set_rng_state(states[0])
    random.setstate(states[1])
    np.random.set_state(states[2])  # noqa: NPY002


@pytest.mark.usefixtures("_seeds_restored")
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("value", "ulp"), [(1.5, 2.0**-7), (-1.5, 2.0**-7), (3e-3, 2.0**-16), (300.0, 2.0)])
@pytest.mark.parametrize("share", [0.03, 0.25, 0.5, 0.9])
def test_stochastic_rounding_is_unbiased(device, value, ulp, share):
    """The share of elements that go down is the share of the ulp that the step takes, within 5 sigma."""
    value = torch.tensor(value, dtype=torch.bfloat16).item()
    found = rounded_stochastically(0, value, share * ulp, device=device)
    assert set(found.tolist()) == {value, value - ulp}
    down = (found < value).double().mean().item()
    assert down == pytest.approx(share, abs=5 * (share * (1 - share) / 2**16) ** 0.5)
    firsts, seconds = (found[half::2] < value for half in (0, 1))  # neighbours draw apart
    both = (firsts & seconds).double().mean().item()
    assert both == pytest.approx(share**2, abs=5 * (share**2 / 2**15) ** 0.5)


@pytest.mark.usefixtures("_seeds_restored")
def test_stochastic_rounding_follows_torchs_seed_and_draws_anew_each_step():
    one, same, other = (rounded_stochastically(seed, 1.5, 2.0**-8) for seed in (3, 3, 4))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    torch.manual_seed(0)
    first, second = (nn.Parameter(torch.full((1000,), 1.5, dtype=torch.bfloat16)) for _ in range(2))
    first.grad = second.grad = torch.ones_like(first)
    optimizer = FusedRMSprop([first, second], lr=2.0**-8, alpha=0.0, stochastic_rounding=True)
    optimizer.step()
    after = first.detach().clone()
    assert not torch.equal(after, second)
    with torch.no_grad():
        first.fill_(1.5)
    optimizer.step()
    assert not torch.equal(after, first)


@pytest.mark.usefixtures("_seeds_restored")
def test_stochastic_rounding_leaves_python_and_numpy_and_what_is_exact_alone():
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    p = nn.Parameter(torch.tensor([1.5, 0.0, -3.0, torch.inf, torch.nan], dtype=torch.bfloat16))
    start = p.detach().clone()
    p.grad = torch.zeros_like(p)
    optimizer = FusedRMSprop([p], stochastic_rounding=True)
    for _ in range(20):
        optimizer.step()
    torch.testing.assert_close(p.detach(), start, rtol=0, atol=0, equal_nan=True)
    assert random.getstate() == before[0]
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), before[1], strict=True))  # noqa: NPY002


@pytest.mark.usefixtures("_seeds_restored")
def test_stochastic_rounding_is_for_bfloat16_alone():
    """Parameters of other dtypes step as without it."""
    dtypes = [torch.float64, torch.float32, torch.float16, torch.complex64]
    asked, plain = (
        FusedRMSprop([p for d in dtypes for p in parameters((40,), dtype=d)], stochastic_rounding=rounding)
        for rounding in (True, False)
    )
    for optimizer in (asked, plain):
        for p in params_of(optimizer):
            p.grad = p.detach().cos()
        optimizer.step()
    torch.testing.assert_close(params_of(asked), params_of(plain), rtol=0, atol=0)


@pytest.mark.usefixtures("_seeds_restored")
def test_stochastic_rounding_gives_the_same_bits_with_one_thread_and_two():
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(rounded_stochastically(0, 1.5, 2.0**-8, count=200_003))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*found)


@pytest.mark.usefixtures("_seeds_restored")
def test_stochastic_rounding_follows_steps_that_nearest_rounding_loses():
    """A thousand steps of a hundredth of an ulp: nearest stays put, stochastic arrives on average."""
    torch.manual_seed(0)
    options = {"lr": 2.0**-7 / 100, "alpha": 0.0, "eps": 0.0}
    nearest, stochastic = (nn.Parameter(torch.full((2000,), 1.5, dtype=torch.bfloat16)) for _ in range(2))
    optimizers = [
        FusedRMSprop([nearest], **options),
        FusedRMSprop([stochastic], **options, stochastic_rounding=True),
    ]
    nearest.grad = stochastic.grad = torch.ones_like(nearest)
    for _ in range(1000):
        for optimizer in optimizers:
            optimizer.step()
    assert (nearest == 1.5).all()
    assert stochastic.double().mean().item() == pytest.approx(
        1.5 - 10 * 2.0**-7, abs=5 * 2.0**-7 * (9.9 / 2000) ** 0.5
    )
    assert copy.deepcopy(optimizers[1].state_dict())["param_groups"][0]["stochastic_rounding"] is True


@pytest.mark.parametrize("which", ["param", "grad", "square_avg", "grad_avg", "momentum_buffer"])
@pytest.mark.parametrize("state_dtype", [None, torch.float32])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_each_number_of_a_half_type_is_one_rounding_of_the_float32_step(dtype, state_dtype, which):
    """All 65,536 of them, subnormal, infinite and NaN ones too, beside others drawn at random."""
    generator = torch.Generator().manual_seed(0)
    names = ["param", "grad", "square_avg", "grad_avg", "momentum_buffer"]
    drawn = {name: torch.randint(-(2**15), 2**15, (2**16,), generator=generator) for name in names}
    drawn[which] = torch.arange(-(2**15), 2**15)
    values = {name: numbers.to(torch.int16).view(dtype) for name, numbers in drawn.items()}
    values["square_avg"] = values["square_avg"].abs()

    def stepped(kind, of_state, **options):
        p = nn.Parameter(values["param"].to(kind, copy=True))
        p.grad = values["grad"].to(kind, copy=True)
        optimizer = FusedRMSprop([p], lr=0.1, alpha=0.9, **options)
        state = {name: values[name].to(of_state, copy=True) for name in names[2:]}
        optimizer.state[p] = {"step": torch.tensor(1.0), **state}
        optimizer.step()
        return {"param": p.detach(), **{name: optimizer.state[p][name] for name in names[2:]}}

    for options in (
        {},
        {"momentum": 0.9, "centered": True, "weight_decay": 0.1},
        {"eps": 0.0, "maximize": True},
    ):
        found = stepped(dtype, state_dtype or dtype, state_dtype=state_dtype, **options)
        exact = stepped(torch.float32, torch.float32, **options)
        for name, tensor in found.items():
            expected = exact[name].to(tensor.dtype)
            assert torch.equal(tensor.isnan(), expected.isnan())
            numbers = ~expected.isnan()
            assert torch.equal(tensor[numbers], expected[numbers])
            assert torch.equal(tensor[numbers].signbit(), expected[numbers].signbit())
