"""FusedRMSprop does what torch.optim.RMSprop does, where a user could notice."""

import copy
import gc
import inspect
import io
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from rmsprop import FusedRMSprop
from rmsprop.book.surrogate import surrogate_rows
from tests.optimizers.fused.reference import (
    DEVICES,
    FLAGS,
    Pair,
    checked_step,
    needs_cuda,
    parameters,
    params_of,
)

SHAPES = [(3, 5), (7,), (), (0, 4), (33,)]
NUMBERS = [
    {"lr": 0.0},
    {"lr": 1.0, "weight_decay": 1.0},
    {"alpha": 0.0},
    {"alpha": 0.5, "momentum": 1.5},
    {"alpha": 0.999, "centered": True},
    {"eps": 1e-3},
    {"eps": 0.0, "momentum": 0.5},
    {"eps": 10.0, "centered": True, "momentum": 0.5},
]
EVERYTHING = {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "maximize": True, "alpha": 0.9}


def torchs_own_inputs(device):
    """The inputs by which torch tests its RMSprop on a device."""
    pytest.importorskip("expecttest", reason="torch's own optimizer inputs need the package expecttest")
    from torch.testing._internal.common_optimizers import optim_inputs_func_rmsprop  # noqa: PLC0415

    return optim_inputs_func_rmsprop(device)


def loss_of(params):
    return sum((p.abs() ** 2).sum() for p in params)


def snapshot(optimizer):
    """Copies of all parameters and their states, to be compared bit by bit."""
    params = params_of(optimizer)
    return copy.deepcopy([(p.detach(), optimizer.state.get(p, {})) for p in params])


def assert_same_bits(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)


# ---- the arithmetic


def test_the_signature_is_torchs_and_then_keywords():
    ours = list(inspect.signature(FusedRMSprop).parameters.values())
    theirs = list(inspect.signature(torch.optim.RMSprop).parameters.values())
    assert [(p.name, p.default) for p in ours[: len(theirs)]] == [(p.name, p.default) for p in theirs]
    assert all(p.kind is p.KEYWORD_ONLY for p in ours[len(theirs) :])
    group = FusedRMSprop(parameters((2,))).param_groups[0]
    assert torch.optim.RMSprop(parameters((2,))).param_groups[0].keys() < group.keys()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex128, torch.complex64])
def test_torchs_own_inputs_give_torchs_own_steps(device, dtype):
    for case in torchs_own_inputs(device):
        pair = Pair(lambda: parameters(*SHAPES, dtype=dtype, device=device), **case.kwargs)
        pair.step(6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.complex128, torch.complex64])
@pytest.mark.parametrize("alpha", [0.99, 0.9])
def test_every_combination_of_flags_gives_torchs_steps(device, dtype, alpha):
    for flags in FLAGS:
        Pair(lambda: parameters(*SHAPES, dtype=dtype, device=device), alpha=alpha, **flags).step(6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", NUMBERS, ids=str)
def test_every_number_that_torch_takes_gives_torchs_steps(device, dtype, options):
    Pair(lambda: parameters(*SHAPES, dtype=dtype, device=device), **options).step(6)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": np.float32(0.1), "alpha": np.float64(0.9), "centered": np.bool_(True)},
        {"lr": 1, "eps": 1, "momentum": 1, "weight_decay": 1, "centered": 1, "maximize": 1},
        {"lr": torch.tensor(0.1, dtype=torch.bfloat16), "momentum": torch.tensor(0.5), "alpha": 0},
    ],
    ids=str,
)
def test_numbers_of_any_kind_will_do_where_torch_takes_them(options):
    Pair(lambda: parameters((3, 5)), **options).step(3)


def test_no_parameter_with_a_gradient_makes_no_step():
    optimizer = FusedRMSprop(parameters((3,)))
    before = snapshot(optimizer)
    assert optimizer.step() is None
    assert_same_bits(snapshot(optimizer), before)
    Pair(lambda: parameters((0,), (0, 3))).step(2)


