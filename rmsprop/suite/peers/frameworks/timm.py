"""timm's RMSpropTF, which follows TensorFlow 1."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed, Flag, Number

if TYPE_CHECKING:
    from torch import Tensor


def _make(params: "list[Tensor]", arguments: Arguments) -> Any:
    from rmsprop.suite.measure.other_optimizers import rmsprop_tf  # noqa: PLC0415 (it loads torch)

    return rmsprop_tf()(params, **arguments)


TIMM = Peer(
    "timm",
    "timm.optim.RMSpropTF",
    "timm",
    (),  # its folder of optimizers is loaded without timm, which needs torchvision
    {
        "lr": Number("lr", 1e-2),
        "decay": Number("alpha", 0.9),
        "eps": Number("eps", 1e-10),
        "eps_place": Fixed("inside"),
        "first_state": Fixed(1.0),
        "centered": Flag("centered", {False: False, True: True}),
        "momentum": Number("momentum", 0.0),
        "momentum_form": Flag("lr_in_momentum", {True: "inside", False: "after"}, True),
        "nesterov": Fixed(False),
        "weight_decay": Number("weight_decay", 0.0),
        "decay_form": Flag("decoupled_decay", {False: "coupled", True: "decoupled"}),
    },
    _make,
)
