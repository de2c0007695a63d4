"""The maker of benchmark records."""

from tests.suite.report.conftest import put

__all__ = ["put"]
