"""The answer is never thrown away: a record is judged again, and a closed pipe changes no exit code."""

import math
import os
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.cli.main import app
from rmsprop.suite.gate.session import _former
from rmsprop.suite.gate.starter import write_suite
from rmsprop.suite.records.store import write_gate
from tests.repositories import CHECKOUT


@pytest.fixture
def stored(simulate, rng, tmp_path):
    """The record of a run that found a slowdown."""
    return write_gate(tmp_path / "gate", simulate(rng, {"a-1": math.log(1.2), "a-2": 0.0}, sd=0.005))


@pytest.mark.parametrize(
    ("form", "words"), [("table", "Slower: a-1"), ("json", '"code": 1'), ("junit", "<failure")]
)
def test_a_stored_record_is_printed_in_any_format_with_its_exit_code(stored, form, words):
    result = CliRunner().invoke(app, ["gate", "--from", str(stored), "--format", form])
    assert result.exit_code == 1
    assert words in result.stdout


@pytest.mark.parametrize("content", [None, "{}", "nothing"])
def test_what_is_no_record_is_an_error_that_says_so(tmp_path, content):
    path = tmp_path / "record.json"
    if content:
        path.write_text(content)
    result = CliRunner().invoke(app, ["gate", "--from", str(path)])
    assert isinstance(result.exception, UserError)
    assert "expected a record of the gate" in str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["table", "markdown"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("where", ["closed pipe", "full disk"])
def test_a_closed_pipe_or_a_full_disk_leaves_the_exit_code_as_it_is(simulate, rng, tmp_path, form, where):
    passed = write_gate(tmp_path / "gate", simulate(rng, {"a-1": 0.0}, sd=0.005))
    if where == "full disk":
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        read, out = os.pipe()
        os.close(read)
    command = [sys.executable, "-m", "rmsprop", "gate", "--from", str(passed), "--format", form]
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    answer = subprocess.run(
        command, stdout=out, stderr=subprocess.PIPE, env=environment, text=True, check=False
    )
    os.close(out)
    assert answer.returncode == 0, answer.stderr
    assert "No slowdown" in answer.stderr


def test_a_suite_is_written_for_the_package_that_is_there_and_over_nothing(tmp_path):
    with pytest.raises(UserError, match="has no package"):
        write_suite(tmp_path)
    (tmp_path / "src" / "mine").mkdir(parents=True)
    (tmp_path / "src" / "mine" / "__init__.py").write_text("x = 1\n")
    path = write_suite(tmp_path)
    assert 'PACKAGE = "mine"' in path.read_text()
    code = "import speed\nwith speed.make(speed.cases()[0]) as run: run(3)"
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(tmp_path / "src")))},
    )
    with pytest.raises(UserError, match="is there already"):
        write_suite(tmp_path)


def test_a_record_that_cannot_be_stored_costs_the_record_and_not_the_answer(
    simulate, rng, tmp_path, monkeypatch
):
    record = simulate(rng, {"a-1": math.log(1.2)}, sd=0.005)
    monkeypatch.setattr("rmsprop.suite.cli.gate.gate", lambda request, progress: record)
    (tmp_path / "gate").write_text("a file where the folder would be")
    result = CliRunner().invoke(app, ["gate", "--base", "HEAD", "--output", str(tmp_path)])
    assert result.exit_code == 1
    assert "Slower: a-1" in result.stdout
    assert "the record is not stored: cannot write to" in result.stderr


def test_a_summary_that_cannot_be_written_costs_the_summary_alone(stored, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "absent" / "summary"))
    result = CliRunner().invoke(app, ["gate", "--from", str(stored), "--format", "github"])
    assert result.exit_code == 1
    assert "::error" in result.stdout


def test_former_records_that_cannot_be_read_are_left_out(stored):
    damaged = stored.with_name("9999.json")
    damaged.mkdir()
    stored.with_name("99999.json").symlink_to("/dev/zero")
    assert [one.cases[0].id for one in _former(stored.parent)] == ["a-1"]
