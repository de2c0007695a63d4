"""The gate's made-up runs."""

from tests.suite.conftest import matrix, rng, simulate

__all__ = ["matrix", "rng", "simulate"]
