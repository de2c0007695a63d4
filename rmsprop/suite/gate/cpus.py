"""The processors: which there are, which one a thread is bound to, and what the hypervisor takes of it."""

import os
from pathlib import Path

import psutil


def cpus() -> tuple[int, ...]:
    """One CPU of each core that this process may use; none where a system cannot bind a process to one."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    cores: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            core = siblings.read_text("ascii")
        except OSError:
            core = str(cpu)
        cores.setdefault(core, cpu)
    return tuple(cores.values())


def bind(cpu: int | None) -> None:
    """Bind this thread, and what it starts, to a CPU; None leaves it as it is."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def own_cpu() -> int | None:
    """The CPU that this thread is bound to, if it is bound to one."""
    bound = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    return next(iter(bound)) if len(bound) == 1 else None


def stolen(cpu: int | None) -> float | None:
    """Seconds that the hypervisor has taken from the CPU since the system started; None if not known."""
    if cpu is None:
        return None
    return getattr(psutil.cpu_times(percpu=True)[cpu], "steal", None)


def load() -> str:
    """How many processes ran or waited in the last minute, and on how many processors; for people."""
    try:
        running = f"{os.getloadavg()[0]:.1f}"
    except (OSError, AttributeError):
        running = "unknown size"
    return f"{running} on {len(cpus()) or os.cpu_count()} cores"
