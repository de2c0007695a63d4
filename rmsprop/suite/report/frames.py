"""Records -> tidy pandas frames, one schema for each.

Everything that a figure or a page shows comes from these frames; no other module looks into a record.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing.pandas import DataFrame

from rmsprop.book.claims import HYPERPARAMETERS, PROGRAMS, TrainingProgram
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.verdicts.reproduction import agreement, judge, judge_order, sec_per_epoch


class _Frame(pa.DataFrameModel):
    class Config:
        strict = True
        coerce = True


_Schema = TypeVar("_Schema", bound=_Frame)


class Traces(_Frame):
    """The 2-D points: one row for each step of each trace."""

    trace: str
    step: int = pa.Field(ge=0)
    x1: float
    x2: float


class Runs(_Frame):
    """The sequential runs: one row for each evaluation of the loss; NaN where a run lost its numbers."""

    program: str = pa.Field(isin=PROGRAMS)
    seed: int
    epoch: float = pa.Field(ge=0)
    loss: float = pa.Field(nullable=True)


class Seconds(_Frame):
    """Seconds per epoch as the book prints them: one row for each sequential run."""

    program: str = pa.Field(isin=PROGRAMS)
    seconds: float = pa.Field(gt=0)


class Curves(_Frame):
    """The ensemble during training: one row for each evaluation and quantile level; NaN beside infinity."""

    program: str = pa.Field(isin=PROGRAMS)
    epoch: float = pa.Field(ge=0)
    level: float = pa.Field(ge=0, le=1)
    loss: float = pa.Field(nullable=True)


class Histogram(_Frame):
    """The ensemble's final losses: one row for each bin."""

    program: str = pa.Field(isin=PROGRAMS)
    left: float
    right: float
    seeds: int = pa.Field(ge=0)


class Programs(_Frame):
    """One row for each program: how many seeds and runs, and whether loop and ensemble agree."""

    program: str = pa.Field(isin=PROGRAMS)
    runs: int = pa.Field(ge=0)
    seeds: int = pa.Field(ge=0)
    not_finite: int = pa.Field(ge=0)
    agreement: float = pa.Field(nullable=True)


class Verdicts(_Frame):
    """One row for each claim of each edition, with what the record says of it."""

    edition: str
    label: str
    program: str
    quantity: str
    printed: str
    value: float
    source: str
    comparable: bool
    decides: bool
    here: float = pa.Field(nullable=True)
    status: str
    words: str
    percentile: float = pa.Field(nullable=True, ge=0, le=100)
    low: float = pa.Field(nullable=True)
    high: float = pa.Field(nullable=True)


class Order(_Frame):
    """One row: seconds per epoch from scratch over concise, in the book and here."""

    book: float = pa.Field(gt=0)
    here: float = pa.Field(nullable=True)
    low: float = pa.Field(nullable=True)
    high: float = pa.Field(nullable=True)
    words: str


class Records(_Frame):
    """One row for each record: where and when, and how it ended."""

    started: str
    machine: str
    device: str
    dtype: str
    data: str
    torch: str
    verdict: str


@dataclass(frozen=True)
class Frames:
    """All that one record has to show. A frame is empty where the run was interrupted before it."""

    traces: DataFrame[Traces]
    runs: DataFrame[Runs]
    seconds: DataFrame[Seconds]
    curves: DataFrame[Curves]
    histogram: DataFrame[Histogram]
    programs: DataFrame[Programs]
    verdicts: DataFrame[Verdicts]
    order: DataFrame[Order]


@dataclass(frozen=True)
class Reproduction:
    """A record, judged once."""

    record: ReproductionRecord
    frames: Frames

    @classmethod
    def of(cls, record: ReproductionRecord) -> "Reproduction":
        """The record with its frames; a pandera SchemaError where it contradicts itself."""
        return cls(record, frames_of(record))

    @property
    def verdict(self) -> str:
        """Such as `4 of 6 reproduced, 2 not run; interrupted`."""
        statuses = self._statuses
        words = f"{statuses.count('reproduced')} of {len(statuses)} reproduced"
        for status in ("not reproduced", "undecided", "not run"):
            if status in statuses:
                words += f", {statuses.count(status)} {status}"
        return f"{words}; interrupted" if self.record.interrupted else words

    @property
    def decides(self) -> bool:
        """Whether it ran to its end and says yes or no to each claim that decides."""
        return not self.record.interrupted and set(self._statuses) <= {"reproduced", "not reproduced"}

    @property
    def holds(self) -> bool:
        """Whether every claim that decides is reproduced."""
        return set(self._statuses) == {"reproduced"}

    @property
    def _statuses(self) -> list[str]:
        verdicts = self.frames.verdicts
        return list(verdicts.loc[verdicts["decides"], "status"])


