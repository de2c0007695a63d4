"""A section of the book run again, end to end: the raw record. `verdicts.reproduction` says what it means."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

from rmsprop.book.airfoil import Airfoil
from rmsprop.book.claims import Claims
from rmsprop.book.programs import Program
from rmsprop.book.training import TrainingRun, train
from rmsprop.book.trajectory import trace, traces
from rmsprop.book.wrong import CHANGES
from rmsprop.errors import UserError
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.memory import host_memory
from rmsprop.suite.measure.pauses import Pauses
from rmsprop.suite.measure.tasks import (
    COUNTS,
    OTHERS,
    OTHERS_SEEDS,
    RANKS,
    ProgramTask,
    Progress,
    TrainedPrograms,
    tasks_of,
    work,
)
from rmsprop.suite.measure.trained import Losses, Trained
from rmsprop.suite.measure.trust import Watch
from rmsprop.suite.records.reproduction import (
    DataSource,
    EnsembleSummary,
    ProgramRecord,
    ReproductionRecord,
    WrongRecord,
)

_QUANTILE_LEVELS = np.linspace(0, 1, 1001)
_FEWER_LEVELS = np.linspace(0, 1, 201)
_BYTES_OF_ONE = {"seeds": 3 * 31 * 8, "runs": 10_000}
# A seed leaves 31 float64 losses, and two copies while their quantiles are taken; a run leaves Python
# numbers, tensors, and its part of the record's text.
_CURVE_LEVELS = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)


def check_size(seeds: int, runs: int) -> None:
    """Raise a UserError for numbers of seeds or runs that make no sense or do not fit into memory."""
    for name, count in (("seeds", seeds), ("runs", runs)):
        if count < 1:
            raise UserError(f"--{name} {count}: expected at least 1")
        available = host_memory()
        most = available // 2 // _BYTES_OF_ONE[name]
        if count > most:
            raise UserError(
                f"--{name} {count:,}: needs about {count * _BYTES_OF_ONE[name] / 2**30:,.0f} GiB, "
                f"{available / 2**30:,.0f} GiB are free; ask for at most {most:,}"
            )


def stages(
    claims: Claims, seeds: int, runs: int, *, wrong: bool = True, real: bool = True, cpu: bool = True
) -> dict[str, tuple[str, int]]:
    """The stages of a reproduction in order: words for a progress bar, and how much there is to do.

    `real` rows judge curves; on a `cpu` operations are counted.
    """
    found = {"runs": ("sequential runs, in turns", runs)} if claims.programs else {}
    found |= {name: (f"seeds of {program.title}", seeds) for name, program in claims.programs.items()}
    tasks = tasks_of(claims, wrong=wrong)
    others = len(tasks) - len(claims.programs)
    if cpu and claims.programs:
        found[COUNTS] = ("programs whose calls are counted", len(claims.programs))
    if others:
        found[OTHERS] = ("seeds of other programs", others * min(seeds, OTHERS_SEEDS))
    if real and claims.curves:
        found[RANKS] = ("programs against the printed curves", len(tasks))
    return found


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
    warnings: tuple[str, ...] = ()
    tasks = tasks_of(claims, wrong=wrong)
    curves = claims.curves if data.source == "real" else ()
    done, pauses = TrainedPrograms(), Pauses()
    interrupted = False
    try:
        with Watch() as watch:
            for program in programs:
                train(program, features, labels, seed=0)
            for seed in range(seeds, seeds + runs):
                order = programs if seed % 2 == 0 else programs[::-1]
                turn = {
                    program.name: pauses.undisturbed(partial(train, program, features, labels, seed))
                    for program in order
                }
                for name, run in turn.items():
                    finished[name].append(run)
                progress("runs", 1)
        warnings = tuple(w for w in watch.warnings((1.0,) * 4, 1) if not w.startswith("timer"))
        work(Trained(features, labels, seeds, keep), tasks, curves, done, progress)
    except KeyboardInterrupt:
        interrupted = True
    return ReproductionRecord(
        environment=environment,
        data=DataSource(data.source, data.detail, data.sha256),
        device=str(device),
        dtype=str(dtype).removeprefix("torch."),
        interrupted=interrupted,
        section=claims.section,
        traces=traces(claims.traces),
        programs={program.name: _program(program, finished[program.name], done) for program in programs},
        wrong=tuple(
            _wrong(task.change.name, task, done)
            for task in tasks
            if task.change is not None and task.key in done.losses
        ),
        wrong_traces={
            change.name: trace(change.trace(claims.traces["rmsprop_2d"]))[-1]
            for change in CHANGES
            if change.trace and "rmsprop_2d" in claims.traces
        },
        warnings=warnings,
    )


def _program(program: Program, finished: Sequence[TrainingRun], done: TrainedPrograms) -> ProgramRecord:
    key = program.name, ""
    counts, run_cpu_seconds = done.counts.get(program.name, (None, None))
    return ProgramRecord(
        program=program,
        seeds=tuple(run.seed for run in finished),
        losses=tuple(run.losses for run in finished),
        epoch_seconds=tuple(run.epoch_seconds for run in finished),
        ensemble=summarise(done.losses[key]) if key in done.losses else None,
        counts=counts,
        run_cpu_seconds=run_cpu_seconds,
        curves=done.ranks.get(key, ()),
    )


def _wrong(change: str, task: ProgramTask, done: TrainedPrograms) -> WrongRecord:
    losses = done.losses[task.key].values
    final = np.nan_to_num(losses[-1], nan=np.inf, posinf=np.inf)
    return WrongRecord(
        change=change,
        claimed=task.claimed,
        program=task.program,
        seeds=losses.shape[1],
        diverged=int(np.count_nonzero(~(losses[-1] < losses[0]))),
        quantile_levels=_decimals(_FEWER_LEVELS),
        quantiles=_decimals(np.quantile(final, _FEWER_LEVELS, method="lower")),
        curves=done.ranks.get(task.key, ()),
    )


def summarise(losses: Losses) -> EnsembleSummary:
    """Quantiles and histogram of losses, which are kept to nine decimals."""
    curve = losses.values
    finite = np.isfinite(curve[-1])
    curve = curve[:, finite]
    final = curve[-1]
    none_left = final.size == 0
    counts, edges = np.histogram(final, bins="fd" if final.size > 1 else 1)
    if len(counts) > 200:
        counts, edges = np.histogram(final, bins=200)
    return EnsembleSummary(
        seeds=len(finite),
        seconds=losses.seconds,
        cpu_seconds=losses.cpu_seconds,
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
