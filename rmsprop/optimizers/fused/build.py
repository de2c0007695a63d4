"""Builds and loads FusedRMSprop's CPU kernel, `fused_cpu.cpp`: once per source, torch and kind of processor.

The wheel carries the source. What is built of it is kept in the user's cache (`RMSPROP_CACHE` names another
folder), under a name that says of what it was built, so that another torch or another source builds anew.
"""

import hashlib
import logging
import os
import shutil
import sys
import sysconfig
import tempfile
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch

SOURCE = Path(__file__).with_name("cpu_kernel.cpp")
NAME = "fused_cpu"

# torch's own vector types choose their instructions by these. -ffp-contract=off as torch is built: what
# becomes a fused multiply-add is said in the source, and is the same for each compiler.
_INSTRUCTIONS = {
    "AVX512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mf16c"],
    "AVX2": ["-mavx2", "-mfma", "-mf16c"],
}

logger = logging.getLogger("rmsprop")


class KernelUnavailableError(Exception):
    """The kernel cannot be built here; the message says why."""


def flags() -> list[str]:
    """The compiler's arguments for this processor."""
    capability = torch.backends.cpu.get_cpu_capability()
    if sys.platform == "win32":
        return ["/O2", "/fp:precise", "/DCPU_CAPABILITY=DEFAULT"]
    chosen = ["-O3", "-ffp-contract=off"]
    if capability in _INSTRUCTIONS:
        macros = [f"-DCPU_CAPABILITY={capability}", f"-DCPU_CAPABILITY_{capability}"]
        return [*chosen, *_INSTRUCTIONS[capability], *macros]
    return [*chosen, "-DCPU_CAPABILITY=DEFAULT"]


def path() -> Path:
    """Where the built kernel is, or will be."""
    built_of = [SOURCE.read_text(), torch.__version__, str(torch.version.git_version), *flags()]
    key = hashlib.sha256("\0".join(built_of).encode()).hexdigest()[:16]
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    return _cache() / "kernels" / f"{NAME}-{key}{suffix}"


def _cache() -> Path:
    if named := os.environ.get("RMSPROP_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "rmsprop-bench"


def build() -> Path:
    """Compile the kernel where it is not there yet; KernelUnavailableError if that fails.

    Built in a folder of its own and renamed: processes that build at the same time do not wait for one
    another, and one that is killed leaves nothing half-made.
    """
    target = path()
    if target.exists():
        return target
    logger.warning("building the fused CPU kernel: once for this torch, about half a minute")
    try:
        # It loads setuptools, and is needed once.
        from torch.utils.cpp_extension import load  # noqa: PLC0415

        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as folder:
            load(
                NAME,
                [str(SOURCE)],
                extra_cflags=flags(),
                build_directory=folder,
                with_cuda=False,
                is_python_module=False,  # torch would name a second build otherwise than the source does
            )
            built = next(file for file in Path(folder).iterdir() if file.suffix in {".so", ".pyd"})
            finished = Path(folder) / target.name
            shutil.copyfile(built, finished)
            finished.replace(target)
    except Exception as error:  # compilers, linkers, ninja and full disks all fail in their own ways
        raise KernelUnavailableError(_reason(error)) from error
    return target


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line]  # what a compiler or a linker says of its own
    return (telling or lines or [type(error).__name__])[0]


@cache
def load_kernel() -> ModuleType:
    """The module with `step`; built first where it must be. KernelUnavailableError says why it cannot be."""
    built = build()
    loader = ExtensionFileLoader(NAME, str(built))
    spec = spec_from_file_location(NAME, built, loader=loader)
    if spec is None:
        raise KernelUnavailableError(f"{built} is no module")
    try:
        module = module_from_spec(spec)
        loader.exec_module(module)
    except ImportError as error:
        raise KernelUnavailableError(str(error)) from error
    return module
