"""Live processes that take turns on one CPU: what one launch measures."""

import json
import math
import os
import random
import select
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, Self

import psutil
from scipy import stats

from rmsprop.suite.records.gate import Launch, Sample, Stage

TRIMMED = 0.2
"""Share of the turns that is left out at either end before the mean."""
PADDING = 4096
"""Most bytes that the environment is made longer by: what it holds moves the stack."""
START_SECONDS, ANSWER_SECONDS = 300.0, 600.0
"""After which a process that says nothing is given up."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**31)}
"""glibc then keeps what a step frees for the next one, where it would ask the system for fresh pages."""


LOOK_SECONDS = 0.2
"""How soon a stop is seen."""


class StoppedError(Exception):
    """The gate was told to stop."""


class WorkerError(Exception):
    """A process died, hung, or could not do what it was asked; the message says which side and why."""


@dataclass(frozen=True)
class Arm:
    """A side as something to start: an interpreter, the tree, and the harness with suite and worker."""

    name: str
    python: Path
    tree: Path
    harness: Path
    suite: str


@dataclass(frozen=True)
class Job:
    """What a launch does: these cases, each with so many steps in a turn."""

    stage: Stage
    seed: int
    steps: dict[str, int]
    turns: int


@dataclass(frozen=True)
class Launched:
    """What a launch left, also one that ended early."""

    launch: Launch
    samples: dict[str, Sample]
    error: str | None
    """Why it ended early, unless it was told to."""


class Worker:
    """A process that measures one side, from outside; killed on leaving."""

    def __init__(
        self, arm: Arm, *, hash_seed: int = 0, padding: int = 0, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        self.arm = arm
        self._stopped = stopped
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (open as long as the process lives)
        self._begun = b""
        paths = (str(arm.harness), str(arm.tree / "src"), str(arm.tree), os.environ.get("PYTHONPATH", ""))
        environment = (
            os.environ
            | ONE_THREAD
            | KEPT_MEMORY
            | {
                "PYTHONPATH": os.pathsep.join(filter(None, paths)),
                "PYTHONHASHSEED": str(hash_seed),
                "PADDING": "x" * padding,
            }
        )
        try:
            self._process = subprocess.Popen(
                [str(arm.python), "-P", "-m", "gate_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                cwd=arm.tree,
                env=environment,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the gate's to handle
            )
        except OSError as error:
            self._log.close()
            raise WorkerError(f"{arm.name}: cannot run {arm.python}: {error.strerror}") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)  # with the compilers that it may have started
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            assert stream is not None
            stream.close()

    def tell(self, **request: Any) -> None:
        """Send a request; `answer` reads what it gives."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise WorkerError(self._epitaph()) from error

    def answer(self, seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        """What the last request gave; WorkerError where the process died, hung or failed in it."""
        assert self._process.stdout is not None
        end = time.monotonic() + seconds
        while b"\n" not in self._begun:
            if self._stopped():
                raise StoppedError
            if time.monotonic() > end:
                raise WorkerError(f"{self.arm.name}: no answer within {seconds:.0f} s")
            readable, _, _ = select.select([self._process.stdout], [], [], LOOK_SECONDS)
            if not readable:
                continue
            part = os.read(self._process.stdout.fileno(), 1 << 16)
            if not part:
                raise WorkerError(self._epitaph())
            self._begun += part
        line, _, self._begun = self._begun.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise WorkerError(f"{self.arm.name}: {answer['error']}")
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.tell(**request)
        return self.answer()

    def greet(self) -> None:
        """Have it import the suite and the package; the answer tells versions and the suite's cases."""
        self.tell(do="hello", suite=self.arm.suite, tree=str(self.arm.tree))

    def _epitaph(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{self.arm.name}: the measuring process died ({how})" + (f": {said[-1]}" if said else "")


def log_ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """The trimmed mean of log(over / under) over neighbouring turns."""
    return float(stats.trim_mean([math.log(a / b) for a, b in zip(over, under, strict=True)], TRIMMED))


def run_launch(
    base: Arm,
    head: Arm,
    job: Job,
    index: int,
    *,
    advance: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Launched:
    """Start the processes on the CPU that this thread is bound to, and have them take turns in each case.

    `advance` is called after each case. Once `stopped` says so, the launch ends within moments.
    """
    draw = random.Random(job.seed)
    samples: dict[str, Sample] = {}

    def measure() -> None:
        with _alive(_arms(base, head, job), draw, stopped) as workers:
            for case in _shuffled(job.steps, draw):
                samples[case] = _sample(_take_turns(workers, case, job, draw), job.steps[case], index)
                advance()

    return _watched(measure, job, samples)


def run_sequential_launch(
    base: Arm,
    head: Arm,
    job: Job,
    index: int,
    *,
    advance: Callable[[], None] = lambda: None,
    stopped: Callable[[], bool] = lambda: False,
) -> Launched:
    """As `run_launch`, but one process after the other, each with all of its turns in a row.

    What most tools do, and not what the gate does: it is here to be compared with.
    """
    draw = random.Random(job.seed)
    samples: dict[str, Sample] = {}

    def measure() -> None:
        order = _shuffled(job.steps, draw)
        turns: dict[str, dict[str, list[float]]] = {case: {} for case in order}
        arms = _arms(base, head, job)
        for name in _shuffled(arms, draw):
            with _alive({name: arms[name]}, draw, stopped) as workers:
                for case in order:
                    turns[case] |= _take_turns(workers, case, job, draw)
        for case in order:
            samples[case] = _sample(turns[case], job.steps[case], index)
            advance()

    return _watched(measure, job, samples)


def _arms(base: Arm, head: Arm, job: Job) -> dict[str, Arm]:
    return {"base": base, "head": head} | ({"again": base} if job.stage == "confirm" else {})


@contextmanager
def _alive(
    arms: dict[str, Arm], draw: random.Random, stopped: Callable[[], bool]
) -> Iterator[dict[str, Worker]]:
    """A process of each arm, started in random order in a random environment."""
    with ExitStack() as living:
        workers = {
            name: living.enter_context(
                Worker(
                    arms[name],
                    hash_seed=draw.randrange(2**32),
                    padding=draw.randrange(PADDING),
                    stopped=stopped,
                )
            )
            for name in _shuffled(arms, draw)
        }
        for worker in workers.values():
            worker.greet()
        for worker in workers.values():
            worker.answer(START_SECONDS)
        yield workers


def _watched(measure: Callable[[], None], job: Job, samples: dict[str, Sample]) -> Launched:
    """Have it measure, and say how long that took and what the hypervisor did meanwhile."""
    cpu = own_cpu()
    begin, stolen = time.perf_counter(), _stolen(cpu)
    error = None
    try:
        measure()
    except StoppedError:
        pass
    except WorkerError as died:
        error = str(died)
    seconds = time.perf_counter() - begin
    launch = Launch(
        stage=job.stage,
        seed=job.seed,
        cpu=cpu,
        seconds=round(seconds, 3),
        stolen=None if stolen is None else round(((_stolen(cpu) or 0.0) - stolen) / seconds, 5),
        turns=job.turns,
    )
    return Launched(launch, samples, error)


def _take_turns(
    workers: dict[str, Worker], case: str, job: Job, draw: random.Random
) -> dict[str, list[float]]:
    """The seconds of each worker's turns; those of one place in the lists are neighbours."""
    for worker in workers.values():
        worker.tell(do="open", case=case)
    for name, worker in workers.items():
        answer = worker.answer()
        if "seconds" not in answer:
            why = answer.get("skipped") or answer.get("failed")
            raise WorkerError(f"{name}: {case} was ready once, and is not any more: {why}")
    turns: dict[str, list[float]] = {name: [] for name in workers}
    orders = [*permutations(workers)] * -(-job.turns // math.factorial(len(workers)))
    draw.shuffle(orders)
    for order in (tuple(workers), *orders[: job.turns]):
        for name in order:
            turns[name].append(workers[name].ask(do="turn", steps=job.steps[case])["seconds"])
    for worker in workers.values():
        worker.ask(do="close")
    return {name: taken[1:] for name, taken in turns.items()}  # the first one only warms up again


def _sample(turns: dict[str, list[float]], steps: int, index: int) -> Sample:
    again = turns.get("again")
    return Sample(
        launch=index,
        base=_rounded(statistics.median(turns["base"]) / steps),
        head=_rounded(statistics.median(turns["head"]) / steps),
        d=round(log_ratio(turns["head"], turns["base"]), 6),
        control=None if again is None else round(log_ratio(again, turns["base"]), 6),
    )


def cpus() -> tuple[int, ...]:
    """One CPU of each core that this process may use; none where a system binds no process to one."""
    if not hasattr(os, "sched_getaffinity"):
        return ()
    cores: dict[str, int] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        try:
            siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").read_text(
                "ascii"
            )
        except OSError:
            siblings = str(cpu)
        cores.setdefault(siblings, cpu)
    return tuple(cores.values())


def bind(cpu: int | None) -> None:
    """Bind this thread, and what it starts, to a CPU."""
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})


def own_cpu() -> int | None:
    """The CPU that this thread is bound to, if it is bound to one."""
    bound = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    return next(iter(bound)) if len(bound) == 1 else None


def _shuffled(names: Iterable[str], draw: random.Random) -> list[str]:
    shuffled = list(names)
    draw.shuffle(shuffled)
    return shuffled


def _rounded(seconds: float) -> float:
    return float(f"{seconds:.4g}")


def _stolen(cpu: int | None) -> float | None:
    """Seconds that the hypervisor has taken from the CPU since the system started."""
    if cpu is None:
        return None
    return getattr(psutil.cpu_times(percpu=True)[cpu], "steal", None)
