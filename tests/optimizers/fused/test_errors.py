"""Bad input: torch's errors for the same arguments, one clear message for the rest, and nothing changed."""

import copy
import re

import pytest
import torch
from torch import nn

from rmsprop import FusedRMSprop
from tests.optimizers.fused.reference import needs_cuda, parameters, params_of

NAN = float("nan")
BOTH = [FusedRMSprop, torch.optim.RMSprop]


def stepped(*shapes, kind=FusedRMSprop, **options):
    """An optimizer after two steps, with new gradients waiting."""
    optimizer = kind(parameters(*(shapes or [(3, 5), (7,)])), **options)
    for _ in range(2):
        give_gradients(optimizer)
        optimizer.step()
    give_gradients(optimizer)
    return optimizer


def give_gradients(optimizer):
    for p in params_of(optimizer):
        p.grad = p.detach().sin()


def snapshot(optimizer):
    """Copies of parameters, states and groups."""
    params = params_of(optimizer)
    groups = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
    states = [dict(optimizer.state[p]) if p in optimizer.state else None for p in params]
    return copy.deepcopy([(p.detach(), state) for p, state in zip(params, states, strict=True)]), groups


def assert_unchanged(optimizer, before):
    after = snapshot(optimizer)
    torch.testing.assert_close(after[0], before[0], rtol=0, atol=0, equal_nan=True)
    assert after[1] == before[1]


def assert_one_clear_line(error):
    text = str(error.value)
    assert len(text) > 10
    assert "\n" not in text.strip()


# ---- construction


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torchs_own_bad_inputs_raise_torchs_own_errors(dtype):
    pytest.importorskip("expecttest", reason="torch's own optimizer inputs need the package expecttest")
    from torch.testing._internal.common_optimizers import (  # noqa: PLC0415
        OptimizerErrorEnum,
        optim_error_inputs_func_rmsprop,
    )

    cases = optim_error_inputs_func_rmsprop("cpu", dtype)
    assert len(cases) >= 7
    for case in cases:
        assert case.error_on is OptimizerErrorEnum.CONSTRUCTION_ERROR
        given = case.optimizer_error_input
        params = parameters((2, 3), dtype=dtype) if given.params is None else given.params
        if issubclass(case.error_type, Warning):
            with pytest.warns(case.error_type, match=case.error_regex):
                FusedRMSprop(params, **given.kwargs)
        else:
            with pytest.raises(case.error_type, match=case.error_regex):
                FusedRMSprop(params, **given.kwargs)


@pytest.mark.parametrize(
    "options",
    [
        {"lr": -1},
        {"lr": NAN},
        {"lr": torch.tensor(-1.0)},
        {"lr": torch.tensor([0.1, 0.1])},
        {"eps": -1e-8},
        {"eps": NAN},
        {"momentum": -0.5},
        {"momentum": NAN},
        {"weight_decay": -0.1},
        {"weight_decay": NAN},
        {"alpha": -0.1},
        {"alpha": NAN},
    ],
    ids=str,
)
def test_numbers_that_torch_refuses_are_refused_in_torchs_words(options):
    messages = []
    for kind in BOTH:
        with pytest.raises(ValueError) as error:  # noqa: PT011
            kind(parameters((2,)), **options)
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@pytest.mark.parametrize("params", [[], [1.0], ["p"], {1.0}, torch.ones(2)], ids=str)
def test_what_are_no_parameters_is_refused_in_torchs_words(params):
    errors = []
    for kind in BOTH:
        with pytest.raises((TypeError, ValueError)) as error:
            kind(params)
        errors.append((error.type, str(error.value)))
    assert errors[0] == errors[1]


def test_a_parameter_that_is_no_leaf_is_refused_in_torchs_words():
    errors = []
    for kind in BOTH:
        with pytest.raises(ValueError, match="non-leaf") as error:
            kind([parameters((2,))[0] * 2])
        errors.append(str(error.value))
    assert errors[0] == errors[1]


@pytest.mark.parametrize("alpha", [1.0, 1.5, float("inf")])
def test_an_alpha_that_torch_lets_through_is_refused(alpha):
    with pytest.raises(ValueError, match=re.escape(f"{alpha}")) as error:
        FusedRMSprop(parameters((2,)), alpha=alpha)
    assert "alpha" in str(error.value)
    assert_one_clear_line(error)


