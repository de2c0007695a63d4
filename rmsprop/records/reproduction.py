"""The record of one reproduction of section 7.6."""

from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from rmsprop.records.environment import Environment

TrainingProgram = Literal["scratch", "concise"]
PROGRAMS: tuple[TrainingProgram, ...] = ("scratch", "concise")

SCHEMA = 1
_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")  # JSON has no NaN


@dataclass(frozen=True, config=_STRICT)
class EnsembleSummary:
    """The distribution of losses over thousands of seeds."""

    seeds: int
    seconds: float
    """Wall time of the whole ensemble."""
    not_finite: int
    """Seeds whose final loss is NaN or infinite; the numbers below are of the others."""
    quantile_levels: tuple[float, ...]
    quantiles: tuple[float, ...]
    """Final losses at `quantile_levels`."""
    histogram_edges: tuple[float, ...]
    histogram_counts: tuple[int, ...]
    mean: float
    sd: float
    curve_levels: tuple[float, ...]
    curve: tuple[tuple[float, ...], ...]
    """For each evaluation during training, the losses at `curve_levels`."""


@dataclass(frozen=True, config=_STRICT)
class ProgramRecord:
    """What one of the section's two programs gave."""

    seeds: tuple[int, ...]
    """Of the sequential runs, the faithful loop."""
    losses: tuple[tuple[float, ...], ...]
    """For each sequential run: the loss at the start and after every 100 samples."""
    epoch_seconds: tuple[tuple[float, ...], ...]
    """For each sequential run: the wall time of each epoch."""
    ensemble: EnsembleSummary | None
    """None when the run was interrupted before it."""


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
