"""The C++ walk makes each launch from what the optimizer holds now: nothing that was replaced is missed."""

import random
from collections.abc import Callable
from importlib.util import find_spec
from itertools import islice
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from rmsprop import FusedRMSprop
from rmsprop.optimizers.fused import cuda as fused_cuda
from rmsprop.optimizers.fused.batches import batches
from rmsprop.optimizers.fused.build import load_kernel
from rmsprop.optimizers.fused.options import StepOptions
from tests.optimizers.fused.reference import DEVICES, TOLERANCE, parameters
from tests.optimizers.fused.test_cuda import INTERPRETED

EVERYTHING = {"centered": True, "momentum": 0.9, "weight_decay": 0.1, "alpha": 0.9}
SIZES = (3, 5000, 1, 17, 1024)


def made(device: str = "cpu", **options: Any) -> FusedRMSprop:
    """Two groups with state and gradients; the second has half types and a learning rate of its own."""
    first = parameters(*((size,) for size in SIZES), device=device)
    second = [
        *parameters((4, 5), (9,), dtype=torch.bfloat16, device=device),
        *parameters((2,), device=device),
    ]
    groups = [{"params": first}, {"params": second, "lr": 0.5, "maximize": True}]
    optimizer = FusedRMSprop(groups, **options)
    for group in optimizer.param_groups:
        for p in group["params"]:
            p.grad = torch.ones_like(p)
            state = optimizer.state[p]
            state["step"] = torch.zeros((), device=device)
            for key in ("square_avg", "grad_avg", "momentum_buffer"):
                state[key] = torch.full_like(p, 0.5)
    return optimizer


def walked(optimizer: FusedRMSprop, partly: bool = True) -> tuple[list, list[fused_cuda.Launch]]:
    """What the walk leaves: parameters, and launches."""
    launched = optimizer.param_groups[0]["params"][0].device.type
    left = load_kernel().step(
        optimizer.param_groups, optimizer.state, 1.0, partly, False, launched, fused_cuda.BLOCK
    )
    rest, launches = left or ([], [])
    return rest, [fused_cuda.Launch(*launch) for launch in launches]


