"""Where a record was made: machine, versions and commit. `rmsprop.suite.measure.capture` fills it in."""

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Environment:
    """The facts that a reader needs to compare two records. Holds no host name, user or path."""

    started: str
    """UTC, ISO 8601 with seconds."""
    machine: str
    """Folder name under results/<kind>/: processor, processors and GPU, as a slug."""
    processor: str
    cpus: int
    """Logical processors."""
    memory_bytes: int
    gpu: str | None
    platform: str
    python: str
    versions: dict[str, str]
    threads: int
    """torch's intra-op threads."""
    governor: str | None
    """CPU frequency governor; None where the system shows none."""
    load: float
    """Load average over the last minute, at the start."""
    commit: str | None
    """Of the checkout that rmsprop was imported from; None for an installed wheel."""
    dirty: bool | None
    """Whether rmsprop/ or benchmarks/ differed from that commit."""
