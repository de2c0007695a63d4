"""The frame as a file: every column and every number comes back."""

import json

import numpy as np
import pandas as pd
import pytest

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.records.bench import BenchRecord, Measurement
from rmsprop.suite.records.export import FORMS, export_frame
from rmsprop.suite.records.frame import COLUMNS, read_frame
from rmsprop.suite.records.store import write_bench


@pytest.fixture
def frame(tmp_path, make_environment):
    """One measured case, with names that a format might trip over, and one that was skipped."""
    made = {"environment": make_environment(), "notes": ('a, "b"\nc',), "warnings": ("busy: ünïcode",)}
    axes = Case("made.up:Other, one", "cpu", "float32", "1e5", "single", 1)
    measured = Measurement(100_000, 1, 50, {"step": (3e-5, 1 / 3 * 1e-5, 2e-5), "peak": (8e5,)}, 1e-5)
    write_bench(
        tmp_path / "bench" / "a.json",
        BenchRecord(**made, axes=axes, status="measured", reason=None, measurement=measured),
    )
    skipped = {"status": "skipped", "reason": "no device", "measurement": None}
    write_bench(tmp_path / "bench" / "b.json", BenchRecord(**made, axes=axes, **skipped))
    return read_frame(tmp_path)[0]


def test_csv_holds_every_column_and_number(tmp_path, frame):
    export_frame(frame, tmp_path / "out" / "frame.csv", "csv")
    back = pd.read_csv(tmp_path / "out" / "frame.csv")
    assert list(back) == list(COLUMNS)
    assert back["median"].tolist()[:2] == frame["median"].tolist()[:2]
    assert [json.loads(text) for text in back["samples"]] == [list(one) for one in frame["samples"]]
    assert back["notes"].tolist() == frame["notes"].tolist()
    assert pd.to_datetime(back["started"], utc=True).tolist() == frame["started"].tolist()


def test_json_holds_every_column_and_number_and_null_for_what_is_missing(tmp_path, frame):
    export_frame(frame, tmp_path / "frame.json", "json")
    rows = json.loads((tmp_path / "frame.json").read_text("utf-8"))
    assert [list(row) for row in rows] == [list(COLUMNS)] * 3
    assert rows[0]["samples"] == pytest.approx([3e-5, 1 / 3 * 1e-5, 2e-5], rel=1e-9)
    assert rows[2]["median"] is None
    assert rows[2]["reason"] == "no device"
    assert rows[0]["warnings"] == "busy: ünïcode"
    assert rows[0]["started"].startswith("2026-01-02T03:04:05")


def test_parquet_holds_every_column_type_and_number(tmp_path, frame):
    pytest.importorskip("pyarrow", reason="needs pyarrow: python -m pip install 'rmsprop-bench[parquet]'")
    export_frame(frame, tmp_path / "frame.parquet", "parquet")
    back = pd.read_parquet(tmp_path / "frame.parquet")
    assert list(back) == list(COLUMNS)
    assert back["threads"].tolist() == [1, 1, 1]
    assert back["median"].tolist()[:2] == frame["median"].tolist()[:2]
    assert all(np.array_equal(a, b) for a, b in zip(back["samples"], frame["samples"], strict=True))
    assert back["started"].tolist() == frame["started"].tolist()


def test_another_format_is_refused_with_those_that_there_are(tmp_path, frame):
    with pytest.raises(UserError, match="choose one of parquet, csv, json"):
        export_frame(frame, tmp_path / "frame.xlsx", "xlsx")


def test_a_file_that_cannot_be_written_leaves_the_former_one_and_nothing_beside_it(
    tmp_path, frame, monkeypatch
):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "frame.csv").write_text("former")

    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(FORMS, "csv", full)
    with pytest.raises(UserError, match="No space left"):
        export_frame(frame, tmp_path / "out" / "frame.csv", "csv")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["frame.csv"]
    assert (tmp_path / "out" / "frame.csv").read_text() == "former"


@pytest.mark.parametrize("form", ["csv", "json"])
def test_an_empty_frame_is_an_empty_table(tmp_path, form):
    export_frame(read_frame(tmp_path)[0], tmp_path / f"frame.{form}", form)
    text = (tmp_path / f"frame.{form}").read_text()
    assert text.strip() == (",".join(COLUMNS) if form == "csv" else "[]")
