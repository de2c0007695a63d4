"""Live processes that measure: fresh interpreters, each with a memory layout of its own.

Samples of one process are not independent of each other: the layout of its memory is the same for all. So
each case is measured in several processes, and what they differ by is what a statement must allow for.
"""

import logging
import multiprocessing
import signal
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Self

from torch._logging._internal import set_logs

from rmsprop.suite.children import deaf_children
from rmsprop.suite.measure.point import Doing, Parts, PointTask, measure_point

_END_SECONDS = 2.0


class DiedError(Exception):
    """The process died while it measured.

    Attributes
    ----------
    at
        The case's number among those of the task; -1 for the five passes, None before any had control.
    """

    def __init__(self, at: int | None, how: str) -> None:
        super().__init__(how)
        self.at = at


class Processes:
    """So many processes, started together and ended with the context."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> Self:
        self._living = [_start() for _ in range(self._number)]
        return self

    def __exit__(self, *_error: object) -> None:
        with ExitStack() as ends:
            for process, connection in self._living:
                ends.callback(_end, process, connection)

    def measure(self, number: int, task: PointTask, at: Callable[[Doing], None]) -> Parts:
        """Have the process of that number do the task; DiedError if it dies, and another takes its place.

        `at` is called with what the process tells.
        """
        process, connection = self._living[number]
        blamed = None
        try:
            connection.send(task)
            while not isinstance(answer := connection.recv(), Parts):
                blamed = answer.number
                at(answer)
        except (EOFError, OSError) as error:
            process.join()
            self._living[number] = _start()
            code = process.exitcode or 0
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            raise DiedError(blamed, f"the process that measured it died ({how})") from error
        return answer


def _start() -> tuple[BaseProcess, Connection]:
    # Forked processes would share one layout, and a parent that has used CUDA cannot be forked.
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    with deaf_children(resource_tracker.ensure_running):
        process.start()
    theirs.close()
    return process, ours


def _serve(connection: Connection) -> None:
    """Measure what comes in until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # on Windows; elsewhere it is blocked
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    set_logs(all=logging.ERROR)  # its warnings would tear the parent's progress
    try:
        while True:
            connection.send(measure_point(connection.recv(), connection.send))
    except (EOFError, BrokenPipeError):
        return


def _end(process: BaseProcess, connection: Connection) -> None:
    connection.close()
    process.terminate()
    process.join(_END_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
