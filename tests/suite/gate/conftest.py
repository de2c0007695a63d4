from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.cli.main import app
from tests.repositories import make_repository


@pytest.fixture
def gate(monkeypatch):
    """The command, in this process; the processes that measure are real."""

    def run(folder, *arguments):
        monkeypatch.chdir(folder)
        result = CliRunner().invoke(app, ["gate", *arguments])
        if isinstance(result.exception, UserError):
            return SimpleNamespace(code=2, out=result.stdout, err=f"{result.stderr}{result.exception}")
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return SimpleNamespace(code=result.exit_code, out=result.stdout, err=result.stderr)

    return run


@pytest.fixture
def theirs(tmp_path):
    """Someone else's repository, with a package and a suite of its own."""
    return make_repository(tmp_path / "theirs")
