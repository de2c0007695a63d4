"""The page of the soak's records."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rmsprop.suite.records.files import read_json
from studies.soak.faults import KINDS


def page(folder: Path) -> str:
    """What the records in the folder say: the longest soak in full, and the scenarios that were repeated."""
    records = {path.name: read_json(path) for path in sorted(folder.glob("*.json"))}
    longest = max(records, key=lambda name: records[name]["counts"]["scenarios"])
    repeated = {name: one for name, one in records.items() if name != longest}
    return "\n".join(
        [*_counts(records[longest], longest), *_faults(records[longest]), *_repeated(repeated), ""]
    )


def _counts(record: Mapping[str, Any], name: str) -> Iterator[str]:
    counts = record["counts"]
    by_command = counts["scenarios_by_command_and_disturbance"]
    kinds = sorted({kind for found in by_command.values() for kind in found})
    yield "# The soak"
    yield ""
    yield f"Made from [{name}]({name}) by `python -m studies.soak`: {counts['scenarios']} scenarios, "
    yield f"{counts['runs']} runs of commands in {record['seconds'] / 60:.0f} minutes, {_where(record)}."
    yield f"{counts['files_compared']:,} files were compared before and after, and "
    yield f"{sum(counts['damaged_files'].values())} were damaged."
    yield from ("", "| fault | how often | it means that the command |", "| --- | ---: | --- |")
    yield from (f"| {kind} | {counts['faults'][kind]} | {words} |" for kind, words in KINDS.items())
    yield from ("", "Too late: the command ended before the disturbance came.", "")
    yield "| disturbance | " + " | ".join(by_command) + " |"
    yield "| --- |" + " ---: |" * len(by_command)
    for kind in kinds:
        often = " | ".join(str(found.get(kind, 0)) for found in by_command.values())
        yield f"| {kind.replace(', which came too late', ' (too late)')} | {often} |"
    yield from ("", "| command | exit codes: how often |", "| --- | --- |")
    for command, found in counts["exit_codes"].items():
        yield f"| {command} | {', '.join(f'{code}: {often}' for code, often in found.items())} |"
    yield from ("", "| damage | files |", "| --- | ---: |")
    yield from (f"| {how} | {often} |" for how, often in counts["damaged_files"].items())


def _where(record: Mapping[str, Any]) -> str:
    environment = record["environment"]
    changed = " with local changes" if environment["dirty"] else ""
    interrupted = "; it was interrupted" if record["interrupted"] else ""
    return (
        f"{environment['processor'] or 'unknown processor'}, commit "
        f"{(environment['commit'] or 'unknown')[:9]}{changed}, seed {record['seed']}{interrupted}"
    )


def _faults(record: Mapping[str, Any]) -> Iterator[str]:
    if not record["faults"]:
        return
    yield from (
        "",
        "| fault | command | disturbance | damaged | to repeat it |",
        "| --- | --- | --- | --- | --- |",
    )
    for fault in record["faults"]:
        cells = (
            fault["kind"],
            f"`{fault['command']}`",
            fault["disturbance"],
            fault["damaged"],
            f"`{fault['repeat']}`",
        )
        yield f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _repeated(records: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    if not records:
        return
    yield from ("", "Repeated at a later commit, which mended the command or the soak:", "")
    yield from ("| record | scenarios | where | faults |", "| --- | --- | --- | ---: |")
    for name, record in records.items():
        scenario = record.get("scenario")
        number = record["counts"]["scenarios"] if scenario is None else f"number {scenario}"
        yield f"| [{name}]({name}) | {number} | {_where(record)} | {len(record['faults'])} |"
