"""Anybody's results of asv, of versions 1 and 2 of its files, as rows of the frame.

A result file is one commit in one environment. `benchmarks.json` above it tells kinds and units, and
`machine.json` beside it the machine; where either is absent or damaged, names tell what they can.
"""

import math
import re
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from rmsprop.suite.case import AXES, Case
from rmsprop.suite.records.bench import UNITS
from rmsprop.suite.records.files import read_json
from rmsprop.suite.records.readers.asv_beside import (
    BESIDE,
    kind_of,
    odd_fields,
    read_benchmarks,
    read_machine,
    whole_of,
)
from rmsprop.suite.records.readers.rows import (
    IMPOSSIBLE,
    NOTHING,
    Row,
    Rows,
    Statistics,
    columns_of,
    hardware_of,
    json_kind,
    number_of,
    possible,
    spread_warning,
    statistics_of,
    told_time,
)

MOST_COMBINATIONS = 10**6
"""Of one benchmark's parameters."""

_OURS = {"track_epoch": "epoch", "track_loss": "loss", "track_peak": "peak", "time_step": "step"}
_STEPS = re.compile(r"time_(\d+)_steps")
_NO_CASE: dict[str, None] = dict.fromkeys(AXES)


@dataclass(frozen=True)
class _Entry:
    """One benchmark of a result file, whichever version the file has."""

    results: list[Any]
    params: list[list[Any]]
    version: str | None
    started: Any
    q25: list[Any]
    q75: list[Any]
    repeat: list[Any]
    samples: list[Any]


class _Identity(NamedTuple):
    """What a benchmark with some parameters is: unit, steps of a measurement, the columns that tell it."""

    unit: str
    steps: int
    columns: dict[str, list[Any]]


class AsvReader:
    """Reads the files of results folders of asv; remembers what stands beside and above them."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._machine = cache(read_machine)
        self._benchmarks = cache(read_benchmarks)
        self._identities: dict[Path, dict[tuple[str, str], _Identity]] = {}

    def __call__(self, path: Path) -> Rows:
        """The rows of one file; none for machine.json and benchmarks.json."""
        return self.rows(path, read_json(path))

    def rows(self, path: Path, content: dict[str, Any]) -> Rows:
        """The same of what the file holds."""
        if path.name in BESIDE:
            return Rows(path, {}, {}, odd=odd_fields(path.name, content))
        if content.get("version") not in (1, 2):
            raise ValueError(f"not a result of asv, version 1 or 2: version is {content.get('version')!r}")
        if not isinstance(content.get("results"), dict):
            raise ValueError(f"results is {json_kind(content.get('results'))}: expected an object")
        known = self._benchmarks(path.parents[1])
        # Of each benchmark once: the files of a long history say the same names again and again.
        identities = self._identities.setdefault(path.parents[1], {})
        columns: defaultdict[str, list[Any]] = defaultdict(list)
        left_out = []
        for name, value in content["results"].items():
            try:
                entry = _entry(content, name, value)
                key = name, str(entry.params)
                if key not in identities:
                    identities[key] = _identity(name, entry.params, known.get(name, {}))
                found = _columns(entry, identities[key])
            except (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
                left_out.append(f"{name}: {error}")
                continue
            for column, more in found.items():
                columns[column] += more
        odd: list[str] = []
        shared = self._shared(path, content, odd)
        return Rows(path, shared, dict(columns), tuple(left_out), tuple(odd))

    def _shared(self, path: Path, content: dict[str, Any], odd: list[str]) -> Row:
        machine = self._machine(path.parent)
        params = content.get("params")
        commit = content["commit_hash"]
        if not isinstance(commit, str) or not commit:
            raise ValueError("commit_hash is no name of a commit")
        torch = next((v for k, v in (params or {}).items() if k.endswith("torch")), None)
        environment = content.get("env_name") or path.stem.partition("-")[2]
        return {
            "runner": "asv",
            "machine": path.parent.name,
            "environment": str(environment),
            "hardware": hardware_of(params or {}),
            "processor": machine.get("cpu") or None,
            "cpus": whole_of(machine.get("num_cpu")),
            "python": _text(content.get("python")),
            "torch": _text(torch),
            "commit": commit,
            "committed": told_time("date", content.get("date"), odd),
            "dirty": False,
            "notes": "",
        }


def _entry(content: dict[str, Any], name: str, value: Any) -> _Entry:
    read = _entry_of_2 if content["version"] == 2 else _entry_of_1
    try:
        entry = read(content, name, value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not of asv's form: {type(error).__name__} {error}") from error
    for values in (entry.params, *_list(entry.params)):
        if not isinstance(values, list):
            raise ValueError(f"params has {json_kind(values)} where a list is expected")
    return entry


def _entry_of_2(content: dict[str, Any], _name: str, values: Any) -> _Entry:
    row = dict(zip(content["result_columns"], values, strict=False)) if isinstance(values, list) else {}
    result = row.get("result") if isinstance(values, list) else values
    return _Entry(
        results=_list(result),
        params=row.get("params") or [],
        version=_text(row.get("version")),
        started=row.get("started_at"),
        q25=_list(row.get("stats_q_25")),
        q75=_list(row.get("stats_q_75")),
        repeat=_list(row.get("stats_repeat")),
        samples=_list(row.get("samples")),
    )


def _entry_of_1(content: dict[str, Any], name: str, value: Any) -> _Entry:
    """Version 1 keeps a bare result, or a mapping, and the rest of what version 2 keeps beside it."""
    row = value if isinstance(value, dict) else {"result": value}
    result, stats, samples = row.get("result"), row.get("stats"), row.get("samples")
    if not isinstance(result, list):
        stats, samples = [stats], [samples]
    stats = [one if isinstance(one, dict) else {} for one in _list(stats)]
    return _Entry(
        results=_list(result) if isinstance(result, list) else [result],
        params=row.get("params") or [],
        version=_text((content.get("benchmark_version") or {}).get(name)),
        started=(content.get("started_at") or {}).get(name),
        q25=[one.get("q_25") for one in stats],
        q75=[one.get("q_75") for one in stats],
        repeat=[one.get("repeat") for one in stats],
        samples=_list(samples),
    )


def _identity(name: str, params: list[list[Any]], known: dict[str, Any]) -> _Identity:
    """The combinations of its parameters, which asv stores as their repr."""
    count = math.prod(map(len, params))
    if count > MOST_COMBINATIONS:
        raise ValueError(f"{count:,} combinations of parameters")
    combinations = [tuple(map(str, values)) for values in product(*params)]
    function = name.rpartition(".")[2]
    cases, quantity, unit, steps = _ours(function, combinations)
    if quantity is None:
        quantity, unit = kind_of(function, known)
    axes = [_NO_CASE] * count if cases is None else [asdict(case) for case in cases]
    names = _names(combinations, known) if cases is None else [None] * count
    told = {
        "benchmark": [name] * count,
        "parameters": names,
        "quantity": [quantity] * count,
        "unit": [unit] * count,
    }
    return _Identity(unit, steps, {**told, **{axis: [one[axis] for one in axes] for axis in AXES}})


def _columns(entry: _Entry, identity: _Identity) -> dict[str, list[Any]]:
    """A row for each combination of the benchmark's parameters."""
    unit, count = identity.unit, len(identity.columns["benchmark"])
    if len(entry.results) > count:
        raise ValueError(f"{len(entry.results):,} results where its parameters make {count:,}")
    found, statuses, reasons = [], [], []
    # asv drops trailing nulls.
    for i, result in enumerate([*entry.results, *[None] * (count - len(entry.results))]):
        status, reason = _status(result, unit)
        measured = status == "measured"
        found.append(_statistics(float(result), entry, i, identity.steps, unit) if measured else NOTHING)
        statuses.append(status)
        reasons.append(reason)
    return {
        **identity.columns,
        "started": [told_time("started_at", entry.started, [])] * count,
        "version": [entry.version] * count,
        "status": statuses,
        "reason": reasons,
        **columns_of(found),
        "warnings": [spread_warning(one) for one in found],
    }


