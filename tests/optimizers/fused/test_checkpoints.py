"""Checkpoints and copies of FusedRMSprop: what torch.optim.RMSprop loads, with the same result."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler, swa_utils

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    EVERYTHING,
    FLAGS,
    Pair,
    assert_same_bits,
    assert_stored,
    bounds,
    checked_step,
    parameters,
    params_of,
    snapshot,
)


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


# ---- whatever torch loads

SCHEDULERS = {
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda epoch: 0.9**epoch),
    "MultiplicativeLR": lambda o: lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "MultiStepLR": lambda o: lr_scheduler.MultiStepLR(o, [1, 3]),
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 2),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.5, total_iters=4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    "PolynomialLR": lambda o: lr_scheduler.PolynomialLR(o, 5),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 5),
    "CosineAnnealingWarmRestarts": lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 1e-3, 1e-2, step_size_up=3),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    "ReduceLROnPlateau": lr_scheduler.ReduceLROnPlateau,
    "ChainedScheduler": lambda o: lr_scheduler.ChainedScheduler([lr_scheduler.StepLR(o, 2)]),
    "SequentialLR": lambda o: lr_scheduler.SequentialLR(
        o, [lr_scheduler.ConstantLR(o), lr_scheduler.StepLR(o, 2)], [2]
    ),
    "SWALR": lambda o: swa_utils.SWALR(o, swa_lr=0.05),
}
OURS = ("eps_inside_sqrt", "state_dtype", "stochastic_rounding")


def test_the_list_of_schedulers_is_complete():
    there = {name for name in vars(lr_scheduler) if name.endswith(("LR", "Restarts", "Scheduler", "Plateau"))}
    assert there - {"LRScheduler", "_LRScheduler"} <= SCHEDULERS.keys()


def groups_of(optimizer):
    """What stands in the groups, without what only FusedRMSprop has."""
    return [{k: v for k, v in g.items() if k not in OURS} for g in optimizer.state_dict()["param_groups"]]


def assert_loads_as_torchs(pair, state_dict):
    """Both load it, say the same in their groups, and go on with the same steps."""
    for optimizer in pair.optimizers:
        optimizer.load_state_dict(copy.deepcopy(state_dict))
    assert groups_of(pair.fused) == groups_of(pair.loop)
    with torch.no_grad():
        for p, q in pair.params:
            q.copy_(p)
    pair.step(2)


@pytest.mark.parametrize("before", [False, True], ids=["scheduler made later", "scheduler made first"])
@pytest.mark.parametrize("saved_by", [torch.optim.RMSprop, FusedRMSprop])
@pytest.mark.parametrize("make", SCHEDULERS.values(), ids=SCHEDULERS)
def test_checkpoints_from_before_and_after_a_scheduler_load_as_torchs(make, saved_by, before):
    """Each scheduler adds keys to the groups: they may be there and not here, or here and not there."""
    params = parameters((3, 5), (7,))
    saving = saved_by(params, momentum=0.9)
    pair = Pair(lambda: parameters((3, 5), (7,)), momentum=0.9)
    schedulers = [make(optimizer) for optimizer in (pair.optimizers if before else [saving])]
    for p in params:
        p.grad = torch.ones_like(p)
    saving.step()
    state_dict = saving.state_dict()
    pair.loop.param_groups[0]["lr"] = pair.fused.param_groups[0]["lr"]
    assert_loads_as_torchs(pair, state_dict)
    if before:
        assert "initial_lr" not in pair.fused.param_groups[0] or "initial_lr" in state_dict["param_groups"][0]
    assert schedulers


@pytest.mark.parametrize("there", [True, False])
def test_keys_of_the_users_own_load_both_ways_as_torchs(there):
    def make():
        first, second = parameters((3, 5), (7,))
        own = {} if there else {"name": "head", "lr_scale": 0.5}
        return [{"params": [first], **own}, {"params": [second], "lr": 0.5}]

    pair = Pair(make)
    pair.step(2)
    state_dict = copy.deepcopy(pair.loop.state_dict())
    if there:
        state_dict["param_groups"][1] |= {"name": "head", "lr_scale": 0.5}
    else:
        for key in ("name", "lr_scale"):
            del state_dict["param_groups"][0][key]
    assert_loads_as_torchs(pair, state_dict)


LATER_KEYS = ("foreach", "maximize", "differentiable", "capturable", "fused")
FORMS = {
    "1.0": lambda group: {k: v for k, v in group.items() if k not in LATER_KEYS},
    "1.11": lambda group: {k: v for k, v in group.items() if k not in LATER_KEYS[:1] + LATER_KEYS[2:]},
    "1.12": lambda group: {k: v for k, v in group.items() if k not in LATER_KEYS[2:]},
    "2.0": lambda group: {k: v for k, v in group.items() if k not in LATER_KEYS[3:]},
    "2.13": lambda group: group,
    "with names": lambda group: {**group, "param_names": ["a", "b"]},
    "of a torch that has a fused kernel": lambda group: {**group, "fused": True},
    "of a differentiable optimizer": lambda group: {**group, "differentiable": True},
    "of foreach": lambda group: {**group, "foreach": True},
    "without momentum and centered": lambda group: {
        k: v for k, v in group.items() if k not in (*LATER_KEYS, "momentum", "centered")
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("step", [3, 3.0, torch.tensor(3.0), torch.tensor(3.0, dtype=torch.float64)], ids=str)
def test_checkpoints_in_the_forms_of_torchs_versions_load_as_torchs(form, step):
    pair = Pair(lambda: parameters((3, 5), (7,)))
    pair.step(3)
    state_dict = copy.deepcopy(pair.loop.state_dict())
    state_dict["param_groups"] = [form(group) for group in state_dict["param_groups"]]
    for state in state_dict["state"].values():
        state["step"] = copy.deepcopy(step)
    assert_loads_as_torchs(pair, state_dict)
    assert [pair.fused.state[p]["step"].item() for p in params_of(pair.fused)] == [5, 5]


def test_states_of_other_keys_and_of_some_parameters_alone_load_as_torchs():
    pair = Pair(lambda: parameters((3, 5), (7,)))
    pair.step(2)
    state_dict = copy.deepcopy(pair.loop.state_dict())
    state_dict["state"][0] |= {"ema": torch.ones(3, 5)}
    del state_dict["state"][1]
    for optimizer in pair.optimizers:
        optimizer.load_state_dict(copy.deepcopy(state_dict))
    pair.step(2)
    assert torch.equal(pair.fused.state[params_of(pair.fused)[0]]["ema"], torch.ones(3, 5))


def test_dcp_sets_a_state_dict_after_a_scheduler_as_torchs():
    """torch.distributed.checkpoint asks a fresh optimizer for its keys and loads those alone."""
    state_dict_api = pytest.importorskip("torch.distributed.checkpoint.state_dict")

    def loaded(kind):
        saving, model = (nn.Linear(3, 2) for _ in range(2))
        optimizer = kind(saving.parameters(), momentum=0.9)
        scheduler = lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=5)
        saving(torch.ones(1, 3)).sum().backward()
        optimizer.step()
        scheduler.step()
        saved = state_dict_api.get_optimizer_state_dict(saving, optimizer)
        fresh = kind(model.parameters(), momentum=0.9)
        lr_scheduler.StepLR(fresh, 2)
        state_dict_api.set_optimizer_state_dict(model, fresh, saved)
        assert_same_bits(
            [s["momentum_buffer"] for s in fresh.state.values()],
            [s["momentum_buffer"] for s in optimizer.state.values()],
        )
        return groups_of(fresh)

    with torch.random.fork_rng():
        assert loaded(FusedRMSprop) == loaded(torch.optim.RMSprop)


# ---- what means something else


def timms(state=1.0, **options):
    """A checkpoint as timm's RMSpropTF writes it."""
    group = {
        "lr": 0.1,
        "momentum": 0.0,
        "alpha": 0.9,
        "eps": 1e-10,
        "centered": False,
        "weight_decay": 0.0,
        "decoupled_decay": False,
        "lr_in_momentum": True,
        "caution": False,
        "params": [0],
    }
    held = {"step": 1, "square_avg": torch.full((4,), state), "momentum_buffer": torch.ones(4)}
    return {"state": {0: held}, "param_groups": [{**group, **options}]}


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, "eps_inside_sqrt=True"),
        ({"momentum": 0.9}, "lr_in_momentum"),
        ({"weight_decay": 0.1, "decoupled_decay": True}, "decoupled_decay"),
        ({"momentum": 0.9, "lr_in_momentum": False, "caution": True}, "caution"),
    ],
    ids=str,
)
def test_a_checkpoint_of_another_arithmetic_is_refused_by_name(options, named):
    p = nn.Parameter(torch.ones(4))
    optimizer = FusedRMSprop([p], eps_inside_sqrt=not named.startswith("eps"), lr=0.5)
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ValueError, match=named):
        optimizer.load_state_dict(timms(**options))
    assert optimizer.state_dict() == before


@pytest.mark.parametrize(
    "options",
    [{}, {"weight_decay": 0.1}, {"decoupled_decay": True}, {"momentum": 0.9, "lr_in_momentum": False}],
    ids=str,
)
def test_a_checkpoint_of_timms_that_can_be_honoured_is(options):
    p = nn.Parameter(torch.ones(4))
    optimizer = FusedRMSprop([p], eps_inside_sqrt=True)
    optimizer.load_state_dict(timms(**options))
    p.grad = torch.linspace(-1, 1, 4)
    expected = bounds(p, p.grad, dict(optimizer.state[p]), **optimizer.param_groups[0])
    optimizer.step()
    assert_stored(p, expected["param"], "param")
