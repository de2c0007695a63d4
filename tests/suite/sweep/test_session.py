"""A sweep goes on where it was stopped, takes only what belongs to it, and is refused where too large."""

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records.sweep_files import HEAD, POINTS, chunk_path, read_chunk, read_head
from rmsprop.suite.sweep import session, work
from rmsprop.suite.sweep.grid import Grid
from rmsprop.suite.sweep.session import check_size, prepare
from rmsprop.suite.sweep.work import Software, carry_out
from tests.suite.sweep.conftest import GRID, ROWS


@pytest.mark.slow
@pytest.mark.parametrize("most", [128, 1000, 100_000])
def test_the_size_of_chunks_changes_no_bit(sweep, bits, expected, tmp_path, most):
    assert bits(sweep(tmp_path, most=most)) == expected


@pytest.mark.slow
def test_nor_does_it_with_the_digits(sweep_digits, bits, expected_digits, tmp_path):
    assert bits(sweep_digits(tmp_path, most=32)) == expected_digits


def test_a_worker_whose_products_of_matrices_have_other_bits_is_refused(monkeypatch):
    pytest.importorskip("sklearn")
    mine = work.software("digits")
    assert mine == replace(work.software("book"), products=mine.products)
    assert len(mine.products) == 16
    monkeypatch.setattr(work.network, "products", lambda: "other")
    work.software.cache_clear()
    other = work.software("digits")
    work.software.cache_clear()
    assert other != mine
    assert "whose products of matrices have the bits other" in work._words(other)


def stop_after(count):
    """An engine that is interrupted after so many chunks."""

    def engine(tasks):
        for number, task in enumerate(tasks):
            if number == count:
                raise KeyboardInterrupt
            yield carry_out(task)

    return engine


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on_and_trains_nothing_twice(sweep, bits, expected, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, stop_after(5))
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    assert len(kept) == 5
    trained = []
    folder = sweep(tmp_path, progress=trained.append)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert sum(trained) == GRID.trainings - sum(len(read_chunk(path)[0]["loss"]) for path in kept)
    assert bits(folder) == expected


def test_a_rerun_keeps_the_chunks_that_the_sweep_has(sweep, bits, expected, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, stop_after(5))
    assert bits(sweep(tmp_path, most=100_000)) == expected


def test_a_whole_sweep_trains_nothing_more_and_again_begins_anew(sweep, tmp_path):
    folder = sweep(tmp_path)
    assert sweep(tmp_path, stop_after(0)) == folder
    assert prepare(GRID, ROWS, tmp_path, target=0.3, most=256, again=True).folder != folder


