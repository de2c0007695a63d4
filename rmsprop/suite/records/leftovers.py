"""Temporary files and folders that say whose they are, so that those of a killed process can be told.

SIGKILL cannot be caught: what a process was writing stays behind. Its name holds the machine and the number
of the process, and the next one that works in that place removes it.
"""

import os
import platform
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from rmsprop.suite.words import slug


def own_path(folder: Path, prefix: str) -> Path:
    """A temporary name of this process, under which nothing is there yet.

    It is known before the file is made, so that an interrupt in between leaves nothing that nobody removes.
    """
    return folder / f"{prefix}{slug(platform.node())}-{os.getpid()}-{secrets.token_hex(8)}"


def left_behind(folder: Path, prefix: str) -> Iterator[Path]:
    """What is in `folder` under such a name, made by a process of this machine that no longer runs.

    Links are left out. A folder that cannot be listed holds none.
    """
    ours = re.compile(rf"{re.escape(prefix)}{re.escape(slug(platform.node()))}-(\d+)-[\w.]+")
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        named = ours.fullmatch(entry.name)
        if named and not entry.is_symlink() and not _runs(int(named[1])):
            yield Path(entry)


def _runs(pid: int) -> bool:
    if os.name != "posix":  # signal 0 would end it
        return True
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
