"""A made-up results/ folder of any number of rows, as all three runners would leave it after years.

    python -m benchmarks.synthetic_results FOLDER [--rows 1000000]

Four machines. Of the rows 80% are asv's (files of 200 rows over commits), 12% pytest-benchmark's (files of
400), and 8% `rmsprop bench`'s (a file for each case, of two rows). Every tenth asv series steps up by 30% at
one commit. The same number of rows gives the same bytes.
"""

import argparse
import json
import math
import random
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rmsprop.suite.case import Case

MACHINES = ("synthetic-2cpu", "synthetic-16cpu", "synthetic-64cpu", "synthetic-16cpu-gpu")
IMPLEMENTATIONS = ("scratch", "builtin-loop", "builtin-foreach", "builtin-compiled", "made.up:Other")
SIZES = ("1e3", "1e4", "1e5", "1e6", "1e7")
POINTS = [
    *(f"cpu-{dtype}-{size}-single-{threads}"
      for dtype in ("float32", "float64", "bfloat16") for size in SIZES for threads in ("1t", "all")),
    *(f"cuda-{dtype}-{size}-single-1t" for dtype in ("float32", "bfloat16") for size in SIZES),
]  # fmt: skip
"""40; with five implementations 200 cases."""
NOISE = 0.02
"""Standard deviation of the logarithm of a time."""
STEP = 1.3
SAMPLES = 7
START = datetime(2020, 1, 1, tzinfo=UTC)


def write_results(folder: Path, rows: int) -> None:
    """Write about so many rows below `folder`."""
    asv_files = max(1, round(0.80 * rows / (len(POINTS) * len(IMPLEMENTATIONS))))
    pytest_files = max(1, round(0.12 * rows / (2 * len(POINTS) * len(IMPLEMENTATIONS))))
    bench_files = max(1, round(0.08 * rows / 2))
    for number in range(asv_files):
        machine, commit = MACHINES[number % 4], number // 4
        name = f"asv/{machine}/{commit_hash(commit)[:8]}-env-py3.11-torch2.13.0.json"
        _write(folder / name, asv_file(machine, commit, math.ceil(asv_files / 4)))
    for machine in MACHINES:
        _write(
            folder / f"asv/{machine}/machine.json", {"machine": machine, "cpu": "Synthetic", "num_cpu": "2"}
        )
    for number in range(pytest_files):
        machine, commit = MACHINES[number % 4], number // 4
        _write(folder / f"pytest-benchmark/{machine}/{commit:04}.json", pytest_file(machine, commit))
    cases = [(name, point) for point in POINTS for name in IMPLEMENTATIONS]
    for number in range(bench_files):
        run, case = divmod(number, len(cases))
        machine, commit = MACHINES[run % 4], run // 4
        path = folder / "bench" / machine / commit_hash(commit)[:9] / f"{number % len(cases)}.json"
        _write(path, bench_record(machine, commit, *cases[case]))


def commit_hash(number: int) -> str:
    """Forty hexadecimal digits."""
    return random.Random(f"commit {number}").randbytes(20).hex()


def seconds_of(implementation: str, point: str) -> float:
    """Of one step: 10 µs, and memory at 20 GB/s, times a factor for each implementation."""
    factor = 1.0 + 0.2 * IMPLEMENTATIONS.index(implementation)
    return factor * (1e-5 + Case.at(implementation, point).elements * 20 / 20e9)


def noisy(key: str, seconds: float, count: int) -> list[float]:
    """Log-normal samples, drawn from the key."""
    draw = random.Random(key)
    return [float(f"{seconds * math.exp(draw.gauss(0, NOISE)):.6g}") for _ in range(count)]


