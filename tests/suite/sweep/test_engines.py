"""Every engine gives the same bits, and says in one line what it cannot do."""

import gc
import logging
import os
import signal
import sys
import time
from dataclasses import replace
from functools import partial

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.sweep import engines
from rmsprop.suite.sweep.engines import engine_of, in_processes, in_this_process, on_cluster
from rmsprop.suite.sweep.work import carry_out

pytestmark = pytest.mark.slow


@pytest.fixture
def quiet_logs():
    """The engine silences distributed's log; leave it as it was."""
    loggers = [logging.getLogger(name) for name in ("distributed", "tornado")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def no_open_client():
    """A client that the collector closes while another starts waits for ever, so none is left to it."""
    gc.disable()
    yield
    gc.enable()
    if distributed := sys.modules.get("distributed"):
        left = [one.status for one in gc.get_objects() if type(one) is distributed.Client]
        assert set(left) <= {"closed"}


@pytest.fixture
def cluster(quiet_logs):
    """Start a Dask cluster of so many worker processes on loopback."""
    distributed = pytest.importorskip("distributed")
    started = []

    def start(workers):
        one = distributed.LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None,
            host="127.0.0.1", silence_logs=logging.CRITICAL,
        )  # fmt: skip
        started.append(one)
        return one

    yield start
    for one in started:
        one.close(timeout=10)


@pytest.mark.parametrize("jobs", [2, 3])
def test_processes_give_the_same_bits(sweep, bits, expected, tmp_path, jobs):
    pytest.importorskip("joblib")
    assert bits(sweep(tmp_path, partial(in_processes, jobs), most=512)) == expected


def test_processes_and_a_cluster_give_the_same_bits_of_the_digits(
    sweep_digits, bits, expected_digits, tmp_path, cluster
):
    pytest.importorskip("joblib")
    found = sweep_digits(tmp_path / "processes", partial(in_processes, 2), most=64)
    assert bits(found) == expected_digits
    address = cluster(2).scheduler_address
    assert bits(sweep_digits(tmp_path / "cluster", partial(on_cluster, address), most=32)) == expected_digits


def test_a_cluster_gives_the_same_bits(sweep, bits, expected, tmp_path, cluster):
    address = cluster(2).scheduler_address
    assert bits(sweep(tmp_path, partial(on_cluster, address), most=128)) == expected


def test_a_worker_that_is_killed_changes_no_bit(sweep, bits, expected, tmp_path, cluster):
    one = cluster(2)
    killed = []

    def kill(_trainings):
        if not killed:
            killed.append(next(iter(one.workers.values())).process.pid)
            os.kill(killed[0], signal.SIGKILL)

    assert bits(sweep(tmp_path, partial(on_cluster, one.scheduler_address), 128, kill)) == expected
    assert killed


def die(_task):
    os.kill(os.getpid(), signal.SIGKILL)


def first_only(output, task):
    """Any other chunk kills its worker as soon as one is finished."""
    if task.chunk.number:
        while not list(output.rglob("*.parquet")):
            time.sleep(0.01)
        die(task)
    return carry_out(task)


def test_a_process_that_is_killed_is_one_line_and_finished_chunks_are_kept(sweep, bits, expected, tmp_path):
    pytest.importorskip("joblib")
    with pytest.raises(UserError, match=r"a worker process was killed.*finished chunks are kept"):
        sweep(tmp_path, partial(in_processes, 2, work=partial(first_only, tmp_path)))
    [kept] = tmp_path.rglob("*.parquet")
    finished = kept.stat().st_mtime_ns
    assert bits(sweep(tmp_path)) == expected
    assert kept.stat().st_mtime_ns == finished


def test_a_chunk_that_kills_its_workers_is_one_line(sweep, tmp_path, cluster):
    address = cluster(1).scheduler_address
    with pytest.raises(UserError, match=r"several workers that died.*finished chunks are kept"):
        sweep(tmp_path, partial(on_cluster, address, work=die))


def test_a_cluster_without_workers_is_one_line(sweep, tmp_path, cluster):
    address = cluster(0).scheduler_address
    with pytest.raises(UserError, match=r"no worker for 1 s: start some with `dask worker"):
        sweep(tmp_path, partial(on_cluster, address, patience=1))


def test_a_scheduler_that_is_lost_is_one_line_and_finished_chunks_are_kept(
    sweep, bits, expected, tmp_path, cluster
):
    one = cluster(1)

    def lose(_trainings):
        one.close(timeout=10)

    with pytest.raises(UserError, match=r"no longer answers; finished chunks are kept"):
        sweep(tmp_path, partial(on_cluster, one.scheduler_address), 128, lose)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert kept
    assert bits(sweep(tmp_path)) == expected
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def other_torch(task):
    """As a worker with another torch would answer."""
    return carry_out(replace(task, software=replace(task.software, torch="2.0.0")))


def test_workers_with_another_torch_are_one_line(sweep, tmp_path, cluster):
    address = cluster(1).scheduler_address
    with pytest.raises(UserError, match=r"a worker has .*; the sweep needs .*torch 2\.0\.0"):
        sweep(tmp_path, partial(on_cluster, address, work=other_torch))


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere", "tcp://", "ftp://127.0.0.1:1"])
def test_a_scheduler_that_is_not_there_is_one_line(sweep, tmp_path, address, monkeypatch, quiet_logs):
    pytest.importorskip("distributed")
    monkeypatch.setattr(engines, "CONNECT", 1.0)
    with pytest.raises(UserError, match="no Dask scheduler answers at") as refused:
        sweep(tmp_path, partial(on_cluster, address))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("jobs", "address", "name"), [(2, None, "joblib"), (0, "tcp://a:1", "distributed")])
def test_an_absent_package_is_named_with_what_to_install(monkeypatch, jobs, address, name):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=rf"needs {name}: python -m pip install 'rmsprop-bench\[sweep\]'"):
        engine_of(jobs, address)
    assert engine_of(1, None) is in_this_process
