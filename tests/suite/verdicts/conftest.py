"""The report's made-up measurements, for verdicts on them."""

from tests.suite.report.conftest import put

__all__ = ["put"]
