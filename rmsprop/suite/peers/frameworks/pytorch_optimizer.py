"""pytorch_optimizer has no RMSprop of its own: `load_optimizer("rmsprop")` gives torch's class."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.frameworks.torch_optim import ARGUMENTS
from rmsprop.suite.peers.peer import Arguments, Peer

if TYPE_CHECKING:
    from torch import Tensor


def _make(params: "list[Tensor]", arguments: Arguments) -> Any:
    from pytorch_optimizer import load_optimizer  # noqa: PLC0415 (optional)

    return load_optimizer("rmsprop")(params, **arguments)


PYTORCH_OPTIMIZER = Peer(
    "pytorch-optimizer",
    'pytorch_optimizer.load_optimizer("rmsprop")',
    "pytorch-optimizer",
    ("pytorch_optimizer",),
    ARGUMENTS,
    _make,
)
