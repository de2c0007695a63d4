"""Builds and loads FusedRMSprop's CPU kernel, `cpu_kernel.cpp`: once per source, torch and kind of processor.

The wheel carries the source and its headers. What is built of them is kept in the user's cache
(`RMSPROP_CACHE` names another folder). The name of a kernel says of what it was built, so that another torch
or another source builds anew, and ends with a digest of its bytes, so that a damaged or foreign file is never
loaded: it is built anew.
"""

import hashlib
import logging
import os
import shutil
import stat
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.machinery import ExtensionFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import torch

from rmsprop.cache import cache_folder

SOURCE = Path(__file__).with_name("cpu_kernel.cpp")
NAME = "fused_cpu"
LEFT_BEHIND = 3600.0
"""Seconds after which a folder of a build that is not finished counts as that of a killed one."""

# torch's own vector types choose their instructions by these. -ffp-contract=off as torch is built: what
# becomes a fused multiply-add is said in the source, and is the same for each compiler.
_INSTRUCTIONS = {
    "AVX512": ["-mavx512f", "-mavx512dq", "-mavx512vl", "-mavx512bw", "-mfma", "-mf16c"],
    "AVX2": ["-mavx2", "-mfma", "-mf16c"],
}
_COMPILERS = ("c++", "g++", "clang++")
_BUILDING = "building-"
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

logger = logging.getLogger("rmsprop")
_one_at_a_time = threading.Lock()
"""Held while this process builds: the search path is another meanwhile."""


class KernelUnavailableError(Exception):
    """The kernel cannot be built or loaded here; the message says why."""


def flags() -> list[str]:
    """The compiler's arguments for this processor."""
    capability = torch.backends.cpu.get_cpu_capability()
    if sys.platform == "win32":
        return ["/O2", "/fp:precise", "/DCPU_CAPABILITY=DEFAULT"]
    chosen = ["-O3", "-ffp-contract=off"]
    if capability in _INSTRUCTIONS:
        if capability == "AVX512" and _converts_to_bfloat16():
            chosen.append("-mavx512bf16")
        macros = [f"-DCPU_CAPABILITY={capability}", f"-DCPU_CAPABILITY_{capability}"]
        return [*chosen, *_INSTRUCTIONS[capability], *macros]
    return [*chosen, "-DCPU_CAPABILITY=DEFAULT"]


def _converts_to_bfloat16() -> bool:
    """Whether the processor has AVX-512's conversion; False where this torch cannot say."""
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def key() -> str:
    """What the kernel is built of, in 16 hexadecimal digits."""
    sources = [SOURCE, *sorted(SOURCE.parent.glob("*.h"))]
    built_of = [
        *(path.read_text() for path in sources),
        torch.__version__,
        str(torch.version.git_version),
        *flags(),
    ]
    return hashlib.sha256("\0".join(built_of).encode()).hexdigest()[:16]


def folder() -> Path:
    """Where kernels are kept. RuntimeError if the user has no home folder and RMSPROP_CACHE is not set."""
    kept = cache_folder()
    if not kept.is_absolute() and "RMSPROP_CACHE" not in os.environ:
        raise RuntimeError("this user has no home folder; set RMSPROP_CACHE to a folder of yours")
    return kept / "kernels"


def build() -> Path:
    """The built kernel, compiled now if it is not there yet; KernelUnavailableError if that fails.

    It is built in a folder of its own, written through to the disk, and renamed. So processes that build at
    the same time do not wait for one another, and one that is killed leaves nothing under a kernel's name.
    """
    try:
        kept = folder()
        kept.parent.mkdir(parents=True, exist_ok=True)
        if "RMSPROP_CACHE" not in os.environ and _is_ours(kept.parent):  # data may lie there too
            kept.parent.chmod(stat.S_IMODE(kept.parent.stat().st_mode) & ~_OTHERS_WRITE)
        kept.mkdir(exist_ok=True, mode=0o755)
        _check_owner(kept.parent)
        _check_owner(kept)
        with _one_at_a_time:
            return _built(kept) or _build(kept)
    except KernelUnavailableError:
        raise
    except Exception as error:  # compilers, linkers, ninja, folders and full disks all fail in their own ways
        raise KernelUnavailableError(_reason(error)) from error


@cache
def load_kernel() -> ModuleType:
    """The module with `step`; built first where it must be. KernelUnavailableError says why it cannot be."""
    built = build()
    try:
        return _load(built)
    except ImportError:  # it was built beside other system libraries, as in a home folder that machines share
        built.unlink(missing_ok=True)
    try:
        return _load(build())
    except ImportError as error:
        raise KernelUnavailableError(str(error)) from error


