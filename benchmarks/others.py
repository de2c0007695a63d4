"""Optimizers of other packages under the names that records use, such as `benchmarks.others:optax`."""

from typing import Any

from rmsprop.suite.measure import other_optimizers


def __getattr__(name: str) -> Any:
    return getattr(other_optimizers, name)
