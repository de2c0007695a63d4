"""A section of the book run again, end to end: the raw record. `verdicts.reproduction` says what it means."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import torch

from rmsprop.book.airfoil import Airfoil
from rmsprop.book.claims import Claims, Curve
from rmsprop.book.programs import Program
from rmsprop.book.training import TrainingRun, train
from rmsprop.book.trajectory import trace, traces
from rmsprop.book.wrong import CHANGES, Change
from rmsprop.errors import UserError
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.counters import counts_of
from rmsprop.suite.measure.evidence import rank_all
from rmsprop.suite.measure.trained import Trained
from rmsprop.suite.measure.trust import Watch
from rmsprop.suite.records.reproduction import (
    Counts,
    DataSource,
    EnsembleSummary,
    ProgramRecord,
    ReproductionRecord,
    WrongRecord,
)

_QUANTILE_LEVELS = np.linspace(0, 1, 1001)
OTHERS = "others"
"""The stage of the programs that are tried in the place of a claimed one."""
OTHERS_SEEDS = 4_000
"""The most seeds of each of those."""
_FEWER_LEVELS = np.linspace(0, 1, 201)
_BYTES_OF_ONE = {"seeds": 3 * 31 * 8, "runs": 10_000}
# A seed leaves 31 float64 losses, and two copies while their quantiles are taken; a run leaves Python
# numbers, tensors, and its part of the record's text.
_CURVE_LEVELS = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)

Progress = Callable[[str, int], None]
"""Called with a stage, `runs` or the name of a program, and the number of seeds just finished."""


def check_size(seeds: int, runs: int) -> None:
    """Raise a UserError for numbers of seeds or runs that make no sense or do not fit into memory."""
    for name, count in (("seeds", seeds), ("runs", runs)):
        if count < 1:
            raise UserError(f"--{name} {count}: expected at least 1")
        available = psutil.virtual_memory().available
        most = available // 2 // _BYTES_OF_ONE[name]
        if count > most:
            raise UserError(
                f"--{name} {count:,}: needs about {count * _BYTES_OF_ONE[name] / 2**30:,.0f} GiB, "
                f"{available / 2**30:,.0f} GiB are free; ask for at most {most:,}"
            )


@dataclass(frozen=True)
class _Task:
    """A program to be trained: a claimed one, or one in its place."""

    program: Program
    change: Change | None
    claimed: str

    @property
    def key(self) -> tuple[str, str]:
        """The claimed program and the name of the change, empty for none."""
        return self.claimed, self.change.name if self.change else ""


def stages(claims: Claims, seeds: int, runs: int, *, wrong: bool = True) -> dict[str, tuple[str, int]]:
    """The stages of a reproduction in order: words for a progress bar, and how much there is to do."""
    found = {"runs": ("sequential runs, in turns", runs)} if claims.programs else {}
    found |= {name: (f"seeds of {program.title}", seeds) for name, program in claims.programs.items()}
    others = len(_tasks(claims, wrong=wrong))
    return found | (
        {OTHERS: ("seeds of other programs", others * min(seeds, OTHERS_SEEDS))} if others else {}
    )


def reproduce(
    claims: Claims,
    data: Airfoil,
    *,
    seeds: int,
    runs: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress = lambda stage, done: None,
    keep: Path | None = None,
    wrong: bool = True,
) -> ReproductionRecord:
    """Run what `claims` names: traces, `runs` sequential trainings of each program, `seeds` seeds at once.

    The sequential runs of the programs take turns in alternating order, after one uncounted turn that takes
    torch's first-call costs. Their seeds follow those of the ensemble, so that the two can be compared as
    independent draws. With `wrong`, where RMSProp is claimed, the same seeds, 4,000 at most, train every
    program of `book.wrong.CHANGES` in its place. KeyboardInterrupt ends the run early: the record holds what
    was finished and says `interrupted`. Below `keep`, each program's losses are on disk when it ends, and the
    same call goes on from there.
    """
    environment = capture_environment()
    features, labels = data.to(device, dtype)
    programs = list(claims.programs.values())
    finished: dict[str, list[TrainingRun]] = {program.name: [] for program in programs}
    counts: dict[str, Counts] = {}
    warnings: tuple[str, ...] = ()
    done: dict[tuple[str, str], tuple[np.ndarray, float]] = {}
    trained = Trained(features, labels, seeds, keep)
    interrupted = False
    try:
        with Watch() as watch:
            for program in programs:
                train(program, features, labels, seed=0)
            for seed in range(seeds, seeds + runs):
                order = programs if seed % 2 == 0 else programs[::-1]
                turn = {program.name: train(program, features, labels, seed) for program in order}
                for name, run in turn.items():
                    finished[name].append(run)
                progress("runs", 1)
        warnings = tuple(w for w in watch.warnings((1.0,) * 4, 1) if not w.startswith("timer"))
        if device.type == "cpu":
            counts = {program.name: counts_of(program, features, labels) for program in programs}
        tasks = [_Task(program, None, program.name) for program in programs]
        _train_all(trained, tasks + _tasks(claims, wrong=wrong), done, progress)
    except KeyboardInterrupt:
        interrupted = True
    claimed = {name: losses for (name, change), (losses, _) in done.items() if not change}
    curves = [curve for curve in claims.curves if data.source == "real" and curve.program in claimed]
    return ReproductionRecord(
        environment=environment,
        data=DataSource(data.source, data.detail, data.sha256),
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        interrupted=interrupted,
        section=claims.section,
        traces=traces(claims.traces),
        programs={
            program.name: ProgramRecord(
                program=program,
                seeds=tuple(run.seed for run in finished[program.name]),
                losses=tuple(run.losses for run in finished[program.name]),
                epoch_seconds=tuple(run.epoch_seconds for run in finished[program.name]),
                ensemble=summarise(*done[program.name, ""]) if program.name in claimed else None,
                counts=counts.get(program.name),
                curves=rank_all(curves, program.name, claimed[program.name], claimed)
                if program.name in claimed
                else (),
            )
            for program in programs
        },
        wrong=tuple(
            _wrong(task, done[task.key][0], curves, claimed)
            for task in _tasks(claims, wrong=wrong)
            if task.key in done
        ),
        wrong_traces={
            change.name: trace(change.trace(claims.traces["rmsprop_2d"]))[-1]
            for change in CHANGES
            if change.trace and "rmsprop_2d" in claims.traces
        },
        warnings=warnings,
    )


def _train_all(
    trained: Trained,
    tasks: Sequence[_Task],
    done: dict[tuple[str, str], tuple[np.ndarray, float]],
    progress: Progress,
) -> None:
    """Train on two threads, each with one of torch's; fill `done`, also when KeyboardInterrupt ends it."""

    def losses(task: _Task) -> tuple[np.ndarray, float]:
        stage, most = (OTHERS, OTHERS_SEEDS) if task.change else (task.program.name, None)
        return trained.losses(task.program, lambda seeds: progress(stage, seeds), most=most)

    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(2 if trained.features.device.type == "cpu" else 1)
    futures = [(task, pool.submit(losses, task)) for task in tasks]
    try:
        for task, future in futures:
            done[task.key] = future.result()
    except BaseException:
        trained.stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
        for task, future in futures:
            whole = trained.seeds if task.change is None else OTHERS_SEEDS
            if not future.cancelled() and future.exception() is None:
                losses_of, seconds = future.result()
                if task.change is None or losses_of.shape[1] >= min(whole, trained.seeds):
                    done[task.key] = losses_of, seconds
        raise
    finally:
        pool.shutdown(wait=True)
        torch.set_num_threads(threads)


