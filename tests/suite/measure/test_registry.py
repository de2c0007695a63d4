import sys
from importlib import metadata

import pytest
import torch
from torch import nn

from rmsprop.errors import UserError
from rmsprop.optimizers.scratch import init_rmsprop_states, rmsprop
from rmsprop.suite.measure.registry import GROUP, Implementation, Scratch, implementation, implementations
from rmsprop.suite.measure.registry import load_optimizer as load

PLUG_INS = """
import torch

class Mine(torch.optim.Optimizer):
    def __init__(self, params, lr=1.0, rho=0.5, epsilon=1.0, weight_decay=0.25):
        super().__init__(params, {"lr": lr, "rho": rho, "epsilon": epsilon, "weight_decay": weight_decay})

class OnlyLr(torch.optim.SGD):
    def __init__(self, params, *, lr):
        super().__init__(params, lr=lr)

class Both(Mine):
    def __init__(self, params, gamma=0.5, alpha=0.5):
        super().__init__(params)
        self.seen = gamma, alpha

class NoOptimizer:
    pass

number = 3
"""


@pytest.fixture
def plug_ins(tmp_path, monkeypatch):
    """A module of other people's optimizers, and a way to install entry points."""
    (tmp_path / "other_people.py").write_text(PLUG_INS)
    (tmp_path / "broken_people.py").write_text("raise RuntimeError('first line\\nsecond line')")
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(**values):
        (tmp_path / "other_people-1.0.dist-info").mkdir(exist_ok=True)
        lines = "".join(f"{name.replace('_', '-')} = {value}\n" for name, value in values.items())
        (tmp_path / "other_people-1.0.dist-info" / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}")
        (tmp_path / "other_people-1.0.dist-info" / "METADATA").write_text(
            "Name: other-people\nVersion: 1.0\n"
        )
        assert {entry.name for entry in metadata.entry_points(group=GROUP)} >= set(values) - {"builtin_loop"}

    yield install
    for module in ("other_people", "broken_people"):
        sys.modules.pop(module, None)


def parameter():
    p = nn.Parameter(torch.tensor([1.0, -2.0]))
    p.grad = torch.tensor([0.5, 0.25])
    return p


def test_the_implementations_of_the_package_are_listed_in_the_order_of_the_matrix():
    assert list(implementations())[:5] == [
        "scratch",
        "builtin-loop",
        "builtin-foreach",
        "builtin-capturable",
        "builtin-compiled",
    ]
    for name, found in implementations().items():
        assert found.name == name
        assert "\n" not in found.summary


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        UserError, match=r"unknown implementation 'fast'; choose from scratch, builtin-loop.*"
    ):
        implementation("fast")


def test_scratch_with_a_step_method_is_the_books_function_bit_for_bit():
    ours, book = parameter(), parameter()
    states = init_rmsprop_states([book])
    stepper = Scratch([ours], lr=0.01, alpha=0.9, eps=1e-6)
    for _ in range(3):
        stepper.step()
        rmsprop([book], states, {"lr": 0.01, "gamma": 0.9, "eps": 1e-6})
    assert torch.equal(ours, book)


def test_a_class_gets_those_hyperparameters_that_its_signature_names(plug_ins):
    made = load("other_people:Mine").make([parameter()], lr=0.01, alpha=0.9, eps=1e-8)
    assert made.defaults == {"lr": 0.01, "rho": 0.9, "epsilon": 1e-8, "weight_decay": 0.25}
    assert (
        load("other_people:OnlyLr").make([parameter()], lr=0.01, alpha=0.9, eps=1e-8).defaults["lr"] == 0.01
    )
    assert load("other_people:Both").make([parameter()], lr=0.01, alpha=0.9, eps=1e-8).seen == (0.5, 0.9)


