"""What a sweep can train: the book's linear regression, or the network that learns digits. Loads no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

JobName = Literal["book", "digits"]


@dataclass(frozen=True)
class Job:
    """What differs from one job to another.

    Attributes
    ----------
    rows : int
        Of its data; stated here, since the modules that have them load torch.
    lanes : int
        Seeds that a chunk holds whole multiples of, so far as the grid has them.
    target : float
        The loss to which epochs are counted where no other is asked for.
    chunk : int
        About how many trainings of it a worker takes at a time: some seconds of work.
    """

    rows: int
    lanes: int
    target: float
    chunk: int


JOBS: Mapping[str, Job] = {
    "book": Job(rows=1500, lanes=128, target=0.25, chunk=32_768),
    "digits": Job(rows=1797, lanes=32, target=0.1, chunk=512),
}
"""The names that `--job` takes."""
