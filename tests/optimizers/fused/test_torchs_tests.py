"""What torch's own test classes ask of its optimizers, asked of FusedRMSprop; written anew.

The subjects are those of TestOptimRenewed in torch's test/test_optim.py, over the inputs by which torch tests
its RMSprop. Those of other optimizers are left out (sparse gradients, L-BFGS, `foreach` and `differentiable`,
which FusedRMSprop refuses). Where the two differ, the test says so: half types are computed in float32 and
rounded once, so they are held against torch's loop in float32 rather than in the half type.
"""

import copy
import io
import itertools
import warnings
from importlib.util import find_spec

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import FLOATS, TOLERANCE, assert_same_bits, snapshot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not find_spec("expecttest"), reason="torch's own inputs need the package expecttest"),
]
CASES = [
    {},
    {"lr": 1e-3},
    {"weight_decay": 0.1},
    {"maximize": True},
    {"weight_decay": 0.1, "centered": True},
    {"maximize": True, "weight_decay": 0.1},
    {"weight_decay": 0.1, "centered": True, "momentum": 0.1},
    {"weight_decay": 0.1, "centered": True, "momentum": 0.1, "maximize": True},
]
SCHEDULERS = {
    "StepLR": lambda o: lr_scheduler.StepLR(o, gamma=0.9, step_size=10),
    "two of them": lambda o: lr_scheduler.ChainedScheduler(
        [lr_scheduler.LinearLR(o, 0.4, total_iters=4), lr_scheduler.ExponentialLR(o, 0.99)]
    ),
    "ReduceLROnPlateau": lr_scheduler.ReduceLROnPlateau,
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, max_lr=0.01, total_steps=100),
}


def options_of(case):
    return pytest.mark.parametrize("options", CASES, ids=str)(case)


def test_these_are_the_inputs_by_which_torch_tests_its_rmsprop():
    from torch.testing._internal.common_optimizers import optim_inputs_func_rmsprop  # noqa: PLC0415

    assert [case.kwargs for case in optim_inputs_func_rmsprop("cpu")] == CASES


# ---- which way it goes


def problem(layout="dense"):
    """A weight and a bias, and the closure's loss of them: |W x + b|²."""
    drawn = torch.Generator().manual_seed(0)
    weight, bias, x = (torch.randn(size, generator=drawn) for size in ((10, 5), (10,), (5,)))
    if layout == "gaps":
        weight = torch.stack([weight, weight], -1)[..., 0]
        bias = torch.stack([bias, bias], -1)[..., 0]
    weight, bias = nn.Parameter(weight), nn.Parameter(bias)
    return weight, bias, lambda: (weight.mv(x) + bias).pow(2).sum()


def closure_of(optimizer, loss):
    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


@options_of
@pytest.mark.parametrize("layout", ["dense", "gaps"])
def test_a_loop_goes_in_the_right_direction(options, layout):
    weight, bias, loss = problem(layout)
    optimizer = FusedRMSprop([weight, bias], **options)
    before = loss().item()
    for _ in range(20):
        optimizer.step(closure_of(optimizer, loss))
    assert loss().item() > before if options.get("maximize") else loss().item() < before


@options_of
@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_groups_with_a_scheduler_go_in_the_right_direction(options, scheduler):
    weight, bias, loss = problem()
    optimizer = FusedRMSprop([{"params": [weight]}, {"params": [bias], "lr": 0.01}], **options)
    schedule = SCHEDULERS[scheduler](optimizer)
    before = loss().item()
    for _ in range(20):
        value = optimizer.step(closure_of(optimizer, loss))
        schedule.step(value.item()) if scheduler == "ReduceLROnPlateau" else schedule.step()
    assert loss().item() > before if options.get("maximize") else loss().item() < before


@options_of
@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_learning_rate_in_a_tensor_takes_the_steps_of_a_number(options, shape):
    (weight, bias, loss), (weight2, bias2, loss2) = problem(), problem()
    number = FusedRMSprop([weight, bias], **{**options, "lr": 0.01})
    tensor = FusedRMSprop([weight2, bias2], **{**options, "lr": torch.full(shape, 0.01, dtype=torch.float64)})
    for _ in range(5):
        number.step(closure_of(number, loss))
        tensor.step(closure_of(tensor, loss2))
    assert_same_bits(snapshot(number), snapshot(tensor))


