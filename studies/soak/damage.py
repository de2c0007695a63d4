"""Files, damaged as disks, people and other programs damage them."""

import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_NUMBER = re.compile(rb"(?<=[:\[,])\s*-?\d+(\.\d+)?([eE][-+]?\d+)?(?=\s*[,\]}])")
_STRING = re.compile(rb'"[^"\\]*"(?=\s*[,\]}])')
_ODD = (b"-1", b"1e308", b"5e-324", b"1e999", b"null", b'"x"', b"[]", b"{}", b"9007199254740993", b"true")
SURE = (
    "truncated", "binary", "many digits", "half a surrogate", "other kind", "FIFO", "folder",
    "link to a device",
)  # fmt: skip
"""After these the file holds no record: a command that reads it must name it."""
UNSURE = ("NaN", "odd value")
"""After these it may be a record still, if that field may hold such a value."""
RENAMED = "truncated, and its name is not UTF-8"
FOLDER = "file in place of the folder"
KINDS = (*SURE, *UNSURE, RENAMED, FOLDER)


@dataclass(frozen=True)
class Damaged:
    """A file that was damaged.

    Attributes
    ----------
    path
        Relative to the place.
    how
        One of `KINDS`.
    """

    path: Path
    how: str

    @property
    def sure(self) -> bool:
        """Whether nothing that reads it can find a record."""
        return self.how not in UNSURE


def damage(place: Path, rng: random.Random, number: int) -> list[Damaged]:
    """Damage so many files below results/, drawn from all that are there."""
    results = place / "results"
    files = sorted(path for path in results.rglob("*.json") if path.is_file() and not path.is_symlink())
    done: list[Damaged] = []
    kinds = sorted({path.relative_to(results).parts[0] for path in files})
    for _ in range(number):
        # Every kind is drawn as often as another, however many files it has.
        kind = rng.choice(kinds)
        among = [path for path in files if path.relative_to(results).parts[0] == kind and path.is_file()]
        if not among:
            continue
        path = rng.choice(among)
        how = rng.choice(KINDS)
        others = [one for one in files if one.relative_to(results).parts[0] != kind and one.is_file()]
        if one := damage_one(path, how, rng, others):
            done.append(Damaged(one.relative_to(place), how))
            files.remove(path)
        if how == FOLDER:
            kinds.remove(kind)
            done = [one for one in done if os.path.lexists(place / one.path)]
        if not kinds:
            break
    return done


def damage_one(path: Path, how: str, rng: random.Random, others: list[Path]) -> Path | None:
    """Damage the file; where it is now, or None where it has nothing that could be damaged so."""
    content = path.read_bytes()
    if how in _REPLACED:
        path.unlink()
        _REPLACED[how](path)
    elif how in _INSIDE:
        part, into = _INSIDE[how]
        found = list(part.finditer(content))
        if not found:
            return None
        one = rng.choice(found)
        path.write_bytes(content[: one.start()] + rng.choice(into) + content[one.end() :])
    elif how == "binary":
        path.write_bytes(rng.randbytes(rng.randrange(1, 5000)))
    elif how == "other kind":
        shutil.copyfile(rng.choice(others), path)
    elif how == FOLDER:
        while path.parent.name != "results":
            path = path.parent
        shutil.rmtree(path)
        path.write_text("no folder")
    else:
        path.write_bytes(content[: rng.randrange(len(content.rstrip()))])
        if how == RENAMED:
            path = path.rename(path.with_name(os.fsdecode(b"\xff\xfe") + path.name))
    return path


_REPLACED: dict[str, Callable[[Path], object]] = {
    "FIFO": os.mkfifo,
    "folder": Path.mkdir,
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
}
_INSIDE = {
    "many digits": (_NUMBER, (b"7" * 400,)),
    "NaN": (_NUMBER, (b"NaN", b"Infinity", b"-Infinity")),
    "odd value": (_NUMBER, _ODD),
    "half a surrogate": (_STRING, (b'"\\ud800"',)),
}
