"""Where a record was made: machine, versions and commit. `rmsprop.suite.measure.capture` fills it in."""

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Environment:
    """The facts that a reader needs to compare two records. Holds no host name, user or path.

    Attributes
    ----------
    started
        UTC, ISO 8601 with seconds.
    machine
        Folder name under results/<kind>/: processor, processors and GPU, as a slug.
    cpus
        Logical processors.
    threads
        torch's intra-op threads.
    governor
        CPU frequency governor; None where the system shows none.
    load
        Load average over the last minute, at the start.
    commit
        Of the checkout that rmsprop was imported from; None for an installed wheel.
    dirty
        Whether rmsprop/ or benchmarks/ differed from that commit.
    """

    started: str
    machine: str
    processor: str
    cpus: int
    memory_bytes: int
    gpu: str | None
    platform: str
    python: str
    versions: dict[str, str]
    threads: int
    governor: str | None
    load: float
    commit: str | None
    dirty: bool | None
