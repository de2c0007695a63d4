"""torch.optim.RMSprop, and FusedRMSprop, which has its signature."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Argument, Fixed, Flag, Number

if TYPE_CHECKING:
    from torch import Tensor

ARGUMENTS: dict[str, Argument] = {
    "lr": Number("lr", 1e-2),
    "decay": Number("alpha", 0.99),
    "eps": Number("eps", 1e-8),
    "eps_place": Fixed("outside"),
    "first_state": Fixed(0.0),
    "centered": Flag("centered", {False: False, True: True}),
    "momentum": Number("momentum", 0.0),
    "momentum_form": Fixed("after"),
    "nesterov": Fixed(False),
    "weight_decay": Number("weight_decay", 0.0),
    "decay_form": Fixed("coupled"),
}


def _torch(params: "list[Tensor]", arguments: Arguments) -> Any:
    import torch  # noqa: PLC0415 (a translation is answered without it)

    return torch.optim.RMSprop(params, **arguments)  # type: ignore[arg-type]


def _fused(params: "list[Tensor]", arguments: Arguments) -> Any:
    from rmsprop.optimizers.fused import FusedRMSprop  # noqa: PLC0415

    return FusedRMSprop(params, **arguments)  # type: ignore[arg-type]


TORCH = Peer(
    "torch", "torch.optim.RMSprop", "torch", ("torch",), ARGUMENTS, _torch,
    neutral=("foreach", "capturable", "differentiable"),
)  # fmt: skip
FUSED = Peer("fused", "rmsprop.FusedRMSprop", "rmsprop-bench", ("torch",), ARGUMENTS, _fused)
