"""What a reproduction computes beside its sequential runs, on two threads: seeds, ranks of curves, counts."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch

from rmsprop.book.claims import Claims, Curve
from rmsprop.book.programs import Program
from rmsprop.book.wrong import CHANGES, Change
from rmsprop.suite.measure.counters import counts_of, cpu_seconds_of
from rmsprop.suite.measure.evidence import rank_all
from rmsprop.suite.measure.trained import Losses, Trained
from rmsprop.suite.records.reproduction import Counts, CurveRank

OTHERS, RANKS, COUNTS = "others", "ranks", "counts"
"""The stages of the programs that are tried in the place of a claimed one, of the printed curves, and of
the exact counts; each claimed program is a stage under its own name."""
OTHERS_SEEDS = 4_000
"""The most seeds of each program that is tried in the place of a claimed one."""

Progress = Callable[[str, int], None]
Key = tuple[str, str]
"""The claimed program, and the name of the change; empty for none."""


@dataclass(frozen=True)
class ProgramTask:
    """A program to be trained.

    Attributes
    ----------
    program : Program
    change : Change or None
        What makes it another program than the claimed one.
    claimed : str
        The name of the claimed program.
    """

    program: Program
    change: Change | None
    claimed: str

    @property
    def key(self) -> Key:
        """By which its results are found."""
        return self.claimed, self.change.name if self.change else ""


@dataclass
class TrainedPrograms:
    """What was finished, also after an interrupt.

    Attributes
    ----------
    losses : dict
        By key; a claimed program that was interrupted has fewer seeds.
    ranks : dict
        By key: where the printed curves stand.
    counts : dict
        By the name of the program: its counts, and the processor time of one sequential run.
    """

    losses: dict[Key, Losses] = field(default_factory=dict)
    ranks: dict[Key, tuple[CurveRank, ...]] = field(default_factory=dict)
    counts: dict[str, tuple[Counts, float]] = field(default_factory=dict)


def tasks_of(claims: Claims, *, wrong: bool) -> list[ProgramTask]:
    """The claimed programs; with `wrong` also every change of RMSProp's, in the order of the changes."""
    claimed = [ProgramTask(program, None, name) for name, program in claims.programs.items()]
    return claimed + [
        ProgramTask(change.program(claims.programs[name]), change, name)
        for change in CHANGES * wrong
        for name in ("rmsprop-scratch", "rmsprop-concise")
        if change.program and name in claims.programs
    ]


def work(
    trained: Trained,
    tasks: Sequence[ProgramTask],
    curves: Sequence[Curve],
    done: TrainedPrograms,
    progress: Progress,
) -> None:
    """Train the tasks, rank `curves` against them, count the claimed programs on a CPU; fill `done`.

    A task begins in the order given, and each thread takes one of torch's. KeyboardInterrupt ends it after
    the seeds that train just now.
    """
    claimed = [task for task in tasks if task.change is None]
    on_cpu = trained.features.device.type == "cpu"
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(2 if on_cpu else 1, initializer=torch.set_num_threads, initargs=(1,))

    def losses(task: ProgramTask) -> Losses:
        stage, most = (OTHERS, OTHERS_SEEDS) if task.change else (task.program.name, None)
        return trained.losses(task.program, lambda seeds: progress(stage, seeds), most=most)

    def whole(task: ProgramTask, found: Losses) -> bool:
        return int(found.values.shape[1]) >= min(
            trained.seeds, OTHERS_SEEDS if task.change else trained.seeds
        )

    def ranks(task: ProgramTask) -> tuple[CurveRank, ...]:
        # All of these were submitted before, so that waiting for them ends.
        of_claimed = {one.program.name: found[one.key].result().values for one in claimed}
        mine = found[task.key].result()
        if trained.stop.is_set() or not whole(task, mine):
            return ()
        name = "" if task.change else task.program.name
        ranked = rank_all(curves_for(task, curves), name, mine.values, of_claimed)
        progress(RANKS, 1)
        return ranked

    def counts(task: ProgramTask) -> tuple[Counts, float]:
        rows = trained.features, trained.labels
        counted = counts_of(task.program, *rows), cpu_seconds_of(task.program, *rows)
        progress(COUNTS, 1)
        return counted

    found: dict[Key, Future[Losses]] = {}
    ranked: dict[Key, Future[tuple[CurveRank, ...]]] = {}
    counted: dict[str, Future[tuple[Counts, float]]] = {}
    changed = [task for task in tasks if task.change is not None]
    for group in (claimed, changed):
        found |= {task.key: pool.submit(losses, task) for task in group}
        if curves:
            ranked |= {task.key: pool.submit(ranks, task) for task in group}
        if group is claimed and on_cpu:
            counted = {task.program.name: pool.submit(counts, task) for task in group}
    try:
        submitted: list[Future[Any]] = [*found.values(), *ranked.values(), *counted.values()]
        for future in submitted:
            future.result()
    except BaseException:
        trained.stop.set()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(threads)
        finished = {key: future.result() for key, future in found.items() if _succeeded(future)}
        by_key = {task.key: task for task in tasks}
        done.losses |= {key: one for key, one in finished.items() if not key[1] or whole(by_key[key], one)}
        done.ranks |= {key: future.result() for key, future in ranked.items() if _succeeded(future)}
        done.counts |= {name: future.result() for name, future in counted.items() if _succeeded(future)}


def curves_for(task: ProgramTask, curves: Sequence[Curve]) -> list[Curve]:
    """All curves for a program of the chapter; for another one, those of the program in whose place it is."""
    return [curve for curve in curves if task.change is None or curve.program == task.claimed]


def _succeeded(future: Future[Any]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None
