"""bitsandbytes.optim.RMSprop with 32 bits of state."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.frameworks.torch_optim import ARGUMENTS
from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed

if TYPE_CHECKING:
    from torch import Tensor


def _make(params: "list[Tensor]", arguments: Arguments) -> Any:
    import bitsandbytes  # noqa: PLC0415 (optional)

    return bitsandbytes.optim.RMSprop(params, **arguments)


BITSANDBYTES = Peer(
    "bitsandbytes",
    "bitsandbytes.optim.RMSprop",
    "bitsandbytes",
    ("bitsandbytes",),
    ARGUMENTS | {"centered": Fixed(False), "momentum": Fixed(0.0, ignores="momentum")},
    _make,
    dtypes=("float32", "bfloat16", "float16"),  # it computes in float32 and rounds float64 to it
)
