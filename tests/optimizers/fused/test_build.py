import os
import shutil
import stat
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import torch
import torch._inductor.config  # it reads CXX when it is imported, which no test here may choose
from torch import nn
from typer.testing import CliRunner

from rmsprop import FusedRMSprop
from rmsprop.optimizers.fused import build as kernel
from rmsprop.optimizers.fused import kernels as fused

STEP = """
import torch
from rmsprop import FusedRMSprop
p = torch.nn.Parameter(torch.ones(5))
p.grad = torch.linspace(-1, 1, 5)
FusedRMSprop([p], lr=0.1, alpha=0.0, eps=0.0).step()
print(p.tolist())
"""
STEPPED = "[1.100000023841858, 1.100000023841858, 1.0, 0.8999999761581421, 0.8999999761581421]"
SLOW = "FusedRMSprop takes torch's foreach operations"
ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
posix = pytest.mark.skipif(os.name != "posix", reason="owners and modes are POSIX's")


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A machine on which nothing has been built, and a process that has loaded nothing."""
    monkeypatch.setenv("RMSPROP_CACHE", str(tmp_path / "cache"))
    for cached in (kernel.load_kernel, fused.cpu_walk, fused.cuda_walk):
        cached.cache_clear()
    yield tmp_path / "cache"
    for cached in (kernel.load_kernel, fused.cpu_walk, fused.cuda_walk):
        cached.cache_clear()


@pytest.fixture(scope="session")
def built():
    """The kernel in the cache of whoever runs the tests."""
    return kernel.build()


@pytest.fixture
def quick_compiler(built, tmp_path, monkeypatch):
    """A compiler that writes the kernel that is built already, and a file that holds a line for each call."""
    calls, compiler = tmp_path / "calls", tmp_path / "compiler"
    compiler.write_text(
        f"""#!{sys.executable}
import shutil, sys
with open({str(calls)!r}, "a") as calls:
    calls.write(" ".join(sys.argv) + "\\n")
if "-o" in sys.argv:
    shutil.copyfile({str(built)!r}, sys.argv[sys.argv.index("-o") + 1])
else:
    print("g++ (Debian 12.2.0) 12.2.0")
