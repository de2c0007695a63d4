"""The record of one case of the benchmark matrix."""

from math import exp, log
from statistics import fmean, median
from typing import Literal, Self

from pydantic import ConfigDict, NonNegativeInt, PositiveInt, model_validator
from pydantic.dataclasses import dataclass

from rmsprop.suite.case import Case
from rmsprop.suite.records.environment import Environment

SCHEMA = 3
"""2: a case has a momentum; one of schema 1 has 0. 3: a record names its run, the processes that took its
samples, and the hardware, and has the book's loss curve; older ones name no run, and one process took their
samples."""
_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")  # JSON has no NaN

Status = Literal["measured", "skipped", "failed"]
Quantity = Literal["step", "peak", "epoch", "loss", "curve", "import", "first_step", "compile"]

UNITS: dict[Quantity, str] = {
    "step": "seconds",
    "peak": "bytes",
    "epoch": "seconds",
    "loss": "1",
    "curve": "1",
    "import": "seconds",
    "first_step": "seconds",
    "compile": "seconds",
}
"""What is measured: a step, the largest extra memory alive in it, an epoch of the job of the layout `book` or
`digits`, its final loss, of the book's job its loss curve (at the start and after each 100 rows, in this
order: the mean over the trainings), and the cold start in a fresh process: the imports, construction and
first step, and what of that step is beyond a steady one, such as compilation."""


@dataclass(frozen=True, config=_STRICT)
class Measurement:
    """What a measured case gave.

    Attributes
    ----------
    elements, tensors
        Of all parameters together; how many parameters.
    steps_per_sample
        As the first process found it; each process finds its own.
    samples
        Raw, in `UNITS`. A sample of `step` is the mean over `steps_per_sample` steps in a row.
    ceiling_seconds
        The same run's time for five plain passes over as many elements. A step may take less.
    processes
        How many processes took the samples of `step`: equally many each, one process after the other.
    """

    elements: NonNegativeInt
    tensors: NonNegativeInt
    steps_per_sample: PositiveInt
    samples: dict[Quantity, tuple[float, ...]]
    ceiling_seconds: float | None
    processes: PositiveInt = 1

    @property
    def step_seconds(self) -> float:
        """Of one step: the geometric mean over the processes of the median of each one's samples.

        The ratio of two implementations is then the ratio of their times.
        """
        samples = self.samples["step"]
        each = len(samples) // self.processes
        medians = [median(samples[start : start + each]) for start in range(0, each * self.processes, each)]
        first = medians[0]
        if min(medians) <= 0:
            return median(samples)
        return first * exp(fmean(log(one / first) for one in medians))  # exact where all are the same


@dataclass(frozen=True, config=_STRICT)
class BenchRecord:
    """One case on one machine at one commit: measured, skipped or failed, and why.

    Attributes
    ----------
    environment
        Of the run, but `started` and `load` are of its turn.
    axes
        The case.
    status
        measured, skipped or failed.
    reason
        Why it was skipped or failed; None when measured.
    measurement
        None unless measured.
    notes
        What a reader of the numbers must know, such as another ε.
    warnings
        Why the numbers cannot be trusted; empty when they can.
    run
        The id of the run, which is the name of its folder; None in records of older schemas.
    kind, schema
        Which kind of record it is, and in which schema.
    """

    environment: Environment
    axes: Case
    status: Status
    reason: str | None
    measurement: Measurement | None
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    run: str | None = None
    kind: Literal["bench"] = "bench"
    schema: int = SCHEMA

    @model_validator(mode="after")
    def _possible(self) -> Self:
        """ValueError where a number is impossible; what contradicts the status, the frame names."""
        if self.axes.threads < 0:
            raise ValueError(f"{self.axes.threads} threads")
        return self
