"""The lock on a run's record: one holder, gone with the open file, and no hindrance where there are none."""

import errno

import pytest

from rmsprop.suite.records import locks
from rmsprop.suite.records.locks import lock


@pytest.fixture
def path(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    return tmp_path / "run.json"


def test_one_holds_it_until_the_file_is_closed_and_the_file_stays_as_it_was(path):
    with lock(path):
        assert lock(path) is None
    with lock(path) as again:
        assert not again.closed
    assert [one.name for one in path.parent.iterdir()] == ["run.json"]
    assert path.read_text() == "{}"


def test_a_run_of_somebody_else_that_may_not_be_written_is_not_taken(path, monkeypatch):
    def refuse(_path, _mode):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(locks.Path, "open", refuse)
    assert lock(path) is None


def test_a_file_system_without_locks_is_measured_on_all_the_same(path, monkeypatch):
    def refuse(_file, _how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with lock(path) as file:
        assert not file.closed
