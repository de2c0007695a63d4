"""Every translation is run in both packages; where there is none, both differ and the reason is told."""

import itertools
from functools import cache

import pytest
import torch

from rmsprop.errors import UserError
from rmsprop.suite.peers.catalogue import PEERS, peer
from rmsprop.suite.peers.gradients import gradients, start
from rmsprop.suite.peers.peer import DTYPES
from rmsprop.suite.peers.semantics import Flag, Number
from rmsprop.suite.peers.stepping import digits, peer_moved
from rmsprop.suite.peers.translate import CONSTANT_LR, translate

FIELDS = {"lr": 0.01, "decay": 0.9, "eps": 1e-4}
CALLS = {
    "plain": {},
    "momentum": {"momentum": 0.9},
    "centered": {"centered": True},
    "weight decay": {"weight_decay": 0.1},
}


@cache
def ended(name, arguments, dtype):
    """Where the peer is after gradients of a size at which ε, the first state and the decay matter."""
    scale = 1.0 if dtype == torch.float64 else 1e-3
    begin, given = scale * start(dtype), 1e-2 * gradients("dense", dtype)
    return peer_moved(PEERS[name], dict(arguments), begin, given), begin


def agreed(ours, theirs, dtype):
    """Digits between two calls, each a name and its arguments."""
    (left, begin), (right, _) = (ended(name, tuple(sorted(of.items())), dtype) for name, of in (ours, theirs))
    return digits(left, right, begin)


def call(found, fields):
    """Arguments of that call for these fields, or None where it has none for one of them."""
    arguments = {}
    for field, value in (FIELDS | fields).items():
        match found.arguments[field]:
            case Number(name, _) | Flag(name, _, _):
                arguments[name] = value
            case _:
                return None
    return arguments


def pairs():
    for (a, b), (name, fields) in itertools.product(itertools.permutations(PEERS, 2), CALLS.items()):
        if call(PEERS[a], fields) is not None:
            yield pytest.param(a, b, fields, id=f"{a}-{b}-{name}")


@pytest.mark.parametrize(("source", "target", "fields"), pairs())
def test_a_translation_gives_the_same_numbers_and_a_refusal_is_right(source, target, fields):
    ours, theirs = PEERS[source], PEERS[target]
    for one in (ours, theirs):
        if one.absent:
            pytest.skip(one.absent)
    arguments = call(ours, fields)
    found = translate(ours, arguments, theirs)
    dtype = getattr(torch, next(d for d in DTYPES if d in ours.dtypes and d in theirs.dtypes))
    if found.arguments is not None:
        agree = agreed((source, arguments), (target, found.arguments), dtype)
        keras_decay = "keras" in (source, target) and found.settings.weight_decay  # 1 - lr λ in float32
        assert agree > (4.5 if dtype != torch.float64 or keras_decay else 7.0)
        assert not found.reasons
    else:
        assert found.reasons
        # Without the translation's refusal a user would carry over what can be said.
        carried = {
            argument.name: getattr(found.settings, field)
            for field, argument in theirs.arguments.items()
            if isinstance(argument, Number)
        }
        agree = agreed((source, arguments), (target, carried), dtype)
        assert agree < (6.0 if dtype == torch.float64 else 4.5)


def test_the_questions_of_the_trackers():
    keras, torch_, optax, jax, timm = (peer(name) for name in ("keras", "torch", "optax", "jax", "timm"))
    # pytorch 23796, chainer 4754: ε inside or outside.
    refused = translate(keras, {"rho": 0.9, "epsilon": 1e-7}, torch_)
    assert refused.arguments is None
    assert refused.reasons[0].startswith("eps: keras.optimizers.RMSprop divides by sqrt(s + eps)")
    assert "eps=0.000316228" in refused.notes[0]
    # optax 532, 595: torch's call in optax.
    call = translate(torch_, {"lr": 6e-4, "alpha": 0.99, "eps": 0.01}, optax)
    assert call.arguments == {
        "learning_rate": 6e-4,
        "decay": 0.99,
        "eps": 0.01,
        "eps_in_sqrt": False,
        "initial_scale": 0.0,
        "momentum": 0.0,
    }
    # jax 1427: TensorFlow's place of ε; the first state is another matter.
    assert translate(keras, {}, jax).arguments == {"step_size": 1e-3, "gamma": 0.9, "eps": 1e-7}
    assert translate(timm, {}, jax).reasons[0].startswith("first state: s starts from 1")
    # pytorch 32545: momentum, where lr stands.
    call = translate(timm, {"momentum": 0.9}, optax)
    assert call.arguments is not None
    assert call.notes == (CONSTANT_LR,)
    assert translate(timm, {"momentum": 0.9, "lr_in_momentum": False}, optax).notes == ()


def test_a_momentum_that_is_ignored_is_told():
    found = translate(peer("bitsandbytes"), {"momentum": 0.9}, peer("torch"))
    assert found.arguments is not None
    assert found.arguments["momentum"] == 0
    assert "ignores it" in found.notes[-1]


def test_a_wrong_argument_lists_the_known_ones():
    with pytest.raises(UserError, match="learning_rate, rho"):
        translate(peer("keras"), {"alpha": 0.9}, peer("torch"))
