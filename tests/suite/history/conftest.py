"""A throw-away repository, and result files made by hand."""

import itertools
import json
import math
import os
import subprocess

import numpy as np
import pytest

from rmsprop.suite.case import Case
from rmsprop.suite.records.bench import BenchRecord, Measurement
from rmsprop.suite.records.gate import (
    GateCase,
    GateLaunch,
    GatePlan,
    GateRecord,
    Hypothesis,
    Policy,
    Sample,
    Side,
)
from rmsprop.suite.records.store import write_bench, write_gate

START = 1_767_225_600
"""2026-01-01, UTC; one commit an hour from then on."""


CASE = "scratch-cpu-float32-1e3-single-1t"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with 40 commits: its folder, and their hashes, oldest first."""
    folder = tmp_path_factory.mktemp("repository")

    def git(*arguments, hour=0):
        when = f"{START + 3600 * hour} +0000"
        identity = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        command = ["git", "-C", str(folder), *arguments]
        ran = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | identity | dates
        )
        return ran.stdout.strip()

    git("init", "--quiet", "--initial-branch=main")
    commits = []
    for hour in range(40):
        git("commit", "--quiet", "--allow-empty", "--message", str(hour), hour=hour)
        commits.append(git("rev-parse", "HEAD"))
    return folder, commits


@pytest.fixture
def write_asv():
    """Write one asv result for each commit: seconds of a step of each implementation, in step with them."""

    def write(results, commits, seconds, hours=None, machine="box"):
        for i, commit in enumerate(commits):
            hour = i if hours is None else hours[i]
            content = {
                "version": 2,
                "commit_hash": commit,
                "date": (START + 3600 * hour) * 1000,
                "python": "3.11",
                "params": {"machine": machine},
                "result_columns": ["result", "params"],
                "results": {
                    "steps.Small.time_100_steps": [
                        [100 * values[i] for values in seconds.values()],
                        [[f"'{name}'" for name in seconds], ["'cpu-float32-1e3-single-1t'"]],
                    ]
                },
            }
            path = results / "asv" / machine / f"{commit[:8]}-py3.11-torch2.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content))

    return write


@pytest.fixture
def write_benches(make_environment):
    """Write one bench record for each commit."""

    def write(results, commits, seconds, **changes):
        for i, (commit, step) in enumerate(zip(commits, seconds, strict=True)):
            started = f"2026-01-01T00:{i:02}:00+00:00"
            record = BenchRecord(
                environment=make_environment(commit=commit, started=started, **changes),
                axes=Case("scratch", "cpu", "float32", "1e3", "single", 1),
                status="measured",
                reason=None,
                measurement=Measurement(1000, 1, 1, {"step": (step,)}, None),
                notes=(),
                warnings=(),
            )
            write_bench(results / "bench" / "m" / str(commit) / "case.json", record)

    return write


@pytest.fixture
def write_gates(make_environment):
    """Write a record of the gate for each pair of neighbouring commits, of one case: log ratios."""

    def write(results, commits, launches, stage="screen", control=None, **sides):
        for (base, head), ratios in zip(itertools.pairwise(commits), launches, strict=True):
            facts = {"dirty": False, "python": "3.11.7", "versions": {"torch": "2.13.0", "numpy": "2.4.6"}}
            samples = tuple(Sample(i, 1e-5, 1e-5, float(d), control) for i, d in enumerate(ratios))
            record = GateRecord(
                environment=make_environment(),
                suite="benchmarks",
                base=Side(base, base, **facts),
                head=Side(head, head, **(facts | sides)),
                policy=Policy(),
                plan=GatePlan(480, 2, 30, 0.003, 6, 16),
                launches=tuple(GateLaunch(stage, i, 0, 8.0, None) for i in range(len(ratios))),
                cases=(GateCase(CASE, "scratch", "compared", None, 10, samples),),
                hypotheses=(Hypothesis(CASE, (CASE,), True),) if stage == "confirm" else (),
                interrupted=None,
                error=None,
                seconds=100.0,
            )
            write_gate(results / "gate", record)

    return write


@pytest.fixture
def steady():
    """Seconds of a step over n commits: log-normal with sd 2%, one level."""

    def make(n, seed=0, level=1e-5):
        return level * np.exp(0.02 * np.random.default_rng(seed).standard_normal(n))

    return make


def foreign(folder, commits, seconds, versions=None):
    """A results folder of asv of somebody else, whose benchmark is map.time_load(n=10)."""
    rng = np.random.default_rng(0)
    (folder / "box").mkdir(parents=True, exist_ok=True)
    known = {"map.time_load": {"type": "time", "unit": "seconds", "param_names": ["n"]}, "version": 2}
    (folder / "benchmarks.json").write_text(json.dumps(known))
    columns = ["result", "params", "version"]
    for i, (commit, value) in enumerate(zip(commits, seconds, strict=True)):
        noisy = value * math.exp(0.005 * rng.standard_normal())
        content = {
            "version": 2, "commit_hash": commit, "env_name": "py3.9", "date": 1_600_000_000_000 + 60_000 * i,
            "params": {}, "python": "3.9", "result_columns": columns,
            "results": {"map.time_load": [[noisy], [["10"]], versions[i] if versions else "1"]},
        }  # fmt: skip
        (folder / "box" / f"{commit[:8]}-py3.9.json").write_text(json.dumps(content))