def _ours(
    function: str, combinations: list[tuple[str, ...]]
) -> tuple[list[Case] | None, str | None, str, int]:
    """Cases, quantity, unit and steps of a benchmark of this project; no cases for anybody else's."""
    steps = _STEPS.fullmatch(function)
    quantity = "step" if steps else _OURS.get(function)
    if quantity is None or any(len(names) != 2 for names in combinations):
        return None, None, "", 1
    try:
        cases = [_case(*names) for names in combinations]
    except ValueError:
        return None, None, "", 1
    number = int(steps[1]) if steps else 1
    if number == 0:
        raise ValueError("its name says that it takes no step")
    return cases, quantity, UNITS[quantity], number  # type: ignore[index]


@cache
def _case(implementation: str, point: str) -> Case:
    return Case.at(implementation.strip("'"), point.strip("'"))


def _names(combinations: list[tuple[str, ...]], known: dict[str, Any]) -> list[str | None]:
    """Such as `n=10, method='x'`; without the names of the parameters where nobody tells them."""
    told = known.get("param_names")
    names = list(map(str, told)) if isinstance(told, list) else []
    return [
        ", ".join(
            f"{names[i]}={value}" if i < len(names) and not re.fullmatch(r"param\d+", names[i]) else value
            for i, value in enumerate(values)
        )
        or None
        for values in combinations
    ]


def _status(result: Any, unit: str) -> tuple[str, str | None]:
    """Whether a result was measured, and why not. A null failed, NaN was skipped: asv keeps no reasons."""
    value = number_of(result)
    if result is None:
        return "failed", "asv keeps no reason"
    if value is None:
        return "failed", f"{IMPOSSIBLE} is no number but a {type(result).__name__}"
    if math.isnan(value):
        return "skipped", "asv keeps no reason"
    if not possible(value, unit):
        return "failed", f"{IMPOSSIBLE} {value!r} cannot be {unit}"
    return "measured", None


def _statistics(value: float, entry: _Entry, i: int, steps: int, unit: str) -> Statistics:
    """asv keeps samples only with --record-samples, else their median and quartiles; all of `steps` steps."""
    samples = _item(entry.samples, i)
    numbers = [number_of(sample) for sample in samples] if isinstance(samples, list) else []
    found = [number / steps for number in numbers if number is not None and possible(number, unit)]
    if found and len(found) == len(numbers):
        return statistics_of(found)
    q25, q75 = number_of(_item(entry.q25, i)), number_of(_item(entry.q75, i))
    if q25 is None or q75 is None:
        return statistics_of([value / steps])
    repeat = whole_of(_item(entry.repeat, i))
    return Statistics(value / steps, q25 / steps, q75 / steps, None, repeat, NOTHING.samples)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _item(values: list[Any], i: int) -> Any:
    return values[i] if i < len(values) else None
