"""Tensor subclasses: FusedRMSprop steps them as torch.optim.RMSprop does, or refuses and changes nothing."""

import copy

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.utils._pytree import tree_map

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import (
    EVERYTHING,
    Pair,
    assert_same_bits,
    parameters,
    params_of,
)

pytestmark = pytest.mark.skipif(not dist.is_available(), reason="this torch was built without distributed")


class Wrapped(torch.Tensor):
    """Its elements are in another tensor; it knows plain operations and none on lists."""

    unknown = ""

    @staticmethod
    def __new__(cls, inside):
        return torch.Tensor._make_wrapper_subclass(cls, inside.shape, dtype=inside.dtype)

    def __init__(self, inside):
        self.inside = inside

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        name = function.__name__
        if "foreach" in name or (cls.unknown and cls.unknown in name):
            raise NotImplementedError(name)
        unwrapped = tree_map(lambda t: t.inside if isinstance(t, Wrapped) else t, (args, kwargs or {}))
        made = function(*unwrapped[0], **unwrapped[1])
        if name.split(".")[0].endswith("_"):
            return args[0]
        return tree_map(lambda t: cls(t) if isinstance(t, torch.Tensor) else t, made)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("options", [{}, EVERYTHING, {"momentum": 0.9}, {"centered": True}], ids=str)
def test_a_subclass_that_knows_plain_operations_alone_takes_torchs_steps_bit_for_bit(dtype, options):
    found = []
    for kind in (FusedRMSprop, torch.optim.RMSprop):
        params = [nn.Parameter(Wrapped(p.detach())) for p in parameters((3, 5), (7,), dtype=dtype)]
        optimizer = kind(params, **options)
        for _ in range(3):
            for p in params:
                p.grad = Wrapped(p.detach().inside.cos())
            optimizer.step()
        states = [optimizer.state[p] for p in params]
        found.append(
            [*(p.inside for p in params), *(s[k].inside for s in states for k in sorted(s.keys() - {"step"}))]
        )
        assert {s["step"].item() for s in states} == {3.0}
    assert_same_bits(*found)


@pytest.mark.parametrize("unknown", ["mul", "addcmul", "sqrt", "addcdiv"])
def test_a_subclass_that_lacks_an_operation_raises_before_anything_changes(unknown, monkeypatch):
    plain = parameters((3, 5), (7,))
    strange = nn.Parameter(Wrapped(torch.ones(4)))
    optimizer = FusedRMSprop([plain[0], strange, plain[1]], momentum=0.9)

    def give_gradients():
        for p in plain:
            p.grad = torch.ones_like(p)
        strange.grad = Wrapped(torch.ones(4))

    give_gradients()
    optimizer.step()
    give_gradients()
    before = [p.detach().clone() for p in plain], strange.inside.clone()
    monkeypatch.setattr(Wrapped, "unknown", unknown)
    with pytest.raises(NotImplementedError, match=unknown):
        optimizer.step()
    monkeypatch.undo()
    assert_same_bits(([p.detach() for p in plain], strange.inside), before)
    assert {state["step"].item() for state in optimizer.state.values()} == {1.0}
    optimizer.step()
    assert {state["step"].item() for state in optimizer.state.values()} == {2.0}


class Named(torch.Tensor):
    """A subclass that adds methods and keeps its elements as tensors do."""


def test_a_subclass_that_is_a_tensor_in_memory_takes_torchs_steps():
    def make():
        return [p.detach().as_subclass(Named).requires_grad_() for p in parameters((3, 5), (7,))]

    pair = Pair(make, **EVERYTHING)
    pair.step(3, layout=lambda g: g.clone().as_subclass(Named))


# ---- DTensor


@pytest.fixture
def mesh(tmp_path):
    """A mesh of this process alone, over gloo."""
    device_mesh = pytest.importorskip("torch.distributed.device_mesh")
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield device_mesh.init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


def placements():
    tensor = pytest.importorskip("torch.distributed.tensor")
    return [tensor.Shard(0)], [tensor.Replicate()], [tensor.Partial()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
@pytest.mark.parametrize("kind", [0, 1], ids=["sharded", "replicated"])
def test_dtensors_take_the_kernels_steps_on_what_lies_on_their_rank(mesh, dtype, options, kind):
    tensor = torch.distributed.tensor
    plain = FusedRMSprop(parameters((4, 6), (7,), dtype=dtype), **options)
    params = [
        nn.Parameter(tensor.distribute_tensor(p.detach(), mesh, placements()[kind]))
        for p in parameters((4, 6), (7,), dtype=dtype)
    ]
    optimizer = FusedRMSprop(params, **options)
    memory = [p.to_local().data_ptr() for p in params]
    for number in range(3):
        for p, q in zip(params_of(plain), params, strict=True):
            p.grad = (p.detach() + number).cos()
            q.grad = tensor.distribute_tensor(p.grad, mesh, placements()[2 if number == 2 else kind])
        versions = [p._version for p in params]
        plain.step()
        optimizer.step()
        assert all(p._version > v for p, v in zip(params, versions, strict=True))
    assert [p.to_local().data_ptr() for p in params] == memory
    for p, q in zip(params_of(plain), params, strict=True):
        assert_same_bits(q.full_tensor().detach(), p.detach())
        state = optimizer.state[q]
        assert state.keys() == plain.state[p].keys()
        for name in state.keys() - {"step"}:
            assert isinstance(state[name], tensor.DTensor)
            assert_same_bits(state[name].full_tensor(), plain.state[p][name])
        assert state["step"].item() == 3


def test_a_dtensor_whose_gradient_or_state_lies_otherwise_raises_before_anything_changes(mesh):
    tensor = torch.distributed.tensor
    plain = parameters((3, 5))[0]
    p = nn.Parameter(tensor.distribute_tensor(torch.ones(4, 6), mesh, placements()[0]))
    optimizer = FusedRMSprop([plain, p])

    def give_gradients():
        plain.grad = torch.ones_like(plain)
        p.grad = tensor.distribute_tensor(torch.ones(4, 6), mesh, placements()[0])

    give_gradients()
    optimizer.step()
    before = plain.detach().clone(), p.full_tensor().detach().clone()
    right = optimizer.state[p]["square_avg"]
    for wrong in (torch.ones(4, 6), tensor.distribute_tensor(torch.ones(4, 6), mesh, placements()[1])):
        optimizer.state[p]["square_avg"] = wrong
        give_gradients()
        with pytest.raises(RuntimeError, match="square_avg as a DTensor"):
            optimizer.step()
        assert_same_bits((plain.detach(), p.full_tensor().detach()), before)
        assert optimizer.state[plain]["step"] == optimizer.state[p]["step"] == 1
    optimizer.state[p]["square_avg"] = right
    optimizer.step()


def test_a_checkpoint_of_dtensors_continues(mesh):
    tensor = torch.distributed.tensor

    def make():
        return nn.Parameter(tensor.distribute_tensor(torch.ones(4, 6), mesh, placements()[0]))

    p, q = make(), make()
    first, second = FusedRMSprop([p], **EVERYTHING), FusedRMSprop([q])
    p.grad = tensor.distribute_tensor(torch.ones(4, 6), mesh, placements()[0])
    first.step()
    second.load_state_dict(copy.deepcopy(first.state_dict()))  # else they share it
    with torch.no_grad():
        q.copy_(p)
    for optimizer, one in ((first, p), (second, q)):
        one.grad = tensor.distribute_tensor(torch.full((4, 6), 0.5), mesh, placements()[0])
        optimizer.step()
    assert_same_bits(p.full_tensor(), q.full_tensor())