FORWARDING = """
import torch

class Ours(torch.optim.RMSprop):
    def __init__(self, params, gamma=0.5, **kwargs):
        super().__init__(params, alpha=gamma, **kwargs)

class Theirs(Ours):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)

class Own(torch.optim.RMSprop):
    def __init__(self, params, decay=0.5, **kwargs):
        super().__init__(params, alpha=decay, **kwargs)

class Closed(Theirs):
    def __init__(self, params, eps):
        super().__init__(params, eps=eps)

def function(params, **kwargs):
    return Ours(params, **kwargs)
"""


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Ours", {"lr": 0.03, "alpha": 0.8, "eps": 1e-3}),
        ("Theirs", {"lr": 0.03, "alpha": 0.8, "eps": 1e-3}),
        ("Own", {"lr": 0.03, "alpha": 0.5, "eps": 1e-3}),
        ("Closed", {"lr": 0.01, "alpha": 0.5, "eps": 1e-3}),
        ("function", {"lr": 0.01, "alpha": 0.5, "eps": 1e-8}),
    ],
)
def test_kwargs_take_the_names_of_the_next_constructor_and_what_was_not_passed_is_its_own(
    plug_ins, tmp_path, name, known
):
    (tmp_path / "other_people.py").write_text(FORWARDING)
    found, given = load(f"other_people:{name}"), {"lr": 0.03, "alpha": 0.8, "eps": 1e-3}
    for _ in range(2):
        made = found.make([parameter()], **given)
        assert {name: made.param_groups[0][name] for name in given} == known
        assert found.known(made, given) == known


def test_a_hyperparameter_that_was_not_passed_and_stands_in_no_group_is_not_known():
    found = load("tests.authors:HiddenRate")
    assert found.known(found.make([parameter()], lr=0.03), {"lr": 0.03, "alpha": 0.8}) == {"alpha": 0.9}


def test_a_class_of_other_people_has_no_known_formula_and_runs_anywhere():
    found = implementation("torch.optim:Adam")
    assert (found.name, found.eps_inside_sqrt) == ("torch.optim:Adam", None)
    assert found.unavailable(torch.device("cuda"), torch.float16) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("other_people", "'other_people' is not of the form package.module:Class"),
        (":Mine", "':Mine' is not of the form package.module:Class"),
        (
            "nowhere.at_all:Mine",
            "cannot be imported (ModuleNotFoundError: No module named 'nowhere'); install it",
        ),
        ("other_people:Yours", "cannot be imported: other_people has no Yours"),
        ("other_people:Mine.Inner", "cannot be imported: other_people has no Mine.Inner"),
        ("broken_people:Mine", "cannot be imported (RuntimeError: first line); install it or set PYTHONPATH"),
        (
            "other_people:NoOptimizer",
            "no torch.optim.Optimizer subclass and no Implementation, but the class NoOp",
        ),
        ("other_people:number", "no torch.optim.Optimizer subclass and no Implementation, but a int"),
    ],
)
def test_what_is_no_optimizer_is_refused_in_one_clear_line(plug_ins, spec, message):
    with pytest.raises(UserError) as refused:
        load(spec)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_an_entry_point_joins_the_registry(plug_ins):
    plug_ins(mine="other_people:Mine", adam="torch.optim:Adam")
    assert implementations()["mine"].summary == "other_people.Mine"
    assert implementation("adam").make([parameter()], lr=0.01, alpha=0.9, eps=1e-8).defaults["eps"] == 1e-8


def test_an_entry_point_may_be_an_implementation_and_takes_the_entry_points_name(plug_ins, tmp_path):
    (tmp_path / "other_people.py").write_text(
        "from rmsprop.suite.measure.registry import Implementation, Scratch\n"
        "found = Implementation('inner', 'with a formula', Scratch, 1e-6, True)\n"
    )
    plug_ins(outer="other_people:found")
    assert implementation("outer") == Implementation("outer", "with a formula", Scratch, 1e-6, True)


def test_a_broken_entry_point_is_listed_with_its_error_and_leaves_the_others_alone(plug_ins):
    plug_ins(mine="other_people:Mine", bad="broken_people:Mine", none="other_people:NoOptimizer")
    found = implementations()
    assert found["mine"].summary == "other_people.Mine"
    assert "scratch" in found
    assert found["bad"].summary.startswith(
        "cannot be used: entry point bad = broken_people:Mine: RuntimeError: first"
    )
    for name, message in (("bad", "first line"), ("none", "no torch.optim.Optimizer subclass")):
        with pytest.raises(UserError, match=message):
            found[name].make([parameter()], lr=0.01, alpha=0.9, eps=1e-8)


def test_an_entry_point_cannot_take_a_name_that_is_built_in(plug_ins):
    plug_ins(builtin_loop="other_people:Mine")
    found = implementations()
    assert "torch.optim.RMSprop" in found["builtin-loop"].summary
    assert "the name is taken" in found["builtin-loop (other_people:Mine)"].summary