def _load(built: Path) -> ModuleType:
    loader = ExtensionFileLoader(NAME, str(built))
    spec = spec_from_file_location(NAME, built, loader=loader)
    if spec is None:
        raise ImportError(f"{built} is no module")
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _is_ours(path: Path) -> bool:
    return not hasattr(os, "geteuid") or path.stat().st_uid == os.geteuid()


def _check_owner(path: Path) -> None:
    """KernelUnavailableError where someone else could put code there: what is loaded runs as this user."""
    found = path.stat()
    if not _is_ours(path) and found.st_uid != 0:  # root may do anything in any case
        raise KernelUnavailableError(
            f"expected {path} to be this user's, found another owner; set RMSPROP_CACHE to a folder of yours"
        )
    # In a folder such as /tmp, which everyone may write to, the sticky bit keeps others from renaming ours.
    if os.name == "posix" and found.st_mode & _OTHERS_WRITE and not found.st_mode & stat.S_ISVTX:
        raise KernelUnavailableError(
            f"expected that only its owner may write to {path}, found {stat.filemode(found.st_mode)}; "
            f"run: chmod go-w {path}"
        )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()[:32]


def _suffix() -> str:
    return str(sysconfig.get_config_var("EXT_SUFFIX"))


def _built(kept: Path) -> Path | None:
    """The kernel in the folder, if one is there as it was written; what is damaged is removed."""
    for file in sorted(kept.glob(f"{NAME}-{key()}-*{_suffix()}")):
        _check_owner(file)
        digest = file.name.removesuffix(_suffix()).rpartition("-")[2]
        if file.is_file() and _digest(file) == digest:
            return file
        logger.warning("%s is not as it was written, and is built anew", file)
        file.unlink(missing_ok=True)
    return None


def _build(kept: Path) -> Path:
    logger.warning("building the fused CPU kernel: once for this torch, about half a minute")
    _sweep(kept)
    # It loads setuptools, and is needed once.
    from torch.utils.cpp_extension import load  # noqa: PLC0415

    with (
        tempfile.TemporaryDirectory(dir=kept, prefix=_BUILDING, ignore_cleanup_errors=True) as own,
        _tools_of_this_environment(),
    ):
        load(
            NAME,
            [str(SOURCE)],
            extra_cflags=flags(),
            build_directory=own,
            with_cuda=False,
            is_python_module=False,  # torch would name a second build otherwise than the source does
        )
        built = next(file for file in Path(own).iterdir() if file.suffix in {".so", ".pyd"})
        finished = Path(own) / "finished"
        shutil.copyfile(built, finished)
        finished.chmod(0o644)
        _flush(finished, os.O_RDWR)
        target = kept / f"{NAME}-{key()}-{_digest(finished)}{_suffix()}"
        finished.replace(target)
    if os.name == "posix":
        _flush(kept, os.O_RDONLY)
    return target


def _sweep(kept: Path) -> None:
    """Remove the folders of builds that were killed; earlier versions named theirs tmp... ."""
    for left in (*kept.glob(f"{_BUILDING}*"), *kept.glob("tmp*")):
        with suppress(OSError):  # its builder, or another process that sweeps, has removed it
            if left.is_dir() and time.time() - left.stat().st_mtime > LEFT_BEHIND:
                shutil.rmtree(left, ignore_errors=True)


def _flush(path: Path, mode: int) -> None:
    """To the disk: a name that survives a power cut must not stand for bytes that do not."""
    descriptor = os.open(path, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _tools_of_this_environment() -> Iterator[None]:
    """Put the interpreter's environment on the search path, activated or not, and name its compiler.

    Jupyter and pipx start an interpreter without activating its environment; pip's ninja and conda's compiler
    are then beside the interpreter and nowhere else.
    """
    before = {name: os.environ.get(name) for name in ("PATH", "CXX")}
    searched = [*_scripts(), *(before["PATH"] or os.defpath).split(os.pathsep)]
    os.environ["PATH"] = os.pathsep.join(searched)
    if before["CXX"] is None and sys.platform != "win32":
        triplet = sysconfig.get_config_var("HOST_GNU_TYPE")
        for compiler in (*_COMPILERS, f"{triplet}-c++", f"{triplet}-g++"):
            if shutil.which(compiler):
                os.environ["CXX"] = compiler
                break
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _scripts() -> list[str]:
    """The folders where this interpreter's packages have their programs, and the interpreter itself."""
    found = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    if find_spec("ninja"):  # wherever else it was installed, as with pip install --user
        import ninja  # noqa: PLC0415

        found.append(getattr(ninja, "BIN_DIR", ""))
    return [folder for folder in dict.fromkeys(found) if folder]


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "error:" in line]  # what a compiler or a linker says of its own
    return (telling or lines or [type(error).__name__])[0]