def frames_of(record: ReproductionRecord) -> Frames:
    """The frames of one record; a pandera SchemaError where the record contradicts itself."""
    return Frames(
        traces=_checked(Traces, _trace_rows(record)),
        runs=_checked(Runs, _run_rows(record)),
        seconds=_checked(
            Seconds, ((p, seconds) for p in PROGRAMS for seconds in sec_per_epoch(record.programs[p]))
        ),
        curves=_checked(Curves, _curve_rows(record)),
        histogram=_checked(Histogram, _histogram_rows(record)),
        programs=_checked(Programs, _program_rows(record)),
        verdicts=_checked(Verdicts, _verdict_rows(record)),
        order=_checked(Order, [_order_row(record)]),
    )


def records_frame(reproductions: Sequence[Reproduction]) -> DataFrame[Records]:
    """One row for each record, in the order given."""
    return _checked(Records, (_record_row(one) for one in reproductions))


def of(frame: pd.DataFrame, program: str) -> pd.DataFrame:
    """The rows of one program."""
    return frame[frame["program"] == program]


def claims_of(frames: Frames, program: str, quantity: str) -> pd.DataFrame:
    """The verdicts on one quantity of one program, a row for each edition, the primary first."""
    verdicts = of(frames.verdicts, program)
    return verdicts[verdicts["quantity"] == quantity]


def _checked(schema: type[_Schema], rows: Iterable[tuple[Any, ...]]) -> DataFrame[_Schema]:
    columns = list(schema.to_schema().columns)
    return schema.validate(pd.DataFrame(list(rows), columns=columns))


def _trace_rows(record: ReproductionRecord) -> Iterator[tuple[Any, ...]]:
    for trace, points in record.traces.items():
        for step, (x1, x2) in enumerate(points):
            yield trace, step, x1, x2


def _run_rows(record: ReproductionRecord) -> Iterator[tuple[Any, ...]]:
    for program in PROGRAMS:
        measured = record.programs[program]
        for seed, losses in zip(measured.seeds, measured.losses, strict=True):
            for epoch, loss in zip(_epochs(program, len(losses)), losses, strict=True):
                yield program, seed, epoch, loss


def _curve_rows(record: ReproductionRecord) -> Iterator[tuple[Any, ...]]:
    for program in PROGRAMS:
        if summary := record.programs[program].ensemble:
            for epoch, losses in zip(_epochs(program, len(summary.curve)), summary.curve, strict=True):
                for level, loss in zip(summary.curve_levels, losses, strict=True):
                    yield program, epoch, level, loss


def _histogram_rows(record: ReproductionRecord) -> Iterator[tuple[Any, ...]]:
    for program in PROGRAMS:
        if summary := record.programs[program].ensemble:
            edges = summary.histogram_edges
            for left, right, seeds in zip(edges[:-1], edges[1:], summary.histogram_counts, strict=True):
                yield program, left, right, seeds


def _program_rows(record: ReproductionRecord) -> Iterator[tuple[Any, ...]]:
    for program in PROGRAMS:
        measured = record.programs[program]
        summary = measured.ensemble
        seeds, not_finite = (summary.seeds, summary.not_finite) if summary else (0, 0)
        yield program, len(measured.seeds), seeds, not_finite, agreement(record, program)


def _verdict_rows(record: ReproductionRecord) -> Iterator[tuple[Any, ...]]:
    for verdict in judge(record):
        claim = verdict.claim
        yield (
            *(claim.edition, claim.label, claim.program, claim.quantity, claim.printed, claim.value),
            *(claim.source, claim.timed_alike or claim.quantity != "sec_per_epoch", verdict.decides),
            *(verdict.here, verdict.status, verdict.words, verdict.percentile),
            *(verdict.interval or (None, None)),
        )


def _order_row(record: ReproductionRecord) -> tuple[Any, ...]:
    order = judge_order(record)
    return order.book, order.here, *(order.interval or (None, None)), order.words


def _record_row(one: Reproduction) -> tuple[Any, ...]:
    record, environment = one.record, one.record.environment
    torch = environment.versions.get("torch", "unknown")
    return (
        *(environment.started, environment.machine, record.device, record.dtype, record.data.source),
        *(torch, one.verdict),
    )


def _epochs(program: TrainingProgram, evaluations: int) -> np.ndarray:
    """Where in training the evaluations stand: at the start, then evenly to the last epoch's end."""
    return np.linspace(0, HYPERPARAMETERS[program].num_epochs or 1, evaluations)
