"""Records on disk: each kind written to its folder, and read with the damaged ones named."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from rmsprop.suite.records import bench, gate, peers, reproduction
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import Problem, read_folder, read_json, write_new
from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.records.peers import PeersRecord
from rmsprop.suite.records.reproduction import ReproductionRecord

_REPRODUCTION = TypeAdapter(ReproductionRecord)
_BENCH = TypeAdapter(BenchRecord)
_GATE = TypeAdapter(GateRecord)
_PEERS = TypeAdapter(PeersRecord)

Record = TypeVar("Record")


def write_reproduction(results: Path, record: ReproductionRecord) -> Path:
    """Store a record under results/reproduction/<machine>/, named by time and commit; its path."""
    environment = record.environment
    folder = results / "reproduction" / environment.machine
    device = record.device.replace(":", "")
    name = f"{_stamp(environment)}-{short_commit(environment)}-{device}-{record.dtype}"
    return write_new(folder, name, _REPRODUCTION.dump_json(record).decode() + "\n")


def short_commit(environment: Environment) -> str:
    """Nine characters of the commit, or the version of an installed wheel; for names and tables."""
    return (environment.commit or f"v{environment.versions['rmsprop-bench']}")[:9]


def write_bench(path: Path, record: BenchRecord) -> Path:
    """Store the record of one case as `path`, or beside it with a number; where it is."""
    return write_new(path.parent, path.stem, _BENCH.dump_json(record).decode() + "\n")


def read_bench(path: Path) -> BenchRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return _read(path, _BENCH, "bench", bench.SCHEMA)


def write_gate(folder: Path, record: GateRecord) -> Path:
    """Store a run of the gate below folder/<machine>/, named by time and both commits; its path."""
    sides = (f"{(side.commit or 'none')[:9]}{'-dirty' * side.dirty}" for side in (record.base, record.head))
    name = "-".join((_stamp(record.environment), *sides))
    return write_new(folder / record.environment.machine, name, _GATE.dump_json(record).decode() + "\n")


def read_gate(path: Path) -> GateRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return _read(path, _GATE, "gate", gate.SCHEMA)


def read_gates(results: Path) -> tuple[list[GateRecord], list[Problem]]:
    """All records of the gate below results/gate/, oldest first, and the files that are none."""
    records, problems = read_folder(results / "gate", read_gate)
    return sorted(records, key=lambda record: record.environment.started), problems


def write_peers(results: Path, record: PeersRecord) -> Path:
    """Store a comparison below results/peers/<machine>/, named by time and commit; its path."""
    environment = record.environment
    name = f"{_stamp(environment)}-{short_commit(environment)}"
    folder = results / "peers" / environment.machine
    return write_new(folder, name, _PEERS.dump_json(record).decode() + "\n")


def read_peers(results: Path) -> tuple[list[PeersRecord], list[Problem]]:
    """All comparisons below results/peers/, oldest first, and the files that are none."""
    records, problems = read_folder(
        results / "peers", lambda path: _read(path, _PEERS, "peers", peers.SCHEMA)
    )
    return sorted(records, key=lambda record: record.environment.started), problems


def _stamp(environment: Environment) -> str:
    return environment.started.replace("-", "").replace(":", "").removesuffix("+0000") + "Z"


def read_reproductions(results: Path) -> tuple[list[ReproductionRecord], list[Problem]]:
    """All reproduction records below `results`, oldest first, and the files that are none."""
    records, problems = read_folder(results / "reproduction", read_reproduction)
    return sorted(records, key=lambda record: record.environment.started), problems


def read_reproduction(path: Path) -> ReproductionRecord:
    """One record; ValueError with the reason, in one line, where it is damaged, foreign or newer."""
    return _read(path, _REPRODUCTION, "reproduction", reproduction.SCHEMA)


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
