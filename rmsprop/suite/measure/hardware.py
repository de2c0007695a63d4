"""What the processor is, and the name of the machine that follows from it."""

import hashlib
import json
import platform
import re
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from rmsprop.suite.measure.known import known
from rmsprop.suite.records.environment import Hardware

_FEATURES = re.compile(
    r"sse4_[12]|avx.*|fma3?|f16c|amx.*|bf16|i8mm|asimd.*|neon|sve.*|sme[0-9_]*|sme_.*|fphp|vsx|altivec",
    re.ASCII,
)
"""Flags of instruction sets by which torch, its libraries or a compiler choose kernels."""
_UNITS = {"K": 2**10, "M": 2**20, "G": 2**30}


def capture_hardware() -> tuple[str | None, Hardware]:
    """The processor's name, and what tells it from others; None for what is not known."""
    facts = known(_cpuinfo) or {}
    flags = set(facts.get("flags") or ())
    name = facts.get("brand_raw") or known(platform.processor) or known(platform.machine)
    return _text(name or None), Hardware(
        vendor=_text(facts.get("vendor_id_raw")),
        family=_text(facts.get("family")),
        model=_text(facts.get("model")),
        stepping=_text(facts.get("stepping")),
        features=tuple(sorted(flag for flag in flags if _FEATURES.fullmatch(flag))),
        l3_bytes=known(_l3),
        virtual="hypervisor" in flags if flags and platform.machine() in {"x86_64", "AMD64"} else None,
    )


def machine_name(processor: str | None, cpus: int | None, gpu: str | None, hardware: Hardware) -> str:
    """A folder name such as `amd-epyc-2cpu-1f2e3d` or `intel-xeon-16cpu-nvidia-h200-0a1b2c`.

    Its end is a fingerprint: two machines that differ in any of these facts have two names, and memory, host
    name and versions do not matter.
    """
    words = f"{processor or 'unknown'} {f'{cpus}cpu' if cpus else ''} {gpu or ''}".lower()
    words = re.sub(r"\((r|tm)\)|processor|\bcpu\b|@.*?ghz", " ", words)
    facts = json.dumps([processor, cpus, gpu, asdict(hardware)], sort_keys=True)
    return f"{re.sub(r'[^a-z0-9]+', '-', words).strip('-')}-{hashlib.sha256(facts.encode()).hexdigest()[:6]}"


@cache
def _cpuinfo() -> dict[str, Any]:
    from cpuinfo import get_cpu_info  # noqa: PLC0415 (it starts processes; only a record needs it)

    return dict(get_cpu_info())


def _l3() -> int | None:
    """Of the first processor, as Linux tells: cpuinfo's figure is that of another cache at times."""
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            if (index / "level").read_text("ascii").strip() == "3":
                size = (index / "size").read_text("ascii").strip()
                return int(size[:-1]) * _UNITS[size[-1]]
        except (OSError, ValueError, KeyError, IndexError):
            continue
    return None


def _text(value: object) -> str | None:
    return None if value is None else str(value)