# ---- values printed by other implementations


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ({}, (1.298377974681, 1.686614574776)),
        ({"lr": 1e-4}, (1.480165969661, 1.519831605100)),
        ({"lr": 1e-4, "alpha": 0.95}, (1.487998935489, 1.512000771753)),
    ],
    ids=str,
)
def test_a_hundred_steps_of_lua_torch(options, end):
    """PyTorch's test/optim/tests.json and lua.out: first s = 1, and the gradient as that file computes it."""
    p = nn.Parameter(torch.tensor([1.5, 1.5], dtype=torch.float64))
    optimizer = FusedRMSprop([p], **options)
    optimizer.state[p] = {"step": torch.tensor(0.0), "square_avg": torch.ones_like(p)}
    for _ in range(100):
        x, y = p.tolist()
        slope = (-2 * (1 - x) - 400 * x * (y - x**2), 200 * x * (y - x**2))
        p.grad = torch.tensor(slope, dtype=torch.float64)
        optimizer.step()
    assert p.tolist() == pytest.approx(end, abs=1e-11)


def test_a_step_of_keras_and_one_of_tensorflow_1():
    p = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    p.grad = torch.tensor([1.0, 6.0, 7.0, 2.0], dtype=torch.float64)
    FusedRMSprop([p], lr=0.5, alpha=0.9, eps=1e-7, eps_inside_sqrt=True).step()
    assert p.tolist() == pytest.approx([-0.5811, 0.4189, 1.4189, 2.4189], abs=5e-5)

    q = nn.Parameter(torch.tensor([1.0]))
    q.grad = torch.tensor([0.1])
    optimizer = FusedRMSprop([q], lr=2.0, alpha=0.9, eps=1.0, eps_inside_sqrt=True)
    optimizer.state[q] = {"step": torch.tensor(0.0), "square_avg": torch.ones_like(q)}
    optimizer.step()
    assert q.item() == pytest.approx(0.8549429, abs=2e-7)


# ---- tensors as they come


def gaps(t):
    """The same values at every third number of a wider tensor, from an odd place on."""
    storage = torch.full((t.numel() * 3 + 2,), 7.0, dtype=t.dtype, device=t.device)
    view = storage[1 : 1 + 3 * t.numel() : 3].view(t.shape)
    view.copy_(t)
    return view


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


# ---- groups and what changes between steps


def test_groups_keep_options_of_their_own_and_new_ones_join():
    def make():
        first, second = parameters((3, 5), (7,))
        return [{"params": [first]}, {"params": [second], **EVERYTHING, "lr": 0.1, "eps": 1e-3}]

    pair = Pair(make)
    pair.step(2)
    for optimizer in pair.optimizers:
        optimizer.add_param_group({"params": parameters((2, 2), seed=5), "momentum": 0.5})
    pair.step(3)


def test_names_of_parameters_are_kept():
    pair = Pair(lambda: list(zip("ab", parameters((3,), (2,)), strict=True)))
    pair.step(2)
    names = [o.state_dict()["param_groups"][0]["param_names"] for o in pair.optimizers]
    assert names == [["a", "b"]] * 2


@pytest.mark.parametrize("options", [{"momentum": 0.9}, EVERYTHING], ids=str)
def test_options_changed_between_steps_hold_from_the_next(options):
    pair = Pair(lambda: parameters((3, 5)), **options)
    pair.step(2)
    for change in (
        {"lr": 0.5},
        {"momentum": 0.3},
        {"alpha": 0.5},
        {"eps": 0.1},
        {"weight_decay": 0.7},
        {"maximize": not pair.fused.param_groups[0]["maximize"]},
        {"momentum": 0.0},
        {"momentum": 0.95, "lr": 1e-4},
        {"centered": False},
        {"lr": torch.tensor(0.05)},
    ):
        for optimizer in pair.optimizers:
            optimizer.param_groups[0].update(change)
        pair.step(2)


@pytest.mark.parametrize(
    ("option", "name"), [({"momentum": 0.9}, "momentum_buffer"), ({"centered": True}, "grad_avg")]
)
def test_an_average_that_is_switched_on_later_starts_at_zero(option, name):
    """torch raises KeyError there, unless its state is given by hand."""
    pair = Pair(lambda: parameters((3, 5)))
    pair.step(2)
    for optimizer in pair.optimizers:
        optimizer.param_groups[0].update(option)
    ((_, q),) = pair.params
    pair.loop.state[q][name] = torch.zeros_like(q)
    pair.step(3)


