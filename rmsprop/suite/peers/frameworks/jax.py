"""jax.example_libraries.optimizers: rmsprop and rmsprop_momentum."""

from typing import TYPE_CHECKING, Any

from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import Argument, Fixed, Number

if TYPE_CHECKING:
    from torch import Tensor

_UNTIMED = "its state holds the parameters as one tree of its own, so that each step here copies them"


class _Jax:
    """One of the two over torch parameters, which are copied from its state after each step."""

    def __init__(self, name: str, params: "list[Tensor]", arguments: Arguments) -> None:
        import jax  # noqa: PLC0415 (optional)
        import torch  # noqa: PLC0415
        from jax.example_libraries import optimizers  # noqa: PLC0415
        from torch.utils.dlpack import from_dlpack  # noqa: PLC0415

        self._jax, self._tensor, self._params, self._steps = jax, from_dlpack, params, 0
        self._wide = params[0].dtype == torch.float64
        with jax.enable_x64(self._wide):
            init, self._update, self._get = getattr(optimizers, name)(**arguments)
            self._state = init([self._array(p.detach()) for p in params])

    def _array(self, tensor: "Tensor") -> Any:
        return self._jax.numpy.from_dlpack(tensor.contiguous(), copy=True)

    def step(self) -> None:
        with self._jax.enable_x64(self._wide):
            gradients = [self._array(p.grad) for p in self._params if p.grad is not None]
            self._state = self._update(self._steps, gradients, self._state)
            self._steps += 1
            for parameter, array in zip(self._params, self._get(self._state), strict=True):
                parameter.data.copy_(self._tensor(array.block_until_ready()))


_ARGUMENTS: dict[str, Argument] = {
    "lr": Number("step_size", None),
    "decay": Number("gamma", 0.9),
    "eps": Number("eps", 1e-8),
    "eps_place": Fixed("inside"),
    "first_state": Fixed(0.0),
    "centered": Fixed(False),
    "momentum": Fixed(0.0),
    "momentum_form": Fixed("inside"),
    "nesterov": Fixed(False),
    "weight_decay": Fixed(0.0),
    "decay_form": Fixed("coupled"),
}

JAX = Peer(
    "jax",
    "jax.example_libraries.optimizers.rmsprop",
    "jax",
    ("jax",),
    _ARGUMENTS,
    lambda params, arguments: _Jax("rmsprop", params, arguments),
    untimed=_UNTIMED,
)
JAX_MOMENTUM = Peer(
    "jax-momentum",
    "jax.example_libraries.optimizers.rmsprop_momentum",
    "jax",
    ("jax",),
    _ARGUMENTS | {"momentum": Number("momentum", 0.9)},
    lambda params, arguments: _Jax("rmsprop_momentum", params, arguments),
    untimed=_UNTIMED,
)
