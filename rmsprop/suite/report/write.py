"""The site on disk: a folder that one rename puts in place, with whatever else the former one held."""

import ctypes
import errno
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from rmsprop.errors import UserError
from rmsprop.suite.records.files import check_writable, read_json, write_atomically
from rmsprop.suite.records.leftovers import left_behind, own_path

MANIFEST = "manifest.json"
"""The names of all files of the site. What it does not list is somebody else's, and stays."""

ALWAYS = ("README.md", "index.html")
"""What each site has."""

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2


def check_site(reports: Path) -> Path:
    """Where the folder truly is; UserError where no site can take its place."""
    site = reports.resolve()
    check_writable(site.parent)
    if site == Path.cwd():
        raise UserError(f"cannot replace {reports}: it is the current folder; choose a folder in it")
    if os.path.lexists(reports) and not reports.is_dir():
        raise UserError(f"cannot write to {reports}: it is a file; choose another folder")
    _refuse_foreign(reports, ALWAYS)
    return site


def write_site(reports: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Make `reports` hold the files by name, and nothing of a former site besides; their paths.

    All are written to a folder beside it, which then takes its place in one step; what the former site's
    manifest does not list moves over. UserError where that cannot be written, or where a file that no
    manifest lists stands in the way.
    """
    site = check_site(reports)
    prefix = f".{site.name}-building-"
    try:
        _restore(site, prefix)
        _refuse_foreign(reports, files)
        building = own_path(site.parent, prefix)
        try:
            building.mkdir(parents=True)
            _fill(building, files)
            if site.exists():
                _exchange(building, site)
                _move_foreign(building, site)
            else:
                building.rename(site)
        finally:
            shutil.rmtree(building, ignore_errors=True)
    except OSError as error:
        raise UserError(
            f"cannot write to {reports}: {error.strerror or error}; choose another folder"
        ) from error
    return tuple(reports / name for name in (MANIFEST, *files))


def _fill(folder: Path, files: Mapping[str, str]) -> None:
    listed = json.dumps({"made by": "rmsprop report", "files": sorted(files)}, indent=1) + "\n"
    for name, content in {MANIFEST: listed, **files}.items():
        write_atomically(folder / name, content)


def _listed(site: Path) -> set[str]:
    """What the manifest of a site lists, and itself; nothing where there is none."""
    try:
        names = read_json(site / MANIFEST)["files"]
        return {MANIFEST, *map(str, names)}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _refuse_foreign(reports: Path, files: Iterable[str]) -> None:
    own = _listed(reports)
    for name in (MANIFEST, *files):
        if name not in own and os.path.lexists(reports / name):
            raise UserError(
                f"{reports / name} was not made by `rmsprop report` and would be overwritten: "
                "choose another folder with --output, or move it away"
            )


def _move_foreign(former: Path, site: Path) -> None:
    """Move over what the former site held besides its own files, whole folders where they hold none."""
    own = {MANIFEST, *_listed(former)}

    def move(inside: Path) -> None:
        for entry in sorted((former / inside).iterdir()):
            name = entry.relative_to(former)
            if name.as_posix() in own:
                continue
            shared = entry.is_dir() and not entry.is_symlink() and (site / name).is_dir()
            if shared:
                move(name)
            elif not os.path.lexists(site / name) and not _only_own(entry, former, own):
                entry.rename(site / name)

    move(Path())


def _only_own(entry: Path, former: Path, own: set[str]) -> bool:
    """Whether all files of a folder are the former site's own."""
    if entry.is_symlink() or not entry.is_dir():
        return False
    return all(path.is_dir() or path.relative_to(former).as_posix() in own for path in entry.rglob("*"))


def _exchange(new: Path, site: Path) -> None:
    """Let two folders change places, in one step where the system can."""
    if rename := _renameat2():
        if rename(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(site), _RENAME_EXCHANGE) == 0:
            return
        failed = ctypes.get_errno()
        if failed not in {errno.ENOSYS, errno.EINVAL}:  # an old system, or a file system that cannot
            raise OSError(failed, os.strerror(failed))
    former = new.with_name(f"{new.name}.former")
    site.rename(former)
    new.rename(site)
    former.rename(new)


def _renameat2() -> Callable[..., int] | None:
    """The system call by which folders change places; None on systems that lack it."""
    return getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None) if os.name == "posix" else None


def _restore(site: Path, prefix: str) -> None:
    """Finish what a killed build left beside the site: its folder goes, and nobody's files with it."""
    for left in sorted(left_behind(site.parent, prefix)):
        if not site.exists() and left.suffix == ".former":
            left.rename(site)
            continue
        if site.exists():
            with suppress(OSError):
                _move_foreign(left, site)
        shutil.rmtree(left, ignore_errors=True)