@pytest.mark.parametrize("lr", [torch.tensor(0.05), torch.tensor([0.05], dtype=torch.float64)])
def test_a_learning_rate_may_be_a_tensor_that_changes_in_place(lr):
    lr = lr.clone()
    pair = Pair(lambda: parameters((3, 5), (2,)), lr=lr)
    pair.step(2)
    lr.mul_(0.1)
    pair.step(2)


@pytest.mark.parametrize("lr", [0.1, torch.tensor(0.1)], ids=["float", "tensor"])
@pytest.mark.parametrize(
    "schedule",
    [
        lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.5),
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.3, total_steps=9),
        lambda o: lr_scheduler.SequentialLR(
            o,
            [lr_scheduler.ConstantLR(o, 0.1, 3), lr_scheduler.ExponentialLR(o, 0.7)],
            milestones=[3],
        ),
    ],
    ids=["StepLR", "OneCycleLR", "SequentialLR"],
)
def test_schedulers_drive_it_as_they_drive_torchs(schedule, lr):
    def both():
        return lr.clone() if isinstance(lr, torch.Tensor) else lr

    pair = Pair(lambda: parameters((3, 5), (2,)), lr=both(), momentum=0.9)
    pair.loop.param_groups[0]["lr"] = both()  # a tensor is changed in place
    schedulers = [schedule(optimizer) for optimizer in pair.optimizers]
    seen = set()
    for _ in range(8):
        pair.step()
        for scheduler in schedulers:
            scheduler.step()
        ours, theirs = (
            (float(o.param_groups[0]["lr"]), o.param_groups[0]["momentum"]) for o in pair.optimizers
        )
        assert ours == theirs
        seen.add(ours)
    assert len(seen) > 2


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
def test_what_is_replaced_by_hand_between_steps_is_what_the_next_step_uses(options):
    pair = Pair(lambda: parameters((3, 5), (6,)), **options)
    pair.step(2)
    for both in pair.params:
        for optimizer, p in zip(pair.optimizers, both, strict=True):
            for name in optimizer.state[p].keys() - {"step"}:
                optimizer.state[p][name] = torch.full(p.shape[::-1], 0.5).t()
            optimizer.state[p]["square_avg"] = torch.full_like(p, 4.0)
    pair.step(2)
    for both in pair.params:
        for p in both:
            p.data = torch.full(p.shape[::-1], 3.0).t()
    pair.step(2)
    for optimizer in pair.optimizers:
        optimizer.state.clear()
    pair.step(2)
    for both in pair.params:
        for optimizer, p in zip(pair.optimizers, both, strict=True):
            optimizer.state[p]["square_avg"].fill_(4.0)
            with torch.no_grad():
                p.mul_(2)
    pair.step(2)
    for optimizer in pair.optimizers:
        optimizer.param_groups[0]["params"] = parameters((4,), (5, 2), seed=9)
    pair.step(2)


@pytest.mark.parametrize("set_to_none", [True, False])
def test_zero_grad_clears_both_ways(set_to_none):
    pair = Pair(lambda: parameters((3, 5)))
    pair.step(2)
    for optimizer in pair.optimizers:
        optimizer.zero_grad(set_to_none=set_to_none)
        grad = params_of(optimizer)[0].grad
        assert grad is None if set_to_none else not grad.any()
        optimizer.step()
    pair.check()
    assert pair.fused.state[params_of(pair.fused)[0]]["step"] == (2 if set_to_none else 3)


# ---- checkpoints and copies


@pytest.mark.parametrize("options", FLAGS, ids=str)
def test_a_checkpoint_goes_to_torch_and_back_without_losing_a_bit(options):
    pair = Pair(lambda: parameters((3, 5), (7,), ()), **options)
    pair.step(3)
    straight, through = copy.deepcopy(pair.fused), copy.deepcopy(pair.fused)
    theirs = torch.optim.RMSprop(parameters((3, 5), (7,), ()), foreach=False)
    theirs.load_state_dict(through.state_dict())
    back = FusedRMSprop(params_of(through))
    back.load_state_dict(theirs.state_dict())
    for optimizer in (straight, back):
        for p in params_of(optimizer):
            p.grad = torch.full_like(p, 0.3)
        optimizer.step()
    assert_same_bits(snapshot(back), snapshot(straight))


