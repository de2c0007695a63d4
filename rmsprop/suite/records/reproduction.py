"""The record of one reproduction of a section, or of the chapter."""

from dataclasses import field
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator
from pydantic.dataclasses import dataclass

from rmsprop.book.programs import PROGRAMS, Program
from rmsprop.suite.records.environment import Environment

SCHEMA = 3
"""1: section 7.6 alone, its programs named scratch and concise, without their hyperparameters."""
_FIRST_NAMES = {"scratch": "rmsprop-scratch", "concise": "rmsprop-concise"}
_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")  # JSON has no NaN

Share = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
Drawn = Annotated[float, Field(ge=-1e300, le=1e300)]
"""A number whose distance to any other does not overflow."""


def _ascending(record: object, name: str) -> None:
    if any(not low <= high for low, high in pairwise(getattr(record, name))):
        raise ValueError(f"{name} do not ascend")


@dataclass(frozen=True, config=_STRICT)
class EnsembleSummary:
    """The distribution of losses over thousands of seeds.

    Attributes
    ----------
    seeds
        How many were trained.
    seconds
        Wall time of the whole ensemble.
    cpu_seconds
        Processor time of it, on one thread: 0 for seeds from disk, None in older records.
    not_finite
        Seeds whose final loss is NaN or infinite; the numbers below are of the others.
    quantile_levels, curve_levels
        Between 0 and 1, ascending.
    quantiles
        Final losses at `quantile_levels`.
    histogram_edges, histogram_counts
        Of the final losses: one edge more than counts.
    mean, sd
        Of the final losses; NaN for too few of them.
    curve
        For each evaluation during training, the losses at `curve_levels`.
    """

    seeds: PositiveInt
    seconds: Annotated[float, Field(ge=0, le=1e9)]
    not_finite: NonNegativeInt
    quantile_levels: tuple[Share, ...]
    quantiles: tuple[float, ...]
    histogram_edges: tuple[Drawn, ...]
    histogram_counts: tuple[NonNegativeInt, ...]
    mean: float
    sd: float
    curve_levels: tuple[Share, ...]
    curve: tuple[tuple[float, ...], ...]
    cpu_seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.quantiles) not in {0, len(self.quantile_levels)}:
            raise ValueError("quantiles and quantile_levels differ in length")
        if self.quantiles and len(self.histogram_edges) != len(self.histogram_counts) + 1:
            raise ValueError("histogram_edges do not enclose histogram_counts")
        if any(len(losses) != len(self.curve_levels) for losses in self.curve):
            raise ValueError("curve and curve_levels differ in length")
        if self.not_finite > self.seeds:
            raise ValueError("not_finite counts more seeds than there are")
        for name in ("quantile_levels", "quantiles", "histogram_edges", "curve_levels"):
            _ascending(self, name)
        return self


