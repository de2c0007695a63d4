"""The book's data: NASA airfoil self-noise (Brooks, Pope and Marcolini, 1989; UCI data set 291, CC BY 4.0).

Where the rows come from, in this order: the file that is given; the user's cache; a download, checked
and then cached; and, where none of these can be had, the moment-matched surrogate.
"""

import hashlib
import io
import os
import stat
import tempfile
import threading
import time
import warnings
import zipfile
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rmsprop.book.surrogate import surrogate_rows
from rmsprop.cache import cache_folder
from rmsprop.errors import UserError

FILE = "airfoil_self_noise.dat"
SHA256 = "10ee06e6cfb27dae6b44213d421d217012fb1f9b697592e73a4e4016b52d425f"
"""Of the file with LF line ends; the mirrors differ in CR LF alone."""
SHAPE = "1503 rows x 6 columns"
ROWS = 1500
"""The book trains on the first 1500 of the 1503 rows."""

MIRRORS = (
    ("UCI", "https://archive.ics.uci.edu/static/public/291/airfoil+self+noise.zip"),
    (
        "the book's repository",
        "https://raw.githubusercontent.com/ShusenTang/Dive-into-DL-PyTorch/master/data/airfoil_self_noise.dat",
    ),
    ("the d2l mirror", "http://d2l-data.s3-accelerate.amazonaws.com/airfoil_self_noise.dat"),
)
TIMEOUT = 9.0
"""Seconds for all mirrors together: whoever is offline knows it within ten."""
MAX_BYTES = 2**20
"""Whatever is longer is not the file (58,481 bytes), and is not read to its end."""
NO_ANSWER = "no answer in time"
TOO_LONG = f"not the airfoil data: more than {MAX_BYTES:,} bytes"


