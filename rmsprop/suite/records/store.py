"""Records on disk: written whole or not at all, read with the damaged ones named."""

import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from rmsprop.errors import UserError
from rmsprop.suite.records import bench, gate, reproduction
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.records.reproduction import ReproductionRecord

_REPRODUCTION = TypeAdapter(ReproductionRecord)
_BENCH = TypeAdapter(BenchRecord)
_GATE = TypeAdapter(GateRecord)

Record = TypeVar("Record")


@dataclass(frozen=True)
class Problem:
    """A file that could not be read as a record, and why."""

    path: Path
    reason: str


def write_atomically(path: Path, content: str) -> None:
    """Write under a temporary name, then rename: the former file stays until the new one is whole."""
    with _explained(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise


def check_writable(folder: Path) -> None:
    """Raise a UserError now rather than after a minute of work."""
    with _explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def write_reproduction(results: Path, record: ReproductionRecord) -> Path:
    """Store a record under results/reproduction/<machine>/, named by time and commit; its path."""
    environment = record.environment
    folder = results / "reproduction" / environment.machine
    device = record.device.replace(":", "")
    name = f"{_stamp(environment)}-{short_commit(environment)}-{device}-{record.dtype}"
    path = next(path for path in _names(folder, name) if not path.exists())
    write_atomically(path, _REPRODUCTION.dump_json(record).decode() + "\n")
    return path


def short_commit(environment: Environment) -> str:
    """Nine characters of the commit, or the version of an installed wheel; for names and tables."""
    return (environment.commit or f"v{environment.versions['rmsprop-bench']}")[:9]


def write_bench(path: Path, record: BenchRecord) -> None:
    """Store the record of one case."""
    write_atomically(path, _BENCH.dump_json(record).decode() + "\n")


def read_bench(path: Path) -> BenchRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return _read(path, _BENCH, "bench", bench.SCHEMA)


def write_gate(folder: Path, record: GateRecord) -> Path:
    """Store a run of the gate below folder/<machine>/, named by time and both commits; its path."""
    sides = (f"{(side.commit or 'none')[:9]}{'-dirty' * side.dirty}" for side in (record.base, record.head))
    name = "-".join((_stamp(record.environment), *sides))
    path = next(path for path in _names(folder / record.environment.machine, name) if not path.exists())
    write_atomically(path, _GATE.dump_json(record).decode() + "\n")
    return path


def read_gate(path: Path) -> GateRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return _read(path, _GATE, "gate", gate.SCHEMA)


def read_gates(results: Path) -> tuple[list[GateRecord], list[Problem]]:
    """All records of the gate below results/gate/, oldest first, and the files that are none."""
    records, problems = read_folder(results / "gate", read_gate)
    return sorted(records, key=lambda record: record.environment.started), problems


def _stamp(environment: Environment) -> str:
    return environment.started.replace("-", "").replace(":", "").removesuffix("+0000") + "Z"


def _names(folder: Path, name: str) -> Iterator[Path]:
    """name.json, name-2.json and so on: a record is never overwritten."""
    yield folder / f"{name}.json"
    for number in itertools.count(2):
        yield folder / f"{name}-{number}.json"


def read_reproductions(results: Path) -> tuple[list[ReproductionRecord], list[Problem]]:
    """All reproduction records below `results`, oldest first, and the files that are none."""
    records, problems = read_folder(results / "reproduction", read_reproduction)
    return sorted(records, key=lambda record: record.environment.started), problems


def read_reproduction(path: Path) -> ReproductionRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return _read(path, _REPRODUCTION, "reproduction", reproduction.SCHEMA)


def read_folder(folder: Path, read: Callable[[Path], Record]) -> tuple[list[Record], list[Problem]]:
    """What `read` makes of each JSON file below `folder`, and the files that it refuses."""
    records, problems = [], []
    for path in sorted(folder.glob("**/*.json")):
        try:
            records.append(read(path))
        except (ValueError, OSError) as error:
            problems.append(Problem(path, str(error)))
        except (KeyError, TypeError, AttributeError, IndexError) as error:
            # Someone else's JSON can lack anything; the reader need not ask for each part of it.
            problems.append(Problem(path, f"not of the expected form: {type(error).__name__} {error}"))
    return records, problems


def read_json(path: Path) -> dict[str, Any]:
    """A file that holds one JSON object; ValueError with the reason, in one line, where it does not."""
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error}): damaged or cut short") from error
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


def _read(path: Path, adapter: TypeAdapter[Record], kind: str, newest: int) -> Record:
    content = read_json(path)
    found, schema = content.get("kind"), content.get("schema")
    if found != kind or not isinstance(schema, int):
        raise ValueError(f"not a {kind} record: kind is {found!r}, schema is {schema!r}")
    if schema > newest:
        raise ValueError(f"schema {schema} is newer than this rmsprop reads ({newest}): update rmsprop-bench")
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{error.error_count()} fields are wrong, first {where}: {first['msg']}") from error


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise UserError(f"cannot write to {folder}: {reason}; free space or choose another folder") from error
