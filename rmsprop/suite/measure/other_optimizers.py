"""What else a user could pick, for `rmsprop bench --optimizer benchmarks.others:optax` and the like.

`optax`, `bitsandbytes` and `timm` are RMSProp from packages that are installed on request: the extra
`others`, and timm by `pip install --no-deps timm`, since it requires torchvision. `adagrad` is torch's own
fused Adagrad: another formula, but the same five passes over memory.

How optax is timed. A user of optax keeps parameters and state in jax arrays, compiles `update` and
`apply_updates` into one function with both donated, and calls it with gradients that are jax arrays. So
does `Optax`. The memory of the parameters belongs to jax, which could not write into torch's, and torch's
parameters are views of it; the gradients are torch's own memory, seen by jax through dlpack. Nothing is
copied in either direction. A timed step is
- the call of the compiled function and the wait for its result: for one array, since one computation
  makes all of them, and asking each of 1,000 would be charged to optax for nothing;
- reading `.grad` of each parameter and looking up the jax arrays of these gradients: some 5% of the step
  for the book's w and b, 2% for 1,000 tensors. Every optimizer with torch's interface has to read them.
Not timed, since the checked first steps and the warm-up do it: compilation, and making jax arrays of
gradients that were not seen before (longer than a small step, for each). XLA has as many threads as
torch. `peak` says nothing of optax, since XLA does not allocate through torch.

Imports none of these packages before it makes one, and no registry, which an older commit may not have.
"""

import ctypes
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec, module_from_spec
from typing import Any

import torch
from torch import Tensor, nn

GRADIENT_SETS = 8
"""Sets of gradients whose jax arrays are kept, and with them their memory: as many as a case rotates."""


class Optax:
    """optax.rmsprop over torch parameters; see the module for what a step includes.

    s = α s + (1 - α) g²; p = p - lr g / (sqrt(s) + ε), with ε inside the root if `eps_in_sqrt`; `further`
    arguments are those of optax.rmsprop. Parameters are on the CPU, contiguous, of one dtype and not empty;
    their `.data` is replaced. Each needs a gradient, contiguous and aligned to 64 bytes as torch allocates
    it.

    Attributes
    ----------
    params
        torch's parameters; they share the memory of XLA's arrays.
    """

    def __init__(
        self,
        params: Sequence[Tensor],
        *,
        lr: float,
        alpha: float,
        eps: float,
        eps_in_sqrt: bool = False,
        **further: Any,
    ) -> None:
        import jax  # noqa: PLC0415 (optional)
        import optax  # noqa: PLC0415

        self.params = list(params)
        self._wide = self.params[0].dtype == torch.float64
        _use_threads(torch.get_num_threads())
        self._optimizer = optax.rmsprop(lr, alpha, eps, eps_in_sqrt=eps_in_sqrt, **further)
        with jax.enable_x64(self._wide):
            copy = jax.jit(lambda arrays: [array.copy() for array in arrays])
            self._arrays: list[Any] = copy([_as_jax(parameter.detach()) for parameter in self.params])
            self._state = jax.jit(self._optimizer.init)(self._arrays)
        self._pointers = self._addresses()
        self._keep = [self._arrays]
        for parameter, address in zip(self.params, self._pointers, strict=True):
            parameter.data = _view(address, parameter, self._keep)
        self._seen: dict[tuple[int, ...], tuple[list[Tensor], list[Any]]] = {}

    def step(self) -> None:
        """One step; on return it is done and seen by torch."""
        gradients = [parameter.grad for parameter in self.params]
        seen = self._seen.get(tuple(map(id, gradients))) or self._see(gradients)
        self._arrays, self._state = self._update(self._arrays, self._state, seen[1])
        self._keep[0] = self._arrays
        self._arrays[0].block_until_ready()

    @cached_property
    def _update(self) -> Any:
        """Compiled once, for these shapes: (parameters, state, gradients) -> (parameters, state)."""
        import jax  # noqa: PLC0415
        import optax  # noqa: PLC0415

        def update(arrays: Any, state: Any, gradients: Any) -> Any:
            updates, state = self._optimizer.update(gradients, state, arrays)
            return optax.apply_updates(arrays, updates), state

        with jax.enable_x64(self._wide):
            traced = jax.jit(update, donate_argnums=(0, 1)).lower(self._arrays, self._state, self._arrays)
            return traced.compile()

    def _see(self, gradients: Sequence[Tensor | None]) -> tuple[list[Tensor], list[Any]]:
        """The gradients as jax arrays of the same memory; kept, so that no id comes to mean another."""
        import jax  # noqa: PLC0415

        if self._addresses() != self._pointers:
            raise RuntimeError("XLA moved the parameters: torch no longer sees what optax writes")
        present = [gradient for gradient in gradients if gradient is not None]
        if len(present) < len(gradients):
            raise ValueError("optax needs the gradient of each parameter")
        with jax.enable_x64(self._wide):
            seen = present, [_as_jax(gradient) for gradient in present]
        if len(self._seen) == GRADIENT_SETS:
            del self._seen[next(iter(self._seen))]
        self._seen[tuple(map(id, gradients))] = seen
        return seen

    def _addresses(self) -> list[int]:
        return [array.unsafe_buffer_pointer() for array in self._arrays]


