"""Where a record was made."""

import json
import platform
import subprocess

import pytest
import torch

import rmsprop
from rmsprop.suite.measure.capture import capture_environment, describe_to_asv, machine_name


@pytest.mark.parametrize(
    ("processor", "cpus", "gpu", "name"),
    [
        ("AMD EPYC", 2, None, "amd-epyc-2cpu"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 16, "NVIDIA H200", "intel-xeon-16cpu-nvidia-h200"),
        ("AMD EPYC 7763 64-Core Processor", 128, None, "amd-epyc-7763-64-core-128cpu"),
        ("../evil <b>", 1, None, "evil-b-1cpu"),
    ],
)
def test_a_machine_name_is_a_plain_folder_name(processor, cpus, gpu, name):
    assert machine_name(processor, cpus, gpu) == name


def test_the_environment_names_this_checkouts_commit(pytestconfig):
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=pytestconfig.rootpath, check=False
    )
    if head.returncode:
        pytest.skip("needs git and a checkout")
    assert capture_environment().commit == head.stdout.strip()


def test_a_wheel_inside_a_foreign_repository_has_no_commit(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    package = tmp_path / "venv" / "rmsprop"
    package.mkdir(parents=True)
    monkeypatch.setattr(rmsprop, "__file__", str(package / "__init__.py"))
    assert capture_environment().commit is None


def test_versions_and_threads_are_this_process():
    captured = capture_environment()
    assert captured.versions["torch"] == torch.__version__
    assert captured.threads == torch.get_num_threads()
    assert captured.started.endswith("+00:00")


def test_asv_is_told_of_the_machine_under_our_name_and_not_the_hosts(tmp_path, monkeypatch, make_environment):
    monkeypatch.setenv("HOME", str(tmp_path))
    describe_to_asv(make_environment(gpu="NVIDIA H200"))
    told = json.loads((tmp_path / ".asv-machine.json").read_text())
    assert told["example-2cpu"]["cpu"] == "Example with NVIDIA H200"
    assert told["example-2cpu"]["num_cpu"] == "2"
    assert platform.node() not in told
