"""The processors: which there are, which one a thread is bound to, and what the hypervisor takes of it."""

import os
from pathlib import Path

import psutil

from rmsprop.suite.measure.known import known, load_average


def cpus() -> tuple[int, ...]:
    """One CPU of each core that this process may use; none where a system does not tell them."""
    cores: dict[str, int] = {}
    for cpu in sorted(_allowed()):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        core = known(lambda siblings=siblings: siblings.read_text("ascii"))  # type: ignore[misc]
        cores.setdefault(core or str(cpu), cpu)
    return tuple(cores.values())


def bind(cpu: int | None) -> None:
    """Bind this thread, and what it starts, to a CPU; None, or a system that refuses, leaves it as it is."""
    if cpu is not None:
        known(lambda: os.sched_setaffinity(0, {cpu}))


def own_cpu() -> int | None:
    """The CPU that this thread is bound to, if it is bound to one."""
    bound = _allowed()
    return next(iter(bound)) if len(bound) == 1 else None


def stolen(cpu: int | None) -> float | None:
    """Seconds that the hypervisor has taken from the CPU since the system started; None if not known."""
    if cpu is None:
        return None
    return known(lambda: float(psutil.cpu_times(percpu=True)[cpu].steal))


def load() -> str:
    """How many processes ran or waited in the last minute, and on how many processors; for people."""
    running = load_average()
    shown = "unknown size" if running is None else f"{running:.1f}"
    return f"{shown} on {len(cpus()) or known(os.cpu_count) or 'unknown'} cores"


def _allowed() -> set[int]:
    return known(lambda: os.sched_getaffinity(0)) or set()
