"""Files, written whole or not at all and read without surprises: for records, exports and pages."""

import errno
import itertools
import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from rmsprop.errors import UserError
from rmsprop.suite.records.leftovers import left_behind, own_path
from rmsprop.suite.words import printable

LARGEST = 2**28
"""Bytes of the largest file that is read whole."""

PARTIAL = ".partial-"
"""How the name of a file begins that is not whole yet."""

Read = TypeVar("Read")


@dataclass(frozen=True)
class Problem:
    """A file or folder that could not be read, and why.

    Attributes
    ----------
    path : Path
        Bytes of a name that are no UTF-8 are written out in hexadecimal, so that it can be printed.
    reason : str
        One line.
    """

    path: Path
    reason: str

    def __post_init__(self) -> None:
        """Make both printable."""
        object.__setattr__(self, "path", Path(printable(str(self.path))))
        object.__setattr__(self, "reason", printable(" ".join(self.reason.split())))


def write_atomically(path: Path, content: str) -> None:
    """Write under a temporary name, then rename: the former file stays until the new one is whole."""
    with replacing(path) as partial:
        partial.write_text(content, encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place once the block has filled it.

    If the block raises, nothing is left of it. UserError where the system refuses to write.
    """
    with _explained(path.parent), _temporary(path) as partial:
        yield partial
        _sync(partial)
        partial.replace(path)


@contextmanager
def claiming(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that becomes `path` once the block has filled it, unless that is there.

    Of several writers the first one's file stays. UserError where the system refuses to write.
    """
    with _explained(path.parent), _temporary(path) as partial:
        yield partial
        _sync(partial)
        with suppress(FileExistsError):
            _claim(partial, path)


def write_new(folder: Path, name: str, content: str) -> Path:
    """Write the content to name.json in `folder`, or name-2.json and so on: no file is ever overwritten.

    Returns the path. The name is taken and the file is there in one step, so that many processes can write
    at once. UserError where the system refuses to write.
    """
    with _explained(folder), _temporary(folder / f"{name}.json") as partial:
        partial.write_text(content, encoding="utf-8")
        _sync(partial)
        for path in new_names(folder, name):
            with suppress(FileExistsError):
                _claim(partial, path)
                return path
    raise AssertionError("names never end")


def new_names(folder: Path, name: str) -> Iterator[Path]:
    """name.json, name-2.json, name-3.json and so on."""
    yield folder / f"{name}.json"
    for number in itertools.count(2):
        yield folder / f"{name}-{number}.json"


def _claim(partial: Path, path: Path) -> None:
    """Give the file this name too; FileExistsError if another file has it."""
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}:
            raise
        # A file system without links. Whoever creates the name owns it, and fills it by a rename.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        partial.replace(path)


@contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, gone when the block ends; so are those of killed processes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in left_behind(path.parent, PARTIAL):
        with suppress(OSError):
            left.unlink()
    partial = own_path(path.parent, PARTIAL)
    try:
        partial.touch(exist_ok=False)
        yield partial
    finally:
        with suppress(OSError):
            partial.unlink()


def _sync(path: Path) -> None:
    """Bring the content to the disk before the file gets its name."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_writable(folder: Path) -> None:
    """Raise a UserError now rather than after a minute of work; a folder that is not there is not made."""
    path = folder.absolute()
    there = next(one for one in (path, *path.parents) if os.path.lexists(one))
    with _explained(folder), tempfile.TemporaryFile(dir=there):
        pass


def check_replaceable(path: Path) -> None:
    """The same for a file: its folder can be written, and no folder or device stands in its place."""
    if os.path.lexists(path) and not path.is_file():
        raise UserError(f"cannot write to {path}: it is there and is no file; choose another name")
    check_writable(path.parent)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write to {folder}: {reason}; free space or choose another folder") from error


def read_folder(folder: Path, read: Callable[[Path], Read]) -> tuple[list[Read], list[Problem]]:
    """What `read` makes of each JSON file below `folder`, and the files and folders that cannot be read."""
    problems: list[Problem] = []
    return list(read_each(json_files(folder, problems), read, problems)), problems


def read_each(paths: Iterable[Path], read: Callable[[Path], Read], problems: list[Problem]) -> Iterator[Read]:
    """What `read` makes of each file; one that it refuses joins `problems`, with the reason."""
    for path in paths:
        try:
            found = read(path)
        except OSError as error:
            problems.append(Problem(path, error.strerror or str(error)))
        except ValueError as error:
            problems.append(Problem(path, str(error)))
        except Exception as error:
            # Someone else's JSON can hold anything; the reader need not ask for each part of it.
            problems.append(Problem(path, f"not of the expected form: {type(error).__name__} {error}"))
        else:
            yield found


def json_files(folder: Path, problems: list[Problem]) -> list[Path]:
    """The JSON files below `folder` in the order of their paths; what bars the way joins `problems`.

    A link to a folder is not followed, since it may lead round in circles: it is a problem with its name.
    """
    if not folder.is_dir():
        if os.path.lexists(folder):
            problems.append(Problem(folder, "not a folder"))
        return []

    def refused(error: OSError) -> None:
        problems.append(Problem(Path(error.filename), f"the folder cannot be read: {error.strerror}"))

    found = []
    for parent, folders, files in os.walk(folder, onerror=refused):
        for name in folders:
            path = Path(parent, name)
            if path.is_symlink():
                problems.append(Problem(path, "a link to a folder, which is not followed"))
            elif name.endswith(".json"):
                problems.append(Problem(path, "a folder where a file is expected"))
        found += [Path(parent, name) for name in files if name.endswith(".json")]
    return sorted(found)


def read_bytes(path: Path) -> bytes:
    """The content of a regular file; ValueError for a FIFO, a device, a socket, or more than `LARGEST`."""
    # A FIFO without a writer would wait for one; opened so, it does not, and is then told from a file.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise ValueError("not a regular file")
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST / 2**20:.0f} MiB")
    return content


def read_text(path: Path) -> str:
    """The UTF-8 text of a regular file, each line end as one character; ValueError where it is none."""
    try:
        return read_bytes(path).decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ValueError(f"no UTF-8 text: {error.reason} at byte {error.start}") from error


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object; ValueError with the reason, in one line, where it does not.

    NaN and Infinity are read, as asv and pytest-benchmark write them; numbers of more digits than any
    measurement has, and strings that no file could hold, are refused.
    """
    raw = read_bytes(path)
    try:
        content = json.loads(raw, parse_int=_integer)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): damaged or cut short") from error
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    if b"\\ud" in raw or b"\\uD" in raw:
        try:
            json.dumps(content, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("a string holds half of a surrogate pair") from error
    return content


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) < 20 else 2**63
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return number
