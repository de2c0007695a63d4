import os
import subprocess
import sys
import warnings

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from rmsprop import FusedRMSprop
from rmsprop.optimizers.fused import build as kernel
from rmsprop.optimizers.fused import optimizer as fused


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A machine on which nothing has been built, and a process that has loaded nothing."""
    monkeypatch.setenv("RMSPROP_CACHE", str(tmp_path / "cache"))
    for cached in (kernel.load_kernel, fused._cpu_kernel):
        cached.cache_clear()
    yield tmp_path / "cache"
    for cached in (kernel.load_kernel, fused._cpu_kernel):
        cached.cache_clear()


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
    assert list(kernel.path().parent.iterdir()) == []


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
    paths = {kernel.path()}
    monkeypatch.setattr(torch, "__version__", "0.0.0")
    paths.add(kernel.path())
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "DEFAULT")
    paths.add(kernel.path())
    changed = tmp_path / "fused_cpu.cpp"
    changed.write_text(kernel.SOURCE.read_text() + "\n")
    monkeypatch.setattr(kernel, "SOURCE", changed)
    paths.add(kernel.path())
    assert len(paths) == 4


def test_parameters_elsewhere_build_nothing_for_the_cpu(empty_cache):
    p = nn.Parameter(torch.ones(3, device="meta"))
    p.grad = torch.ones(3, device="meta")
    FusedRMSprop([p]).step()
    assert not empty_cache.exists()


def test_importing_the_package_neither_builds_nor_loads_a_kernel(empty_cache):
    program = "import rmsprop, sys; rmsprop.FusedRMSprop; print({'fused_cpu', 'triton'} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"
    assert not empty_cache.exists()
