"""What a sweep of a thousand million trainings would cost on a thousand cores, and which chunks suit it.

    python -m studies.sweep_scale --measure    # times of chunks and of the process that asks; needs `sweep`
    python -m studies.sweep_scale              # the page, from those times and the newest record of a sweep

On paper. N trainings in chunks of n on C cores. A worker takes a + b n seconds for a chunk. The process that
asks, with scheduler and disk, takes s₀ + s₁ n for each, one after the other. With λ failures of a core a
second, after each of which the chunk begins anew r seconds later, a chunk takes on average
E = (1/λ + r) (exp(λ (a + b n)) - 1). Working takes
W = ⌈N / (n C)⌉ E seconds, asking and storing take A = N (s₀ / n + s₁), and the sweep takes from max(W, A), if
they overlap wholly, to W + A. One process can keep (a + b n) / (s₀ + s₁ n) cores
busy, which no n brings above b / s₁.

A simulation of every single chunk checks this: times scatter as those of the recorded sweep do, each worker
has one chunk at work and one that waits, and what is finished queues up. How often cores fail was not
measured here; the page takes several rates.
"""

import argparse
import heapq
import json
import math
import os
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from rmsprop.suite.records.files import write_atomically
from rmsprop.suite.records.sweep import ChunkTime, Sweep
from rmsprop.suite.records.sweep_files import read_sweeps

TRAININGS, CORES = 10**9, 1000
CHUNKS = tuple(2**power for power in (14, 15, 16, 17, 18, 19, 20))
FAILURES = (0.0, 0.01, 0.1, 1.0)
"""Of a core, in an hour: none; one in four days; one in ten hours; one in an hour."""
RESTART = 10.0
"""Seconds until a worker that failed works again: to start Python and load torch took about so long here."""


@dataclass(frozen=True)
class ScaleCosts:
    """Seconds: of a chunk of n trainings at a worker a + b n, at the process that asks s₀ + s₁ n.

    Attributes
    ----------
    a, b
        Of a chunk and of a training, at a worker.
    s0, s1
        The same at the process that asks.
    """

    a: float
    b: float
    s0: float
    s1: float

    def work(self, n: int) -> float:
        """Of a worker."""
        return self.a + self.b * n

    def service(self, n: int) -> float:
        """Of the process that asks."""
        return self.s0 + self.s1 * n

    def cores(self, n: int) -> float:
        """How many cores that process keeps busy."""
        return self.work(n) / self.service(n)