@pytest.mark.parametrize("flag", ["foreach", "differentiable"])
def test_the_flags_that_exclude_fused_kernels_raise_as_torchs_fused_optimizers_do(flag):
    for make in (
        lambda p: FusedRMSprop(p, **{flag: True}),
        lambda p: torch.optim.Adam(p, fused=True, **{flag: True}),
    ):
        with pytest.raises(RuntimeError, match=flag) as error:
            make(parameters((2,)))
        assert_one_clear_line(error)


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool])
def test_a_parameter_of_integers_is_refused(dtype):
    with pytest.raises(TypeError, match=str(dtype)) as error:
        FusedRMSprop([*parameters((2,)), torch.zeros(3, dtype=dtype)])
    assert_one_clear_line(error)


def test_a_group_of_integers_does_not_join_and_the_others_go_on():
    optimizer = stepped()
    before = snapshot(optimizer)
    with pytest.raises(TypeError, match="int"):
        optimizer.add_param_group({"params": [torch.zeros(3, dtype=torch.int64)]})
    assert_unchanged(optimizer, before)
    assert len(optimizer.param_groups) == 1
    optimizer.step()


@pytest.mark.parametrize("state_dtype", [torch.int32, "float32", torch.bool], ids=str)
def test_a_state_dtype_that_holds_no_average_is_refused(state_dtype):
    with pytest.raises((TypeError, ValueError), match="state_dtype") as error:
        FusedRMSprop(parameters((2,), dtype=torch.bfloat16), state_dtype=state_dtype)
    assert_one_clear_line(error)


@pytest.mark.parametrize("options", [{"lr": -1.0}, {"alpha": 1.5}, {"momentum": -1.0}], ids=str)
def test_a_group_with_bad_numbers_does_not_join(options):
    """torch's base class looks at the defaults alone."""
    optimizer = stepped()
    before = snapshot(optimizer)
    with pytest.raises(ValueError, match="Invalid"):
        optimizer.add_param_group({"params": parameters((2,), seed=3), **options})
    assert_unchanged(optimizer, before)


# ---- step


def sparse(p):
    return torch.sparse_coo_tensor(
        torch.zeros((p.dim(), 1), dtype=torch.int64), [1.0], p.shape, check_invariants=True
    )


@pytest.mark.parametrize("as_group", [False, True])
def test_a_sparse_gradient_raises_as_torchs_and_no_parameter_is_stepped(as_group):
    optimizer = stepped()
    embedding = parameters((4, 2), seed=4)
    if as_group:
        optimizer.add_param_group({"params": embedding})
    else:
        optimizer.param_groups[0]["params"].extend(embedding)
    before = snapshot(optimizer)
    embedding[0].grad = sparse(embedding[0])
    with pytest.raises(RuntimeError, match=r"^RMSprop does not support sparse gradients$"):
        optimizer.step()
    assert_unchanged(optimizer, before)
    embedding[0].grad = torch.ones(4, 2)
    optimizer.step()
    assert optimizer.state[embedding[0]]["step"] == 1


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lr", NAN, "Invalid learning rate"),
        ("lr", -1.0, "Invalid learning rate"),
        ("lr", torch.tensor(NAN), "Invalid learning rate"),
        ("alpha", 1.0, "Invalid alpha value"),
        ("alpha", NAN, "Invalid alpha value"),
        ("eps", -1e-8, "Invalid epsilon value"),
        ("momentum", -0.5, "Invalid momentum value"),
        ("weight_decay", NAN, "Invalid weight_decay value"),
    ],
    ids=str,
)
def test_a_number_that_is_set_later_is_refused_by_the_step(first, name, value, words):
    optimizer = FusedRMSprop(parameters((3, 5), (7,))) if first else stepped()
    give_gradients(optimizer)
    optimizer.param_groups[0][name] = value
    before = snapshot(optimizer)[0]
    with pytest.raises(ValueError, match=words) as error:
        optimizer.step()
    assert_one_clear_line(error)
    torch.testing.assert_close(snapshot(optimizer)[0], before, rtol=0, atol=0)


def test_a_learning_rate_of_several_numbers_is_refused_in_torchs_words():
    for kind in BOTH:
        with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
            kind(parameters((2,)), lr=torch.tensor([0.1, 0.2]))
    optimizer = FusedRMSprop(parameters((2,)))
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        optimizer.add_param_group({"params": parameters((3,)), "lr": torch.tensor([0.1, 0.2])})


