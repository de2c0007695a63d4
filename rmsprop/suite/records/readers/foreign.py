"""A folder of somebody else's: each file is told by what it holds."""

from pathlib import Path

from rmsprop.suite.records.files import read_json
from rmsprop.suite.records.readers.asv import AsvReader
from rmsprop.suite.records.readers.pytest_benchmark import rows_of
from rmsprop.suite.records.readers.rows import Rows


class ForeignReader:
    """Reads results of asv and files of pytest-benchmark wherever they lie."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._asv = AsvReader()

    def __call__(self, path: Path) -> Rows:
        """The rows of one file; ValueError for one that neither wrote."""
        content = read_json(path)
        known = path.name in {"machine.json", "benchmarks.json"}
        if known or ("commit_hash" in content and "results" in content):
            return self._asv.rows(path, content)
        if "benchmarks" in content and "machine_info" in content:
            return rows_of(path, content)
        raise ValueError("neither a result of asv nor a file of pytest-benchmark")
