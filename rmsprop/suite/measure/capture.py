"""Captures where a measurement is made: this machine, these versions, this commit."""

import os
import platform
from contextlib import suppress
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psutil

import rmsprop
from rmsprop.errors import UserError
from rmsprop.suite.git import git_or_none
from rmsprop.suite.measure.hardware import capture_hardware, machine_name
from rmsprop.suite.measure.known import known, load_average
from rmsprop.suite.records.environment import Environment

SAME_MEMORY = 0.01
"""Sizes of memory that differ by less are of one machine."""
_PACKAGES = ("torch", "numpy", "scipy", "pandas")


def capture_environment() -> Environment:
    """The environment of this process, now; None for each fact that the machine will not tell.

    (The gate also judges where there is no torch.)
    """
    torch: Any = import_module("torch") if find_spec("torch") else None
    processor, hardware = capture_hardware()
    cpus = known(os.cpu_count)
    gpu = known(torch.cuda.get_device_name) if torch and torch.cuda.is_available() else None
    commit, dirty = known(_commit) or (None, None)
    return Environment(
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine_name(processor, cpus, gpu, hardware),
        processor=processor,
        cpus=cpus,
        memory_bytes=known(lambda: psutil.virtual_memory().total),
        gpu=gpu,
        platform=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={"rmsprop-bench": rmsprop.__version__}
        | {package: found for package in _PACKAGES if (found := _version(package))},
        threads=torch.get_num_threads() if torch else cpus or 1,
        governor=known(_governor),
        load=load_average(),
        commit=commit,
        dirty=dirty,
        hardware=hardware,
    )


def describe_to_asv(environment: Environment) -> None:
    """Tell asv this machine's facts under our name for it, without a question and without the host's name.

    Not through `asv machine`, which leaves out each fact that it would have guessed (0.6.6). Where asv
    knows no other machine, its commands take this one without `--machine`.
    """
    try:
        from asv.machine import MachineCollection  # noqa: PLC0415 (asv is an extra)
        from asv.util import UserError as UnknownMachineError  # noqa: PLC0415
    except ImportError as error:
        raise UserError("asv is not installed: python -m pip install -e '.[bench]'") from error
    told_of = {
        "machine": environment.machine,
        "os": environment.platform.split()[0],
        "arch": environment.platform.split()[1],
        "cpu": " with ".join(filter(None, (environment.processor, environment.gpu))),
        "num_cpu": environment.cpus,
        "ram": environment.memory_bytes,
    }
    # asv keeps words; "" is what its own questions offer where it knows nothing.
    facts = {name: "" if fact is None else str(fact) for name, fact in told_of.items()}
    with suppress(UnknownMachineError):
        told = MachineCollection.load(environment.machine)
        # After a reboot the kernel may keep some kilobytes more for itself: no other machine.
        memory = environment.memory_bytes
        if memory and abs(float(told.get("ram") or 0) / memory - 1) < SAME_MEMORY:
            facts["ram"] = told["ram"]
    MachineCollection.save(environment.machine, facts)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _governor() -> str:
    return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text("ascii").strip()


def _commit() -> tuple[str | None, bool | None]:
    """The commit of the rmsprop under test, and whether it, the harness or the benchmarks differ from it."""
    package = Path(rmsprop.__file__).parent
    # A wheel may lie inside someone else's repository: ask whether git knows this file.
    if git_or_none(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return None, None
    commit = git_or_none(package, "rev-parse", "HEAD")
    changes = git_or_none(package.parent, "status", "--porcelain", "--", "rmsprop", "benchmarks")
    return commit, bool(changes) if changes is not None else None
