"""Each side once, before anything is measured: what it has, what works, what is built on first use."""

import logging
from collections.abc import Callable, Container, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from rmsprop.errors import UserError
from rmsprop.suite.gate.plan import TURN_SECONDS
from rmsprop.suite.gate.worker_client import START_SECONDS, Arm, WorkerClient, WorkerError
from rmsprop.suite.records.gate import Counters

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Opened:
    """How a case was made ready on one side.

    Attributes
    ----------
    seconds, used
        Wall time, and the process's own processor time, that it took.
    steps, turn
        Steps that fill a turn, and the seconds that they took; on the side that was calibrated.
    skipped, failed
        Why it cannot be measured: the suite's reason, or an error.
    counters
        What a step does; None if it was not, or cannot be, counted.
    uncounted
        Why it was not.
    """

    seconds: float = 0.0
    used: float = 0.0
    steps: int | None = None
    turn: float = 0.0
    skipped: str | None = None
    failed: str | None = None
    counters: Counters | None = None
    uncounted: str | None = None


@dataclass(frozen=True)
class Prepared:
    """One side, and each of its cases.

    Attributes
    ----------
    python, versions
        Of its interpreter and packages.
    families
        The family of each case, in the suite's order.
    opened
        How each case was made ready.
    dear
        The cases that the suite marks as dear.
    """

    python: str
    versions: dict[str, str]
    families: dict[str, str]
    opened: dict[str, Opened]
    dear: frozenset[str] = frozenset()


def prepare(
    arm: Arm,
    patterns: Sequence[str],
    advance: Callable[[], None],
    *,
    again: bool = False,
    timed: bool = True,
    only: Container[str] | None = None,
    total: Callable[[int], None] = lambda cases: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Make every case ready once, in a process that is not measured.

    The second side (`again`) takes its cases in the opposite order, and is not calibrated. Unless it is to
    be `timed`, only what can be counted is made ready. `only` are the cases to count once more, and twice
    each, so that what differs from step to step is known. `total` is told how many cases there are, and
    `advance` is called after each. StoppedError is raised once `stopped` returns True.

    A case that kills the process has failed, and the next one gets a new process. UserError if the side
    does not start, or no case's id matches a pattern.
    """
    with ExitStack() as living:
        worker, side = _start(arm, living, stopped)
        families = {
            case: family
            for case, family, *_ in side["cases"]
            if only is None or case in only
            if not patterns or any(fnmatchcase(case, pattern) for pattern in patterns)
        }
        uncounted = {case: reason for case, _, reason, _ in side["cases"]}
        dear = frozenset(case for case, _, _, dear in side["cases"] if dear)
        if not families:
            listed = ", ".join(case for case, *_ in side["cases"][:3]) or "no case at all"
            raise UserError(
                f"no case of {arm.suite} matches {' or '.join(patterns) or '*'}; it has {listed}, ..."
            )
        total(len(families))
        opened = {}
        for case in reversed(families) if again else families:
            if uncounted[case] and not timed:
                opened[case] = Opened(skipped=f"not counted: {uncounted[case]}")
                continue
            try:
                opened[case] = _open(worker, case, timed, not again, uncounted[case], only is not None)
            except WorkerError as died:
                opened[case] = Opened(failed=str(died).removeprefix(f"{arm.name}: "))
                worker, _ = _start(arm, living, stopped)
            advance()
    return Prepared(side["python"], side["versions"], families, opened, dear)


def _start(arm: Arm, living: ExitStack, stopped: Callable[[], bool]) -> tuple[WorkerClient, dict[str, Any]]:
    living.close()
    try:
        worker = living.enter_context(WorkerClient(arm, stopped=stopped))
        worker.greet()
        return worker, worker.answer(START_SECONDS)
    except WorkerError as error:
        hint = ""
        if "ModuleNotFoundError" in str(error) or "ImportError" in str(error):
            hint = (
                f" (by {arm.python}; --base-python and --head-python name another interpreter. "
                "A tree holds what git tracks: --prepare COMMAND can make the rest)"
            )
        reason = str(error).replace("UserError: ", "")  # such a message is a whole sentence
        raise UserError(f"nothing can be measured: {reason}{hint}") from error


def _open(
    worker: WorkerClient, case: str, timed: bool, calibrate: bool, uncounted: str | None, twice: bool
) -> Opened:
    answer = worker.ask(do="open", case=case, timed=timed)
    if "seconds" not in answer:
        if "trace" in answer:
            _log.debug("%s failed:\n%s", case, answer["trace"])
        return Opened(skipped=answer.get("skipped"), failed=answer.get("failed"))
    ready = Opened(answer["seconds"], answer["used"], uncounted=uncounted)
    if uncounted is None:
        counted = worker.ask(do="count", twice=twice)
        if "uncounted" in counted:
            ready = replace(ready, uncounted=counted["uncounted"])
        else:
            without_torch = {"operations": None, "allocated": None, "peak": None}
            counters = Counters(**without_torch | counted | {"unstable": tuple(counted["unstable"])})
            ready = replace(ready, counters=counters)
    if not (timed and calibrate):
        return ready
    steps = worker.ask(do="steps", seconds=TURN_SECONDS)["steps"]
    return replace(ready, steps=steps, turn=worker.ask(do="turn", steps=steps)["seconds"])
