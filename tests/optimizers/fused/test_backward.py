"""FusedRMSpropInBackward ends where FusedRMSprop ends, and refuses what needs all gradients at once."""

import copy
import gc
import pickle
import weakref

import pytest
import torch
from torch import nn

from rmsprop.optimizers.fused import FusedRMSprop, FusedRMSpropInBackward
from tests.optimizers.fused.reference import DEVICES, assert_same_bits, snapshot

EVERYTHING = {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}


def network(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 3))


def batch(number, dtype=torch.float32):
    return torch.randn(8, 5, generator=torch.Generator().manual_seed(number)).to(dtype)


def loss_of(net, number=0):
    weight = next(net.parameters())
    return net(batch(number, weight.dtype).to(weight.device)).float().pow(2).sum()


def train(net, optimizer, steps=5, first=0, scheduler=None):
    for number in range(first, first + steps):
        optimizer.zero_grad()
        loss_of(net, number).backward()
        optimizer.step()
        if scheduler:
            scheduler.step()


def pair(**options):
    nets = network(), network()
    return nets, (FusedRMSpropInBackward(nets[0], **options), FusedRMSprop(nets[1].parameters(), **options))


@pytest.mark.parametrize(
    "options",
    [{}, EVERYTHING, {"maximize": True, "eps_inside_sqrt": True}, {"lr": torch.tensor(0.01)}],
    ids=str,
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("device", DEVICES)
def test_training_ends_at_the_same_bits_as_with_steps_after_the_backward_pass(device, dtype, options):
    nets, optimizers = pair(**options)
    for net, optimizer in zip(nets, optimizers, strict=True):
        net.to(device, dtype)
        train(net, optimizer)
    assert_same_bits(*(snapshot(optimizer) for optimizer in optimizers))
    assert {state["step"].item() for state in optimizers[0].state.values()} == {5}


def test_no_two_gradients_are_there_together_and_none_after_the_backward_pass():
    net = network()
    _optimizer = FusedRMSpropInBackward(net)
    seen = []
    for p in net.parameters():
        p.register_post_accumulate_grad_hook(
            lambda _: seen.append(sum(q.grad is not None for q in net.parameters()))
        )
    loss_of(net).backward()
    assert seen == [0] * 6
    assert all(p.grad is None for p in net.parameters())


def test_a_checkpoint_is_that_of_one_optimizer_and_loads_either_way():
    nets, (inside, after) = pair(**EVERYTHING)
    train(nets[0], inside, 3)
    assert len(inside.state_dict()["param_groups"]) == 1
    nets[1].load_state_dict(nets[0].state_dict())
    after.load_state_dict(copy.deepcopy(inside.state_dict()))
    inside.load_state_dict(copy.deepcopy(after.state_dict()))
    for net, optimizer in zip(nets, (inside, after), strict=True):
        train(net, optimizer, 3, first=3)
    assert_same_bits(snapshot(inside), snapshot(after))
    assert {state["step"].item() for state in inside.state.values()} == {6}  # each gradient is taken once


def test_a_scheduler_sets_the_rate_of_the_next_backward_pass_and_warns_of_nothing():
    nets, optimizers = pair(lr=0.1)
    for net, optimizer in zip(nets, optimizers, strict=True):
        train(net, optimizer, scheduler=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5))
    assert optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 / 32)
    assert_same_bits(*(snapshot(optimizer) for optimizer in optimizers))


def test_groups_have_their_own_options_also_one_that_is_added_later():
    nets = network(), network()
    optimizers = [
        make([{"params": list(net[0].parameters()), "lr": 0.5}, {"params": list(net[2].parameters())}])
        for make, net in zip((FusedRMSpropInBackward, FusedRMSprop), nets, strict=True)
    ]
    for net, optimizer in zip(nets, optimizers, strict=True):
        optimizer.add_param_group({"params": list(net[3].parameters()), "momentum": 0.5})
        train(net, optimizer)
    assert_same_bits(*(snapshot(optimizer) for optimizer in optimizers))


def test_a_second_backward_pass_is_a_second_step():
    nets, (inside, after) = pair()
    for number in range(2):
        loss_of(nets[0], number).backward()
    inside.step()
    train(nets[1], after, 2)
    assert_same_bits(snapshot(inside), snapshot(after))


