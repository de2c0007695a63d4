"""`rmsprop translate` and `rmsprop peers`: what is printed, exit codes, and wrong use."""

import json

import pytest
from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.cli import main as cli
from rmsprop.suite.cli.peer_options import Peers, Translate


def translate(*arguments):
    return CliRunner().invoke(cli.app, ["translate", *arguments])


def test_a_call_is_printed_as_it_is_typed():
    answer = translate("torch", "--lr", "1e-3", "--alpha=.9", "--centered", "--to", "optax")
    assert (answer.exit_code, answer.output) == (
        0,
        "optax.rmsprop(learning_rate=0.001, decay=0.9, eps=1e-08, eps_in_sqrt=False, initial_scale=0.0, "
        "centered=True, momentum=0.0)\n",
    )


def test_the_reason_why_no_arguments_do():
    answer = translate("keras", "--rho", ".9", "--epsilon", "1e-7", "--to", "torch")
    assert answer.exit_code == 1
    first, reason, nearest = answer.output.splitlines()
    assert first == "No arguments of torch.optim.RMSprop give the same numbers."
    assert "sqrt(s + eps)" in reason
    assert nearest.startswith("Nearest: eps=0.000316228")


def test_json_holds_the_same_answer():
    answer = translate("keras", "--to", "jax", "--json")
    assert json.loads(answer.output)["arguments"] == {"step_size": 0.001, "gamma": 0.9, "eps": 1e-7}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"package": "theano", "to": "torch"}, "torch, fused, book, optax"),
        ({"package": "torch", "to": "theano"}, "torch, fused, book, optax"),
        ({"package": "torch", "to": "keras", "argument": ("--rho", "0.9")}, "no argument 'rho'"),
        ({"package": "torch", "to": "keras", "argument": ("--lr", "fast")}, "expected a number"),
        ({"package": "torch", "to": "keras", "argument": ("0.1",)}, "expected --NAME VALUE"),
        ({"package": "book", "to": "keras"}, "no default of lr"),
    ],
)
def test_a_wrong_call_says_what_was_expected(arguments, expected):
    with pytest.raises(UserError) as refused:
        Translate(**arguments)
    assert expected in str(refused.value)


def test_an_unknown_peer_lists_the_known_ones():
    with pytest.raises(UserError, match="stable-baselines3"):
        Peers(peer=("theano",))