@pytest.mark.parametrize(
    "change",
    [
        {"grid": replace(GRID, seeds=301)},
        {"grid": replace(GRID, lr=(0.003, 0.1, 1e19))},
        {"grid": replace(GRID, job="digits")},
        {"target": 0.31},
        {"rows": replace(ROWS, labels=ROWS.labels + 1)},
        {"software": "other torch"},
        {"commit": "another"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_sweep_goes_on_only_with_what_belongs_to_it(tmp_path, monkeypatch, make_environment, change):
    def begun(change):
        monkeypatch.setattr(
            session, "capture_environment", lambda: make_environment(commit=change.get("commit", "one"))
        )
        found = Software("1", change.get("software", "2"), "code", "AVX2")
        monkeypatch.setattr(session, "software", lambda job: found)
        target = change.get("target", 0.3)
        return prepare(change.get("grid", GRID), change.get("rows", ROWS), tmp_path, target=target, most=256)

    first = begun({})
    assert begun({}).folder == first.folder
    other = begun(change)
    assert other.folder != first.folder
    assert len(other.left) > 0


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "empty", "foreign", "other sweep"])
def test_a_damaged_chunk_is_trained_again(sweep, bits, expected, tmp_path, damage):
    folder = sweep(tmp_path)
    (folder / POINTS).unlink()
    path = chunk_path(folder, 3)
    content = path.read_bytes()
    if damage == "other sweep":
        content = content.replace(read_head(folder / HEAD).identity.encode(), b"0" * 64)
    path.write_bytes({"cut": content[:-9], "empty": b"", "foreign": b"{}"}.get(damage, content))
    assert bits(sweep(tmp_path)) == expected


def test_a_full_disk_is_one_line_and_keeps_what_was_finished(sweep, tmp_path, monkeypatch):
    written = []

    def write(path, *given):
        if len(written) == 2:
            raise UserError("cannot write to here: No space left on device")
        written.append(path)
        return session_write(path, *given)

    session_write = session.write_chunk
    monkeypatch.setattr(session, "write_chunk", write)
    with pytest.raises(UserError, match="No space left"):
        sweep(tmp_path)
    assert sorted(tmp_path.rglob("0*.parquet")) == written


def test_a_sweep_too_large_for_the_disk_is_refused_with_its_size(tmp_path):
    grid = Grid(lr=tuple(0.1 + 0.001 * i for i in range(1000)), seeds=2**31 - 1)
    with pytest.raises(UserError, match=r"2,147,483,647,000 trainings take about [\d,.]+ GiB on the disk"):
        check_size(grid, tmp_path / "new" / "folder", 32_768, 1)


@pytest.mark.parametrize(
    ("grid", "most", "jobs"),
    [(GRID, 2**40, 1), (GRID, 256, 10**6), (replace(GRID, epochs=(10_000,), batch_size=(1,)), 256, 8)],
)
def test_a_sweep_too_large_for_the_memory_is_refused_with_its_size(tmp_path, monkeypatch, grid, most, jobs):
    monkeypatch.setattr(session, "host_memory", lambda: 2**33)
    with pytest.raises(
        UserError, match=r"trainings take about [\d,.]+ GiB of memory, where 8.0 GiB are free"
    ):
        check_size(grid, tmp_path, most, jobs)
    check_size(GRID, tmp_path, 256, 2)


def test_a_worker_with_other_software_says_so(monkeypatch):
    plan_task = next(iter(session.SweepPlan.tasks(_plan())))
    monkeypatch.setattr(work, "software", lambda job: Software("0.0.9", "2.0", "old", "DEFAULT"))
    with pytest.raises(
        UserError, match=r"a worker has rmsprop-bench 0\.0\.9 .* torch 2\.0 .*the sweep needs"
    ):
        carry_out(plan_task)


def _plan():
    class Plan:
        left = tuple(session.chunks(GRID, 256))
        data = ROWS

        class record:  # noqa: N801
            target, software = 0.3, work.software("book")

    return Plan


@pytest.mark.slow
@pytest.mark.parametrize(("job", "batch", "chosen"), [("book", 2, 32), ("digits", 1797, 4)])
def test_memory_stays_within_what_was_said(job, batch, chosen):
    """Peak of a process that trains a grid of long programs, of some of its settings."""
    if job == "digits":
        pytest.importorskip("sklearn")
    code = f"""
import resource, torch
from rmsprop.book.airfoil import load_airfoil
from rmsprop.suite.sweep import session
from rmsprop.suite.sweep.grid import Grid, chunks
from rmsprop.suite.measure.digits import load_digits
from rmsprop.suite.sweep.work import TRAINERS
grid = Grid(
    lr=tuple(0.001 * i for i in range(1, 200)), batch_size=({batch},), epochs=(2,), dtype=("float64",),
    job="{job}", seeds=16 if "{job}" == "digits" else 128,
)
chunk = next(chunks(grid, 32_768))
rows = load_digits() if "{job}" == "digits" else load_airfoil("surrogate")
settings = {{name: values[:{chosen}] for name, values in chunk.settings.items()}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
TRAINERS["{job}"](chunk.program, settings, rows.features, rows.labels, chunk.seeds, target=0.25)
used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(used * 1024, session._worker_bytes(grid, "float64", 4096))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    used, said = map(int, done.stdout.split())
    assert used < said


@pytest.mark.slow
def test_a_killed_sweep_goes_on_and_ends_with_the_same_bits(sweep, bits, expected, tmp_path):
    code = """
import sys, pathlib
from rmsprop.suite.sweep.session import carry_on, prepare
from rmsprop.suite.sweep.engines import in_this_process
from tests.suite.sweep.conftest import GRID, ROWS
plan = prepare(GRID, ROWS, pathlib.Path(sys.argv[1]), target=0.3, most=256)
carry_on(plan, in_this_process, lambda done: print(done, flush=True))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    process.stdout.readline()
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    left = list(tmp_path.rglob("0*.parquet"))
    assert 2 <= len(left) < 14
    assert bits(sweep(tmp_path)) == expected
    assert not list(tmp_path.rglob(".partial-*"))
