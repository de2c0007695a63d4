"""The bars that commands show on stderr while they work."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TimeElapsedColumn,
)
from rich.table import Column
from rich.text import Text

SILENCE = 10.0
"""Seconds after which a log, which shows no bars, gets a line of each bar."""
_NARROW = 60
"""Columns of a terminal that has no room for a bar."""


class Description(ProgressColumn):
    """What is at work, on one line: cut where there is no room, so that the numbers are whole."""

    def render(self, task: Task) -> Text:
        """As markup says."""
        text = Text.from_markup(task.description, overflow="ellipsis")
        text.no_wrap = True
        return text


class Remaining(ProgressColumn):
    """The time that remains, counted down since something was last finished.

    Where that has run out, nothing is known until more is finished.
    """

    def __init__(self) -> None:
        super().__init__(Column(no_wrap=True))
        self._last: dict[TaskID, tuple[float, float]] = {}

    def seconds(self, task: Task) -> float | None:
        """Of a task; None where nothing is known."""
        estimate = task.time_remaining
        if estimate is None or task.finished:
            return estimate
        now = task.get_time()
        if task.id not in self._last or self._last[task.id][0] != task.completed:
            self._last[task.id] = task.completed, now
        left = estimate - (now - self._last[task.id][1])
        return left if left >= 0 else None

    def render(self, task: Task) -> Text:
        """Such as `0:01:30`."""
        left = self.seconds(task)
        known = "-:--:--" if left is None else str(timedelta(seconds=int(left)))
        return Text(known, style="progress.remaining")


def columns(width: int, remaining: ProgressColumn) -> list[ProgressColumn]:
    """What a bar shows in a terminal of that width. Only the description and the bar give way."""
    numbers = [
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TimeElapsedColumn(table_column=Column(no_wrap=True)),
        remaining,
    ]
    return [Description(), *([] if width < _NARROW else [BarColumn()]), *numbers]


@contextmanager
def bars(*, refresh_per_second: float = 10, silence: float = SILENCE) -> Iterator[Progress]:
    """Bars with what is at work, how much is done, the time since the start and the time that remains.

    Where stderr is no terminal, lines take the place of the bars, every `silence` seconds.
    """
    console = Console(stderr=True)
    remaining = Remaining()
    with Progress(
        *columns(console.width, remaining),
        console=console,
        refresh_per_second=refresh_per_second,
        # What remains is told by all that was done: the last half a minute may have skipped many cases.
        speed_estimate_period=math.inf,
    ) as shown:
        if console.is_terminal:
            yield shown
            return
        over = Event()
        teller = Thread(target=_tell, args=(shown, remaining, over, silence), daemon=True)
        teller.start()
        try:
            yield shown
        finally:
            over.set()
            teller.join()


def _tell(shown: Progress, remaining: Remaining, over: Event, silence: float) -> None:
    while not over.wait(silence):
        waiting = [task for task in shown.tasks if task.started and not task.finished]
        for task in [task for task in waiting if task.completed] or waiting[:1]:
            of = "" if task.total is None else f" of {task.total:,.0f}"
            seconds = remaining.seconds(task)
            left = "" if seconds is None else f", about {seconds:,.0f} s to go"
            print(
                f"{task.description}: {task.completed:,.0f}{of}, {task.elapsed:.0f} s{left}", file=sys.stderr
            )