"""
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    monkeypatch.setenv("TORCH_DONT_CHECK_COMPILER_ABI", "1")
    return calls


def links(calls):
    """How often the quick compiler has made a kernel."""
    return sum("-shared" in line for line in calls.read_text().splitlines()) if calls.exists() else 0


def step_elsewhere(program=STEP, **environment):
    """A program in a process of its own."""
    changed = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    return subprocess.run(
        [sys.executable, "-c", program],
        env={name: value for name, value in changed.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def parameter(size=5):
    p = nn.Parameter(torch.ones(size))
    p.grad = torch.linspace(-1, 1, size)
    return p


def test_a_failed_build_names_the_compilers_error_and_leaves_nothing(empty_cache, monkeypatch, tmp_path):
    broken = tmp_path / "broken.cpp"
    broken.write_text("int main() { return undeclared; }\n")
    monkeypatch.setattr(kernel, "SOURCE", broken)
    with pytest.raises(kernel.KernelUnavailableError, match=r"error: .*undeclared"):
        kernel.build()
    assert list(kernel.folder().iterdir()) == []


def test_without_a_compiler_one_warning_says_so_and_the_step_is_right(empty_cache, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    p, q = parameter(), parameter()
    optimizer = FusedRMSprop([p], momentum=0.9, centered=True)
    with pytest.warns(RuntimeWarning, match=r"foreach operations.*no-such-compiler.*rmsprop build") as told:
        optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        optimizer.step()
        FusedRMSprop([parameter()]).step()
    assert len(told) == 1
    torch_s = torch.optim.RMSprop([q], momentum=0.9, centered=True)
    torch_s.step()
    torch_s.step()
    torch.testing.assert_close(p, q, rtol=1e-6, atol=0)
    assert "no-such-compiler" in fused.unavailable(torch.device("cpu"), torch.float32)


@pytest.mark.slow
def test_without_a_compiler_the_command_says_what_it_takes(empty_cache):
    found = subprocess.run(
        [sys.executable, "-m", "rmsprop", "build"],
        env={**os.environ, "CXX": "no-such-compiler"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 2
    assert "C++ compiler" in found.stderr
    assert "Traceback" not in found.stderr


def test_the_command_prints_where_the_kernel_is_and_a_second_time_builds_nothing():
    from rmsprop.suite.cli.main import app  # noqa: PLC0415

    built = kernel.build()
    before = built.stat().st_mtime_ns
    answer = CliRunner().invoke(app, ["build"])
    assert answer.exit_code == 0
    assert answer.stdout.strip() == str(built)
    assert built.stat().st_mtime_ns == before


def test_another_source_or_torch_or_processor_is_another_file(monkeypatch, tmp_path):
    keys = {kernel.key()}
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    keys.add(kernel.key())
    another = "AVX2" if torch.backends.cpu.get_cpu_capability() == "DEFAULT" else "DEFAULT"
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: another)
    keys.add(kernel.key())
    copy = shutil.copytree(kernel.SOURCE.parent, tmp_path / "fused")
    monkeypatch.setattr(kernel, "SOURCE", copy / kernel.SOURCE.name)
    assert kernel.key() in keys
    for changed in sorted((*copy.glob("*.cpp"), *copy.glob("*.h"))):
        changed.write_text(changed.read_text() + "\n")
        keys.add(kernel.key())
    assert len(keys) == 3 + 7


def test_parameters_elsewhere_build_nothing_for_the_cpu(empty_cache):
    p = nn.Parameter(torch.ones(3, device="meta"))
    p.grad = torch.ones(3, device="meta")
    FusedRMSprop([p]).step()
    assert not empty_cache.exists()


@pytest.mark.slow
def test_importing_the_package_neither_builds_nor_loads_a_kernel(empty_cache):
    program = "import rmsprop, sys; rmsprop.FusedRMSprop; print({'fused_cpu', 'triton'} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
    assert not empty_cache.exists()


# ---- without a cache


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment",
    [
        {"HOME": "/dev/null", "XDG_CACHE_HOME": None, "RMSPROP_CACHE": None},
        {"RMSPROP_CACHE": "/dev/null"},
        {"RMSPROP_CACHE": "/proc/none"},
        {"XDG_CACHE_HOME": "/dev/null/cache", "RMSPROP_CACHE": None},
    ],
    ids=str,
)
def test_where_no_cache_can_be_made_one_warning_says_so_and_the_step_is_right(environment):
    answer = step_elsewhere(**environment)
    assert (answer.returncode, answer.stdout.strip()) == (0, STEPPED)
    assert answer.stderr.count(SLOW) == 1


@posix
def test_a_user_without_a_home_folder_gets_one_warning(empty_cache, monkeypatch):
    for name in ("RMSPROP_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as where nobody knows the user
    with pytest.warns(RuntimeWarning, match=r"home (folder|directory).*rmsprop build"):
        FusedRMSprop([parameter()]).step()
    assert not Path("~").exists()


@posix
@pytest.mark.slow
def test_a_cache_below_a_folder_that_cannot_be_read_gives_one_warning(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0)
    # root may read everything, and somebody else may be unable to read this interpreter
    program = STEP.replace("p = ", "import os, torch._dynamo; os.seteuid(65534)\np = ", 1) if ROOT else STEP
    answer = step_elsewhere(program, RMSPROP_CACHE=str(closed / "cache"))
    closed.chmod(0o700)
    assert (answer.returncode, answer.stdout.strip()) == (0, STEPPED)
    assert answer.stderr.count(SLOW) == 1
    assert "Permission denied" in answer.stderr


# ---- a damaged or foreign kernel


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["truncated", "one bit"])
def test_a_damaged_kernel_is_built_anew_and_never_loaded(damage, empty_cache, quick_compiler):
    """To load a file that was cut off kills the process, in each of its later starts too."""
    assert step_elsewhere().stdout.strip() == STEPPED
    (made,) = kernel.folder().iterdir()
    whole = made.read_bytes()
    made.write_bytes(
        {
            "truncated": whole[: len(whole) // 2],
            "one bit": whole[:-1] + bytes([whole[-1] ^ 1]),
        }[damage]
    )
    answer = step_elsewhere()
    assert (answer.returncode, answer.stdout.strip()) == (0, STEPPED)
    assert SLOW not in answer.stderr
    assert [file.read_bytes() for file in kernel.folder().iterdir()] == [whole]
    assert links(quick_compiler) == 2
    assert step_elsewhere().stdout.strip() == STEPPED
    assert links(quick_compiler) == 2


@pytest.mark.slow
def test_a_kernel_that_this_system_cannot_load_is_built_anew(empty_cache, quick_compiler):
    """Machines with other system libraries may share a home folder."""
    kernel.build()
    (made,) = kernel.folder().iterdir()
    foreign = made.with_name("foreign")
    foreign.write_bytes(b"\x7fELF of another machine")
    foreign.rename(
        made.with_name(f"{kernel.NAME}-{kernel.key()}-{kernel._digest(foreign)}{kernel._suffix()}")
    )
    made.unlink()
    assert step_elsewhere().stdout.strip() == STEPPED
    assert [file.name for file in kernel.folder().iterdir()] == [made.name]


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n"], ids=["emptied", "another file"])
def test_a_file_that_is_no_kernel_is_built_anew(content, empty_cache, quick_compiler):
    made = kernel.build()
    whole = made.read_bytes()
    made.write_bytes(content)
    assert kernel.build().read_bytes() == whole
    assert links(quick_compiler) == 2


def test_a_kernel_is_on_the_disk_before_it_has_its_name(empty_cache, quick_compiler, monkeypatch):
    done = []
    flush, replace = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda file: done.append("flushed") or flush(file))
    monkeypatch.setattr(Path, "replace", lambda one, other: done.append("named") or replace(one, other))
    kernel.build()
    assert done[:2] == ["flushed", "named"]


@posix
@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
@pytest.mark.parametrize("what", ["kernel", "kernels", "cache"])
def test_what_others_may_write_to_is_refused(what, mode, empty_cache, quick_compiler):
    made = kernel.build()
    path = {"kernel": made, "kernels": made.parent, "cache": empty_cache}[what]
    path.chmod(mode)
    with pytest.raises(kernel.KernelUnavailableError, match=f"chmod go-w {path}"):
        kernel.build()
    with pytest.warns(RuntimeWarning, match="only its owner may write"):
        FusedRMSprop([parameter()]).step()


@posix
def test_a_cache_in_a_folder_such_as_tmp_is_used(tmp_path, quick_compiler, monkeypatch):
    monkeypatch.setenv("RMSPROP_CACHE", str(tmp_path / "shared"))
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o1777)
    assert kernel.build().is_file()


@posix
def test_folders_are_closed_to_others_whatever_the_umask(tmp_path, quick_compiler, monkeypatch):
    monkeypatch.delenv("RMSPROP_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = os.umask(0o002)
    try:
        (tmp_path / "rmsprop-bench").mkdir()  # as the library does that keeps the data there
        made = kernel.build()
    finally:
        os.umask(before)
    for path in (made, made.parent, made.parent.parent):
        assert not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)


@posix
@pytest.mark.skipif(not ROOT, reason="only root can give a file away")
@pytest.mark.parametrize("what", ["kernel", "kernels", "cache"])
def test_what_another_user_owns_is_refused(what, empty_cache, quick_compiler):
    made = kernel.build()
    path = {"kernel": made, "kernels": made.parent, "cache": empty_cache}[what]
    os.chown(path, 65534, 65534)
    with pytest.raises(kernel.KernelUnavailableError, match="another owner"):
        kernel.build()


def test_what_killed_builds_left_is_swept_and_running_ones_are_not(empty_cache, quick_compiler):
    kernel.folder().mkdir(parents=True)
    for name, age in (("building-old", 2), ("tmpold12345", 2), ("building-new", 0)):
        left = kernel.folder() / name
        left.mkdir()
        (left / "cpu_kernel.o").write_bytes(b"...")
        hours_ago = time.time() - age * 3600
        os.utime(left, (hours_ago, hours_ago))
    made = kernel.build()
    assert {path.name for path in kernel.folder().iterdir()} == {"building-new", made.name}


# ---- the tools of an environment that is not activated


@posix
def test_ninja_and_compiler_are_found_beside_the_interpreter(
    empty_cache, quick_compiler, tmp_path, monkeypatch
):
    """As in Jupyter and pipx, whose search path does not hold the environment."""
    if not any((Path(folder) / "ninja").exists() for folder in kernel._scripts()):
        pytest.skip("this environment has no ninja of its own")
    system, scripts = tmp_path / "system", tmp_path / "scripts"
    for folder in (system, scripts):
        folder.mkdir()
    for tool in ("which", "sh"):
        (system / tool).symlink_to(str(shutil.which(tool)))
    (scripts / "c++").symlink_to(os.environ["CXX"])
    monkeypatch.delenv("CXX")
    monkeypatch.setenv("PATH", str(system))
    ours = kernel._scripts()
    monkeypatch.setattr(kernel, "_scripts", lambda: [*ours, str(scripts)])
    assert kernel.build().is_file()
    assert links(quick_compiler) == 1
    assert os.environ["PATH"] == str(system)
    assert "CXX" not in os.environ


def test_scripts_of_the_interpreters_environment_are_searched():
    assert str(Path(sys.executable).parent) in kernel._scripts()


@posix
def test_a_compiler_of_another_name_is_found_and_a_named_one_is_kept(tmp_path, monkeypatch):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(kernel, "_scripts", lambda: [str(tmp_path)])
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    for name in ("clang++", "g++"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
        with kernel._tools_of_this_environment():
            assert os.environ["CXX"] == name
    monkeypatch.setenv("CXX", "mine")
    with kernel._tools_of_this_environment():
        assert os.environ["CXX"] == "mine"