@pytest.mark.parametrize("options", FLAGS, ids=str)
def test_each_continues_the_others_checkpoint(options):
    """The state is taken over bit for bit; the steps after it round in another order."""
    pair = Pair(lambda: parameters((3, 5), (7,)), **options)
    pair.step(3)
    ours, theirs = (copy.deepcopy(o.state_dict()) for o in pair.optimizers)
    pair.fused.load_state_dict(theirs)
    pair.loop.load_state_dict(ours)
    assert_same_bits(pair.fused.state_dict()["state"], theirs["state"])
    assert_same_bits(pair.loop.state_dict()["state"], ours["state"])
    with torch.no_grad():
        for p, q in pair.params:
            q.copy_(p)
    pair.step(3)


@pytest.mark.parametrize("foreach", [True, None])
def test_torchs_checkpoint_keeps_the_options_that_torch_does_not_have(foreach):
    theirs = torch.optim.RMSprop(parameters((4,), dtype=torch.bfloat16), lr=0.5, foreach=foreach)
    params_of(theirs)[0].grad = torch.ones(4, dtype=torch.bfloat16)
    theirs.step()
    special = {"eps_inside_sqrt": True, "state_dtype": torch.float32, "stochastic_rounding": True}
    params = parameters((4,), dtype=torch.bfloat16)
    optimizer = FusedRMSprop(params, **special)
    optimizer.load_state_dict(theirs.state_dict())
    group = optimizer.param_groups[0]
    assert {name: group[name] for name in special} == special
    assert group["lr"] == 0.5
    assert optimizer.state[params[0]]["square_avg"].dtype == torch.float32
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    assert optimizer.state[params[0]]["step"] == 2


def test_an_old_checkpoint_whose_step_is_a_number_loads():
    pair = Pair(lambda: parameters((4,)))
    pair.step(3)
    saved = copy.deepcopy(pair.loop.state_dict())
    saved["state"][0]["step"] = 3
    pair.fused.load_state_dict(saved)
    pair.step()


def test_a_checkpoint_of_an_older_torch_loads_as_torch_loads_it():
    pair = Pair(lambda: parameters((4,)))
    pair.step(3)
    saved = copy.deepcopy(pair.loop.state_dict())
    for name in ("foreach", "maximize", "differentiable", "capturable", "momentum", "centered"):
        del saved["param_groups"][0][name]
    saved["state"][0]["step"] = 3
    for optimizer in pair.optimizers:
        optimizer.load_state_dict(copy.deepcopy(saved))  # else they share it
    pair.step()


def test_a_checkpoint_from_before_an_option_was_used_loads():
    optimizer = FusedRMSprop(parameters((4,)))
    params_of(optimizer)[0].grad = torch.ones(4)
    optimizer.step()
    optimizer.param_groups[0] |= {"momentum": 0.9, "centered": True}  # as OneCycleLR does
    fresh = by_state_dict(optimizer, parameters((4,)))
    params_of(fresh)[0].grad = torch.ones(4)
    fresh.step()
    assert fresh.state[params_of(fresh)[0]].keys() == {"step", "square_avg", "momentum_buffer", "grad_avg"}


def test_a_checkpoint_with_an_empty_state_loads():
    params = parameters((4,), dtype=torch.bfloat16)
    optimizer = FusedRMSprop(params, state_dtype=torch.float32)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": {0: {}}})
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    assert optimizer.state[params[0]]["square_avg"].dtype == torch.float32


@pytest.mark.filterwarnings("ignore:optimizer contains a parameter group with duplicate parameters")
@pytest.mark.parametrize("strided", [False, True])
def test_a_parameter_that_is_there_twice_is_stepped_twice(strided):
    def make():
        p = torch.linspace(-1, 1, 100_000)
        p = nn.Parameter(p.repeat(2, 1).t()[:, 0] if strided else p)
        return [p, p]

    ours, theirs = make(), make()
    optimizers = FusedRMSprop(ours), torch.optim.RMSprop(theirs, foreach=False)
    for _ in range(3):
        for params, optimizer in zip((ours, theirs), optimizers, strict=True):
            params[0].grad = torch.full_like(params[0], 0.5)
            optimizer.step()
    assert optimizers[0].state[ours[0]]["step"] == 6
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-6, atol=1e-7)
    assert copy.deepcopy(optimizers[0])._repeats


