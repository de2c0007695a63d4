"""`rmsprop sweep` from its options to its record: what it prints, and with which code it ends."""

import os
import signal
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.cli import main as cli
from rmsprop.suite.cli.sweep_options import SweepOptions
from rmsprop.suite.records.sweep_files import read_sweeps
from rmsprop.suite.sweep.grid import Grid

CHECKOUT = Path(__file__).parents[3]
SMALL = ["sweep", "optimizer=sgd,rmsprop", "lr=1e-3..1:3", "epochs=1", "batch_size=100", "--seeds", "20"]


def swept(folder, *more):
    given = [*SMALL, "--jobs", "1", "--data", "surrogate", "--output", str(folder), *more]
    return CliRunner().invoke(cli.app, given)


def test_axes_come_from_the_profile_and_what_is_given_takes_their_place():
    given = SweepOptions(axis=("batch-size=1,10", "lr=.1"), profile="smoke", seeds=7)
    assert given.grid.batch_size == (1, 10)
    assert given.grid.lr == (0.1,)
    assert given.grid.gamma == (0.5, 0.9, 0.99)
    assert given.grid.seeds == 7
    assert SweepOptions().grid == Grid()
    assert SweepOptions(scheduler="tcp://a:1").processes == 0


@pytest.mark.slow
def test_the_best_points_are_shown_and_a_second_run_trains_nothing(tmp_path):
    first = swept(tmp_path)
    assert first.exit_code == 0, first.output
    assert "6 points x 20 seeds = 120 trainings" in first.output
    assert "0 of 10" in first.output
    [head] = tmp_path.rglob("sweep.json")
    assert first.output.rstrip().endswith(f"record: {head.parent}")
    again = swept(tmp_path)
    assert again.exit_code == 0, again.output
    assert "whole already" in again.output
    assert len(list(tmp_path.rglob("sweep.json"))) == 1
    assert swept(tmp_path, "--again").exit_code == 0
    assert len(list(tmp_path.rglob("sweep.json"))) == 2


def test_a_list_trains_nothing(tmp_path):
    answer = swept(tmp_path, "--list")
    assert answer.exit_code == 0
    assert "lr: 0.001, 0.0316228, 1" in answer.output
    assert "6 points x 20 seeds = 120 trainings, in 2 chunks" in answer.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_digits_are_swept_stored_and_gone_on_with_as_the_books_job_is(tmp_path):
    pytest.importorskip("sklearn")
    command = [
        "sweep", "--job", "digits", "optimizer=sgd,rmsprop", "lr=.01,.1", "epochs=1", "batch_size=200",
        "--seeds", "6", "--jobs", "1", "--output", str(tmp_path),
    ]  # fmt: skip
    first = CliRunner().invoke(cli.app, command)
    assert first.exit_code == 0, first.output
    assert "data: the digits of scikit-learn" in first.output
    assert "4 points x 6 seeds = 24 trainings" in first.output
    [sweep], problems = read_sweeps(tmp_path)
    assert not problems
    assert (sweep.record.job, sweep.record.target) == ("digits", 0.1)
    assert sweep.points["loss_median"].between(0.5, 5).all()
    again = CliRunner().invoke(cli.app, command)
    assert again.exit_code == 0
    assert "whole already" in again.output


def test_the_digits_have_values_of_their_own_and_no_data():
    given = SweepOptions(job="digits")
    assert (given.loss, given.most, given.grid.batch_size, given.grid.seeds) == (0.1, 512, (32,), 32)
    assert (SweepOptions().loss, SweepOptions().most) == (0.25, 32_768)
    with pytest.raises(UserError, match="--data surrogate: the job digits has rows of its own"):
        SweepOptions(job="digits", data="surrogate")
    with pytest.raises(UserError, match="--job 'mnist': choose one of book, digits"):
        SweepOptions(job="mnist")
    with pytest.raises(UserError, match="--chunk 31: expected at least 32"):
        SweepOptions(job="digits", chunk=31)


def test_without_scikit_learn_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    answer = CliRunner().invoke(cli.app, ["sweep", "--job", "digits", "--output", str(tmp_path)])
    assert "--job digits needs scikit-learn: python -m pip install 'rmsprop-bench[digits]'" in str(
        answer.exception
    )
    assert not list(tmp_path.iterdir())


def test_an_interrupt_ends_with_130_and_says_what_is_kept(tmp_path, monkeypatch):
    def interrupted(plan, engine, progress):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(import_module("rmsprop.suite.cli.sweep"), "carry_on", interrupted)
        answer = swept(tmp_path)
    assert answer.exit_code == 130
    assert "finished chunks are kept in" in answer.output
    assert swept(tmp_path).exit_code == 0
    assert len(list(tmp_path.rglob("sweep.json"))) == 1


def test_without_pyarrow_it_says_what_to_install(tmp_path, monkeypatch):
    module = import_module("rmsprop.suite.records.sweep_files")
    module.arrow.cache_clear()
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    answer = swept(tmp_path)
    module.arrow.cache_clear()
    assert "rmsprop-bench[sweep]" in str(answer.exception)
    assert not list(tmp_path.iterdir())


def group_runs(number):
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_and_a_kill_leave_one_line_and_finished_chunks(tmp_path, jobs):
    """A terminal sends Ctrl-C to the workers too."""
    pytest.importorskip("joblib")
    command = [
        sys.executable, "-m", "rmsprop", "sweep", "lr=1e-3..1:30", "--seeds", "100000", "--chunk", "2048",
        "--jobs", jobs, "--data", "surrogate", "--output", str(tmp_path),
    ]  # fmt: skip
    process = subprocess.Popen(
        command, cwd=CHECKOUT, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and len(list(tmp_path.rglob("0*.parquet"))) < 3:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "internal error" not in err
    assert "finished chunks are kept in" in err
    assert len(list(tmp_path.rglob("0*.parquet"))) >= 3
    assert out == ""
    waited = time.monotonic()
    while group_runs(process.pid):
        assert time.monotonic() - waited < 30, "a worker is left behind"
        time.sleep(0.1)
