"""Files, whole or not at all; and what only looks like a file."""

import errno
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records import files
from rmsprop.suite.records.files import (
    Problem,
    check_writable,
    read_bytes,
    read_folder,
    read_json,
    replacing,
    write_atomically,
    write_new,
)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write to .*file/results"):
        check_writable(tmp_path / "file" / "results")


def interrupted_at(line, path):
    """Ctrl-C at that line of what makes a temporary file; False once the file is there before."""

    def trace(frame, event, _argument):
        nonlocal line
        if frame.f_code.co_filename != files.__file__:
            return None
        line -= event == "line"
        if line < 0:
            raise KeyboardInterrupt
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        with files._temporary(path):
            sys.settrace(former)
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(former)
    return False


def test_an_interrupt_while_a_temporary_file_is_made_leaves_nothing(tmp_path):
    line = 0
    while interrupted_at(line, tmp_path / "x.json"):
        assert list(tmp_path.iterdir()) == []
        line += 1
    assert line > 4


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from rmsprop.errors import UserError
from rmsprop.suite.records.files import write_atomically
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_atomically(Path(sys.argv[1]), "x" * 100_000)
except UserError as error:
    print(error)
"""


def test_a_write_that_the_system_stops_leaves_the_old_file_whole(tmp_path):
    """A file size limit stops the write in the middle, as a full disk does."""
    path = tmp_path / "record.json"
    write_atomically(path, "old")
    limited = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=True
    )
    assert limited.stdout.startswith("cannot write to")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_many_writers_of_one_name_lose_no_record(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        paths = list(pool.map(lambda i: write_new(tmp_path, "record", str(i)), range(64)))
    assert len(set(paths)) == 64
    assert sorted(int(path.read_text()) for path in tmp_path.iterdir()) == list(range(64))


def test_where_the_file_system_has_no_links_no_record_is_lost_either(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    assert write_new(tmp_path, "record", "a").name == "record.json"
    assert write_new(tmp_path, "record", "b").name == "record-2.json"
    assert [path.read_text() for path in sorted(tmp_path.iterdir())] == ["b", "a"]


def test_a_name_that_a_folder_or_a_dangling_link_has_is_taken(tmp_path):
    (tmp_path / "record.json").mkdir()
    (tmp_path / "record-2.json").symlink_to("nowhere")
    assert write_new(tmp_path, "record", "x").name == "record-3.json"
    assert not (tmp_path / "nowhere").exists()


def test_what_fails_while_it_is_written_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "frame.csv"
    path.write_text("old")

    def fail():
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("frame.csv", "old")]


def test_only_regular_files_of_bounded_size_are_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo.json")
    (tmp_path / "device.json").symlink_to("/dev/zero")
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "large.json").write_text("[" + " " * 100 + "]")
    (tmp_path / "gone.json").symlink_to("nowhere")
    (tmp_path / "good.json").write_text("{}")
    monkeypatch.setattr(files, "LARGEST", 50)
    found, problems = read_folder(tmp_path, read_json)
    assert found == [{}]
    assert {problem.path.name: problem.reason for problem in problems} == {
        "fifo.json": "not a regular file",
        "device.json": "not a regular file",
        "folder.json": "a folder where a file is expected",
        "large.json": "larger than 0 MiB",
        "gone.json": "No such file or directory",
    }


def test_a_file_where_a_folder_is_expected_is_named(tmp_path):
    (tmp_path / "bench").write_text("{}")
    assert read_folder(tmp_path / "bench", read_json) == ([], [Problem(tmp_path / "bench", "not a folder")])
    assert read_folder(tmp_path / "nothing", read_json) == ([], [])


def test_a_link_to_a_folder_and_a_folder_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "good.json").write_text("{}")
    (tmp_path / "real" / "round").symlink_to(tmp_path)
    found, [problem] = read_folder(tmp_path, read_json)
    assert (found, problem.path.name) == ([{}], "round")
    (tmp_path / "real" / "round").unlink()
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "real":  # root may read whatever its mode says
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert read_folder(tmp_path, read_json) == (
        [],
        [Problem(tmp_path / "real", "the folder cannot be read: Permission denied")],
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("1" * 400, "a whole number of 400 digits"),
        (str(2**63), "a whole number of 19 digits"),
        (r'"\ud800"', "half of a surrogate pair"),
        ("[" * 100_000 + "]" * 100_000, "damaged or cut short"),
    ],
)
def test_what_no_measurement_holds_is_refused_with_its_name(tmp_path, content, reason):
    (tmp_path / "odd.json").write_text(f'{{"a": {content}}}')
    found, [problem] = read_folder(tmp_path, read_json)
    assert found == []
    assert reason in problem.reason
    assert "\n" not in problem.reason


def test_a_whole_pair_and_the_largest_number_are_read(tmp_path):
    (tmp_path / "odd.json").write_text(json.dumps({"a": "\U0001f600", "b": 2**63 - 1, "c": float("inf")}))
    assert read_json(tmp_path / "odd.json")["b"] == 2**63 - 1


def test_a_name_that_is_not_utf_8_is_told_in_what_can_be_printed(tmp_path):
    odd = os.fsdecode(bytes(tmp_path) + b"/caf\xe9.json")
    Path(odd).write_text("damaged")
    _, [problem] = read_folder(tmp_path, read_json)
    assert problem.path.name == "caf\\xe9.json"
    str(problem.path).encode()


def test_bytes_are_read_as_they_are(tmp_path):
    (tmp_path / "x").write_bytes(b"\xff\r\n")
    assert read_bytes(tmp_path / "x") == b"\xff\r\n"
