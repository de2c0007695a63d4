"""A run that is being measured is locked, so that no other command goes on with it.

The lock is on the run's own record, so no further file lies about. It belongs to the open file: the system
takes it back when the process ends, however it ends.
"""

import fcntl
from pathlib import Path
from typing import BinaryIO


def lock(path: Path) -> BinaryIO | None:
    """The file, locked as long as it is open; None where somebody else has it or it may not be written."""
    try:
        file = path.open("r+b")  # over NFS, a file that is only read cannot be locked
    except PermissionError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    except OSError:
        pass  # a file system without locks must not keep anybody from measuring
    return file
