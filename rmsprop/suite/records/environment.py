"""Where a record was made: machine, versions and commit. `rmsprop.suite.measure.capture` fills it in."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, PositiveInt
from pydantic.dataclasses import dataclass

from rmsprop.suite.words import count


def _dated(text: str) -> str:
    """ValueError where the text is no date with a time and an offset from UTC."""
    if datetime.fromisoformat(text).utcoffset() is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return text


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Hardware:
    """What tells one processor from another, as far as the system tells; it stays the same after a reboot.

    Attributes
    ----------
    vendor, family, model, stepping
        Of the processor, as it tells of itself; None where it does not.
    features
        Instruction sets that choose kernels, such as avx2, avx512f, amx_tile and bf16; sorted.
    l3_bytes
        The last cache that the first processor has.
    virtual
        Whether a hypervisor runs the system.
    """

    vendor: str | None
    family: str | None
    model: str | None
    stepping: str | None
    features: tuple[str, ...]
    l3_bytes: int | None
    virtual: bool | None


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Environment:
    """The facts that a reader needs to compare two records. Holds no host name, user or path.

    Attributes
    ----------
    started
        UTC, ISO 8601 with seconds.
    machine
        Folder name under results/<kind>/: processor, processors, GPU and a fingerprint of the hardware, as a
        slug. Records without `hardware` have no fingerprint.
    processor, cpus, memory_bytes
        As the system names it, logical processors, and memory; None where the system does not tell.
    gpu
        Name of the CUDA device; None without one.
    platform
        System and architecture, such as Linux x86_64.
    python
        Its version.
    versions
        Of rmsprop-bench, torch, numpy, scipy and pandas, as far as they are installed.
    threads
        torch's intra-op threads.
    governor
        CPU frequency governor; None where the system shows none.
    load
        Load average over the last minute, at the start; None where the system does not tell.
    commit
        Of the checkout that rmsprop was imported from; None for an installed wheel.
    dirty
        Whether rmsprop/ or benchmarks/ differed from that commit.
    hardware
        None in records of older schemas.
    """

    started: Annotated[str, AfterValidator(_dated)]
    machine: str
    processor: str | None
    cpus: PositiveInt | None
    memory_bytes: PositiveInt | None
    gpu: str | None
    platform: str
    python: str
    versions: dict[str, str]
    threads: PositiveInt
    governor: str | None
    load: Annotated[float, Field(ge=0, le=1e9)] | None
    commit: str | None
    dirty: bool | None
    hardware: Hardware | None = None

    @property
    def words(self) -> str:
        """Processor and number of processors, for people."""
        processors = count(self.cpus, "processor") if self.cpus else "unknown number of processors"
        return f"{self.processor or 'unknown processor'}, {processors}"
