"""A section of the book run again, end to end: the raw record. `verdicts.reproduction` says what it means."""

from collections.abc import Callable, Sequence

import numpy as np
import psutil
import torch

from rmsprop.book.airfoil import Airfoil
from rmsprop.book.claims import Claims
from rmsprop.book.ensemble import Ensemble, ensemble
from rmsprop.book.training import TrainingRun, train
from rmsprop.book.trajectory import traces
from rmsprop.errors import UserError
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.reproduction import DataSource, EnsembleSummary, ProgramRecord, ReproductionRecord

_QUANTILE_LEVELS = np.linspace(0, 1, 1001)
SLICE = 2_560
"""Seeds of one call of `ensemble`: what an interrupt can lose."""
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


def reproduce(
    claims: Claims,
    data: Airfoil,
    *,
    seeds: int,
    runs: int,
    device: torch.device,
    dtype: torch.dtype,
    progress: Progress = lambda stage, done: None,
) -> ReproductionRecord:
    """Run what `claims` names: traces, `runs` sequential trainings of each program, `seeds` seeds at once.

    The sequential runs of the programs take turns in alternating order, after one uncounted turn that takes
    torch's first-call costs. Their seeds follow those of the ensemble, so that the two can be compared as
    independent draws. KeyboardInterrupt ends the run early: the record holds what was finished and says
    `interrupted`.
    """
    environment = capture_environment()
    features, labels = data.to(device, dtype)
    programs = list(claims.programs.values())
    finished: dict[str, list[TrainingRun]] = {program.name: [] for program in programs}
    ensembles: dict[str, list[Ensemble]] = {program.name: [] for program in programs}
    interrupted = False
    try:
        for program in programs:
            train(program, features, labels, seed=0)
        for seed in range(seeds, seeds + runs):
            order = programs if seed % 2 == 0 else programs[::-1]
            turn = {program.name: train(program, features, labels, seed) for program in order}
            for name, run in turn.items():
                finished[name].append(run)
            progress("runs", 1)
        for program in programs:
            for first in range(0, seeds, SLICE):
                part = range(first, min(first + SLICE, seeds))
                ensembles[program.name].append(ensemble(program, features, labels, part))
                progress(program.name, len(part))
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
        programs={
            program.name: ProgramRecord(
                program=program,
                seeds=tuple(run.seed for run in finished[program.name]),
                losses=tuple(run.losses for run in finished[program.name]),
                epoch_seconds=tuple(run.epoch_seconds for run in finished[program.name]),
                ensemble=summarise(ensembles[program.name]) if ensembles[program.name] else None,
            )
            for program in programs
        },
    )


def summarise(parts: Sequence[Ensemble]) -> EnsembleSummary:
    """Quantiles and histogram of the seeds of all parts; losses are kept to nine decimals."""
    curve = np.concatenate([part.losses.numpy() for part in parts], axis=1)
    finite = np.isfinite(curve[-1])
    curve = curve[:, finite]
    final = curve[-1]
    none_left = final.size == 0
    counts, edges = np.histogram(final, bins="fd" if final.size > 1 else 1)
    if len(counts) > 200:
        counts, edges = np.histogram(final, bins=200)
    return EnsembleSummary(
        seeds=len(finite),
        seconds=sum(part.seconds for part in parts),
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
