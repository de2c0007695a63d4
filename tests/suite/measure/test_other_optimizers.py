import importlib
import math
import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
from torch import nn

from benchmarks.others import GRADIENT_SETS, Optax
from rmsprop.suite.case import ITEMSIZE, Case
from rmsprop.suite.measure import other_optimizers as others
from rmsprop.suite.measure.workload import CaseSkippedError, Workload

CPU = torch.device("cpu")
NAMES = ("optax", "bitsandbytes", "timm", "adagrad")
SHAPES = ((17, 3), (5,), (1,))
STEPS = 20
HYPER = {"lr": 0.01, "alpha": 0.9, "eps": 1e-3}
"""An ε as large as a root of the squared average, so that its place tells."""
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-6}


def need(name, dtype=torch.float32):
    if reason := getattr(others, name).unavailable(CPU, dtype):
        pytest.skip(reason)


def drawn(dtype):
    """Initial parameters, and the gradients of each step."""
    generator = torch.Generator().manual_seed(1)
    sets = [
        [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]
        for _ in range(1 + STEPS)
    ]
    return sets[0], [[1e-2 * g for g in gradients] for gradients in sets[1:]]


def formula(
    dtype=torch.float64,
    *,
    inside=False,
    centered=False,
    momentum=0.0,
    weight_decay=0.0,
    first=0.0,
    hyper=HYPER,
):
    """Where the parameters end, in float64, from what `dtype` holds of parameters and gradients."""
    lr, alpha, eps = hyper["lr"], hyper["alpha"], hyper["eps"]
    initial, gradients = drawn(dtype)
    ends = []
    for index, p in enumerate(initial):
        p = p.double()  # noqa: PLW2901
        s, m, b = torch.full_like(p, first), torch.zeros_like(p), torch.zeros_like(p)
        for step in gradients:
            g = step[index].double() + weight_decay * p
            s = alpha * s + (1 - alpha) * g**2
            m = alpha * m + (1 - alpha) * g if centered else m
            v = s - m**2
            b = momentum * b + g / ((v + eps).sqrt() if inside else v.sqrt() + eps)
            p = p - lr * b  # noqa: PLW2901
        ends.append(p)
    return ends


def ends(make, dtype=torch.float64, prepare=lambda optimizer, params: None):
    """Where the parameters end with the optimizer that `make` gives."""
    initial, gradients = drawn(dtype)
    params = [nn.Parameter(p) for p in initial]
    optimizer = make(params)
    prepare(optimizer, params)
    for step in gradients:
        for p, g in zip(params, step, strict=True):
            p.grad = g
        optimizer.step()
    return [p.detach().clone() for p in params]


def assert_same(found, expected, tolerance):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other.double(), rtol=tolerance, atol=tolerance)


def fused_class():
    try:
        return importlib.import_module("rmsprop.optimizers.fused").FusedRMSprop
    except ImportError as error:
        pytest.skip(f"no FusedRMSprop here: {error}")


MOMENTUM = pytest.mark.parametrize("momentum", [0.0, 0.9])
CENTERED = pytest.mark.parametrize("centered", [False, True])
INSIDE = pytest.mark.parametrize("inside", [False, True])
DTYPES = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)


def optax_ends(dtype, *, inside, centered, momentum):
    need("optax", dtype)
    return ends(
        lambda params: Optax(
            params, **HYPER, eps_in_sqrt=inside, centered=centered, momentum=momentum or None
        ),
        dtype,
    )


@DTYPES
@MOMENTUM
@CENTERED
@INSIDE
def test_optax_takes_the_steps_of_the_formula(dtype, inside, centered, momentum):
    found = optax_ends(dtype, inside=inside, centered=centered, momentum=momentum)
    expected = formula(dtype, inside=inside, centered=centered, momentum=momentum)
    assert_same(found, expected, 10 * TOLERANCE[dtype])
    other = formula(dtype, inside=not inside, centered=centered, momentum=momentum)
    assert max(float((a - b).abs().max()) for a, b in zip(found, other, strict=True)) > 1e-3


