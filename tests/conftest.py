"""Fixtures that several rooms share."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from rmsprop.book.claims import claims
from rmsprop.book.programs import PROGRAMS
from rmsprop.book.trajectory import traces
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.reproduction import DataSource, EnsembleSummary, ProgramRecord, ReproductionRecord

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def ctrl_c_interrupts():
    """A shell starts its background jobs deaf to Ctrl-C, which they and their children inherit."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def tests_of_their_own():
    """A pytest that a test starts is none of pytest-xdist's, in which pytest-benchmark measures nothing."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_XDIST_WORKER", raising=False)
        yield


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real airfoil file: RMSPROP_DATA, or the copy that lies beside the checkout."""
    path = Path(
        os.environ.get("RMSPROP_DATA") or CHECKOUT.parent / "shared" / "data" / "airfoil_self_noise.dat"
    )
    if not path.is_file():
        pytest.skip(f"needs the real airfoil data; none at {path} (set RMSPROP_DATA)")
    return path


def environment(**changes) -> Environment:
    """A made-up machine."""
    facts = Environment(
        started="2026-01-02T03:04:05+00:00",
        machine="example-2cpu",
        processor="Example",
        cpus=2,
        memory_bytes=2**34,
        gpu=None,
        platform="Linux x86_64",
        python="3.11.7",
        versions={"rmsprop-bench": "0.1.0", "torch": "2.13.0"},
        threads=2,
        governor=None,
        load=0.5,
        commit="0123456789abcdef",
        dirty=False,
    )
    return replace(facts, **changes)


def record(
    *, mean: float = 0.2443, sd: float = 0.0018, seeds: int = 10_000, runs: int = 48, **changes
) -> ReproductionRecord:
    """A made-up reproduction: normal final losses, scratch a tenth faster than concise."""
    levels = np.linspace(0, 1, 1001)
    inner = np.clip(levels, 1 / (2 * seeds), 1 - 1 / (2 * seeds))
    quantiles = stats.norm.ppf(inner, mean, sd)
    counts, edges = np.histogram(quantiles, bins=40)
    curve_levels = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
    heights = [*np.geomspace(0.493, mean, 31)]
    ensemble = EnsembleSummary(
        seeds=seeds,
        seconds=1.0,
        not_finite=0,
        quantile_levels=tuple(levels),
        quantiles=tuple(quantiles),
        histogram_edges=tuple(edges),
        histogram_counts=tuple(int(count) for count in counts),
        mean=mean,
        sd=sd,
        curve_levels=curve_levels,
        curve=tuple(tuple(h + sd * stats.norm.ppf(level) for level in curve_levels) for h in heights),
    )
    finals = stats.norm.ppf((np.arange(runs) + 0.5) / runs, mean, sd)
    wobble = 1 + 0.02 * np.sin(np.arange(runs))

    def program(name: str, seconds: float) -> ProgramRecord:
        return ProgramRecord(
            program=PROGRAMS[name],
            seeds=tuple(range(runs)),
            losses=tuple((*heights[:-1], float(final)) for final in finals),
            epoch_seconds=tuple((seconds, float(seconds * w)) for w in wobble),
            ensemble=ensemble,
        )

    made = ReproductionRecord(
        environment=environment(),
        data=DataSource("real", "file given by path", "0" * 64),
        device="cpu",
        dtype="float32",
        interrupted=False,
        section="7.6",
        traces=traces(claims().traces),
        programs={
            name: program(name, seconds)
            for name, seconds in (("rmsprop-scratch", 0.0225), ("rmsprop-concise", 0.025))
        },
    )
    return replace(made, **changes)


@pytest.fixture(scope="session")
def make_environment():
    return environment


@pytest.fixture(scope="session")
def make_record():
    return record
