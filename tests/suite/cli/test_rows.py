"""What the terminal says of the rows."""

import pytest

from rmsprop.book import airfoil
from rmsprop.suite.cli import rows


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Nothing in the cache, nothing in the environment, and a network without an answer."""
    monkeypatch.delenv("RMSPROP_DATA", raising=False)
    monkeypatch.setenv("RMSPROP_CACHE", str(tmp_path))

    def refuse(_url, _seconds):
        raise airfoil.UnusableError("no answer")

    monkeypatch.setattr(airfoil, "_fetch", refuse)


def test_offline_the_terminal_says_what_failed_what_stands_in_and_what_to_do(offline, capsys):
    assert rows.load_rows("auto").source == "surrogate"
    said = capsys.readouterr().err
    assert "could not be downloaded (UCI: no answer" in said
    assert "A surrogate takes their place" in said
    assert "--data PATH or RMSPROP_DATA" in said


def test_a_surrogate_that_was_asked_for_is_no_failure(capsys):
    rows.load_rows("surrogate")
    said = capsys.readouterr().err
    assert "data: surrogate" in said
    assert "could not" not in said
