"""The record of one reproduction of section 7.6."""

from typing import Literal, Self

from pydantic import ConfigDict, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from pydantic.dataclasses import dataclass

from rmsprop.book.claims import PROGRAMS, TrainingProgram
from rmsprop.suite.records.environment import Environment

TRACES = ("rmsprop_2d", "adagrad_2d", "torch_2d")

SCHEMA = 1
_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")  # JSON has no NaN


@dataclass(frozen=True, config=_STRICT)
class EnsembleSummary:
    """The distribution of losses over thousands of seeds."""

    seeds: PositiveInt
    seconds: float
    """Wall time of the whole ensemble."""
    not_finite: int
    """Seeds whose final loss is NaN or infinite; the numbers below are of the others."""
    quantile_levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    """Final losses at `quantile_levels`."""
    histogram_edges: tuple[float, ...]
    histogram_counts: tuple[NonNegativeInt, ...]
    mean: float
    sd: float
    curve_levels: tuple[float, ...]
    curve: tuple[tuple[float, ...], ...]
    """For each evaluation during training, the losses at `curve_levels`."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.quantiles) not in {0, len(self.quantile_levels)}:
            raise ValueError("quantiles and quantile_levels differ in length")
        if self.quantiles and len(self.histogram_edges) != len(self.histogram_counts) + 1:
            raise ValueError("histogram_edges do not enclose histogram_counts")
        if any(len(losses) != len(self.curve_levels) for losses in self.curve):
            raise ValueError("curve and curve_levels differ in length")
        return self


@dataclass(frozen=True, config=_STRICT)
class ProgramRecord:
    """What one of the section's two programs gave."""

    seeds: tuple[int, ...]
    """Of the sequential runs, the faithful loop."""
    losses: tuple[tuple[float, ...], ...]
    """For each sequential run: the loss at the start and after every 100 samples."""
    epoch_seconds: tuple[tuple[PositiveFloat, ...], ...]
    """For each sequential run: the wall time of each epoch."""
    ensemble: EnsembleSummary | None
    """None when the run was interrupted before it."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not len(self.seeds) == len(self.losses) == len(self.epoch_seconds):
            raise ValueError("seeds, losses and epoch_seconds differ in length")
        if not all(self.losses) or not all(self.epoch_seconds):
            raise ValueError("a run has no losses or no seconds")
        return self


@dataclass(frozen=True, config=_STRICT)
class DataSource:
    """Which rows were used."""

    source: Literal["real", "surrogate"]
    detail: str
    sha256: str | None


@dataclass(frozen=True, config=_STRICT)
class ReproductionRecord:
    """One run of `rmsprop reproduce`, raw."""

    environment: Environment
    data: DataSource
    device: str
    dtype: str
    interrupted: bool
    traces: dict[str, tuple[tuple[float, float], ...]]
    """2-D points by name: rmsprop_2d, adagrad_2d, torch_2d."""
    programs: dict[TrainingProgram, ProgramRecord]
    kind: Literal["reproduction"] = "reproduction"
    schema: int = SCHEMA

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        missing = [name for name in TRACES if not self.traces.get(name)]
        missing += [name for name in PROGRAMS if name not in self.programs]
        if missing:
            raise ValueError(f"nothing of {', '.join(missing)}")
        return self