def _tasks(claims: Claims, *, wrong: bool) -> list[_Task]:
    """Every change of every claimed program of RMSProp's, in the order of the changes."""
    return [
        _Task(change.program(claims.programs[name]), change, name)
        for change in CHANGES * wrong
        for name in ("rmsprop-scratch", "rmsprop-concise")
        if change.program and name in claims.programs
    ]


def _wrong(
    task: _Task, losses: np.ndarray, curves: Sequence[Curve], claimed: Mapping[str, np.ndarray]
) -> WrongRecord:
    assert task.change is not None
    final = np.nan_to_num(losses[-1], nan=np.inf, posinf=np.inf)
    mine = [curve for curve in curves if curve.program == task.claimed]
    return WrongRecord(
        change=task.change.name,
        claimed=task.claimed,
        program=task.program,
        seeds=losses.shape[1],
        diverged=int(np.count_nonzero(~(losses[-1] < losses[0]))),
        quantile_levels=_decimals(_FEWER_LEVELS),
        quantiles=_decimals(np.quantile(final, _FEWER_LEVELS, method="lower")),
        curves=rank_all(mine, "", losses, claimed),
    )


def summarise(losses: np.ndarray, seconds: float) -> EnsembleSummary:
    """Quantiles and histogram of losses (evaluations, seeds), which are kept to nine decimals."""
    curve = losses
    finite = np.isfinite(curve[-1])
    curve = curve[:, finite]
    final = curve[-1]
    none_left = final.size == 0
    counts, edges = np.histogram(final, bins="fd" if final.size > 1 else 1)
    if len(counts) > 200:
        counts, edges = np.histogram(final, bins=200)
    return EnsembleSummary(
        seeds=len(finite),
        seconds=seconds,
        not_finite=int(np.count_nonzero(~finite)),
        quantile_levels=_decimals(_QUANTILE_LEVELS),
        quantiles=() if none_left else _decimals(np.quantile(final, _QUANTILE_LEVELS)),
        histogram_edges=() if none_left else _decimals(edges),
        histogram_counts=() if none_left else tuple(int(count) for count in counts),
        mean=float(np.mean(final)) if not none_left else float("nan"),
        sd=float(np.std(final, ddof=1)) if final.size > 1 else float("nan"),
        curve_levels=_CURVE_LEVELS,
        curve=() if none_left else tuple(_decimals(np.quantile(row, _CURVE_LEVELS)) for row in curve),
    )


def _decimals(values: np.ndarray) -> tuple[float, ...]:
    return tuple(round(float(value), 9) for value in values)
