"""What was wrong with a run: how it ended, what it did to files, and what it did not say."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rmsprop.suite.records.files import read_json
from rmsprop.suite.words import printable
from studies.soak.commands import Command
from studies.soak.damage import FOLDER, Damaged
from studies.soak.disturb import INTERRUPTS, SPACE, TEMPORARY, Disturbance, Ended

KINDS = {
    "traceback": "printed a traceback, or an internal error",
    "hang": "did not end",
    "exit code": "ended with a code that it does not document",
    "refused": "refused to work for no reason that was given to it",
    "file lost": "a record, or any other file that was there, is gone or has other bytes",
    "file touched": "made a file that is not the command's to make",
    "no record": "gave an answer, and left no new record",
    "broken record": "left a new record that is not whole",
    "partial left": "left a temporary file, which it can remove, or which its next run did not remove",
    "process left": "left processes that outlived it",
    "not named": "read a damaged file and did not name it",
}
_TRACES = re.compile(
    r"Traceback \(most recent call last\)|internal error|Exception ignored|Fatal Python error"
)
_ANSWERED_FIRST = re.compile(r"KeyboardInterrupt")


@dataclass(frozen=True)
class Fault:
    """One thing that was wrong.

    Attributes
    ----------
    kind
        One of `KINDS`.
    detail
        What exactly.
    """

    kind: str
    detail: str


def faults_of_end(
    command: Command, disturbance: Disturbance, damaged: Sequence[Damaged], ended: Ended
) -> Iterator[Fault]:
    """Of the way it ended, and of what it printed."""
    told = f"{ended.err[-3000:]}"
    if ended.hung:
        yield Fault("hang", f"after {ended.seconds:.0f} s; {told}")
        return
    early = ended.sent and not ended.ready and disturbance.kind in INTERRUPTS
    if early and (ended.code < 0 or _ANSWERED_FIRST.search(ended.err)):
        return  # Python itself had not begun to run the command
    if _TRACES.search(ended.out + ended.err):
        yield Fault("traceback", told)
    allowed = set(command.codes) | {2}
    if ended.sent and disturbance.kind in INTERRUPTS:
        allowed |= {130, 3} if command.name.startswith("gate") else {130}
    if ended.sent and disturbance.kind == "SIGKILL":
        allowed |= {-9}
    if ended.code not in allowed:
        yield Fault("exit code", f"{ended.code}; {told}")
    if ended.code == 2 and command.codes and not _may_refuse(command, disturbance, damaged):
        yield Fault("refused", told)
    for line in ended.left:
        yield Fault("process left", line)


def _may_refuse(command: Command, disturbance: Disturbance, damaged: Sequence[Damaged]) -> bool:
    if disturbance.kind in SPACE:
        return True
    places = [(*command.may_make, *command.may_change)]
    return any(
        str(one.path) == command.given
        or (one.how == FOLDER and any(pattern.startswith(f"{one.path}/") for pattern in places[0]))
        for one in damaged
    )


def faults_of_names(command: Command, damaged: Sequence[Damaged], ended: Ended) -> Iterator[Fault]:
    """Damaged files that it read and did not name; of a run that gave its answer."""
    if ended.code not in command.codes:
        return
    said = re.sub(r"\s", "", ended.out + ended.err)
    for one in damaged:
        read = one.path.parts[0] == "results" and one.path.parts[1] in command.reads
        # A run whose own record is damaged is left out as a whole, by the name of its folder.
        name = one.path.parent if one.path.name == "run.json" else one.path
        inside = any(other.how == FOLDER and other.path in one.path.parents for other in damaged)
        if one.sure and read and not inside and re.sub(r"\s", "", printable(str(name))) not in said:
            yield Fault("not named", f"{printable(str(one.path))}, {one.how}; {ended.err[-3000:]}")


def faults_of_files(
    command: Command, before: Mapping[str, str], after: Mapping[str, str], own: Sequence[str] = ()
) -> Iterator[Fault]:
    """Files that are gone or not as they were; and new ones in places that are not the command's.

    `own` are the files of the former site, by its manifest: those may go. Temporary files are not looked at.
    """
    for path, what in before.items():
        changeable = any(fnmatch(path, pattern) for pattern in command.may_change)
        if path.startswith("reports/"):
            changeable = changeable and path in own
        if not changeable and not _is_temporary(path) and after.get(path) != what and not _aside(path):
            how = "is gone" if path not in after else "has changed"
            yield Fault("file lost", f"{printable(path)} {how}")
    for path, what in after.items():
        if path in before or what.startswith("kind") or _is_temporary(path) or _aside(path):
            continue
        if not any(fnmatch(path, pattern) for pattern in command.may_make + command.may_change):
            yield Fault("file touched", printable(path))


def faults_of_records(
    command: Command, before: Mapping[str, str], after: Mapping[str, str], place: Path, answers: int
) -> Iterator[Fault]:
    """New records that are not whole, or fewer new ones than there were `answers`."""
    new = [
        path for path in after if path not in before and path.endswith(".json") and not _is_temporary(path)
    ]
    for path in new:
        if path.startswith("results/"):
            try:
                read_json(place / path)
            except (OSError, ValueError) as error:
                yield Fault("broken record", f"{printable(path)}: {error}")
    if command.record and sum(fnmatch(path, command.record) for path in new) < answers:
        yield Fault("no record", f"{answers} answers, and these are new: {new}")


def partials(state: Mapping[str, str]) -> list[str]:
    """The temporary files and folders of a place, the outermost only."""
    found = [path for path in state if _is_temporary(path) or path.startswith("tmp/")]
    found = [path for path in found if not path.startswith("tmp/torchinductor")]  # torch's own cache
    return [path for path in found if str(Path(path).parent) not in found]


def _is_temporary(path: str) -> bool:
    return any(part in path for part in TEMPORARY)


def _aside(path: str) -> bool:
    """Caches of libraries, and what is temporary by its place."""
    return path.startswith(("tmp/", "home/")) or path in {"tmp", "home"} or "__pycache__" in path