@pytest.mark.parametrize("first", [True, False])
def test_a_parameter_whose_elements_share_memory_raises_before_any_other_is_stepped(first):
    whole, expanded = parameters((3,))[0], torch.zeros(1).expand(3)
    optimizer = FusedRMSprop([whole])
    if not first:
        give_gradients(optimizer)
        optimizer.step()
    optimizer.add_param_group({"params": [expanded]})
    give_gradients(optimizer)
    before = snapshot(optimizer)
    with pytest.raises(RuntimeError, match="refers to a single memory location"):
        optimizer.step()
    assert_unchanged(optimizer, before)


def test_an_inference_tensor_raises_before_any_other_is_stepped():
    optimizer = stepped((3,))
    with torch.inference_mode():
        frozen = torch.ones(2)
        other = FusedRMSprop([frozen])
        frozen.grad = torch.ones(2)
        other.step()  # there it may be changed
    optimizer.add_param_group({"params": [frozen]})
    optimizer.state[frozen] = other.state[frozen]
    before = snapshot(optimizer)
    with pytest.raises(RuntimeError, match="inference tensor"):
        optimizer.step()
    assert_unchanged(optimizer, before)


def test_a_state_on_another_device_raises_before_any_other_is_stepped():
    optimizer = stepped((3,), (2,))
    p = params_of(optimizer)[1]
    optimizer.state[p]["square_avg"] = optimizer.state[p]["square_avg"].to("meta")
    before = params_of(optimizer)[0].detach().clone()
    with pytest.raises(RuntimeError, match="expected square_avg on its parameter's device cpu"):
        optimizer.step()
    assert torch.equal(params_of(optimizer)[0].detach(), before)


@pytest.mark.parametrize("name", ["square_avg", "grad_avg", "momentum_buffer"])
@pytest.mark.parametrize("shape", [(), (2,), (3, 4), (15,)])
def test_a_state_of_another_shape_raises_before_anything_is_written(name, shape):
    """torch broadcasts some of these; a kernel that counted elements would write past their end."""
    optimizer = stepped((7,), (3, 5), centered=True, momentum=0.9)
    optimizer.state[params_of(optimizer)[1]][name] = torch.ones(shape)
    before = snapshot(optimizer)
    with pytest.raises((RuntimeError, ValueError)) as error:
        optimizer.step()
    assert_one_clear_line(error)
    assert_unchanged(optimizer, before)


@pytest.mark.parametrize("name", ["square_avg", "grad_avg", "momentum_buffer"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int32, torch.complex64])
def test_a_state_of_another_dtype_is_converted_or_raises_and_is_never_misread(name, dtype):
    optimizer, same = (stepped((7,), (3, 5), centered=True, momentum=0.9) for _ in range(2))
    for some, given in ((optimizer, dtype), (same, torch.float32)):
        some.state[params_of(some)[1]][name] = torch.full((3, 5), 4.0).to(given)
    before = snapshot(optimizer)
    try:
        optimizer.step()
    except (RuntimeError, ValueError, TypeError):
        assert_unchanged(optimizer, before)
        return
    same.step()
    torch.testing.assert_close(params_of(optimizer), params_of(same), rtol=2e-2, atol=2e-2)


def test_a_gradient_of_another_dtype_is_converted_or_raises_and_is_never_misread():
    p, q = (nn.Parameter(torch.ones(9, dtype=torch.bfloat16)) for _ in range(2))
    if not hasattr(p, "grad_dtype"):
        pytest.skip("this torch has no grad_dtype")
    p.grad_dtype = None
    p.grad = torch.linspace(-1, 1, 9)
    q.grad = p.grad.bfloat16()
    optimizer = FusedRMSprop([p])
    try:
        optimizer.step()
    except (RuntimeError, ValueError, TypeError):
        assert (p == 1).all()
        return
    FusedRMSprop([q]).step()
    torch.testing.assert_close(p, q)


def test_a_parameter_that_changed_its_dtype_is_stepped_rightly_or_raises():
    p = parameters((9,))[0]
    optimizer = FusedRMSprop([p])
    p.grad = torch.ones(9)
    optimizer.step()
    p.grad = None
    p.data = p.data.double()
    p.grad = torch.ones(9, dtype=torch.float64)
    before = p.detach().clone()
    try:
        optimizer.step()
    except (RuntimeError, ValueError, TypeError):
        assert torch.equal(p.detach(), before)
        return
    s = 0.01 + 0.99 * 0.01
    torch.testing.assert_close(
        before - p.detach(), torch.full_like(p.detach(), 0.01 / s**0.5), rtol=1e-5, atol=0
    )


