"""Standard output and error that nobody need read: the exit code stays that of the answer."""

import os
from typing import Any, TextIO


class Unbroken:
    """A stream that drops what cannot be written, because the pipe is closed or the disk is full.

    Attributes
    ----------
    stream : TextIO
        What it writes to. From the first failure on that is nowhere.
    lost : bool
        Whether anything was dropped.
    """

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.lost = False

    def __getattr__(self, name: str) -> Any:
        """All else is the stream's."""
        return getattr(self.stream, name)

    def write(self, text: str) -> int:
        """Write the text, or drop it; its length."""
        try:
            return self.stream.write(text)
        except OSError:
            self._give_up()
            return len(text)

    def flush(self) -> None:
        """Write what is buffered, or drop it."""
        try:
            self.stream.flush()
        except OSError:
            self._give_up()

    def _give_up(self) -> None:
        self.lost = True
        # Python would fail again at its exit, with a code of its own, for what the buffer still holds.
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
