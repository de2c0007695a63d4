"""A sweep is read as it was written, and one that contradicts itself is named."""

from dataclasses import replace

import numpy as np
import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records.sweep import AXES, COLUMNS, ChunkTime
from rmsprop.suite.records.sweep_files import (
    HEAD,
    POINTS,
    begin_sweep,
    chunk_path,
    last_sweep,
    read_chunk,
    read_sweeps,
    write_chunk,
    write_points,
)

CHUNK = {
    "point": np.array([0, 0, 1]),
    "seed": np.array([0, 1, 0]),
    "loss": np.array([0.25, np.inf, np.nan]),
    "diverged": np.array([False, True, True]),
    "rows": np.array([300, -1, -1]),
}


@pytest.fixture
def stored(tmp_path, make_sweep):
    """A finished sweep on disk: its folder."""
    sweep = make_sweep()
    folder = begin_sweep(tmp_path, sweep.record)
    write_points(folder, sweep.points, sweep.chunks)
    return folder


def test_a_sweep_is_read_as_it_was_written(stored, tmp_path, make_sweep):
    [found], problems = read_sweeps(tmp_path)
    made = make_sweep()
    assert problems == []
    assert found.record == replace(made.record, id=stored.name)
    assert found.chunks == made.chunks
    assert (found.seconds, found.cpu_seconds) == (12.5, 10.0)
    assert list(found.points) == [*AXES, *COLUMNS]
    for name in found.points:
        assert found.points[name].equals(made.points[name].astype(found.points[name].dtype)), name


def test_a_chunk_is_read_as_it_was_written_and_the_first_one_stays(tmp_path):
    path = chunk_path(tmp_path, 7)
    write_chunk(path, CHUNK, "mine", ChunkTime(3, 1.5, 1.0))
    write_chunk(path, CHUNK | {"loss": np.zeros(3)}, "mine", ChunkTime(3, 2.5, 2.0))
    columns, time = read_chunk(path)
    assert time == ChunkTime(3, 1.5, 1.0)
    for name, values in CHUNK.items():
        np.testing.assert_array_equal(columns[name], values)
    assert [one.name for one in path.parent.iterdir()] == ["000007.parquet"]


def test_a_damaged_chunk_is_named_with_what_to_do(tmp_path):
    path = chunk_path(tmp_path, 7)
    write_chunk(path, CHUNK, "mine", ChunkTime(3, 1.5, 1.0))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UserError, match=r"000007.parquet is damaged .*delete it and run the command again"):
        read_chunk(path)


def test_a_sweep_that_is_not_whole_is_no_record_and_no_problem(stored, tmp_path):
    (stored / POINTS).unlink()
    assert read_sweeps(tmp_path) == ([], [])


def test_a_sweep_is_found_by_its_identity_and_a_damaged_head_is_passed_over(tmp_path, make_sweep):
    record = make_sweep().record
    first, second = (begin_sweep(tmp_path, record) for _ in range(2))
    assert last_sweep(tmp_path, record.environment.machine, record.identity) == second
    (second / HEAD).write_text("{")
    assert last_sweep(tmp_path, record.environment.machine, record.identity) == first
    assert last_sweep(tmp_path, record.environment.machine, "1" * 64) is None


CONTRADICTIONS = {
    "points": lambda points: points.iloc[:-1],
    "other columns": lambda points: points.drop(columns="seeds"),
    "other seeds": lambda points: points.assign(seeds=np.int32(3)),
    "diverged is not a part": lambda points: points.assign(diverged=np.int32(10**6)),
    "loss_q05 is above": lambda points: points.assign(loss_q05=np.float32(9)),
    "another type": lambda points: points.assign(held_low="x"),
}


@pytest.mark.parametrize("reason", CONTRADICTIONS)
def test_a_summary_that_contradicts_itself_is_named(stored, tmp_path, make_sweep, reason):
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    table = pa.Table.from_pandas(CONTRADICTIONS[reason](make_sweep().points), preserve_index=False)
    pq.write_table(table.replace_schema_metadata({"chunks": "[]"}), stored / POINTS)
    found, [problem] = read_sweeps(tmp_path)
    assert found == []
    assert problem.path == stored / POINTS
    assert reason in problem.reason


@pytest.mark.parametrize("content", [b"", b"PAR1", b"{}"])
def test_a_summary_that_is_none_is_named(stored, tmp_path, content):
    (stored / POINTS).write_bytes(content)
    found, [problem] = read_sweeps(tmp_path)
    assert found == []
    assert "no summary of a sweep" in problem.reason
