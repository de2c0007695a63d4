"""Every RMSProp that is compared, by name. To add one, write its file in `frameworks/` and put it here."""

from rmsprop.errors import UserError
from rmsprop.suite.peers.frameworks.bitsandbytes import BITSANDBYTES
from rmsprop.suite.peers.frameworks.book import BOOK
from rmsprop.suite.peers.frameworks.jax import JAX, JAX_MOMENTUM
from rmsprop.suite.peers.frameworks.keras import KERAS
from rmsprop.suite.peers.frameworks.optax import OPTAX
from rmsprop.suite.peers.frameworks.pytorch_optimizer import PYTORCH_OPTIMIZER
from rmsprop.suite.peers.frameworks.stable_baselines3 import STABLE_BASELINES3
from rmsprop.suite.peers.frameworks.timm import TIMM
from rmsprop.suite.peers.frameworks.torch_optim import FUSED, TORCH
from rmsprop.suite.peers.peer import Peer

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        TORCH, FUSED, BOOK, OPTAX, JAX, JAX_MOMENTUM, KERAS, TIMM, STABLE_BASELINES3, BITSANDBYTES,
        PYTORCH_OPTIMIZER,
    )
}  # fmt: skip


def peer(name: str) -> Peer:
    """The peer of that name; UserError lists the known ones."""
    if name not in PEERS:
        raise UserError(f"unknown package {name!r}: choose one of {', '.join(PEERS)}")
    return PEERS[name]