def test_from_the_same_parameters_square_avg_is_torchs_bit_for_bit():
    params = parameters((40_007,), (40_007,))
    params[1].data.copy_(params[0].data)
    gradient, found = params[0].detach().sin(), []
    for kind, p in zip((FusedRMSprop, torch.optim.RMSprop), params, strict=True):
        optimizer = kind([p], weight_decay=0.1)
        p.grad = gradient.clone()
        optimizer.step()
        found.append(optimizer.state[p]["square_avg"])
    assert torch.equal(*found)


def by_state_dict(optimizer, params):
    fresh = FusedRMSprop(params)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # else they share it, as torch's do
    return fresh


def by_file(optimizer, params):
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    fresh = FusedRMSprop(params)
    fresh.load_state_dict(torch.load(file, weights_only=True))
    return fresh


def by_pickle(optimizer, _params):
    return pickle.loads(pickle.dumps(optimizer))


def by_deepcopy(optimizer, _params):
    return copy.deepcopy(optimizer)


@pytest.mark.parametrize("copied", [by_state_dict, by_file, by_pickle, by_deepcopy])
@pytest.mark.parametrize(
    ("dtype", "options"),
    [
        (torch.float32, {}),
        (torch.float64, EVERYTHING),
        (torch.complex64, EVERYTHING),
        (torch.bfloat16, EVERYTHING),
        (torch.bfloat16, {**EVERYTHING, "state_dtype": torch.float32}),
        (torch.float16, {"state_dtype": torch.float32, "eps_inside_sqrt": True}),
        (torch.float32, {"lr": torch.tensor(0.5)}),
    ],
    ids=str,
)
def test_a_copy_goes_on_with_the_same_bits(copied, dtype, options):
    optimizer = FusedRMSprop(parameters((3, 5), (), (7,), dtype=dtype), **options)

    def step(some):
        for p in params_of(some):
            p.grad = (p.detach() * 3).cos()
        some.step()

    for _ in range(3):
        step(optimizer)
    state_dtype = options.get("state_dtype") or dtype
    twin = copied(optimizer, [nn.Parameter(p.detach().clone()) for p in params_of(optimizer)])
    assert_same_bits(snapshot(twin), snapshot(optimizer))
    assert twin.state_dict()["param_groups"] == optimizer.state_dict()["param_groups"]
    for _ in range(3):
        step(optimizer)
        step(twin)
    assert_same_bits(snapshot(twin), snapshot(optimizer))
    assert {s["square_avg"].dtype for s in twin.state.values()} == {state_dtype}


def test_a_pickled_optimizer_takes_another_group():
    optimizer = by_pickle(FusedRMSprop(parameters((2,)), state_dtype=torch.float32), None)
    optimizer.add_param_group({"params": parameters((3,), dtype=torch.bfloat16), "lr": 0.5})
    assert optimizer.param_groups[1]["state_dtype"] is torch.float32
    params_of(optimizer)[1].grad = torch.ones(3, dtype=torch.bfloat16)
    checked_step(optimizer)


def test_hooks_of_checkpoints_run_as_torchs():
    def seen(kind):
        order = []
        optimizer = kind(parameters((2,)))

        def half(_, state_dict):
            order.append("load")
            return {**state_dict, "param_groups": [{**g, "lr": 0.5} for g in state_dict["param_groups"]]}

        optimizer.register_state_dict_pre_hook(lambda _: order.append("pre"))
        optimizer.register_state_dict_post_hook(lambda _, state_dict: order.append("post"))
        optimizer.register_load_state_dict_pre_hook(half)
        optimizer.register_load_state_dict_post_hook(lambda _: order.append("loaded"))
        for _ in range(2):
            optimizer.load_state_dict(optimizer.state_dict())
        return order, optimizer.param_groups[0]["lr"]

    assert seen(FusedRMSprop) == seen(torch.optim.RMSprop)


# ---- step() and what surrounds it


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


