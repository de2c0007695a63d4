"""Each side once, before anything is measured: what it has, what works, what is built on first use."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from rmsprop.errors import UserError
from rmsprop.suite.gate.plan import TURN_SECONDS
from rmsprop.suite.gate.worker_client import START_SECONDS, Arm, WorkerClient, WorkerError
from rmsprop.suite.records.gate import Counters


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
    """

    seconds: float = 0.0
    used: float = 0.0
    steps: int | None = None
    turn: float = 0.0
    skipped: str | None = None
    failed: str | None = None
    counters: Counters | None = None


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
    """

    python: str
    versions: dict[str, str]
    families: dict[str, str]
    opened: dict[str, Opened]


def prepare(
    arm: Arm,
    patterns: Sequence[str],
    advance: Callable[[], None],
    *,
    again: bool = False,
    timed: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> Prepared:
    """Make every case ready once, in a process that is not measured.

    The second side (`again`) takes its cases in the opposite order, and is not calibrated. Unless it is to
    be `timed`, only what can be counted is made ready. `advance` is
    called after each case. StoppedError is raised once `stopped` returns True.

    A case that kills the process has failed, and the next one gets a new process. UserError if the side
    does not start, or no case's id matches a pattern.
    """
    with ExitStack() as living:
        worker, side = _start(arm, living, stopped)
        families = {
            case: family
            for case, family, counted in side["cases"]
            if counted or timed
            if not patterns or any(fnmatchcase(case, pattern) for pattern in patterns)
        }
        counted = {case for case, _, counted in side["cases"] if counted}
        if not families:
            listed = ", ".join(case for case, *_ in side["cases"][:3]) or "no case at all"
            raise UserError(
                f"no case of {arm.suite} matches {' or '.join(patterns) or '*'}; it has {listed}, ..."
            )
        opened = {}
        for case in reversed(families) if again else families:
            try:
                opened[case] = _open(worker, case, calibrate=timed and not again, count=case in counted)
            except WorkerError as died:
                opened[case] = Opened(failed=str(died).removeprefix(f"{arm.name}: "))
                worker, _ = _start(arm, living, stopped)
            advance()
    return Prepared(side["python"], side["versions"], families, opened)


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
        raise UserError(f"nothing can be measured: {error}{hint}") from error


def _open(worker: WorkerClient, case: str, *, calibrate: bool, count: bool) -> Opened:
    answer = worker.ask(do="open", case=case)
    if "seconds" not in answer:
        return Opened(skipped=answer.get("skipped"), failed=answer.get("failed"))
    counters = _counters(worker.ask(do="count")) if count else None
    if not calibrate:
        return Opened(answer["seconds"], answer["used"], counters=counters)
    steps = worker.ask(do="steps", seconds=TURN_SECONDS)["steps"]
    turn = worker.ask(do="turn", steps=steps)["seconds"]
    return Opened(answer["seconds"], answer["used"], steps, turn, counters=counters)


def _counters(answer: dict[str, Any]) -> Counters | None:
    if "uncounted" in answer:
        return None
    without_torch = {"operations": None, "allocated": None, "peak": None}
    return Counters(**without_torch | answer | {"unstable": tuple(answer["unstable"])})
