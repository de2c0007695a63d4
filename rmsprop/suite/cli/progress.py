"""The bars that commands show on stderr while they work."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SILENCE = 10.0
"""Seconds after which a log, which shows no bars, gets a line of each bar."""


@contextmanager
def bars(*, refresh_per_second: float = 10, silence: float = SILENCE) -> Iterator[Progress]:
    """Bars with what is at work, how much is done, the time since the start and the time that remains.

    Where stderr is no terminal, lines take the place of the bars, every `silence` seconds.
    """
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        refresh_per_second=refresh_per_second,
        # What remains is told by all that was done: the last half a minute may have skipped many cases.
        speed_estimate_period=math.inf,
    ) as shown:
        if console.is_terminal:
            yield shown
            return
        over = Event()
        teller = Thread(target=_tell, args=(shown, over, silence), daemon=True)
        teller.start()
        try:
            yield shown
        finally:
            over.set()
            teller.join()


def _tell(shown: Progress, over: Event, silence: float) -> None:
    while not over.wait(silence):
        waiting = [task for task in shown.tasks if task.started and not task.finished]
        for task in [task for task in waiting if task.completed] or waiting[:1]:
            of = "" if task.total is None else f" of {task.total:,.0f}"
            left = "" if task.time_remaining is None else f", about {task.time_remaining:,.0f} s to go"
            print(
                f"{task.description}: {task.completed:,.0f}{of}, {task.elapsed:.0f} s{left}", file=sys.stderr
            )