def _as_jax(tensor: Tensor) -> Any:
    import jax.numpy as jnp  # noqa: PLC0415

    return jnp.from_dlpack(tensor, copy=False)


def _view(address: int, like: Tensor, keep: object) -> Tensor:
    """A tensor of `like`'s shape and dtype on the memory there, which lives as long as `keep` holds it.

    Not through dlpack: XLA copies what it is given to write if anyone else holds it by dlpack.
    """
    memory = (ctypes.c_byte * (like.numel() * like.element_size())).from_address(address)
    memory.keep = keep  # type: ignore[attr-defined]
    return torch.frombuffer(memory, dtype=like.dtype).view(like.shape)


def _use_threads(threads: int) -> None:
    """Give XLA a new pool of so many threads, which ends what was made with another number.

    A pool's size is read once, from a variable, and no compiler option limits its use.
    """
    from jax.extend.backend import clear_backends  # noqa: PLC0415

    if _pool.get("threads") != threads:
        with _environment("NPROC", str(threads)):
            clear_backends()
            import jax  # noqa: PLC0415

            jax.devices("cpu")
        _pool["threads"] = threads


_pool: dict[str, int] = {}
"""The size of jax's pool, which is the process's and cannot be asked for it."""


@contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def make_bitsandbytes(params: list[Tensor], *, lr: float, alpha: float, eps: float) -> Any:
    """bitsandbytes.optim.RMSprop with 32 bits of state: arithmetic and state in float32 for every dtype."""
    import bitsandbytes  # noqa: PLC0415

    return bitsandbytes.optim.RMSprop(params, lr=lr, alpha=alpha, eps=eps)


def make_timm(params: list[Tensor], *, lr: float, alpha: float, eps: float) -> Any:
    """timm's RMSpropTF: s starts from 1, p = p - lr g / sqrt(s + ε)."""
    return rmsprop_tf()(params, lr=lr, alpha=alpha, eps=eps)


def make_adagrad(params: list[Tensor], *, lr: float, alpha: float, eps: float) -> Any:
    """torch's fused Adagrad, which has no α: s = s + g²; p = p - lr g / (sqrt(s) + ε)."""
    return torch.optim.Adagrad(params, lr=lr, eps=eps, fused=True)


def rmsprop_tf() -> Any:
    """The class RMSpropTF, from timm's folder of optimizers alone: importing timm needs torchvision."""
    name = "timm_optim"  # our name for the folder, so that a timm that can be imported is left alone
    if name not in sys.modules:
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [str(distribution("timm").locate_file("timm/optim"))]
        sys.modules[name] = module_from_spec(spec)
    return import_module(f"{name}.rmsprop_tf").RMSpropTF


def absent(*packages: str) -> str | None:
    """Why a step of these packages cannot be measured; None if all are installed."""
    missing = [package for package in packages if find_spec(package) is None]
    return f"not installed: {', '.join(missing)}; the extra `others` has it" if missing else None


def optax_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """None where `Optax` runs: on the CPU."""
    return absent("jax", "optax") or (
        None if device.type == "cpu" else f"optax is driven on the CPU alone here, not on {device.type}"
    )


def bitsandbytes_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """None where it runs in the dtype of the parameters or in float32."""
    if reason := absent("bitsandbytes"):
        return reason
    if dtype == torch.float64:
        return "bitsandbytes computes in float32, and rounds float64 parameters to it"
    return None if device.type in {"cpu", "cuda"} else f"bitsandbytes has no RMSProp on {device.type}"


def timm_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """None where timm is installed, whether it can be imported or not."""
    try:
        distribution("timm")
    except PackageNotFoundError:
        return "not installed: timm (pip install --no-deps timm)"
    return None


def adagrad_unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """torch's word on whether a fused kernel is there."""
    parameter = nn.Parameter(torch.zeros(1, device=device, dtype=dtype))
    parameter.grad = torch.zeros_like(parameter)
    try:
        make_adagrad([parameter], lr=0.01, alpha=0.9, eps=1e-8).step()
    except (RuntimeError, NotImplementedError) as error:
        return f"no fused Adagrad: {str(error).splitlines()[0]}"
    return None


def __getattr__(name: str) -> Any:
    """`optax`, `bitsandbytes`, `timm`, `adagrad`: an `Implementation`, made when asked for."""
    if name not in {"optax", "bitsandbytes", "timm", "adagrad"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rmsprop.suite.measure.registry import Implementation  # noqa: PLC0415 (the commit may have none)

    known = {
        "optax": Implementation(
            name, "optax.rmsprop, jitted, buffers donated", Optax, unavailable=optax_unavailable
        ),
        "bitsandbytes": Implementation(
            name,
            "bitsandbytes.optim.RMSprop, 32 bits of state",
            make_bitsandbytes,
            unavailable=bitsandbytes_unavailable,
        ),
        "timm": Implementation(
            name,
            "timm's RMSpropTF, first s = 1, ε inside the root",
            make_timm,
            eps=1e-10,
            eps_inside_sqrt=None,  # first s = 0 in both formulas that the reference knows
            unavailable=timm_unavailable,
        ),
        "adagrad": Implementation(
            name,
            "torch.optim.Adagrad, fused=True: another formula, the same passes",
            make_adagrad,
            eps_inside_sqrt=None,
            unavailable=adagrad_unavailable,
        ),
    }
    return known[name]