def test_groups_have_their_own_learning_rate_and_weight_decay():
    params = [nn.Parameter(torch.ones(3)) for _ in range(3)]
    groups = [
        {"params": params[:1], "lr": 0.0},
        {"params": params[1:2], "lr": 0.1, "weight_decay": 0.5},
        {"params": params[2:], "lr": 0.1},
    ]
    optimizer = FusedRMSprop(groups)
    for p in params:
        p.grad = torch.zeros(3)
    optimizer.step()
    moved = [not torch.equal(p, torch.ones(3)) for p in params]
    assert moved == [False, True, False]


# ---- beside torch's loop


@options_of
@pytest.mark.parametrize("dtype", [*FLOATS, torch.complex64])
def test_steps_are_those_of_the_loop(options, dtype):
    """Half types: those of torch's loop in float32 from the same bits, rounded once after each step."""
    half = dtype in {torch.bfloat16, torch.float16}
    drawn = torch.Generator().manual_seed(0)
    ours = [nn.Parameter(torch.randn(s, dtype=dtype, generator=drawn)) for s in ((2, 3), (5,), (), (70,))]
    theirs = [nn.Parameter(p.detach().float() if half else p.detach().clone()) for p in ours]
    fused, loop = FusedRMSprop(ours, **options), torch.optim.RMSprop(theirs, foreach=False, **options)
    for _ in range(5):
        for p, q in zip(ours, theirs, strict=True):
            p.grad = torch.randn(p.shape, dtype=dtype, generator=drawn)
            q.grad = p.grad.to(q.dtype)
        fused.step()
        loop.step()
        for p, q in zip(ours, theirs, strict=True):
            bound = torch.finfo(dtype).eps if half else TOLERANCE[dtype.to_real()]
            torch.testing.assert_close(p.to(q.dtype), q, rtol=bound, atol=1e-7 if half else bound)
            if half:  # and on from the rounded numbers
                for name, tensor in fused.state[p].items():
                    torch.testing.assert_close(tensor.float(), loop.state[q][name], rtol=bound, atol=1e-7)
                    loop.state[q][name] = tensor.float().clone()
                with torch.no_grad():
                    q.copy_(p)


@options_of
def test_types_may_be_mixed(options):
    dtypes = itertools.islice(itertools.cycle([torch.float32, torch.float64, torch.bfloat16]), 7)
    params = [nn.Parameter(torch.ones(4, dtype=dtype)) for dtype in dtypes]
    alone = [nn.Parameter(p.detach().clone()) for p in params]
    together, apart = FusedRMSprop(params, **options), [FusedRMSprop([p], **options) for p in alone]
    for _ in range(3):
        for p in (*params, *alone):
            p.grad = torch.full_like(p, 0.5)
        for optimizer in (together, *apart):
            optimizer.step()
    assert_same_bits(snapshot(together), [each for optimizer in apart for each in snapshot(optimizer)])


@options_of
def test_a_complex_parameter_is_stepped_as_its_real_and_imaginary_parts(options):
    z = nn.Parameter(torch.complex(torch.tensor([1.5, 1.5]), torch.tensor([-0.5, 0.25])))
    parts = [nn.Parameter(z.detach().real.clone()), nn.Parameter(z.detach().imag.clone())]

    def rosenbrock(t):
        x, y = t
        return ((1 - x) ** 2 + 100 * (y - x**2) ** 2).abs()

    ours, theirs = FusedRMSprop([z], **options), FusedRMSprop(parts, **options)
    for _ in range(10):
        rosenbrock(z).backward()
        rosenbrock(torch.complex(*parts)).backward()
        for optimizer in (ours, theirs):
            optimizer.step()
            optimizer.zero_grad()
        torch.testing.assert_close(torch.view_as_real(z), torch.stack(parts, -1))


@options_of
def test_float64_as_the_default_type_changes_nothing(options):
    ended = []
    for default in (torch.float32, torch.float64):
        former = torch.get_default_dtype()
        torch.set_default_dtype(default)
        try:
            p = nn.Parameter(torch.ones(6, dtype=torch.float32))
            optimizer = FusedRMSprop([p], **options)
            for _ in range(3):
                p.grad = torch.full_like(p, 0.3)
                optimizer.step()
            ended.append(p.detach().clone())
        finally:
            torch.set_default_dtype(former)
    assert_same_bits(*ended)


