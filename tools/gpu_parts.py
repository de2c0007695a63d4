"""The parts of `gpu-check` that measure, each in a process of its own; "= " begins a line of its summary."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import which

import torch
from gpu_kernel import ADAGRAD, CUDA, DEVICE, RIVALS, ROOT, copy_bandwidth, host, say, tune

from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.claims import CHAPTER, claims
from rmsprop.optimizers.fused.build import load_kernel
from rmsprop.suite.case import Case
from rmsprop.suite.measure import reproduction, session
from rmsprop.suite.measure.matrix import cases
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.verdicts.reproduction import judge


def bench(output: Path, commit: str) -> int:
    """The profile `fused` on CUDA, each point recorded as it ends: what matters most first."""
    order = ["1e8", "25557032", "1e6", "6", "1e7", "1e5", "124439808"]  # many's 1e6 follows that of single
    chosen = cases(
        "fused",
        others=(ADAGRAD,),
        implementation=("fused", *RIVALS),
        device=(DEVICE,),
        dtype=("float32", "bfloat16") if CUDA else ("float32",),
        size=() if CUDA else ("6", "1e3"),
        threads=() if CUDA else (1,),
    )
    chosen.sort(
        key=lambda case: (case.dtype != "float32", order.index(case.size) if CUDA else 0, case.layout)
    )
    if commit:  # where the checkout came without its .git
        capture = session.capture_environment
        session.capture_environment = lambda: replace(capture(), commit=commit, dirty=False)
    say(f"copy: {copy_bandwidth() / 1e9:,.0f} GB/s")
    records: dict[Case, BenchRecord] = {}

    def progress(case: Case, record: BenchRecord | None) -> None:
        if record is None:
            print("measuring", case.point, flush=True)
            return
        records[case] = record
        print(case.id, record.status, record.reason or "", *record.notes, *record.warnings, flush=True)
        if all(other in records for other in chosen if other.point == case.point):
            show(case, records)

    effort = session.Effort(case_seconds=0.6 if CUDA else 0.05, job_runs=2, cold=False, processes=2)
    try:
        session.bench(chosen, output / "results", effort, progress=progress)
    except KeyboardInterrupt:
        say("interrupted: the points that are not here were not measured")
    return int(any(record.status == "failed" for record in records.values()))


def show(point: Case, records: dict[Case, BenchRecord]) -> None:
    """One line: fused in microseconds and as a part of five passes, the others over it."""
    of_point = {case.implementation: record for case, record in records.items() if case.point == point.point}
    seconds = {
        name: statistics.median(record.measurement.samples["step"])
        for name, record in of_point.items()
        if record.measurement
    }
    ours = seconds.get("fused")
    words = [
        f"{name} {'-' if not ours else f'{it / ours:.2f}'}" for name, it in seconds.items() if name != "fused"
    ]
    words += [
        f"{name}: {r.status}, {(r.reason or '')[:90]}" for name, r in of_point.items() if not r.measurement
    ]
    if ours:
        ceiling = of_point["fused"].measurement.ceiling_seconds
        moved = f"{5 * point.bytes / ours / 1e9:,.0f} GB/s"
        words.insert(
            0,
            f"fused {ours * 1e6:.1f} us, {moved}, {(ceiling or 0) / ours:.2f} of five passes; others:",
        )
    say(f"{point.point}: " + "  ".join(words).replace("benchmarks.others:", "").replace("builtin-", ""))


# ---- book


def book(output: Path, commit: str) -> int:
    """`rmsprop reproduce --device cuda`; the surrogate's rows, unless RMSPROP_DATA names the real ones."""
    return reproduced(output, commit, "7.6", others=True)


def chapter(output: Path, commit: str) -> int:
    """`rmsprop reproduce --chapter --no-others --device cuda`."""
    return reproduced(output, commit, CHAPTER, others=False)


def reproduced(output: Path, commit: str, section: str, *, others: bool) -> int:
    """Reproduce, keep the record, and say what decides."""
    if commit:
        capture = reproduction.capture_environment
        reproduction.capture_environment = lambda: replace(capture(), commit=commit, dirty=False)
    data = load_airfoil(os.environ.get("RMSPROP_DATA") or "surrogate")
    claimed = claims(section)
    record = reproduction.reproduce(
        claimed,
        data,
        seeds=10_000 if CUDA else 20,
        runs=4 if CUDA else 1,
        device=torch.device(DEVICE),
        wrong=others,
        dtype=torch.float32,
        progress=lambda stage, count: print(stage, count, flush=True),
    )
    path = write_reproduction(output / "results", record)
    print(path, flush=True)
    judgement = judge(record, claimed)
    say(f"{data.source} rows{', interrupted' if record.interrupted else ''}: {judgement.headline}")
    for verdict in judgement.verdicts:
        claim = verdict.claim
        if verdict.decides:
            say(f"{claim.program} {claim.quantity} {claim.printed}: {verdict.here} {verdict.words}")
    return 0


# ---- commands


def command(*words: str) -> int:
    """Run a module of this checkout; what it prints is in the summary. Its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "160"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        say(line.rstrip())
    return process.wait()


def training(output: Path, _commit: str) -> int:
    """`python -m studies.training`."""
    rounds = 20 if CUDA else 1
    where = ("--output", str(output / "training"), "--device", DEVICE)
    return command("studies.training", "--threads", "1", "--rounds", str(rounds), *where)


def gate(output: Path, _commit: str) -> int:
    """`rmsprop gate` of this commit against itself: the counters, then the times."""
    if not (which("git") and (ROOT / ".git").exists()):
        say("skipped: needs git, and a checkout with its .git")
        return 0
    names = [f"{name}-{DEVICE}-float32-6-book-1t" for name in ("fused", *RIVALS[:2])]
    cases = [word for name in names for word in ("--case", name)]
    runs = ("rmsprop", "gate", "--base", "HEAD", "--head", "HEAD", *cases, "--output", f"{output}/results")
    counted = command(*runs, "--counters")
    timed = command(*runs, "--budget", "90s")
    return int(counted != 0 or timed == 2)  # 1 would be a false alarm, and 3 a run that could see too little


def build(_output: Path, _commit: str) -> None:
    """The C++ kernel, so that no other part waits for it."""
    begin = time.perf_counter()
    say(f"{load_kernel().__name__} built and loaded in {time.perf_counter() - begin:.0f} s")


PARTS: dict[str, Callable[[Path, str], int | None]] = {
    "build": build,
    "host": host,
    "tune": tune,
    "bench": bench,
    "training": training,
    "gate": gate,
    "book": book,
    "chapter": chapter,
}
