"""Processes that this one starts: Ctrl-C and a closed terminal are its own to handle, not theirs."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def deaf_children(*trackers: Callable[[], object]) -> Iterator[None]:
    """What starts in the block never gets SIGINT or SIGHUP, which a terminal sends to all at once.

    A child that is told to ignore them once it runs would die of one that comes while it imports, and print
    the traceback. So they are blocked in this thread, which its children inherit; this process gets one that
    comes meanwhile, when the block ends at the latest. Each of `trackers` starts a resource tracker that the
    children have, which lets SIGINT through again. On Windows nothing can be blocked.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
    try:
        for ensure_running in trackers:
            ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, _NUMBERS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