# ---- what moves nothing


@options_of
def test_without_gradients_a_step_changes_nothing(options):
    weight, bias, _ = problem()
    optimizer = FusedRMSprop([weight, bias], **options)
    before = snapshot(optimizer)
    optimizer.step()
    assert_same_bits(snapshot(optimizer), before)


@options_of
def test_gradients_of_zero_move_only_what_decays(options):
    p = nn.Parameter(torch.randn(3, 5, generator=torch.Generator().manual_seed(1)))
    optimizer = FusedRMSprop([p], **options)
    before = p.detach().clone()
    p.grad = torch.zeros_like(p)
    optimizer.step()
    assert torch.equal(p, before) is not bool(options.get("weight_decay"))


@options_of
def test_where_the_scaler_found_infinities_no_step_is_taken(options):
    p = nn.Parameter(torch.ones(5))
    optimizer = FusedRMSprop([p], amp_scaling=True, **options)
    p.grad = torch.ones(5)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(1.0)
    optimizer.step()
    assert_same_bits(p.detach(), torch.ones(5))
    optimizer.found_inf = torch.tensor(0.0)
    optimizer.step()
    assert not torch.equal(p, torch.ones(5))
    assert optimizer.state[p]["step"] == 1


def test_a_tensor_of_more_than_a_million_elements_is_stepped_to_its_end():
    p = nn.Parameter(torch.ones(2**21 + 7))
    p.grad = torch.zeros_like(p)
    p.grad[-1] = 1.0
    FusedRMSprop([p]).step()
    assert p[-1] < 1
    assert torch.equal(p[:-1], torch.ones(2**21 + 6))


# ---- what is refused


def test_torchs_bad_inputs_raise_torchs_errors():
    from torch.testing._internal.common_optimizers import optim_error_inputs_func_rmsprop  # noqa: PLC0415

    for case in optim_error_inputs_func_rmsprop("cpu", torch.float32):
        given = case.optimizer_error_input
        params = [nn.Parameter(torch.ones(2, 2))] if given.params is None else given.params
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with pytest.raises(case.error_type, match=case.error_regex):
                FusedRMSprop(params, **given.kwargs)


def test_parameters_on_meta_are_refused_before_anything_changes():
    p = nn.Parameter(torch.ones(3, device="meta"))
    p.grad = torch.ones(3, device="meta")
    q = nn.Parameter(torch.ones(3))
    q.grad = torch.ones(3)
    optimizer = FusedRMSprop([q])
    optimizer.step()
    before = snapshot(optimizer)
    q.grad = None
    optimizer.add_param_group({"params": [p]})
    optimizer.step()  # torch's loop steps nothing there either: there are no numbers
    assert_same_bits(snapshot(optimizer)[:1], before)


# ---- state, checkpoints and copies


def trained(options, steps=5):
    weight, bias, loss = problem()
    optimizer = FusedRMSprop([weight, bias], **options)
    for _ in range(steps):
        optimizer.step(closure_of(optimizer, loss))
    return optimizer, loss, (weight, bias)


@options_of
def test_a_loaded_optimizer_goes_on_alike_and_leaves_the_checkpoint_as_it_was(options):
    first, loss, params = trained(options)
    weight, bias, loss2 = problem()
    with torch.no_grad():
        for p, q in zip((weight, bias), params, strict=True):
            p.copy_(q)
    second = FusedRMSprop([weight, bias], **options)
    checkpoint, before = first.state_dict(), copy.deepcopy(first.state_dict())
    second.load_state_dict(copy.deepcopy(checkpoint))
    for _ in range(5):
        second.step(closure_of(second, loss2))
    assert_same_bits(checkpoint["state"], before["state"])
    for _ in range(5):
        first.step(closure_of(first, loss))
    assert_same_bits(snapshot(first), snapshot(second))
    assert_same_bits(first.state_dict(), second.state_dict())


@options_of
def test_checkpoints_of_older_torch_load(options):
    optimizer, loss, _ = trained(options)
    checkpoint = copy.deepcopy(optimizer.state_dict())
    for group in checkpoint["param_groups"]:
        for flag in ("maximize", "foreach", "differentiable", "capturable"):
            del group[flag]
    for state in checkpoint["state"].values():
        state["step"] = int(state["step"])
    optimizer.load_state_dict(checkpoint)
    optimizer.step(closure_of(optimizer, loss))
    assert {int(state["step"]) for state in optimizer.state.values()} == {6}


