"""What the machine will not tell is unknown, and stops nothing."""

import os
import platform
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.cli.main import app
from rmsprop.suite.gate import cpus
from rmsprop.suite.measure import hardware
from rmsprop.suite.measure.capture import capture_environment, describe_to_asv
from rmsprop.suite.measure.known import known, load_average
from rmsprop.suite.measure.memory import host_memory
from rmsprop.suite.measure.session import Effort, bench
from rmsprop.suite.measure.trust import Watch
from rmsprop.suite.records.frame import read_frame

ERRORS = (
    OSError("no"),
    PermissionError(13, "refused"),
    AttributeError("absent"),
    psutil.AccessDenied(1),
    ValueError("odd"),
)


def failing(error):
    def fail(*_given, **_named):
        raise error

    return fail


READ_TEXT = Path.read_text


def unreadable(error):
    """In place of Path.read_text: the kernel's files cannot be read, and others can."""

    def read_text(path, *given, **named):
        if path.is_relative_to("/proc") or path.is_relative_to("/sys"):
            raise error
        return READ_TEXT(path, *given, **named)

    return read_text


def make_fail(monkeypatch, owner, attribute, error):
    fail = unreadable(error) if owner is Path else failing(error)
    monkeypatch.setattr(owner, attribute, fail, raising=False)


SOURCES = {
    "load": ((os, "getloadavg"), {"load"}),
    "processors": ((os, "cpu_count"), {"cpus", "machine"}),
    "memory": ((psutil, "virtual_memory"), {"memory_bytes"}),
    "processor": ((hardware, "_cpuinfo"), {"processor", "machine", "hardware"}),
    "git": ((subprocess, "run"), {"commit", "dirty"}),
    "affinity": ((os, "sched_getaffinity"), set()),
    "binding": ((os, "sched_setaffinity"), set()),
    "times": ((psutil, "cpu_times"), set()),
    "own times": ((psutil.Process, "cpu_times"), set()),
    "clock": ((psutil, "cpu_freq"), set()),
    "files of the kernel": ((Path, "read_text"), {"hardware", "governor", "machine"}),
}
"""What is asked, and which facts of a record may then be unknown."""


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_source_that_fails_costs_its_fact_and_no_other(monkeypatch, name, error):
    whole = capture_environment()
    (owner, attribute), lost = SOURCES[name]
    make_fail(monkeypatch, owner, attribute, error)
    found = capture_environment()
    told = {one.name for one in fields(found) if getattr(found, one.name) != getattr(whole, one.name)}
    assert told - {"started", "load"} <= lost
    assert all(getattr(found, fact) is None for fact in lost - {"machine", "hardware", "processor"})
    with Watch() as watch:
        pass
    said = {warning.partition(":")[0] for warning in watch.warnings((1.0,) * 4, 10**9)}
    assert not said & {"times": {"busy", "stolen"}, "own times": {"busy"}, "clock": {"clock"}}.get(
        name, set()
    )
    assert host_memory() > 0
    assert all(isinstance(cpu, int) for cpu in cpus.cpus())
    cpus.bind(cpus.own_cpu())
    assert cpus.stolen(0) is None or cpus.stolen(0) >= 0
    assert "cores" in cpus.load()


@pytest.fixture
def silent(monkeypatch):
    """A machine that tells nothing at all."""
    for (owner, attribute), _ in SOURCES.values():
        make_fail(monkeypatch, owner, attribute, OSError("no"))
    monkeypatch.setattr(platform, "processor", failing(OSError("no")))


def test_a_machine_that_tells_nothing_has_a_name(silent):
    result = CliRunner().invoke(app, ["machine"])
    assert result.exit_code == 0, result.exception
    name, _, fingerprint = result.stdout.strip().rpartition("-")
    assert (name, len(fingerprint)) == (platform.machine().replace("_", "-").lower(), 6)


def test_an_absent_function_is_unknown_too(monkeypatch):
    monkeypatch.delattr(os, "getloadavg", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.delattr(psutil, "cpu_freq", raising=False)
    assert load_average() is None
    assert cpus.cpus() == ()
    assert cpus.own_cpu() is None
    assert capture_environment().load is None


def test_memory_that_nobody_tells_of_is_no_limit(monkeypatch, silent):
    monkeypatch.setattr("rmsprop.suite.measure.memory.cgroup_rooms", failing(OSError("no")))
    monkeypatch.setattr("rmsprop.suite.measure.memory._address_space", failing(OSError("no")))
    assert host_memory() == sys.maxsize


def test_times_that_end_before_they_are_read_again_say_nothing(monkeypatch):
    """Such as in a sandbox that is closed meanwhile; half a reading would blame others."""
    with Watch() as watch:
        monkeypatch.setattr(psutil, "cpu_times", failing(OSError("no")))
    assert (watch.spent.all, watch.spent.busy, watch.spent.stolen, watch.spent.own) == (0, 0, 0, 0)


def test_asv_is_told_what_is_known(monkeypatch, tmp_path, make_environment):
    monkeypatch.setenv("HOME", str(tmp_path))
    nothing = dict.fromkeys(("processor", "cpus", "memory_bytes", "load"))
    for _ in range(2):
        describe_to_asv(make_environment(**nothing))
    assert '"num_cpu": ""' in (tmp_path / ".asv-machine.json").read_text()


@pytest.mark.slow
def test_a_record_of_such_a_machine_is_measured_stored_and_read(tmp_path, silent):
    case = Case.parse("scratch-cpu-float32-6-book-1t")
    [record] = bench([case], tmp_path, Effort(0.01, 0, False, 1)).records
    assert record.status == "measured", record.reason
    assert (record.environment.load, record.environment.memory_bytes) == (None, None)
    frame, problems = read_frame(tmp_path)
    assert problems == []
    assert set(frame["status"]) == {"measured"}


def test_words_of_an_environment_say_what_is_unknown(make_environment):
    assert make_environment().words == "Example, 2 processors"
    unknown = replace(make_environment(), processor=None, cpus=None)
    assert unknown.words == "unknown processor, unknown number of processors"


def test_interrupts_and_a_users_mistake_are_no_facts():
    with pytest.raises(KeyboardInterrupt):
        known(failing(KeyboardInterrupt()))
    assert known(failing(UserError("x"))) is None
