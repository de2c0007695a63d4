"""The makers of records."""

from tests.suite.conftest import make_sweep
from tests.suite.report.conftest import put

__all__ = ["make_sweep", "put"]