def fitted(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Intercept, not below 0, and slope of the line through the medians at each n, in relative error."""
    sizes = sorted({n for n, _ in points})
    medians = np.array([statistics.median(seconds for n, seconds in points if n == size) for size in sizes])
    terms = np.stack([np.ones(len(sizes)), np.array(sizes, dtype=float)], axis=1)
    (intercept, slope), *_ = np.linalg.lstsq(terms / medians[:, None], np.ones(len(sizes)), rcond=None)
    if intercept < 0:
        slope = float(np.mean(medians / np.array(sizes)))
    return max(float(intercept), 0.0), float(slope)


def on_paper(
    costs: ScaleCosts, n: int, failures: float, trainings: int = TRAININGS, cores: int = CORES
) -> tuple[float, float]:
    """max(W, A) and W + A of the module's docstring; `failures` in an hour."""
    rate, chunk = failures / 3600, costs.work(n)
    expected = (1 / rate + RESTART) * math.expm1(rate * chunk) if rate else chunk
    working = math.ceil(trainings / (n * cores)) * expected
    asking = trainings * (costs.s0 / n + costs.s1)
    return max(working, asking), working + asking


def simulated(
    costs: ScaleCosts,
    n: int,
    failures: float,
    scatter: Sequence[float],
    rng: np.random.Generator,
    trainings: int = TRAININGS,
    cores: int = CORES,
) -> tuple[float, float]:
    """Seconds until the last chunk is stored, and the share of them in which the process that asks is busy.

    `scatter` are measured times over a + b n. Half of s₀ is for sending a chunk, the rest for its result.
    """
    left, numbers = math.ceil(trainings / n), count()
    rate = failures / 3600
    events: list[tuple[float, int, str, int]] = []  # time, order, what, worker
    waiting, working, served = [0] * cores, [False] * cores, 0.0
    free = 0.0
    queue: deque[tuple[str, int]] = deque()
    serving = False

    def duration() -> float:
        needed = costs.work(n) * scatter[int(rng.integers(len(scatter)))]
        total = 0.0
        while rate and (until := rng.exponential(1 / rate)) < needed:
            total += until + RESTART
        return total + needed

    def begin(now: float, worker: int) -> None:
        if waiting[worker] and not working[worker]:
            waiting[worker] -= 1
            working[worker] = True
            heapq.heappush(events, (now + duration(), next(numbers), "done", worker))

    def serve(now: float) -> None:
        nonlocal serving, served, left
        while queue and not serving:
            kind, worker = queue.popleft()
            if kind == "send" and not left:
                continue
            left -= kind == "send"
            spent = costs.s0 / 2 if kind == "send" else costs.s0 / 2 + costs.s1 * n
            served += spent
            serving = True
            heapq.heappush(events, (now + spent, next(numbers), f"{kind} ended", worker))

    queue.extend(("send", worker) for _ in range(2) for worker in range(cores))
    serve(0.0)
    while events:
        free, _, what, worker = heapq.heappop(events)
        if what == "done":
            working[worker] = False
            queue.append(("store", worker))
            begin(free, worker)
        else:
            serving = False
            if what == "send ended":
                waiting[worker] += 1
                begin(free, worker)
            else:
                queue.appendleft(("send", worker))
        serve(free)
    return free, served / free


def measure(folder: Path) -> None:
    """Time chunks at a worker, and tasks that do nothing through a cluster and onto the disk."""
    import torch  # noqa: PLC0415 (the page needs none)

    from rmsprop.book.airfoil import load_airfoil  # noqa: PLC0415
    from rmsprop.suite.measure.capture import capture_environment  # noqa: PLC0415
    from rmsprop.suite.sweep.grid import Grid, chunks  # noqa: PLC0415
    from rmsprop.suite.sweep.work import ChunkTask, carry_out, software  # noqa: PLC0415

    environment = capture_environment()
    rows = load_airfoil("surrogate")
    features, labels = rows.features.numpy(), rows.labels.numpy()

    def tasks(n: int, number: int) -> list[ChunkTask]:
        lr = tuple(0.001 + 0.0001 * step for step in range(n // 128))
        [chunk] = chunks(Grid(lr=lr), n)
        return [ChunkTask(chunk, features, labels, 0.25, software("book"))] * number

    work = []
    for n in (128, 1024, 4096, 32_768, 4096, 1024, 128) * 3:
        done = carry_out(tasks(n, 1)[0])
        work.append((n, done.time.cpu_seconds))
        print(f"a chunk of {n:,}: {done.time.cpu_seconds:.3f} s of a processor", flush=True)
    service = []
    for n in (4096, 32_768, 131_072) * 3:
        service += [(n, seconds) for seconds in _service(tasks(n, 24))]
        print(f"asking and storing {n:,}: {service[-1][1] * 1e3:.1f} ms", flush=True)
    record = {
        "kind": "sweep-scale",
        "schema": 1,
        "torch": torch.__version__,
        "machine": environment.machine,
        "commit": environment.commit,
        "dirty": environment.dirty,
        "load": [environment.load, os.getloadavg()[0]],
        "work": work,
        "service": service,
    }
    write_atomically(folder / f"{environment.machine}.json", json.dumps(record) + "\n")


def nothing(task: Any) -> Any:
    """A worker that does not train: losses that do not compress, as those of a sweep."""
    from rmsprop.suite.sweep.work import TrainedChunk  # noqa: PLC0415

    n = task.chunk.trainings
    shape = len(task.chunk.points), len(task.chunk.seeds)
    losses = np.random.default_rng(0).random(shape, dtype=np.float32)
    reached = np.full(shape, 300, dtype=np.int32)
    return TrainedChunk(task.chunk, losses, np.zeros(shape, dtype=bool), reached, ChunkTime(n, 0.0, 0.0))


def _service(tasks: Sequence[Any]) -> list[float]:
    """Processor time for each task of scheduler, client and writing, which are one process here; its mean."""
    distributed: Any = import_module("distributed")

    from rmsprop.suite.records.sweep_files import chunk_path, write_chunk  # noqa: PLC0415
    from rmsprop.suite.sweep.engines import on_cluster  # noqa: PLC0415

    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, tempfile.TemporaryDirectory() as folder:
        begin, number = 0.0, 0
        for done in on_cluster(cluster.scheduler_address, tasks, nothing):
            write_chunk(chunk_path(Path(folder), number), done.columns, "none", done.time)
            number += 1
            if number == 4:  # imports and connections are over
                begin = time.process_time()
        return [(time.process_time() - begin) / (number - 4)]


def scatter_of(sweep: Sweep, costs: ScaleCosts) -> tuple[list[float], float]:
    """Each chunk's processor time over what a + b n says, and their mean weighted by n."""
    ratios = [chunk.cpu_seconds / costs.work(chunk.trainings) for chunk in sweep.chunks]
    mean = sum(c.cpu_seconds for c in sweep.chunks) / sum(costs.work(c.trainings) for c in sweep.chunks)
    return ratios, mean


def page(record: dict[str, Any], sweep: Sweep, trainings: int = TRAININGS, cores: int = CORES) -> str:
    """Formula beside simulation, for each size of chunks and each rate of failures."""
    (a, b), (s0, s1) = (fitted([(n, s) for n, s in record[part]]) for part in ("work", "service"))
    ratios, mean = scatter_of(sweep, ScaleCosts(a, b, s0, s1))
    costs = ScaleCosts(a * mean, b * mean, s0, s1)
    scatter = [ratio / mean for ratio in ratios]
    rng = np.random.default_rng(19)
    lines = [
        f"# {trainings:,} trainings on {cores:,} cores",
        "",
        "Made by `python -m studies.sweep_scale`, which says how it calculates and simulates. Nothing "
        f"here ran on {cores:,} cores.",
        "",
        f"Measured on {record['machine']}, torch {record['torch']}, load {record['load'][0]:.1f} at first "
        f"and {record['load'][1]:.1f} at last, in processor time:",
        f"- a worker takes {costs.a:.3f} s + {costs.b * 1e6:.1f} µs × n for a chunk of n, scaled by "
        f"{mean:.2f} to the mix of optimizers of sweep",
        f"  {sweep.record.id}; its {len(scatter)} chunks scatter from {min(scatter):.2f} to "
        f"{max(scatter):.2f} times that;",
        f"- the process that asks takes {s0 * 1e3:.1f} ms + {s1 * 1e9:.0f} ns × n, with scheduler and "
        "writing.",
        "",
        "The process that asks was measured with one worker on the same machine. What a network and the "
        "heartbeats of many workers",
        "add was not measured; how often cores fail was not either, so the rates below are assumptions.",
        "",
        f"So all trainings take {trainings * costs.b / 3600:.1f} core-hours at least, and one process keeps "
        f"at most {costs.b / s1:,.0f} cores busy, whatever the size of chunks.",
        "",
        "Seconds of the whole sweep, by the formula / simulated; in brackets, for no failures, how busy the "
        "process that asks was.",
        "",
        "| Trainings of a chunk | Cores that one process keeps busy | "
        + " | ".join(f"{rate:g} failures a core-hour" for rate in FAILURES)
        + " |",
        "| ---: |" + " ---: |" * (1 + len(FAILURES)),
    ]
    best: dict[float, tuple[float, int]] = {}
    for n in CHUNKS:
        cells = [f"{n:,}", f"{costs.cores(n):,.0f}"]
        for rate in FAILURES:
            seconds, busy = simulated(costs, n, rate, scatter, rng, trainings, cores)
            told = f" ({busy:.0%})" if rate == 0 else ""
            least, most = on_paper(costs, n, rate, trainings, cores)
            cells.append(f"{least:,.0f} to {most:,.0f} / {seconds:,.0f}{told}")
            best[rate] = min(best.get(rate, (math.inf, 0)), (seconds, n))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "The fastest chunk in the simulation:"]
    lines += [
        f"- with {rate:g} failures a core-hour {n:,}, {seconds:,.0f} s" for rate, (seconds, n) in best.items()
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, or make the page."""
    parser = argparse.ArgumentParser(description="What a large sweep would cost.")
    parser.add_argument("--measure", action="store_true", help="time chunks and the process that asks")
    parser.add_argument("--output", type=Path, default=Path("studies/results/sweep-scale"))
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="where the record of a sweep is"
    )
    options = parser.parse_args()
    if options.measure:
        measure(options.output)
        return
    sweeps = [sweep for sweep in read_sweeps(options.results)[0] if sweep.record.job == "book"]
    newest = max(options.output.glob("*.json"), key=lambda path: path.stat().st_mtime)
    text = page(json.loads(newest.read_text()), sweeps[-1])
    write_atomically(options.output / "README.md", text)
    print(text)


if __name__ == "__main__":
    main()
