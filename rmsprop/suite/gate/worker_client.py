"""A process that measures one side, seen from the gate: it is started, asked, watched and killed here."""

import json
import os
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

START_SECONDS, ANSWER_SECONDS = 300.0, 600.0
"""How long a process may take to start, and to answer, before it is given up."""
ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**25), "MALLOC_TRIM_THRESHOLD_": str(2**31)}
"""glibc then keeps what a step frees for the next one; else it would ask the system for fresh pages."""
LOOK_SECONDS = 0.2
"""How often the gate looks whether it was told to stop."""


class StoppedError(Exception):
    """The gate was told to stop."""


class WorkerError(Exception):
    """A process died, hung, or could not do what it was asked; the message says which side and why."""


@dataclass(frozen=True)
class Arm:
    """A side as something to start.

    Attributes
    ----------
    name
        base or head.
    python
        Its interpreter.
    tree
        The folder of its files.
    harness, suite
        The folder that holds today's suite and the worker, and the suite's module name.
    """

    name: str
    python: Path
    tree: Path
    harness: Path
    suite: str


class WorkerClient:
    """A process that measures one side, as a context; it is killed when the context ends.

    Attributes
    ----------
    arm
        What was started.
    """

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
        """Have it import the suite and the package; the answer holds versions and the suite's cases."""
        self.tell(do="hello", suite=self.arm.suite, tree=str(self.arm.tree))

    def _epitaph(self) -> str:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return f"{self.arm.name}: the measuring process died ({how})" + (f": {said[-1]}" if said else "")