@dataclass(frozen=True, config=_STRICT)
class CurveRank:
    """Where a printed curve stands among the held-out runs of a program.

    Attributes
    ----------
    curve : str
        The curve's name, such as `rmsprop-scratch, docs`.
    points : int
        How many points a curve of the program has; if the printed one has another number, none is held out.
    held_out, as_extreme : int
        Runs of the program that were not fitted, and those of them at least as extreme as the printed curve.
    told : float
        The power: the share of the program's own curves that would exclude the claimed program.
    tells : float
        The share of the claimed program's curves that would exclude this one.
    told_p : tuple of float
        p of the program's own curves among the claimed program's, at equal steps from the least to the
        largest; empty in older records, for the claimed program, and where none is held out.
    """

    curve: str
    points: NonNegativeInt
    held_out: NonNegativeInt
    as_extreme: NonNegativeInt
    told: Share
    tells: Share
    told_p: tuple[Share, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.as_extreme > self.held_out:
            raise ValueError("as_extreme counts more runs than were held out")
        return self


@dataclass(frozen=True, config=_STRICT)
class Counts:
    """What one epoch of the sequential loop does, counted exactly.

    Attributes
    ----------
    torch_operations : int
        Operations that torch dispatches, those of the backward pass among them.
    python_calls, c_calls : int
        Calls of functions in Python, and of functions in C from Python.
    torch : str
        The version of torch that was counted.
    """

    torch_operations: NonNegativeInt
    python_calls: NonNegativeInt
    c_calls: NonNegativeInt
    torch: str


@dataclass(frozen=True, config=_STRICT)
class WrongRecord:
    """What another program gave in the place of a claimed one.

    Attributes
    ----------
    change : str
        Its name in `rmsprop.book.wrong.CHANGES`.
    claimed : str
        The program in whose place it was trained.
    program : Program
        What was trained.
    seeds, diverged : int
        How many were trained; how many of them did not end below the loss that they began with.
    quantile_levels, quantiles : tuple of float
        Of the final losses; a loss that is no number counts as infinite.
    curves : tuple of CurveRank
        Where the printed curves of the claimed program stand; empty on the surrogate.
    """

    change: str
    claimed: str
    program: Program
    seeds: PositiveInt
    diverged: NonNegativeInt
    quantile_levels: tuple[Share, ...]
    quantiles: tuple[float, ...]
    curves: tuple[CurveRank, ...]

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.diverged > self.seeds:
            raise ValueError("diverged counts more seeds than were trained")
        if len(self.quantiles) != len(self.quantile_levels):
            raise ValueError("quantiles and quantile_levels differ in length")
        for name in ("quantile_levels", "quantiles"):
            _ascending(self, name)
        return self


@dataclass(frozen=True, config=_STRICT)
class ProgramRecord:
    """What one program gave.

    Attributes
    ----------
    program
        What was run, with every hyperparameter.
    seeds
        Of the sequential runs, the faithful loop.
    losses
        For each sequential run: the loss at the start and after every 100 samples.
    epoch_seconds
        For each sequential run: the wall time of each epoch.
    ensemble
        None when the run was interrupted before it.
    run_cpu_seconds
        Processor time of one sequential run on one thread, the median of three; None as `counts` is.
    counts
        None in a record of schema 1, on a GPU, or when the run was interrupted before it.
    curves
        Where each printed curve stands; empty on the surrogate, which judges no curve.
    """

    program: Program
    seeds: tuple[int, ...]
    losses: tuple[tuple[float, ...], ...]
    epoch_seconds: tuple[tuple[Seconds, ...], ...]
    ensemble: EnsembleSummary | None
    counts: Counts | None = None
    curves: tuple[CurveRank, ...] = ()
    run_cpu_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not len(self.seeds) == len(self.losses) == len(self.epoch_seconds):
            raise ValueError("seeds, losses and epoch_seconds differ in length")
        if not all(self.losses) or not all(self.epoch_seconds):
            raise ValueError("a run has no losses or no seconds")
        return self


@dataclass(frozen=True, config=_STRICT)
class DataSource:
    """Which rows were used.

    Attributes
    ----------
    source
        `real`, or `surrogate` for made rows that have the moments of the real ones.
    detail
        One phrase for people.
    sha256
        Of the book's file with LF line ends, or of the digits' numbers; None for the surrogate.
    """

    source: Literal["real", "surrogate"]
    detail: str
    sha256: str | None


@dataclass(frozen=True, config=_STRICT)
class ReproductionRecord:
    """One run of `rmsprop reproduce`, raw.

    Attributes
    ----------
    environment
        Of the process, at its start.
    data
        What was trained on.
    device, dtype
        Of the trainings, as torch names them.
    interrupted
        Whether the user ended it: some of what was asked for may be missing.
    section
        Such as 7.6, or chapter.
    traces
        The points of each path, by name, such as rmsprop_2d.
    programs
        By the name of the program, such as rmsprop-scratch.
    wrong
        What section 7.6 was held against.
    wrong_traces
        The end of the section's trace by each change that a trace can show.
    warnings
        What speaks against the seconds, each behind a keyword.
    kind, schema
        Which kind of record it is, and in which schema.
    """

    environment: Environment
    data: DataSource
    device: str
    dtype: str
    interrupted: bool
    section: str
    traces: dict[str, tuple[tuple[float, ...], ...]]
    programs: dict[str, ProgramRecord]
    wrong: tuple[WrongRecord, ...] = ()
    wrong_traces: dict[str, tuple[float, ...]] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    kind: Literal["reproduction"] = "reproduction"
    schema: int = SCHEMA

    @model_validator(mode="before")
    @classmethod
    def _upgrade(cls, content: Any) -> Any:
        """A record of schema 1 in the form of today's: the same numbers under the names of today."""
        if not isinstance(content, dict) or content.get("schema") != 1:
            return content
        programs = {
            _FIRST_NAMES.get(name, name): {"program": PROGRAMS[_FIRST_NAMES.get(name, name)], **measured}
            for name, measured in content.get("programs", {}).items()
        }
        return content | {"schema": SCHEMA, "section": "7.6", "programs": programs}

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        empty = [name for name, points in self.traces.items() if not points]
        if not self.traces or empty:
            raise ValueError(f"nothing of {', '.join(empty) or 'any trace'}")
        wrong = [name for name, measured in self.programs.items() if measured.program.name != name]
        if wrong:
            raise ValueError(f"{', '.join(wrong)}: the name of another program")
        return self