@options_of
def test_a_file_of_weights_only_gives_the_same_checkpoint(options):
    optimizer, _, _ = trained(options)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert_same_bits(loaded, optimizer.state_dict())


@pytest.mark.parametrize("named", [True, False])
def test_checkpoints_with_names_load_where_there_are_none_and_the_other_way(named):
    net = nn.Linear(3, 2)
    having, lacking = FusedRMSprop(net.named_parameters()), FusedRMSprop(net.parameters())
    source, target = (having, lacking) if named else (lacking, having)
    net(torch.ones(1, 3)).sum().backward()
    source.step()
    target.load_state_dict(source.state_dict())
    assert_same_bits(snapshot(source), snapshot(target))
    target.step()


@options_of
def test_copies_have_all_public_attributes_and_go_on_alone(options):
    optimizer, _, _ = trained(options)
    twin = copy.deepcopy(optimizer)

    def public(each):
        return {name for name in vars(each) if not name.startswith("_")}

    assert public(twin) == public(optimizer)
    before = snapshot(optimizer)
    for group in twin.param_groups:
        for p in group["params"]:
            p.grad = torch.ones_like(p)
    twin.step()
    assert_same_bits(snapshot(optimizer), before)


@options_of
def test_it_prints_its_groups(options):
    optimizer, _, _ = trained(options, steps=0)
    assert repr(optimizer).startswith("FusedRMSprop (\nParameter Group 0\n")
    assert f"weight_decay: {options.get('weight_decay', 0)}" in repr(optimizer)


@options_of
def test_after_a_step_there_is_state_for_each_parameter(options):
    optimizer, _, params = trained(options, steps=1)
    for p in params:
        assert optimizer.state[p]["square_avg"].shape == p.shape
        assert optimizer.state[p]["step"] == 1


# ---- hooks


def test_hooks_run_around_the_step_in_torchs_order():
    from torch.optim.optimizer import (  # noqa: PLC0415
        register_optimizer_step_post_hook,
        register_optimizer_step_pre_hook,
    )

    seen = []
    orders = []
    for kind in (FusedRMSprop, torch.optim.RMSprop):
        p = nn.Parameter(torch.ones(2))
        p.grad = torch.ones(2)
        optimizer = kind([p])
        handles = [
            register_optimizer_step_pre_hook(lambda *_: seen.append("global pre")),
            register_optimizer_step_post_hook(lambda *_: seen.append("global post")),
            optimizer.register_step_pre_hook(lambda *_: seen.append("pre")),
            optimizer.register_step_post_hook(lambda *_: seen.append("post")),
        ]
        try:
            optimizer.step()
        finally:
            for handle in handles:
                handle.remove()
        optimizer.step()
        orders.append(list(seen))
        seen.clear()
    assert orders[0] == orders[1]
    assert len(orders[0]) == 4


def test_hooks_of_checkpoints_run_as_torchs():
    optimizer, _, _ = trained({})
    seen = []
    optimizer.register_state_dict_pre_hook(lambda _: seen.append("saving"))
    optimizer.register_state_dict_post_hook(lambda _, state: {**state, "mine": 1})
    optimizer.register_load_state_dict_pre_hook(
        lambda _, state: {k: v for k, v in state.items() if k != "mine"}
    )
    optimizer.register_load_state_dict_post_hook(lambda _: seen.append("loaded"))
    checkpoint = optimizer.state_dict()
    assert checkpoint["mine"] == 1
    optimizer.load_state_dict(checkpoint)
    assert seen == ["saving", "loaded"]


# ---- torch.compile


@options_of
def test_a_compiled_step_is_the_plain_one(options):
    (plain, loss, _), (compiled, loss2, _) = trained(options, 1), trained(options, 1)
    try:
        step = torch.compile(compiled.step, backend="eager")
        for _ in range(3):
            plain.step(closure_of(plain, loss))
            closure_of(compiled, loss2)()
            step()
    finally:
        torch.compiler.reset()
    assert_same_bits(snapshot(plain), snapshot(compiled))