@dataclass(frozen=True, eq=False)
class Airfoil:
    """The 1500 standardised rows, and where they came from.

    Attributes
    ----------
    features
        (1500, 5) float64: frequency, angle of attack, chord, free-stream velocity, displacement thickness.
    labels
        (1500,) float64: scaled sound pressure level.
    source
        `real`: the book's rows; `surrogate`: made rows that have their moments.
    detail
        One phrase for people and records; no path of this machine stands in it.
    sha256
        Of the file with LF line ends; None for the surrogate.
    """

    features: Tensor
    labels: Tensor
    source: Literal["real", "surrogate"]
    detail: str
    sha256: str | None

    def to(self, device: torch.device | str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """`features` and `labels` on a device and in a dtype."""
        return self.features.to(device, dtype), self.labels.to(device, dtype)


class UnusableError(Exception):
    """The data is not to be had from one place; the message says why in a few words."""


def load_airfoil(
    data: str | Path = "auto",
    *,
    mirrors: Sequence[tuple[str, str]] = MIRRORS,
    cache: Path | None = None,
    timeout: float = TIMEOUT,
) -> Airfoil:
    """The rows that `data` asks for: "auto", "real" (no surrogate), "surrogate", or the path of a file.

    A path, or else the environment variable RMSPROP_DATA, is the only place that is looked at, and a bad
    file there is a `UserError`. Otherwise the `cache` folder (default: the user's) is looked at, then each
    mirror (name, URL) in turn, `timeout` seconds in all, and last, for "auto", the surrogate. A file is
    the table with LF or CR LF line ends, or UCI's zip of it.
    """
    if data == "surrogate":
        return _surrogate("asked for")
    if data not in ("auto", "real"):
        return _given(Path(data), "given file")
    if path := os.environ.get("RMSPROP_DATA"):
        return _given(Path(path), "file given by RMSPROP_DATA")

    cached = (cache or cache_folder()) / FILE
    failures = []
    try:
        return _real(_read(cached), "user cache")
    except FileNotFoundError:
        pass
    except (OSError, UnusableError) as error:
        failures.append(f"user cache: {_brief(error)}")
        warnings.warn(f"{cached} is not used, {_brief(error)}; downloading it anew", stacklevel=2)

    deadline = time.monotonic() + timeout
    for left, (name, url) in zip(range(len(mirrors), 0, -1), mirrors, strict=True):
        try:
            table = _table(_fetch(url, (deadline - time.monotonic()) / left))
        except UnusableError as error:
            failures.append(f"{name}: {error}")
        else:
            _store(table, cached)
            return _real(table, f"downloaded from {name}")

    why = "; ".join(failures) or "no mirror to download from"
    if data == "real":
        raise UserError(
            f"cannot get the real airfoil data ({why}); give the path of {FILE} or set RMSPROP_DATA"
        )
    return _surrogate(why)


def _given(path: Path, detail: str) -> Airfoil:
    try:
        return _real(_read(path), detail)
    except (OSError, UnusableError) as error:
        raise UserError(
            f"{detail} {str(path)!r} is refused, {_brief(error)}; "
            f"expected {FILE}, SHA-256 {SHA256} ({SHAPE}), unaltered"
        ) from None


def _real(table: bytes, detail: str) -> Airfoil:
    rows = np.loadtxt(io.BytesIO(table))
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    return Airfoil(*_split(rows[:ROWS]), "real", detail, SHA256)


def _surrogate(why: str) -> Airfoil:
    return Airfoil(*_split(surrogate_rows()), "surrogate", f"moment-matched surrogate: {why}", None)


def _split(rows: npt.NDArray[np.float64]) -> tuple[Tensor, Tensor]:
    features, labels = np.ascontiguousarray(rows[:, :-1]), np.ascontiguousarray(rows[:, -1])
    return torch.from_numpy(features), torch.from_numpy(labels)


def _read(path: Path) -> bytes:
    """The checked table of a file. Raises OSError or UnusableError."""
    if not stat.S_ISREG(path.stat().st_mode):  # to open a FIFO waits for its writer, and a device never ends
        raise UnusableError("not a regular file")
    with path.open("rb") as file:
        return _table(file.read(MAX_BYTES + 1))


def _table(raw: bytes) -> bytes:
    """The checked table, with LF line ends, in the bytes of a file. Raises UnusableError."""
    try:
        if raw.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive, archive.open(FILE) as member:
                raw = member.read(MAX_BYTES + 1)
    except Exception as error:  # zipfile raises half a dozen kinds
        raise UnusableError(f"a zip without a whole {FILE} ({error})") from None
    if len(raw) > MAX_BYTES:
        raise UnusableError(TOO_LONG)
    table = raw.replace(b"\r\n", b"\n")
    sha256 = hashlib.sha256(table).hexdigest()
    if sha256 != SHA256:
        raise UnusableError(f"not the airfoil data: found SHA-256 {sha256} ({_described(table)})")
    return table


def _described(table: bytes) -> str:
    """The first line that is not numeric, or else the shape."""
    widths = []
    for number, line in enumerate(table.splitlines(), 1):
        try:
            widths.append(len([float(cell) for cell in line.split()]))
        except ValueError:
            return f"line {number} is not numeric: {line[:40].decode('ascii', 'replace')!r}"
    if not widths:
        return "empty"
    narrow, wide = min(widths), max(widths)
    return f"{len(widths)} rows x {wide if narrow == wide else f'{narrow} to {wide}'} columns"


def _fetch(url: str, seconds: float) -> bytes:
    """What stands at `url`. Raises UnusableError, after `seconds` at the latest, whatever hangs.

    requests' own timeout is for each read and does not hold for DNS; hence a thread, left behind if need be.
    """
    try:  # both come with the extra `suite`; the programs of the book run without them
        import pooch  # noqa: PLC0415
        import requests  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise UnusableError(
            f"a download needs {error.name}: python -m pip install 'rmsprop-bench[suite]'"
        ) from None
    result: Future[bytes] = Future()

    def download() -> None:
        body = _Body()
        try:
            pooch.HTTPDownloader(timeout=seconds)(url, body, None)
            result.set_result(body.getvalue())
        # The error itself stays here: its frames hold the connection, which would outlive the thread.
        except requests.HTTPError as error:
            result.set_exception(UnusableError(f"HTTP {error.response.status_code}"))
        except requests.Timeout:
            result.set_exception(UnusableError(NO_ANSWER))
        except Exception as error:
            result.set_exception(UnusableError(_brief(error)))

    threading.Thread(target=download, daemon=True).start()
    try:
        return result.result(seconds)
    except TimeoutError:
        raise UnusableError(NO_ANSWER) from None


class _Body(io.BytesIO):
    """A download in memory, which ends once it is longer than the file can be."""

    def write(self, chunk: Any, /) -> int:
        if self.tell() > MAX_BYTES:
            raise UnusableError(TOO_LONG)
        return super().write(chunk)


def _store(table: bytes, cached: Path) -> None:
    """Write the cache whole or not at all; the data is in hand, so a failure is a warning."""
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cached.parent) as folder:
            (Path(folder) / FILE).write_bytes(table)
            (Path(folder) / FILE).replace(cached)
    except OSError as error:
        warnings.warn(f"{cached} is not written: {_brief(error)}", stacklevel=3)


def _brief(error: Exception) -> str:
    """A failure in a few words, without the addresses and object names of its message."""
    match error:
        case UnusableError():
            return str(error)
        case OSError(strerror=str(reason)):
            return reason
        case _:
            return type(error).__name__
