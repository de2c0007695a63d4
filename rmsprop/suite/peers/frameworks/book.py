"""RMSProp as section 7.6 of the book writes it."""

from typing import TYPE_CHECKING

from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed, Number

if TYPE_CHECKING:
    from torch import Tensor


class _Scratch:
    def __init__(self, params: "list[Tensor]", arguments: Arguments) -> None:
        from rmsprop.optimizers.scratch import init_rmsprop_states, rmsprop  # noqa: PLC0415

        self._params, self._states = params, init_rmsprop_states(params)
        self._rmsprop, self._hyperparams = rmsprop, {**arguments}

    def step(self) -> None:
        self._rmsprop(self._params, self._states, self._hyperparams)


BOOK = Peer(
    "book",
    "the book's rmsprop",
    "rmsprop-bench",
    ("torch",),
    {
        "lr": Number("lr", None),
        "decay": Number("gamma", None),
        "eps": Number("eps", None),
        "eps_place": Fixed("inside"),
        "first_state": Fixed(0.0),
        "centered": Fixed(False),
        "momentum": Fixed(0.0),
        "momentum_form": Fixed("after"),
        "nesterov": Fixed(False),
        "weight_decay": Fixed(0.0),
        "decay_form": Fixed("coupled"),
    },
    _Scratch,
)