def expected(optimizer: FusedRMSprop) -> list[tuple[fused_cuda.Launch, dict]]:
    """The launches that Python makes of the same tensors, each with its group."""
    pairs = [(g, p) for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
    found: list[tuple[fused_cuda.Launch, dict]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_cuda, "launch", lambda it, **_: launches.append(it))
        for batch in batches(pairs, optimizer.state):
            launches: list[fused_cuda.Launch] = []
            keys = ("square_avg", "grad_avg", "momentum_buffer", "step")
            fused_cuda.step(
                (batch.params, batch.grads, *(batch.state.get(key, []) for key in keys)),
                StepOptions.of(batch.group, None, None),
            )
            found.append((launches[0], dict(batch.group)))
    return found


def assert_walks_as_python_does(optimizer: FusedRMSprop) -> None:
    rest, launches = walked(optimizer)
    assert rest == []
    oracle = expected(optimizer)
    assert len(launches) == len(oracle)
    for ours, (theirs, group) in zip(launches, oracle, strict=True):
        assert ours[1:] == theirs[1:]
        assert ours.group is next(g for g in optimizer.param_groups if g["params"] is group["params"])


def fresh(tensor: Tensor) -> Tensor:
    """Another tensor of the same values; both stay alive, so that no address comes back."""
    KEPT.append(tensor)
    return tensor.detach().clone()


KEPT: list[Tensor] = []


def of_state(key: str) -> Callable[[FusedRMSprop, dict, int], None]:
    def replace(optimizer: FusedRMSprop, group: dict, i: int) -> None:
        state = optimizer.state[group["params"][i]]
        state[key] = fresh(state[key])

    return replace


def of_option(name: str, value: Any) -> Callable[[FusedRMSprop, dict, int], None]:
    def replace(optimizer: FusedRMSprop, group: dict, i: int) -> None:
        group[name] = value

    return replace


def grad(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = group["params"][i]
    p.grad = None if p.grad is None else fresh(p.grad)


def grads_memory(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = group["params"][i]
    if p.grad is not None:
        p.grad.data = fresh(p.grad)


def no_grad(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    group["params"][i].grad = None


def memory(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = group["params"][i]
    p.data = fresh(p.data)


def parameter(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = group["params"][i]
    q = nn.Parameter(fresh(p))
    q.grad = None if p.grad is None else fresh(p.grad)
    optimizer.state[q] = {key: fresh(tensor) for key, tensor in optimizer.state.pop(p).items()}
    group["params"][i] = q


def whole_state(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = group["params"][i]
    optimizer.state[p] = {key: fresh(tensor) for key, tensor in optimizer.state[p].items()}


def size(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = group["params"][i]
    p.grad = None
    p.data = torch.ones(p.numel() + 1, dtype=p.dtype)
    p.grad = torch.ones_like(p)
    for key in ("square_avg", "grad_avg", "momentum_buffer"):
        optimizer.state[p][key] = torch.ones_like(p)


def dtype(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    state = optimizer.state[group["params"][i]]
    for key in ("square_avg", "grad_avg", "momentum_buffer"):
        state[key] = state[key].float()


def order(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    group["params"].reverse()


def params_list(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    group["params"] = group["params"][:-1] if len(group["params"]) > 2 else list(group["params"])


def new_group(optimizer: FusedRMSprop, group: dict, i: int) -> None:
    p = nn.Parameter(torch.ones(6))
    p.grad = torch.ones(6)
    optimizer.add_param_group({"params": [p], **{k: v for k, v in group.items() if k != "params"}})
    keys = ("square_avg", "grad_avg", "momentum_buffer")
    optimizer.state[p] = {key: torch.ones(6) for key in keys} | {"step": torch.zeros(())}


REPLACEMENTS = {
    "gradient": grad,
    "gradient's memory": grads_memory,
    "gradient by None": no_grad,
    "parameter's memory": memory,
    "parameter": parameter,
    "dictionary of state": whole_state,
    "size": size,
    "dtype of state": dtype,
    "order": order,
    "list of parameters": params_list,
    "group": new_group,
    **{key: of_state(key) for key in ("square_avg", "grad_avg", "momentum_buffer", "step")},
    "centered": of_option("centered", True),
    "momentum": of_option("momentum", 0.5),
    "no momentum": of_option("momentum", 0.0),
}


@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
@pytest.mark.parametrize("name", REPLACEMENTS)
def test_each_thing_that_is_replaced_is_seen_in_the_next_walk(name, options):
    optimizer = made(**options)
    assert_walks_as_python_does(optimizer)
    for i, group in enumerate(optimizer.param_groups[:2]):
        REPLACEMENTS[name](optimizer, group, i + 1)
        assert_walks_as_python_does(optimizer)
    KEPT.clear()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(REPLACEMENTS)), st.integers(0, 1), st.integers(0, 2)), max_size=12
    )
)
def test_any_replacements_one_after_the_other_are_seen(replaced):
    optimizer = made(**EVERYTHING)
    for name, number, i in replaced:
        group = optimizer.param_groups[number]
        REPLACEMENTS[name](optimizer, group, i % len(group["params"]))
        assert_walks_as_python_does(optimizer)
    KEPT.clear()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=3),
    st.integers(0, 2**32),
    st.sampled_from([{}, {"momentum": 0.9}, {"centered": True, "momentum": 0.9}]),
)
def test_of_many_parameters_each_is_stepped_whatever_the_order_of_state_and_gradients(counts, seed, options):
    """The walk takes parameters in blocks, and looks state up along the order of the parameters."""
    drawn = random.Random(seed)
    both = []
    for kind in (FusedRMSprop, torch.optim.RMSprop):
        params = parameters(*((3,) for _ in range(sum(counts))))
        rest = iter(params)
        groups = [
            {"params": list(islice(rest, count)), "lr": 0.1 * (i + 1)} for i, count in enumerate(counts)
        ]
        both.append((kind(groups, **options), params))
    for _ in range(3):
        having = [drawn.random() < 0.7 for _ in range(sum(counts))]
        order = drawn.sample(range(sum(counts)), sum(counts))
        for optimizer, params in both:
            for i, p in enumerate(params):
                p.grad = torch.full_like(p, 1.0 + i) if having[i] else None
            optimizer.step()
            kept = [(params[i], optimizer.state[params[i]]) for i in order if params[i] in optimizer.state]
            optimizer.state.clear()
            optimizer.state.update(kept)
    (ours, ps), (theirs, qs) = both
    bound = TOLERANCE[torch.float32]
    for p, q in zip(ps, qs, strict=True):
        torch.testing.assert_close(p, q, rtol=bound, atol=bound)
        torch.testing.assert_close(dict(ours.state.get(p, {})), dict(theirs.state.get(q, {})))


def test_the_walk_counts_versions_and_changes_nothing_where_something_is_left_to_others():
    optimizer = made()
    p = optimizer.param_groups[1]["params"][0]
    del optimizer.state[p]
    versions = [q._version for group in optimizer.param_groups for q in group["params"]]
    rest, launches = walked(optimizer, partly=False)
    assert [q is p for _, q in rest] == [True]
    assert launches == []
    assert [q._version for group in optimizer.param_groups for q in group["params"]] == versions
    rest, launches = walked(optimizer)
    assert len(launches) == 3
    assert [q._version for g in optimizer.param_groups for q in g["params"] if q is not p] == [
        version + 1 for version in (*versions[:5], *versions[6:])
    ]


@pytest.mark.parametrize("what", ["sparse", "strides", "shape", "dtype", "step"])
def test_what_the_kernel_cannot_walk_is_left_to_others(what):
    optimizer = made()
    p = optimizer.param_groups[1]["params"][0]
    state = optimizer.state[p]
    if what == "sparse":
        p.grad = torch.zeros_like(p).to_sparse()
    elif what == "strides":
        p.grad = torch.zeros(p.shape[::-1], dtype=p.dtype).T
    elif what == "shape":
        state["square_avg"] = torch.zeros(7, dtype=p.dtype)
    elif what == "dtype":
        state["square_avg"] = state["square_avg"].double()
    else:
        state["step"] = 3
    rest, _ = walked(optimizer, partly=False)
    assert [q is p for _, q in rest] == [True]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("lr", -1.0, "learning rate"), ("eps", float("nan"), "epsilon"), ("alpha", 1.0, "alpha")],
)
def test_options_out_of_their_range_raise_before_anything_changes(name, value, words):
    optimizer = made()
    optimizer.param_groups[1][name] = value
    with pytest.raises(ValueError, match=words):
        walked(optimizer)
    assert optimizer.param_groups[0]["params"][0]._version == 0


@pytest.mark.filterwarnings("ignore::RuntimeWarning:triton")
@pytest.mark.skipif(not INTERPRETED or not find_spec("triton"), reason="needs TRITON_INTERPRET=1")
@pytest.mark.parametrize("options", [{}, EVERYTHING], ids=str)
def test_steps_by_way_of_launches_are_the_steps_of_the_cpu(options):
    launched, plain = (FusedRMSprop(parameters((3, 5), (1030,), (), (0, 2)), **options) for _ in range(2))
    launched._launched = "cpu"
    for number in range(4):
        for optimizer in (launched, plain):
            for p in optimizer.param_groups[0]["params"]:
                p.grad = torch.full_like(p, 0.25 + number)
            optimizer.step()
    for p, q in zip(launched.param_groups[0]["params"], plain.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(p, q, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(dict(launched.state[p]), dict(plain.state[q]), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("device", DEVICES[1:])
def test_on_cuda_the_second_step_is_launched_without_a_walk_in_python(device, monkeypatch):
    optimizer = made(device)
    optimizer.step()
    monkeypatch.setattr(FusedRMSprop, "_step_rest", None)
    optimizer.step()
    assert {state["step"].item() for state in optimizer.state.values()} == {2}
    assert_walks_as_python_does(optimizer)
