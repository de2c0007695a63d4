"""The from-scratch RMSProp against the book, other frameworks and torch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rmsprop.optimizers.scratch import init_rmsprop_states, rmsprop

DTYPES = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


def parameter(values, gradient, dtype=torch.float64):
    p = torch.tensor(values, dtype=dtype, requires_grad=True)
    p.grad = torch.tensor(gradient, dtype=dtype)
    return p


def test_one_step_is_the_formula_with_eps_inside_the_root():
    p = parameter([3.0], [2.0])
    states = [torch.tensor([5.0], dtype=torch.float64)]
    rmsprop([p], states, {"lr": 0.1, "gamma": 0.9, "eps": 0.5})
    s = 0.9 * 5 + 0.1 * 4
    assert states[0].item() == pytest.approx(s, rel=1e-15)
    assert p.item() == pytest.approx(3 - 0.1 * 2 / (s + 0.5) ** 0.5, rel=1e-15)


@pytest.mark.parametrize("name", ["lr", "gamma", "eps"])
def test_no_hyperparameter_has_a_default_of_its_own(name):
    p = parameter([1.0], [1e-4])
    given = {"lr": 0.1, "gamma": 0.9, "eps": 1e-6}
    del given[name]
    with pytest.raises(KeyError, match=name):
        rmsprop([p], init_rmsprop_states([p]), given)


def test_keras_gold_value():
    p = parameter([1.0, 2.0, 3.0, 4.0], [1.0, 6.0, 7.0, 2.0])
    rmsprop([p], init_rmsprop_states([p]), {"lr": 0.5, "gamma": 0.9, "eps": 1e-7})
    torch.testing.assert_close(
        p.detach(), torch.tensor([-0.5811, 0.4189, 1.4189, 2.4189], dtype=torch.float64), atol=5e-5, rtol=0
    )


def test_tensorflow_1_gold_value_whose_first_state_is_one():
    p = parameter([1.0], [0.1])
    rmsprop([p], [torch.ones_like(p)], {"lr": 2.0, "gamma": 0.9, "eps": 1.0})
    assert p.item() == pytest.approx(0.8549429, abs=5e-8)


def rosenbrock_gradient(x, y):
    """As the test file of Lua Torch computes it."""
    return torch.stack([-2 * (1 - x) - 400 * x * (y - x**2), 200 * x * (y - x**2)])


@pytest.mark.parametrize(
    ("lr", "alpha", "end"),
    [
        (1e-2, 0.99, (1.298377974681, 1.686614574776)),
        (1e-4, 0.99, (1.480165969661, 1.519831605100)),
        (1e-4, 0.95, (1.487998935489, 1.512000771753)),
    ],
)
def test_lua_torch_gold_values_hold_for_torch_with_a_first_state_of_one(lr, alpha, end):
    x = torch.tensor([1.5, 1.5], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.RMSprop([x], lr=lr, alpha=alpha, eps=1e-8)
    optimizer.state[x] = {"step": torch.tensor(0.0), "square_avg": torch.ones_like(x)}
    for _ in range(100):
        x.grad = rosenbrock_gradient(*x.detach())
        optimizer.step()
    assert x.tolist() == pytest.approx(end, abs=1e-11)


def test_scratch_equals_torch_where_the_formulas_agree():
    """With ε so small that it vanishes beside s, its place does not matter."""
    torch_p = torch.linspace(-2, 2, 50, dtype=torch.float64).requires_grad_()
    scratch_p = torch_p.detach().clone().requires_grad_()
    optimizer = torch.optim.RMSprop([torch_p], lr=0.01, alpha=0.9, eps=1e-300)
    states = init_rmsprop_states([scratch_p])
    generator = torch.Generator().manual_seed(0)
    for _ in range(100):
        gradient = torch.randn(50, dtype=torch.float64, generator=generator)
        torch_p.grad, scratch_p.grad = gradient.clone(), gradient.clone()
        optimizer.step()
        rmsprop([scratch_p], states, {"lr": 0.01, "gamma": 0.9, "eps": 1e-300})
    torch.testing.assert_close(scratch_p, torch_p, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_states_and_parameters_keep_their_dtype_and_shape(dtype):
    p = parameter([[1.0, -2.0]], [[0.5, 0.25]], dtype)
    states = init_rmsprop_states([p])
    rmsprop([p], states, {"lr": 0.01, "gamma": 0.9, "eps": 1e-6})
    assert (p.dtype, p.shape, states[0].dtype, states[0].shape) == (dtype, (1, 2), dtype, (1, 2))
    assert torch.isfinite(p).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device; none is here")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_step_on_cuda_equals_the_step_on_the_cpu(dtype):
    cpu = parameter([1.0, -2.0], [0.5, 0.25], dtype)
    cuda = torch.tensor([1.0, -2.0], dtype=dtype, device="cuda", requires_grad=True)
    cuda.grad = cpu.grad.cuda()
    rmsprop([cpu], init_rmsprop_states([cpu]), {"lr": 0.01, "gamma": 0.9, "eps": 1e-6})
    rmsprop([cuda], init_rmsprop_states([cuda]), {"lr": 0.01, "gamma": 0.9, "eps": 1e-6})
    torch.testing.assert_close(cuda.cpu(), cpu)


def test_a_parameter_without_a_gradient_is_refused():
    p = torch.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match="needs a gradient"):
        rmsprop([p], init_rmsprop_states([p]), {"lr": 0.01, "gamma": 0.9, "eps": 1e-6})


def test_one_state_too_few_is_refused():
    p = parameter([1.0], [1.0])
    with pytest.raises(ValueError, match="shorter"):
        rmsprop([p], [], {"lr": 0.01, "gamma": 0.9, "eps": 1e-6})


gradients = st.lists(st.floats(-1e3, 1e3).filter(lambda g: g == 0 or abs(g) > 1e-3), min_size=1, max_size=30)


@given(gradients, st.floats(0, 0.999))
def test_the_state_never_exceeds_the_largest_squared_gradient(values, gamma):
    p = parameter([0.0], [0.0])
    states = init_rmsprop_states([p])
    for g in values:
        p.grad = torch.tensor([g], dtype=torch.float64)
        rmsprop([p], states, {"lr": 0.01, "gamma": gamma, "eps": 1e-6})
        assert 0 <= states[0].item() <= max(v * v for v in values) * (1 + 1e-12)


@given(gradients.filter(lambda values: values[0] != 0), st.floats(1e-3, 1e3), st.floats(0.1, 0.999))
def test_the_step_ignores_the_scale_of_the_gradient_as_eps_vanishes(values, scale, gamma):
    def end(factor):
        p = parameter([0.0], [0.0])
        states = init_rmsprop_states([p])
        for g in values:
            p.grad = torch.tensor([factor * g], dtype=torch.float64)
            rmsprop([p], states, {"lr": 0.01, "gamma": gamma, "eps": 1e-300})
        return p.item()

    assert end(scale) == pytest.approx(end(1.0), rel=1e-9, abs=1e-12)
