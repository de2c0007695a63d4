"""The tidy frame as a file for other tools. `rmsprop.suite.records.frame.COLUMNS` documents its columns."""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from rmsprop.errors import UserError
from rmsprop.suite.records.files import replacing


def export_frame(frame: pd.DataFrame, path: Path, form: str) -> None:
    """Write the frame to `path` as parquet, csv or json: whole, or not at all.

    Times are UTC. `samples` is a list of numbers in parquet and json, and its JSON text in csv; what is
    missing is empty in csv and null elsewhere. UserError for another form, or where `path` cannot be written.
    """
    if form not in FORMS:
        raise UserError(f"--format {form}: choose one of {', '.join(FORMS)}")
    with replacing(path) as partial:
        FORMS[form](frame, partial)


def _to_parquet(frame: pd.DataFrame, path: Path) -> None:
    frame.to_parquet(path, engine="pyarrow", index=False)


def _to_csv(frame: pd.DataFrame, path: Path) -> None:
    texts = [json.dumps(samples.tolist()) for samples in frame["samples"]]
    frame.assign(samples=texts).to_csv(path, index=False, lineterminator="\n")


def _to_json(frame: pd.DataFrame, path: Path) -> None:
    frame.to_json(path, orient="records", date_format="iso", double_precision=15)


FORMS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    "parquet": _to_parquet,
    "csv": _to_csv,
    "json": _to_json,
}
