"""Made-up results of asv, for the commands that read them."""

from tests.suite.history.conftest import steady, write_asv

__all__ = ["steady", "write_asv"]