@DTYPES
@MOMENTUM
@CENTERED
def test_optax_with_eps_outside_the_root_is_torchs_rmsprop(dtype, centered, momentum):
    found = optax_ends(dtype, inside=False, centered=centered, momentum=momentum)
    expected = ends(
        lambda params: torch.optim.RMSprop(params, **HYPER, centered=centered, momentum=momentum), dtype
    )
    assert_same(found, expected, 10 * TOLERANCE[dtype])


@DTYPES
@MOMENTUM
@CENTERED
@INSIDE
def test_optax_agrees_with_fused(dtype, inside, centered, momentum):
    fused = fused_class()
    found = optax_ends(dtype, inside=inside, centered=centered, momentum=momentum)
    expected = ends(
        lambda params: fused(params, **HYPER, centered=centered, momentum=momentum, eps_inside_sqrt=inside),
        dtype,
    )
    assert_same(found, expected, 10 * TOLERANCE[dtype])


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("which", ["formula", "torch", "fused"])
def test_bitsandbytes_is_torchs_rmsprop_in_float32(which, weight_decay):
    need("bitsandbytes")
    bitsandbytes = importlib.import_module("bitsandbytes")
    dtype, options = torch.float32, {**HYPER, "weight_decay": weight_decay}
    found = ends(lambda params: bitsandbytes.optim.RMSprop(params, **options), dtype)
    if which == "formula":
        expected = formula(dtype, weight_decay=weight_decay)
    else:
        other = torch.optim.RMSprop if which == "torch" else fused_class()
        expected = ends(lambda params: other(params, **options), dtype)
    assert_same(found, expected, TOLERANCE[dtype])


def test_bitsandbytes_ignores_momentum_and_refuses_centered():
    need("bitsandbytes")
    optimizer = importlib.import_module("bitsandbytes").optim.RMSprop
    found = ends(lambda params: optimizer(params, **HYPER, momentum=0.9), torch.float32)
    assert_same(found, formula(torch.float32), TOLERANCE[torch.float32])
    with pytest.raises(NotImplementedError, match="Centered"):
        optimizer([nn.Parameter(torch.ones(1))], centered=True)


@DTYPES
@MOMENTUM
@CENTERED
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("which", ["formula", "fused"])
def test_timm_starts_from_one_and_has_eps_inside_the_root(which, dtype, centered, momentum, weight_decay):
    need("timm")
    options = {**HYPER, "centered": centered, "momentum": momentum, "weight_decay": weight_decay}
    found = ends(lambda params: others.rmsprop_tf()(params, **options), dtype)
    if which == "formula":
        flags = {key: value for key, value in options.items() if key not in HYPER}
        expected = formula(dtype, inside=True, first=1.0, **flags)
    else:
        fused = fused_class()
        expected = ends(lambda params: fused(params, **options, eps_inside_sqrt=True), dtype, start_from_one)
    assert_same(found, expected, TOLERANCE[dtype])


def start_from_one(optimizer, params):
    """As RMSpropTF does; the other states keep their zeros."""
    for p in params:
        p.grad = torch.zeros_like(p)
    optimizer.step()
    initial, _ = drawn(params[0].dtype)
    for p, before in zip(params, initial, strict=True):
        optimizer.state[p]["square_avg"].fill_(1.0)
        for key in ("grad_avg", "momentum_buffer"):
            if key in optimizer.state[p]:
                optimizer.state[p][key].zero_()
        p.data.copy_(before)


@pytest.mark.parametrize("dtype", ITEMSIZE)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("size", "layout", "threads"), [("6", "book", 1), ("1e5", "single", 0)])
def test_each_runs_in_the_matrix(name, dtype, size, layout, threads):
    case = Case(f"benchmarks.others:{name}", "cpu", dtype, size, layout, threads)
    try:
        with Workload(case) as workload:
            assert workload.time(2) > 0
            assert all(p.isfinite().all() for p in workload.params)
            checked_by_formula = not any("checked" in note for note in workload.notes)
    except CaseSkippedError as reason:
        pytest.skip(str(reason))
    assert checked_by_formula == (name in {"optax", "bitsandbytes"})


