"""A record of `rmsprop bench` as rows of the frame."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rmsprop.suite.records.bench import UNITS, Quantity
from rmsprop.suite.records.readers.rows import Row, Rows, columns_of, statistics_of, time_of
from rmsprop.suite.records.store import read_bench


def bench_rows(path: Path) -> Rows:
    """A row for each quantity of the case."""
    record = read_bench(path)
    environment, measured = record.environment, record.measurement
    torch = environment.versions.get("torch")
    shared: Row = {
        "runner": "bench",
        "benchmark": None,
        "parameters": None,
        "version": None,
        "run": record.run,
        "environment": f"py{environment.python}-torch{torch}",
        "machine": environment.machine,
        "processor": environment.processor,
        "gpu": environment.gpu,
        "cpus": environment.cpus,
        "governor": environment.governor,
        "load": environment.load,
        "python": environment.python,
        "torch": torch,
        "commit": environment.commit,
        "dirty": environment.dirty,
        "started": time_of(environment.started),
        **asdict(record.axes),
        "status": record.status,
        "reason": record.reason,
        "elements": measured.elements if measured else None,
        "notes": "; ".join(record.notes),
        "warnings": "; ".join(record.warnings),
    }
    samples: dict[Quantity, tuple[float, ...]] = measured.samples if measured else {"step": ()}
    ceiling = measured.ceiling_seconds if measured else None
    columns: dict[str, list[Any]] = {
        "quantity": list(samples),
        "unit": [UNITS[quantity] for quantity in samples],
        "processes": [
            measured.processes if measured and quantity == "step" else None for quantity in samples
        ],
        "ceiling": [ceiling if quantity == "step" else None for quantity in samples],
    }
    statistics = [
        found._replace(median=measured.step_seconds)
        if measured and quantity == "step" and found.number
        else found
        for quantity, found in zip(samples, map(statistics_of, samples.values()), strict=True)
    ]
    return Rows(path, shared, columns | columns_of(statistics))
