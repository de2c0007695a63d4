"""Records on disk: each kind written to its folder, and read with the damaged ones named."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import TypeAdapter, ValidationError

from rmsprop.errors import UserError
from rmsprop.suite.records import bench, gate, peers, reproduction, run
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import (
    Problem,
    json_files,
    new_names,
    read_folder,
    read_json,
    replacing,
    write_new,
)
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.records.locks import lock
from rmsprop.suite.records.peers import PeersRecord
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.records.run import RunRecord

_REPRODUCTION = TypeAdapter(ReproductionRecord)
_BENCH = TypeAdapter(BenchRecord)
_GATE = TypeAdapter(GateRecord)
_PEERS = TypeAdapter(PeersRecord)
_RUN = TypeAdapter(RunRecord)
RUN_FILE = "run.json"
"""In a run's folder, beside the records of its cases."""

Record = TypeVar("Record")
_NEVER = "2000-01-01T00:00:00+00:00"


def write_reproduction(results: Path, record: ReproductionRecord) -> Path:
    """Store a record under results/reproduction/<machine>/, named by time and commit; its path."""
    environment = record.environment
    folder = results / "reproduction" / environment.machine
    device = record.device.replace(":", "")
    name = f"{stamp(environment)}-{short_commit(environment)}-{device}-{record.dtype}"
    return write_new(folder, name, _REPRODUCTION.dump_json(record).decode() + "\n")


def short_commit(environment: Environment) -> str:
    """Nine characters of the commit, or the version of an installed wheel; for names and tables."""
    return (environment.commit or f"v{environment.versions['rmsprop-bench']}")[:9]


def write_bench(path: Path, record: BenchRecord) -> Path:
    """Store the record of one case as `path`, or beside it with a number; where it is."""
    return write_new(path.parent, path.stem, _BENCH.dump_json(record).decode() + "\n")


def read_bench(path: Path) -> BenchRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return read_record(path, _BENCH, "bench", bench.SCHEMA)


def begin_run(
    results: Path, environment: Environment, profile: str, cases: tuple[str, ...]
) -> tuple[Path, BinaryIO]:
    """Make the folder of a new run below results/bench/<machine>/, with its record; the folder, and its lock.

    The name is taken in one step: runs that begin in one second have folders of their own. It ends in a hash
    of what was asked for, by which `last_run` finds it. The record is locked before it has its name,
    until the lock is closed.
    """
    folder = results / "bench" / environment.machine
    path = new_folder(folder, f"{stamp(environment)}-{_suffix(environment, profile, cases)}")
    record = RunRecord(path.name, environment, profile, cases)
    with replacing(path / RUN_FILE) as partial:
        partial.write_text(_RUN.dump_json(record).decode() + "\n", encoding="utf-8")
        locked = lock(partial)
    assert locked is not None  # nobody else knows the file yet
    return path, locked


def read_run(path: Path) -> RunRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return read_record(path, _RUN, "run", run.SCHEMA)


def last_run(
    results: Path, environment: Environment, profile: str, cases: tuple[str, ...]
) -> tuple[Path, BinaryIO] | None:
    """The newest run here that was asked for the same, of the same commit and versions: its folder and lock.

    A run that another process measures now is locked, and passed over. Folders are listed, and those whose
    names fit are read from the newest on, until one is the same.
    """
    folder = results / "bench" / environment.machine
    names = sorted(folder.glob(f"*Z-{_suffix(environment, profile, cases)}*/{RUN_FILE}"), reverse=True)
    for path in names:
        try:
            found = read_run(path)
        except (OSError, ValueError):
            continue  # whoever reads all names it
        asked = (found.profile, found.cases)
        same = asked == (profile, cases) and _software(found.environment) == _software(environment)
        if same and (locked := lock(path)) is not None:
            return path.parent, locked
    return None


def case_files(folder: Path, problems: list[Problem]) -> list[Path]:
    """The files of cases below results/bench/; a run whose record cannot be read joins `problems`, whole."""
    files = json_files(folder, problems)
    damaged = set()
    for path in files:
        if path.name == RUN_FILE:
            try:
                read_run(path)
            except (OSError, ValueError) as error:
                problems.append(Problem(path.parent, f"the run is left out: {RUN_FILE}: {error}"))
                damaged.add(path.parent)
    return [path for path in files if path.name != RUN_FILE and path.parent not in damaged]


def write_gate(folder: Path, record: GateRecord) -> Path:
    """Store a run of the gate below folder/<machine>/, named by time and both commits; its path."""
    sides = (f"{(side.commit or 'none')[:9]}{'-dirty' * side.dirty}" for side in (record.base, record.head))
    name = "-".join((stamp(record.environment), *sides))
    return write_new(folder / record.environment.machine, name, _GATE.dump_json(record).decode() + "\n")


def read_gate(path: Path) -> GateRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return read_record(path, _GATE, "gate", gate.SCHEMA)


def read_gates(results: Path) -> tuple[list[GateRecord], list[Problem]]:
    """All records of the gate below results/gate/, oldest first, and the files that are none."""
    records, problems = read_folder(results / "gate", read_gate)
    return sorted(records, key=lambda record: record.environment.started), problems


def write_peers(results: Path, record: PeersRecord) -> Path:
    """Store a comparison below results/peers/<machine>/, named by time and commit; its path."""
    environment = record.environment
    name = f"{stamp(environment)}-{short_commit(environment)}"
    folder = results / "peers" / environment.machine
    return write_new(folder, name, _PEERS.dump_json(record).decode() + "\n")


def read_peers(results: Path) -> tuple[list[PeersRecord], list[Problem]]:
    """All comparisons below results/peers/, oldest first, and the files that are none."""
    records, problems = read_folder(
        results / "peers", lambda path: read_record(path, _PEERS, "peers", peers.SCHEMA)
    )
    return sorted(records, key=lambda record: record.environment.started), problems


def stamp(environment: Environment) -> str:
    """When it started, as names have it: such as 20261127T163935Z."""
    return environment.started.replace("-", "").replace(":", "").removesuffix("+0000") + "Z"


def read_reproductions(results: Path) -> tuple[list[ReproductionRecord], list[Problem]]:
    """All reproduction records below `results`, oldest first, and the files that are none."""
    records, problems = read_folder(results / "reproduction", read_reproduction)
    return sorted(records, key=lambda record: record.environment.started), problems


def read_reproduction(path: Path) -> ReproductionRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return read_record(path, _REPRODUCTION, "reproduction", reproduction.SCHEMA)


def new_folder(folder: Path, name: str) -> Path:
    """Make `name` in `folder`, or name-2 and so on, in one step; UserError where the system refuses."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = (folder / new.name.removesuffix(".json") for new in new_names(folder, name))
        return next(filter(_made, names))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error


def _made(folder: Path) -> bool:
    """Make the folder; False where it is there already."""
    try:
        folder.mkdir()
    except FileExistsError:
        return False
    return True


def _suffix(environment: Environment, profile: str, cases: tuple[str, ...]) -> str:
    state = "-dirty" if environment.dirty else ""
    asked = repr((profile, cases, _software(environment)))
    torch = environment.versions["torch"]
    return f"{short_commit(environment)}{state}-torch{torch}-{sha256(asked.encode()).hexdigest()[:6]}"


def _software(environment: Environment) -> Environment:
    """What must be the same for a run to go on: all but the moment."""
    return replace(environment, started=_NEVER, load=None, memory_bytes=None, governor=None)


def read_record(path: Path, adapter: TypeAdapter[Record], kind: str, newest: int) -> Record:
    """The record in a JSON file; ValueError with the reason, in one line, where it is none of that kind."""
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
