"""Devices that were asked for: none here is an error, one of several is enough."""

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.cli import bench
from rmsprop.suite.cli.options import BenchOptions
from rmsprop.suite.measure import devices


@pytest.fixture
def cpu_alone(monkeypatch):
    monkeypatch.setattr(devices, "is_present", lambda kind: kind == "cpu")


@pytest.mark.usefixtures("cpu_alone")
def test_bench_is_refused_before_anything_is_measured_where_no_device_is_here(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "bench", lambda *given, **options: pytest.fail("measured"))
    with pytest.raises(UserError, match=r"--device cuda, mps: this torch .* finds none here"):
        bench.run(BenchOptions(device=("cuda", "mps"), output=tmp_path / "results"))
    assert not (tmp_path / "results").exists()


@pytest.mark.usefixtures("cpu_alone")
@pytest.mark.parametrize("asked", [(), ("cpu",), ("cuda", "cpu")])
def test_one_device_that_is_here_is_enough(asked):
    devices.check_present(asked)