def optax_over(*params):
    need("optax")
    for p in params:
        p.grad = torch.ones_like(p)
    return Optax(list(params), lr=0.5, alpha=0.0, eps=0.0)


def test_torch_sees_what_optax_writes_and_optax_what_torch_writes():
    p = nn.Parameter(torch.full((3,), 2.0))
    optimizer = optax_over(p)  # alpha = eps = 0: each step is lr times the gradient's sign
    address = p.data_ptr()
    optimizer.step()
    assert p.tolist() == [1.5] * 3
    p.data.fill_(7.0)
    optimizer.step()
    assert p.tolist() == [6.5] * 3
    assert p.data_ptr() == address


def test_optax_follows_gradients_that_are_replaced_or_changed_in_place():
    p = nn.Parameter(torch.zeros(2))
    optimizer = optax_over(p)
    signs = [math.copysign(1, math.sin(n)) for n in range(3 * GRADIENT_SETS)]
    for sign in signs:
        p.grad = torch.full((2,), sign)
        optimizer.step()
        p.grad.neg_()
        optimizer.step()
        p.grad.neg_()
        optimizer.step()
    assert p.tolist() == [-0.5 * sum(signs)] * 2


def test_parameters_outlive_optax():
    p = nn.Parameter(torch.zeros(10**6))
    optimizer = optax_over(p)
    optimizer.step()
    del optimizer
    others_memory = [torch.full((10**6,), 3.0) for _ in range(4)]
    assert p.detach().eq(-0.5).all()
    assert len(others_memory) == 4


def test_optax_needs_every_gradient():
    p, q = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(2))
    optimizer = optax_over(p, q)
    q.grad = None
    with pytest.raises(ValueError, match="needs the gradient of each parameter"):
        optimizer.step()
    assert p.tolist() == [0.0] * 2


def test_optax_has_torchs_threads_and_leaves_the_environment_alone(monkeypatch):
    need("optax")
    monkeypatch.setenv("NPROC", "3")
    threads = torch.get_num_threads()
    try:
        started = []
        for count in (1, 2, 1):
            torch.set_num_threads(count)
            before = pool_threads()
            p = nn.Parameter(torch.zeros(10**5))
            optax_over(p).step()
            assert p.detach().eq(-0.5).all()
            started.append(len(pool_threads() - before))
        assert started[1:] == [2, 1]  # the first is 0 if the pool had that size before
    finally:
        torch.set_num_threads(threads)
    assert os.environ["NPROC"] == "3"


def pool_threads():
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("the threads of a process are listed on Linux alone")
    return {task.name for task in tasks.iterdir() if "XLAEigen" in (task / "comm").read_text()}


def not_found(name):
    raise PackageNotFoundError(name)


def test_one_that_is_not_installed_says_so(monkeypatch):
    monkeypatch.setattr(others, "find_spec", lambda name: None)
    monkeypatch.setattr(others, "distribution", not_found)
    for name in ("optax", "bitsandbytes", "timm"):
        reason = getattr(others, name).unavailable(CPU, torch.float32)
        assert reason.startswith("not installed: ")
        assert name in reason


def test_none_claims_what_it_cannot_do():
    need("optax")
    need("bitsandbytes")
    assert "CPU alone" in others.optax.unavailable(torch.device("cuda"), torch.float32)
    assert "float32" in others.bitsandbytes.unavailable(CPU, torch.float64)


@pytest.mark.slow
def test_importing_the_module_imports_none_of_the_packages():
    script = (
        "import sys, benchmarks.others;"
        "print({'jax', 'optax', 'bitsandbytes', 'timm', 'pytest'} & set(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.strip() == "set()"


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = others.nothing
