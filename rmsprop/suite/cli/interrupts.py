"""Ctrl-C, a polite kill and a closed terminal are one thing: KeyboardInterrupt, when it can be taken."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

_NUMBERS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]  # Windows has no SIGHUP


def catch_interrupts() -> list[int]:
    """Let each of the signals say so and raise KeyboardInterrupt; those that came, in a list that grows.

    A signal that is ignored, as under nohup, stays ignored.
    """
    came: list[int] = []

    def interrupted(number: int, frame: FrameType | None) -> None:
        came.append(number)
        with suppress(OSError):  # nobody may be there to read it
            os.write(2, b"rmsprop: interrupted\n")
        raise KeyboardInterrupt

    for number in _NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupted)
    return came


def ignore_interrupts() -> None:
    """From now on none comes: the command ends as it is about to, also while Python itself ends."""
    for number in _NUMBERS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def put_off() -> Iterator[None]:
    """Put interrupts off until the block ends: an import that is cut short leaves half a module behind."""
    came: list[int] = []
    former = {
        number: signal.signal(number, lambda number, frame: came.append(number))
        for number in _NUMBERS
        if signal.getsignal(number) is not signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