def test_a_lazily_conjugated_gradient_is_stepped_rightly_or_raises():
    """torch raises: its view_as_real refuses unresolved conjugates."""
    p, q = (parameters((9,), dtype=torch.complex64)[0] for _ in range(2))
    drawn = parameters((9,), dtype=torch.complex64, seed=1)[0].detach()
    p.grad, q.grad = drawn.conj(), drawn.conj().resolve_conj()
    start = p.detach().clone()
    try:
        FusedRMSprop([p]).step()
    except RuntimeError:
        assert torch.equal(p.detach(), start)
        return
    FusedRMSprop([q]).step()
    assert torch.equal(p.detach(), q.detach())


def test_an_error_in_a_closure_changes_nothing():
    optimizer = stepped()
    before = snapshot(optimizer)
    with pytest.raises(ZeroDivisionError):
        optimizer.step(lambda: 1 / 0)
    assert_unchanged(optimizer, before)


def test_capturable_on_the_cpu_raises_as_torchs():
    errors = []
    for kind in BOTH:
        p = parameters((3,))[0]
        p.grad = torch.ones(3)
        optimizer = kind([p], capturable=True)
        start = p.detach().clone()
        with pytest.raises((AssertionError, RuntimeError), match="capturable") as error:
            optimizer.step()
        assert torch.equal(p.detach(), start)
        errors.append(error.type)
    assert errors[0] is errors[1]


@needs_cuda
def test_capture_without_capturable_raises_as_torchs():
    for kind in BOTH:
        p = parameters((3,), device="cuda")[0]
        p.grad = torch.ones_like(p)
        optimizer = kind([p])
        optimizer.step()
        with (
            pytest.raises(RuntimeError, match="capturable is False"),
            torch.cuda.graph(torch.cuda.CUDAGraph()),
        ):
            optimizer.step()


# ---- load_state_dict


def saved(kind=FusedRMSprop, shapes=((3, 5), (7,)), **options):
    return copy.deepcopy(stepped(*shapes, kind=kind, **options).state_dict())


def without(name):
    def take(state_dict):
        for state in state_dict["state"].values():
            del state[name]
        return state_dict

    return take


UNFIT = {
    "other shapes": lambda: saved(shapes=((3, 4), (7,))),
    "transposed": lambda: saved(shapes=((5, 3), (7,))),
    "one number": lambda: saved(shapes=((), (7,))),
    "shapes of the second alone": lambda: saved(shapes=((3, 5), (8,))),
    "torch's of other shapes": lambda: saved(torch.optim.RMSprop, ((3, 4), (7,))),
    "fewer parameters": lambda: saved(shapes=((3, 5),)),
    "Adam": lambda: saved(torch.optim.Adam),
    "Adam without state": lambda: torch.optim.Adam(parameters((3, 5), (7,))).state_dict(),
    "Adagrad": lambda: saved(torch.optim.Adagrad),
    "SGD": lambda: saved(torch.optim.SGD),
    "SGD with momentum": lambda: saved(torch.optim.SGD, momentum=0.9),
    "no average": lambda: without("square_avg")(saved()),
    "no step": lambda: without("step")(saved()),
    "alpha of 1.5": lambda: saved(torch.optim.RMSprop, alpha=1.5),
}


@pytest.mark.parametrize("unfit", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("options", [{}, {"momentum": 0.9, "centered": True}], ids=str)
def test_a_checkpoint_that_does_not_fit_is_refused_and_nothing_changes(unfit, options):
    optimizer, same = stepped(**options), stepped(**options)
    before, state_dict = snapshot(optimizer), unfit()
    with pytest.raises(ValueError) as error:  # noqa: PT011
        optimizer.load_state_dict(state_dict)
    assert_one_clear_line(error)
    assert_unchanged(optimizer, before)
    for some in (optimizer, same):
        give_gradients(some)
        some.step()
    torch.testing.assert_close(params_of(optimizer), params_of(same), rtol=0, atol=0)


def test_a_checkpoint_of_another_number_of_groups_is_refused_in_torchs_words():
    two = FusedRMSprop([{"params": p} for p in parameters((3, 5), (7,))]).state_dict()
    with pytest.raises(ValueError, match="loaded state dict has a different number of parameter groups"):
        stepped().load_state_dict(two)
