"""RMSProp, measured: the book's section 7.6 reproduced, and its implementations benchmarked.

The experiment lives in `rmsprop.book`, what is measured in `rmsprop.optimizers`, the command line in
`rmsprop.suite.cli`. The names below are loaded, with torch, when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rmsprop.optimizers.fused import FusedRMSprop, FusedRMSpropInBackward
    from rmsprop.optimizers.scratch import init_rmsprop_states, rmsprop, rmsprop_2d

__all__ = [
    "FusedRMSprop",
    "FusedRMSpropInBackward",
    "__version__",
    "init_rmsprop_states",
    "rmsprop",
    "rmsprop_2d",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in __all__:
        module = "fused" if name.startswith("Fused") else "scratch"
        return getattr(import_module(f"rmsprop.optimizers.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
