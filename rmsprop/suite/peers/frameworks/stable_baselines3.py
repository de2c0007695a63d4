"""stable-baselines3's RMSpropTFLike, torch's with ε and the first state of TensorFlow 1."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.frameworks.torch_optim import ARGUMENTS
from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed

if TYPE_CHECKING:
    from torch import Tensor


def _make(params: "list[Tensor]", arguments: Arguments) -> Any:
    from stable_baselines3.common.sb2_compat.rmsprop_tf_like import RMSpropTFLike  # noqa: PLC0415 (optional)

    return RMSpropTFLike(params, **arguments)


STABLE_BASELINES3 = Peer(
    "stable-baselines3",
    "stable_baselines3.common.sb2_compat.rmsprop_tf_like.RMSpropTFLike",
    "stable-baselines3",
    ("stable_baselines3",),
    ARGUMENTS | {"eps_place": Fixed("inside"), "first_state": Fixed(1.0)},
    _make,
)
