"""The data of each peer is what its package does, in float64, flag by flag; an absent package is skipped."""

import pytest
import torch

from rmsprop.errors import UserError
from rmsprop.suite.peers.catalogue import PEERS, peer
from rmsprop.suite.peers.gradients import gradients, start
from rmsprop.suite.peers.reference import Reference
from rmsprop.suite.peers.semantics import FIELDS, Flag, Number
from rmsprop.suite.peers.stepping import digits, moved, peer_moved

AGREE = {"float64": 7.0, "float32": 4.5}
"""Digits after 20 steps. Keras keeps lr in float32, which is 7.4 digits; the others agree to 13."""
KERAS_DECAY = 5.0
"""Keras computes 1 - lr λ in float32, which shrinks parameters 20 times larger than their movement."""

BASE = {"lr": 0.01, "decay": 0.9, "eps": 1e-8}
CHANGES = {
    "none": {},
    "momentum": {"momentum": 0.9},
    "centered": {"centered": True},
    "centered and momentum": {"centered": True, "momentum": 0.5},
    "weight decay": {"weight_decay": 0.1},
    "nesterov": {"momentum": 0.9, "nesterov": True},
    "first state": {"first_state": 0.3},
    "eps": {"eps": 1e-2},
    "other eps place": {"eps_place": ("inside", "outside")},
    "other momentum form": {"momentum": 0.9, "momentum_form": ("inside", "after")},
    "other decay form": {"weight_decay": 0.1, "decay_form": ("coupled", "decoupled")},
}


def beginning(dtype):
    """Small in float32, so that a movement of 1e-4 has digits there."""
    return start(dtype) if dtype == torch.float64 else 1e-3 * start(dtype)


def present(name):
    found = peer(name)
    if found.absent:
        pytest.skip(found.absent)
    return found


def calls():
    """Each peer with each change that its call can express, as arguments of that call."""
    for name, found in PEERS.items():
        for change, fields in CHANGES.items():
            arguments, fits = {}, True
            for field, value in (BASE | fields).items():
                argument = found.arguments[field]
                match argument:
                    case Number(theirs, _):
                        arguments[theirs] = value
                    case Flag(theirs, means, default):
                        wanted = [flag for flag in means if flag != default]
                        if isinstance(value, tuple) or value in means.values():
                            arguments[theirs] = wanted[0]
                    case _:
                        fits = False
            if fits:
                yield pytest.param(name, arguments, id=f"{name}-{change}")


@pytest.mark.parametrize(("name", "arguments"), calls())
@pytest.mark.parametrize("kind", ["dense", "tiny"])
def test_a_call_means_what_its_data_say(name, arguments, kind):
    found = present(name)
    dtype = "float64" if "float64" in found.dtypes else "float32"
    begin, given = beginning(getattr(torch, dtype)), gradients(kind, getattr(torch, dtype))
    settings = found.settings(arguments)
    theirs = peer_moved(found, arguments, begin, given)
    wide = begin.double()
    reference = moved(lambda params: Reference(params, settings), wide, given.double())
    allowed = KERAS_DECAY if name == "keras" and settings.weight_decay else AGREE[dtype]
    assert digits(theirs, reference, begin) > allowed


@pytest.mark.parametrize("name", PEERS)
def test_defaults_are_those_of_the_package(name):
    found = present(name)
    dtype = torch.float64 if "float64" in found.dtypes else torch.float32
    given = {a.name: 0.01 for a in found.arguments.values() if isinstance(a, Number) and a.default is None}
    begin, sent = beginning(dtype), gradients("tiny", dtype)
    theirs = peer_moved(found, given, begin, sent)
    settings = found.settings(given)
    reference = moved(lambda params: Reference(params, settings), begin.double(), sent.double())
    assert digits(theirs, reference, begin) > (7.0 if dtype == torch.float64 else 4.5)


@pytest.mark.parametrize("name", PEERS)
def test_every_field_is_said(name):
    assert set(PEERS[name].arguments) == set(FIELDS)


def test_an_ignored_argument_changes_nothing():
    found = present("bitsandbytes")
    begin, given = start(torch.float32), gradients("dense", torch.float32)
    plain, with_momentum = ({"lr": 0.01}, {"lr": 0.01, "momentum": 0.9})
    assert torch.equal(*(peer_moved(found, arguments, begin, given) for arguments in (plain, with_momentum)))


def test_pytorch_optimizer_has_none_of_its_own():
    present("pytorch-optimizer")
    from pytorch_optimizer import load_optimizer  # noqa: PLC0415

    assert load_optimizer("rmsprop") is torch.optim.RMSprop


def test_an_unknown_package_and_an_unknown_argument_list_the_known_ones():
    with pytest.raises(UserError, match="torch, fused, book, optax"):
        peer("theano")
    with pytest.raises(UserError, match="learning_rate, rho, epsilon"):
        peer("keras").settings({"gamma": 0.9})
    with pytest.raises(UserError, match="no default of learning_rate"):
        peer("optax").settings({})
    with pytest.raises(UserError, match="expected true or false"):
        peer("torch").settings({"centered": 3.0})
