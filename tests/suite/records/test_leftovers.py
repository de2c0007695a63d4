"""Temporary files name their process, so that those of a killed one are removed and no others."""

import os
import platform
import subprocess
import sys
from pathlib import Path

from rmsprop.suite.records.files import PARTIAL, write_new
from rmsprop.suite.records.leftovers import left_behind, own_path
from rmsprop.suite.words import slug

CHECKOUT = Path(__file__).parents[3]
KILLED = """
import os, signal, sys
from pathlib import Path
from rmsprop.suite.records import files
files._sync = lambda path: os.kill(os.getpid(), signal.SIGKILL)
files.write_new(Path(sys.argv[1]), "record", "half")
"""


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_killed_process_leaves_a_file_that_the_next_one_removes(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, check=False,
    )  # fmt: skip
    assert ended.returncode == -9
    [left] = names(tmp_path)
    assert left.startswith(PARTIAL)
    write_new(tmp_path, "record", "whole")
    assert names(tmp_path) == ["record.json"]


def test_what_runs_or_is_of_another_machine_is_left(tmp_path):
    host = slug(platform.node())
    kept = [
        own_path(tmp_path, PARTIAL).name,
        f"{PARTIAL}{host}x-999999999-abc",
        f"{PARTIAL}mine",
        "record.json",
    ]
    for name in [*kept, f"{PARTIAL}{host}-999999999-abc"]:
        (tmp_path / name).touch()
    (tmp_path / f"{PARTIAL}{host}-999999998-link").symlink_to(tmp_path / "record.json")
    assert [path.name for path in left_behind(tmp_path, PARTIAL)] == [f"{PARTIAL}{host}-999999999-abc"]
    write_new(tmp_path, "other", "")
    assert set(kept) <= set(names(tmp_path))


def test_a_folder_that_is_not_there_holds_none(tmp_path):
    assert list(left_behind(tmp_path / "none", PARTIAL)) == []
