"""keras.optimizers.RMSprop of Keras 3 on its torch backend."""

import os
import sys
from typing import TYPE_CHECKING, Any

from rmsprop.errors import UserError
from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed, Flag, Number

if TYPE_CHECKING:
    from torch import Tensor


class _Keras:
    """Keras's variables share the memory of the torch parameters."""

    def __init__(self, params: "list[Tensor]", arguments: Arguments) -> None:
        keras = _keras()
        self._params = params
        self._variables = [
            keras.Variable(p.detach(), dtype=str(p.dtype).removeprefix("torch.")) for p in params
        ]
        for parameter, variable in zip(params, self._variables, strict=True):
            parameter.data = variable.value.data
        self._optimizer = keras.optimizers.RMSprop(**arguments)
        self._optimizer.build(self._variables)

    def step(self) -> None:
        self._optimizer.apply([p.grad for p in self._params], self._variables)


def _keras() -> Any:
    """The package, on the torch backend; UserError where this process runs it on another."""
    if "keras" not in sys.modules:
        before = os.environ.get("KERAS_BACKEND")
        os.environ["KERAS_BACKEND"] = "torch"  # read once, when keras is imported
        try:
            import keras  # noqa: PLC0415 (optional)
        finally:
            if before is None:
                del os.environ["KERAS_BACKEND"]
            else:
                os.environ["KERAS_BACKEND"] = before
    keras = sys.modules["keras"]
    if keras.backend.backend() != "torch":
        raise UserError(f"keras runs on {keras.backend.backend()} in this process, and is compared on torch")
    return keras


KERAS = Peer(
    "keras",
    "keras.optimizers.RMSprop",
    "keras",
    ("keras",),
    {
        "lr": Number("learning_rate", 1e-3),
        "decay": Number("rho", 0.9),
        "eps": Number("epsilon", 1e-7),
        "eps_place": Fixed("inside"),
        "first_state": Fixed(0.0),
        "centered": Flag("centered", {False: False, True: True}),
        "momentum": Number("momentum", 0.0),
        "momentum_form": Fixed("inside"),
        "nesterov": Fixed(False),
        "weight_decay": Number("weight_decay", 0.0),
        "decay_form": Fixed("decoupled"),
    },
    _Keras,
)
