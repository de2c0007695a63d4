"""`tools/gpu-check` runs without a GPU, so that it is known to work before one is at hand."""

import subprocess
import sys
import tarfile
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "tools" / "gpu-check"


def gpu_check(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_an_unknown_part_is_refused_and_the_known_ones_are_named():
    answer = gpu_check("--only", "tests,tuna")
    assert answer.returncode == 2
    known = "build, tests, host, tune, training, gate, book, chapter, bench"
    assert f"unknown part tuna; choose from {known}" in answer.stderr


@pytest.mark.slow
def test_the_parts_that_measure_run_without_a_gpu(tmp_path):
    answer = gpu_check("--only", "host,training,bench", "--output", tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    summary = answer.stdout.split("SUMMARY")[1]
    assert all(f"{part}: done" in summary for part in ("host", "training", "bench"))
    with tarfile.open(tmp_path / "gpu-check.tar.gz") as archive:
        names = archive.getnames()
    assert {"host.json", "training/README.md"} <= set(names)
    assert any("results/bench" in name and "fused-cpu" in name for name in names)


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("triton"), reason="needs Triton")
def test_a_part_leaves_its_figures_its_log_and_a_summary(tmp_path):
    answer = gpu_check("--only", "tune", "--output", tmp_path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    summary = answer.stdout.split("SUMMARY")[1]
    assert "tune: done" in summary
    assert "bfloat16  block  2048 warps 4" in summary
    assert "bench" not in summary
    with tarfile.open(tmp_path / "gpu-check.tar.gz") as archive:
        assert {"tune.json", "tune.log", "summary.txt"} <= set(archive.getnames())


@pytest.mark.slow
def test_a_part_for_which_no_time_is_left_is_not_begun(tmp_path):
    answer = gpu_check("--only", "tune", "--limit", "1", "--output", tmp_path)
    assert answer.returncode == 1
    assert "tune: not begun, no time was left" in answer.stdout
