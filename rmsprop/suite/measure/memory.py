"""How much memory this process can still have: of the machine, of its control groups, of its own limit.

Sources: the kernel's documentation of cgroup v2 (memory.max, memory.current, memory.stat) and v1
(memory.limit_in_bytes, memory.usage_in_bytes), and getrlimit(2).
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from rmsprop.suite.measure.known import known

_FILES = {
    2: ("memory.max", "memory.current", "inactive_file"),
    1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""By the version of the control groups: limit, use, and the part of the use that is given up when needed."""


def host_memory() -> int:
    """Bytes that can be had now, by whatever is tightest; never negative. sys.maxsize if nothing is known."""
    free = known(lambda: psutil.virtual_memory().available)
    rooms = [free, *(known(cgroup_rooms) or ()), *(known(_address_space) or ())]
    return max(0, min((room for room in rooms if room is not None), default=sys.maxsize))


def cgroup_rooms(own: Path = Path("/proc/self/cgroup"), mounted: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Bytes that each control group around this process still allows; none where there is no limit."""
    rooms = []
    for version, group, top in _groups(own, mounted):
        limit_file, use_file, idle = _FILES[version]
        for folder in (group, *group.parents):
            # What cannot be read, or says max, is no limit that this process could know of.
            with suppress(OSError, ValueError):
                room = int((folder / limit_file).read_text()) - int((folder / use_file).read_text())
                rooms.append(room + _counted(folder / "memory.stat", idle))
            if folder == top:
                break
    return rooms


def _groups(own: Path, mounted: Path) -> Iterator[tuple[int, Path, Path]]:
    """Version, folder and topmost folder of each hierarchy that counts this process's memory."""
    try:
        lines = own.read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if not controllers:
            yield 2, mounted / inside, mounted
        elif "memory" in controllers.split(","):
            yield 1, mounted / "memory" / inside, mounted / "memory"


def _counted(stat: Path, name: str) -> int:
    with suppress(OSError, ValueError):
        for line in stat.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _address_space() -> list[int]:
    """What RLIMIT_AS leaves."""
    try:
        import resource  # noqa: PLC0415 (Windows has none)
    except ImportError:
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if limit == resource.RLIM_INFINITY else [limit - psutil.Process().memory_info().vms]
