"""optax.rmsprop, compiled and with donated buffers, as its users run it."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed, Flag, Number

if TYPE_CHECKING:
    from torch import Tensor


def _make(params: "list[Tensor]", arguments: Arguments) -> Any:
    from rmsprop.suite.measure.other_optimizers import Optax  # noqa: PLC0415 (it loads torch)

    given = {"eps_in_sqrt": True, **arguments}
    ours = {"lr": given.pop("learning_rate"), "alpha": given.pop("decay", 0.9), "eps": given.pop("eps", 1e-8)}
    return Optax(params, **ours, **given)  # type: ignore[arg-type]


OPTAX = Peer(
    "optax",
    "optax.rmsprop",
    "optax",
    ("jax", "optax"),
    {
        "lr": Number("learning_rate", None),
        "decay": Number("decay", 0.9),
        "eps": Number("eps", 1e-8),
        "eps_place": Flag("eps_in_sqrt", {True: "inside", False: "outside"}, True),
        "first_state": Number("initial_scale", 0.0),
        "centered": Flag("centered", {False: False, True: True}),
        "momentum": Number("momentum", 0.0),
        "momentum_form": Fixed("after"),
        "nesterov": Flag("nesterov", {False: False, True: True}),
        "weight_decay": Fixed(0.0),
        "decay_form": Fixed("coupled"),
    },
    _make,
)