def test_a_gradient_that_was_set_by_hand_and_a_frozen_parameter_are_left_to_step():
    nets = network(), network()
    nets[0][0].weight.requires_grad_(False)
    inside = FusedRMSpropInBackward(nets[0])
    after = FusedRMSprop(nets[1].parameters())
    nets[0][0].weight.requires_grad_(True)  # no hook could be registered for it
    for net, optimizer in zip(nets, (inside, after), strict=True):
        train(net, optimizer, 2)
    assert_same_bits(snapshot(inside), snapshot(after))


def test_closures_and_grad_scalers_are_refused_with_the_reason():
    net = network()
    with pytest.raises(RuntimeError, match="expected amp_scaling=False"):
        FusedRMSpropInBackward(net, amp_scaling=True)
    optimizer = FusedRMSpropInBackward(net)
    with pytest.raises(RuntimeError, match="expected no closure"):
        optimizer.step(lambda: loss_of(net))
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(loss_of(net)).backward()
    with pytest.raises(AssertionError, match="No inf checks"):  # torch's words for: no gradient is there
        scaler.step(optimizer)


def test_what_the_step_refuses_is_refused_in_the_backward_pass_and_changes_nothing():
    net = network()
    optimizer = FusedRMSpropInBackward(net)
    before = copy.deepcopy(net.state_dict())
    optimizer.param_groups[0]["lr"] = -1.0
    with pytest.raises(ValueError, match="learning rate"):
        loss_of(net).backward()
    assert_same_bits(net.state_dict(), before)


def test_pickled_together_with_its_network_it_goes_on_in_the_backward_pass():
    net = network()
    optimizer = FusedRMSpropInBackward(net)
    train(net, optimizer, 2)
    twin, its = pickle.loads(pickle.dumps((net, optimizer)))
    for each in ((net, optimizer), (twin, its)):
        train(*each, 2, first=2)
    assert {state["step"].item() for state in its.state.values()} == {4}
    assert_same_bits(snapshot(optimizer), snapshot(its))


def test_detached_it_is_fused_rmsprop():
    net = network()
    optimizer = FusedRMSpropInBackward(net)
    optimizer.detach()
    loss_of(net).backward()
    assert all(p.grad is not None for p in net.parameters())
    optimizer.step()
    assert {state["step"].item() for state in optimizer.state.values()} == {1}


def test_a_weight_that_two_layers_share_is_stepped_once_with_the_sum_of_its_gradients():
    nets = [nn.Sequential(nn.Linear(5, 5), nn.Tanh(), nn.Linear(5, 5)) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    for net in nets:
        net[2].weight = net[0].weight
    optimizers = FusedRMSpropInBackward(nets[0]), FusedRMSprop(nets[1].parameters())
    for net, optimizer in zip(nets, optimizers, strict=True):
        train(net, optimizer, 3)
    assert_same_bits(*(snapshot(optimizer) for optimizer in optimizers))
    assert {state["step"].item() for state in optimizers[0].state.values()} == {3}


def test_a_hook_of_a_tensor_clips_its_gradient_before_the_step():
    nets, optimizers = pair(lr=0.1)
    for p in (*nets[0].parameters(), *nets[1].parameters()):
        p.register_hook(lambda grad: grad.clamp(-0.01, 0.01))
    for net, optimizer in zip(nets, optimizers, strict=True):
        train(net, optimizer, 2)
    assert_same_bits(*(snapshot(optimizer) for optimizer in optimizers))


def test_parameters_and_optimizer_are_freed_when_nothing_refers_to_them_any_more():
    net = network()
    optimizer = FusedRMSpropInBackward(net)
    loss_of(net).backward()
    freed = [weakref.ref(each) for each in (optimizer, *net.parameters())]
    del net, optimizer
    gc.collect()
    assert [each() for each in freed] == [None] * 7


def test_a_deleted_optimizer_steps_no_longer():
    net = network()
    optimizer = FusedRMSpropInBackward(net)
    before = copy.deepcopy(net.state_dict())
    del optimizer
    gc.collect()
    loss_of(net).backward()
    assert all(p.grad is not None for p in net.parameters())
    assert_same_bits(net.state_dict(), before)
