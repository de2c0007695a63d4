"""Where a record was made."""

import json
import platform
import subprocess

import pytest
import torch

import rmsprop
from rmsprop.suite.measure.capture import capture_environment, describe_to_asv


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
    assert torch.__version__.startswith(captured.versions["torch"])  # which may leave out the build
    assert captured.threads == torch.get_num_threads()
    assert captured.started.endswith("+00:00")


def test_asv_is_told_of_the_machine_under_our_name_and_not_the_hosts(tmp_path, monkeypatch, make_environment):
    monkeypatch.setenv("HOME", str(tmp_path))
    describe_to_asv(make_environment(gpu="NVIDIA H200"))
    told = json.loads((tmp_path / ".asv-machine.json").read_text())
    assert set(told) == {"example-2cpu", "version"}
    assert told["example-2cpu"]["cpu"] == "Example with NVIDIA H200"
    assert told["example-2cpu"]["num_cpu"] == "2"
    assert platform.node() not in told["example-2cpu"].values()


def test_some_kilobytes_of_memory_after_a_reboot_change_nothing_that_asv_is_told(
    tmp_path, monkeypatch, make_environment
):
    monkeypatch.setenv("HOME", str(tmp_path))
    told = tmp_path / ".asv-machine.json"
    describe_to_asv(make_environment(memory_bytes=24_684_092 * 1024))
    before = told.read_bytes()
    describe_to_asv(make_environment(memory_bytes=24_684_092 * 1024 - 48 * 1024))
    assert told.read_bytes() == before
    describe_to_asv(make_environment(memory_bytes=2 * 24_684_092 * 1024))
    assert told.read_bytes() != before