def asv_file(machine: str, commit: int, commits: int) -> dict:
    """As asv 0.6.6 writes it, without samples."""
    found = []
    for number, (name, point) in enumerate(_cases()):
        late = number % 10 == 0 and commit > commits * (number % 7 + 1) / 9
        found += noisy(
            f"a {machine} {commit} {number}", 10 * seconds_of(name, point) * (STEP if late else 1.0), 1
        )
    started = int((START + timedelta(hours=commit)).timestamp() * 1000)
    columns = ["result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
               "stats_q_25", "stats_q_75", "stats_number", "stats_repeat"]  # fmt: skip
    low, high = ([float(f"{value * side:.6g}") for value in found] for side in (0.98, 1.02))
    repeats = [[1] * len(found), [10] * len(found)]
    parameters = [[repr(name) for name in IMPLEMENTATIONS], [repr(point) for point in POINTS]]
    return {
        "version": 2,
        "commit_hash": commit_hash(commit),
        "env_name": "env-py3.11-torch2.13.0",
        "date": started,
        "python": "3.11",
        "params": {"pip+torch": "2.13.0"},
        "result_columns": columns,
        "results": {
            "steps.Medium.time_10_steps": [
                found,
                parameters,
                "1",
                started,
                60.0,
                low,
                high,
                low,
                high,
                *repeats,
            ]
        },
    }


def pytest_file(machine: str, commit: int) -> dict:
    """As pytest-benchmark 5.3 writes it, as far as it is read."""
    benchmarks = []
    for number, (name, point) in enumerate(_cases()):
        data = sorted(noisy(f"p {machine} {commit} {number}", seconds_of(name, point), SAMPLES))
        extra = _axes(name, point) | {
            "elements": Case.at(name, point).elements, "machine": machine, "processor": "Synthetic",
            "cpus": 2, "torch": "2.13.0", "notes": [], "warnings": "", "peak_extra_bytes": 4096,
            "ceiling": data[0] / 2,
        }  # fmt: skip
        stats = {
            "median": data[3],
            "q1": data[1],
            "q3": data[5],
            "min": data[0],
            "rounds": SAMPLES,
            "data": data,
        }
        benchmarks.append({"extra_info": extra, "stats": stats})
    when = (START + timedelta(hours=commit)).isoformat()
    return {
        "machine_info": {"python_version": "3.11.7"},
        "commit_info": {"id": commit_hash(commit), "time": when, "dirty": False},
        "datetime": when,
        "benchmarks": benchmarks,
    }


def bench_record(machine: str, commit: int, implementation: str, point: str) -> dict:
    """As `rmsprop.suite.records.bench.BenchRecord`."""
    seconds = seconds_of(implementation, point)
    samples = {
        "step": noisy(f"b {machine} {commit} {implementation} {point}", seconds, SAMPLES),
        "peak": [4096.0],
    }
    environment = {
        "started": (START + timedelta(hours=commit)).isoformat(timespec="seconds"),
        "machine": machine,
        "processor": "Synthetic",
        "cpus": 2,
        "memory_bytes": 2**34,
        "gpu": None,
        "platform": "Linux x86_64",
        "python": "3.11.7",
        "versions": {"rmsprop-bench": "0.1.0", "torch": "2.13.0"},
        "threads": 2,
        "governor": None,
        "load": 0.5,
        "commit": commit_hash(commit),
        "dirty": False,
    }
    elements = Case.at(implementation, point).elements
    measurement = {
        "elements": elements,
        "tensors": 1,
        "steps_per_sample": 10,
        "samples": samples,
        "ceiling_seconds": seconds / 2,
    }
    return {
        "kind": "bench",
        "schema": 1,
        "environment": environment,
        "axes": _axes(implementation, point),
        "status": "measured",
        "reason": None,
        "measurement": measurement,
        "notes": [],
        "warnings": ["busy: made up"] if commit % 9 == 0 else [],
    }


def _cases() -> Iterator[tuple[str, str]]:
    return ((name, point) for name in IMPLEMENTATIONS for point in POINTS)


def _axes(implementation: str, point: str) -> dict:
    return asdict(Case.at(implementation, point))


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    asked = parser.parse_args()
    write_results(asked.folder, asked.rows)