# ---- mixed precision


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("unscale_first", [False, True])
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
def test_a_grad_scaler_scales_and_skips(device, unscale_first, options):
    """A scale of a power of two changes no bit of the steps that are taken."""
    scaler = torch.amp.GradScaler(device, init_scale=2.0**10, growth_interval=2)

    def make():
        first, second, third = parameters((3, 5), (70,), (4, 6), device=device)
        return [first, second, nn.Parameter(gaps(third.detach()))]

    scaled, plain = (FusedRMSprop(make(), **options) for _ in range(2))
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
            assert all(s["step"] == plain_steps for s in scaled.state.values())
        else:
            plain.zero_grad()
            (loss_of(params_of(plain)) / 3).backward()
            plain.step()
            plain_steps += 1
            assert_same_bits(snapshot(scaled), snapshot(plain))
    assert {s["step"].item() for s in scaled.state.values()} == {3.0}
    assert getattr(scaled, "grad_scale", None) is None
    assert getattr(scaled, "found_inf", None) is None


def test_an_overflow_in_one_group_stops_all_groups():
    first, second = parameters((3,), (4,))
    optimizer = FusedRMSprop([{"params": [first]}, {"params": [second]}])
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(loss_of([first, second])).backward()
    second.grad[0] = torch.nan
    before = [p.detach().clone() for p in (first, second)]
    scaler.step(optimizer)
    assert_same_bits([first.detach(), second.detach()], before)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_a_grad_scaler_unscales_in_the_precision_of_the_step(dtype):
    scaled, plain = (FusedRMSprop(parameters((40,), dtype=dtype), lr=0.1) for _ in range(2))
    (p,), (q,) = params_of(scaled), params_of(plain)
    q.grad = torch.linspace(-1, 1, 40, dtype=dtype)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**8)
    scaler.scale(torch.zeros(()))
    p.grad = q.grad * 2.0**8
    scaler.step(scaled)
    plain.step()
    assert_same_bits(p, q)


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


# ---- training


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(36, 10),
            nn.Tanh(),
            nn.Linear(10, 3),
        )


def images():
    """Noisy images of three kinds, by the row that is bright."""
    generator = torch.Generator().manual_seed(1)
    kinds = torch.randint(3, (256,), generator=generator)
    pixels = torch.randn(256, 1, 8, 8, generator=generator)
    pixels[torch.arange(256), 0, 2 * kinds + 1] += 1.0
    return pixels, kinds


@pytest.fixture
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(make, loss, model, features, labels, epochs):
    """The losses over all rows before and after the training."""
    optimizer = make(model.parameters())
    losses = [loss(model(features), labels).item()]
    for _ in range(epochs):
        for start in range(0, len(features), 32):
            optimizer.zero_grad()
            loss(model(features[start : start + 32]), labels[start : start + 32]).backward()
            optimizer.step()
        losses.append(loss(model(features), labels).item())
    return losses


@pytest.mark.parametrize(
    "options", [{}, {"momentum": 0.9, "lr": 1e-4}, {"centered": True, "weight_decay": 1e-3}], ids=str
)
@pytest.mark.usefixtures("one_thread")
def test_a_network_of_convolutions_learns_as_with_torchs(options):
    options = {"lr": 1e-3, **options}
    ours, theirs = (
        trained(
            lambda p, k=kind: k(p, **options), nn.functional.cross_entropy, network(), *images(), epochs=6
        )
        for kind in (FusedRMSprop, torch.optim.RMSprop)
    )
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert ours[-1] < 0.8 * ours[0]


@pytest.mark.usefixtures("one_thread")
def test_the_books_linear_regression_ends_where_torchs_does():
    rows = torch.from_numpy(surrogate_rows()).float()

    def make(kind):
        model = nn.Linear(5, 1)
        nn.init.normal_(model.weight, std=0.01, generator=torch.Generator().manual_seed(0))
        nn.init.zeros_(model.bias)
        return trained(
            lambda p: kind(p, lr=0.01, alpha=0.9),
            lambda a, b: nn.functional.mse_loss(a, b) / 2,
            model,
            rows[:, :-1],
            rows[:, -1:],
            epochs=3,
        )

    ours, theirs = make(FusedRMSprop), make(torch.optim.RMSprop)
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert 0.24 < ours[-1] < 0.26
