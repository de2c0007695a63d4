"""One run of a command, and what disturbs it: signals, stops, closed pipes, full disks."""

import os
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import BinaryIO
from uuid import uuid4

POLITE = ("SIGINT", "SIGTERM", "SIGHUP")
INTERRUPTS = (*POLITE, "SIGINT twice")
KINDS = (
    "none", *INTERRUPTS, "SIGKILL", "SIGSTOP and SIGCONT", "closed pipe", "full output",
    "file size limit", "full disk", "twice at once",
)  # fmt: skip
SPACE = ("file size limit", "full disk")
"""Both leave the command no room to write."""
TEMPORARY = (".partial-", "-building-", "rmsprop-gate-")
"""Parts of the names of what is not whole yet."""
LOOK = 0.002
"""Seconds between two looks at a running command."""
PATIENCE = 90.0
"""Seconds that a command may take longer than usual, and that it may take to end after a signal."""
LEFT = 10.0
"""Seconds that processes may outlive the command that started them."""
_MARK = "RMSPROP_SOAK"


@dataclass(frozen=True)
class Disturbance:
    """What happens to a command while it runs.

    Attributes
    ----------
    kind
        One of `KINDS`.
    moment
        When, as a share of the command's usual time; None: as soon as a temporary file of it is seen.
    group
        Whether a signal goes to all processes of the command, as a terminal's Ctrl-C does, or to the first.
    amount
        Between 0 and 1: how long a stop, how much room.
    """

    kind: str
    moment: float | None
    group: bool
    amount: float

    @classmethod
    def drawn(cls, rng: random.Random, kinds: Sequence[str] = KINDS) -> "Disturbance":
        """One at random."""
        moment = None if rng.random() < 0.3 else rng.uniform(0, 1.05)
        return cls(rng.choice(kinds), moment, rng.random() < 0.5, rng.random())

    @property
    def words(self) -> str:
        """For a record."""
        when = (
            "at the first temporary file"
            if self.moment is None
            else f"at {self.moment:.3f} of the usual time"
        )
        return f"{self.kind}, {when}, {'all' if self.group else 'the first'}, {self.amount:.3f}"


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    code
        Its exit code; negative: the signal that ended it.
    out, err
        What it printed.
    seconds
        How long it took.
    hung
        Whether it had to be ended because it did not end.
    sent
        Whether the disturbance took place before it ended.
    ready
        Whether its handlers of signals were installed by then.
    left
        Command lines of processes that outlived it.
    """

    code: int
    out: str
    err: str
    seconds: float
    hung: bool = False
    sent: bool = False
    ready: bool = False
    left: tuple[str, ...] = ()


def carry_out(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    disturbance: Disturbance,
    usual: float,
    *,
    watched: Sequence[Path] = (),
    fill: Callable[[], None] = lambda: None,
    patience: float = PATIENCE,
) -> Ended:
    """Run the command in that folder, disturb it, and wait until it ends, but not forever.

    `usual` is in seconds. Temporary files are looked for below `watched`. `fill` fills the disk.
    """
    mark = uuid4().hex
    full = disturbance.kind == "full output"
    begun = time.monotonic()
    out = Path("/dev/full").open("wb") if full else subprocess.PIPE  # noqa: SIM115 (closed below)
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**environment, _MARK: mark, "PYTHONFAULTHANDLER": "1"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if not isinstance(out, int):
        out.close()
    said: dict[str, bytes] = {"out": b"", "err": b""}
    most = int(disturbance.amount * 300) if disturbance.kind == "closed pipe" else None
    readers = [
        Thread(target=_read, args=(stream, said, name, most if name == "out" else None), daemon=True)
        for name, stream in (("out", process.stdout), ("err", process.stderr))
        if stream
    ]
    for reader in readers:
        reader.start()
    try:
        sent_at, ready, hung = _wait(process, disturbance, usual, begun, watched, fill, patience)
        seconds = time.monotonic() - begun
        left = tuple(_left(mark))
    finally:
        _end(process, mark)
    for reader in readers:
        reader.join(LEFT)
    return Ended(
        process.returncode, said["out"].decode(errors="replace"), said["err"].decode(errors="replace"),
        seconds, hung, sent_at is not None, ready, left,
    )  # fmt: skip


def _wait(
    process: subprocess.Popen[bytes],
    disturbance: Disturbance,
    usual: float,
    begun: float,
    watched: Sequence[Path],
    fill: Callable[[], None],
    patience: float,
) -> tuple[float | None, bool, bool]:
    """Disturb it when its moment comes; when that was, whether its handlers stood, and whether it hung."""
    sent_at, ready = None, False
    due = disturbance.kind not in {"none", "closed pipe", "full output", "twice at once"}
    while process.poll() is None:
        now = time.monotonic()
        if due and (
            any(_temporary(watched))
            if disturbance.moment is None
            else now - begun >= disturbance.moment * usual
        ):
            due, ready = False, catches(process.pid, signal.SIGHUP)
            sent_at = time.monotonic()
            _disturb(process, disturbance, fill)
        end = (
            (sent_at + patience)
            if sent_at and disturbance.kind in INTERRUPTS
            else begun + 3 * usual + patience
        )
        if now > end:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGABRT)  # with which Python says where it is
            with suppress(subprocess.TimeoutExpired):
                process.wait(5)
            return sent_at, ready, True
        time.sleep(LOOK)
    return sent_at, ready, False


def _disturb(process: subprocess.Popen[bytes], disturbance: Disturbance, fill: Callable[[], None]) -> None:
    def send(name: str) -> None:
        with suppress(ProcessLookupError):
            number = getattr(signal, name)
            os.killpg(process.pid, number) if disturbance.group else os.kill(process.pid, number)

    match disturbance.kind:
        case "SIGSTOP and SIGCONT":
            send("SIGSTOP")
            time.sleep(0.1 + 3 * disturbance.amount)
            send("SIGCONT")
        case "SIGINT twice":
            send("SIGINT")
            time.sleep(disturbance.amount)
            send("SIGINT")
        case "file size limit":
            with suppress(ProcessLookupError, PermissionError):
                room = int(disturbance.amount * 20_000)
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        case "full disk":
            fill()
        case name:
            send(name)


def catches(pid: int, number: int) -> bool:
    """Whether the process handles that signal itself, as far as /proc tells."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return True
    caught = [int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")]
    return any(mask >> (number - 1) & 1 for mask in caught)


def _temporary(folders: Sequence[Path]) -> Iterator[str]:
    """What is not whole yet in these folders and below them."""
    for folder in folders:
        for _, inside, files in os.walk(folder):
            yield from (name for name in (*inside, *files) if any(part in name for part in TEMPORARY))


def _read(stream: BinaryIO, said: dict[str, bytes], name: str, most: int | None) -> None:
    """Read what the command prints, to its end or only so many bytes."""
    with stream:
        while most is None or len(said[name]) < most:
            part = os.read(stream.fileno(), 1 << 16)
            if not part:
                return
            said[name] += part


def _marked(mark: str) -> list[tuple[int, str]]:
    """The processes that the run started, and those that they started: number and command line."""
    found = []
    wanted = f"{_MARK}={mark}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0"):
                line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                found.append((int(folder.name), line.strip()))
        except OSError:
            continue
    return found


def _left(mark: str) -> list[str]:
    end = time.monotonic() + LEFT
    while (left := _marked(mark)) and time.monotonic() < end:
        time.sleep(0.05)
    return [line for _, line in left]


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """Nothing of the run goes on."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    for number, _ in _marked(mark):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    process.wait()
