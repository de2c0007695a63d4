"""Groups, options, schedulers and what is replaced between steps: as with torch.optim.RMSprop."""

import pytest
import torch
from torch.optim import lr_scheduler

from tests.optimizers.fused.reference import (
    EVERYTHING,
    Pair,
    parameters,
    params_of,
)


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
