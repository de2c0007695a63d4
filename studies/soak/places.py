"""The folders in which commands run, with copies of the committed results; and what is in them."""

import hashlib
import os
import random
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmsprop.errors import UserError
from rmsprop.suite.records.leftovers import left_behind, own_path

CHECKOUT = Path(__file__).parents[2]
PREFIX = "rmsprop-soak-"
OWN_FILE = "reports/notes/mine.txt"
"""Somebody's own file, in the folder of the site."""
_GIT = ("git", "-c", "user.name=soak", "-c", "user.email=soak@example.org", "-c", "commit.gpgsign=false")
_SUITE = '''"""A suite that takes next to no time."""

from contextlib import contextmanager

import mine

PACKAGE = "mine"


def cases():
    return ["light", "heavy", "absent"]


@contextmanager
def make(case):
    if case == "absent":
        raise NotImplementedError("nobody has it")
    seconds = getattr(mine, case)
    yield lambda steps: steps * seconds
'''


@contextmanager
def workshop(results: Path) -> Iterator[Path]:
    """A temporary folder with what every place is copied from; what a killed soak left is removed.

    pool/ is a copy of the results, theirs/ a repository of two commits with a suite, home/ an empty home.
    """
    top = Path(tempfile.gettempdir()).resolve()
    for left in left_behind(top, PREFIX):
        for mounted in left.glob("place*"):
            if os.path.ismount(mounted):
                subprocess.run(["umount", "--lazy", str(mounted)], check=False)
        shutil.rmtree(left, ignore_errors=True)
    folder = own_path(top, PREFIX)
    try:
        folder.mkdir(mode=0o700)
        if not any(results.rglob("*.json")):
            raise UserError(f"--results {results}: no records there; name a folder with some")
        shutil.copytree(results, folder / "pool")
        (folder / "home").mkdir()
        _repository(folder / "theirs")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _repository(folder: Path) -> None:
    (folder / "mine").mkdir(parents=True)
    (folder / "speed.py").write_text(_SUITE)
    for number in (1, 2):
        (folder / "mine" / "__init__.py").write_text(f"light = 1e-4\nheavy = 2e-4\nversion = {number}\n")
        if number == 1:
            subprocess.run([*_GIT, "init", "-q", "-b", "main"], cwd=folder, check=True)
        subprocess.run([*_GIT, "add", "-A"], cwd=folder, check=True)
        subprocess.run([*_GIT, "commit", "-q", "-m", f"version {number}"], cwd=folder, check=True)


@contextmanager
def new_place(shop: Path, rng: random.Random, machine: str, *, own_disk: bool) -> Iterator[Path]:
    """A folder of its own for one scenario, removed afterwards.

    It holds some records of each kind, which this machine shares under its name, the repository, a home, a
    site with somebody's own file in it, and the files that arguments name. `own_disk` makes it a file system
    of its own, which can be made full.
    """
    place = Path(tempfile.mkdtemp(prefix="place-", dir=shop))
    if own_disk:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512m", "none", str(place)], check=True)
    try:
        for name in ("theirs", "home"):
            shutil.copytree(shop / name, place / name)
        if (shop / "site").is_dir():
            shutil.copytree(shop / "site", place / "reports")
        (place / OWN_FILE).parent.mkdir(parents=True)
        (place / OWN_FILE).write_text("somebody's\n")
        (place / "tmp").mkdir()
        (place / "PAGE.md").write_text((CHECKOUT / "README.md").read_text("utf-8"), "utf-8")
        (place / "rows.dat").write_text("1 2 3\n" * 100)
        some_results(shop / "pool", place / "results", rng, machine)
        yield place
    finally:
        if own_disk:
            subprocess.run(["umount", "--lazy", str(place)], check=False)
        shutil.rmtree(place, ignore_errors=True)


def some_results(pool: Path, results: Path, rng: random.Random, machine: str) -> None:
    """Copy a few files of each kind, and what belongs to all; some are now of this machine."""
    files = sorted(path for path in pool.rglob("*.json") if path.is_file())
    for kind in sorted({path.relative_to(pool).parts[0] for path in files}):
        ours = [path for path in files if path.relative_to(pool).parts[0] == kind]
        shared = [path for path in ours if path.name in {"machine.json", "benchmarks.json", "run.json"}]
        single = [path for path in ours if path not in shared]
        most = {"gate": 2, "reproduction": 1}.get(kind, 12)
        for path in (*shared, *rng.sample(single, min(most, len(single)))):
            inside = path.relative_to(pool)
            if kind != "asv" and len(inside.parts) > 2 and rng.random() < 0.5:
                inside = Path(kind, machine, *inside.parts[2:])
            (results / inside).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, results / inside)


def fill_disk(place: Path, bytes_left: int) -> None:
    """Leave so many bytes of the place's own file system."""
    found = os.statvfs(place)
    used = (found.f_blocks - found.f_bfree) * found.f_frsize
    size = used + bytes_left // found.f_frsize * found.f_frsize
    subprocess.run(["mount", "-o", f"remount,size={size}", str(place)], check=True)


def empty_disk(place: Path) -> None:
    """Let it be written to again."""
    subprocess.run(["mount", "-o", "remount,size=512m", str(place)], check=True)


def can_mount() -> bool:
    """Whether this process may mount a file system of its own."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        asked = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder]
        if subprocess.run(asked, check=False, capture_output=True).returncode:
            return False
        return subprocess.run(["umount", folder], check=False, capture_output=True).returncode == 0


def state_of(place: Path) -> dict[str, str]:
    """What each path below the place is: the hash of a file, the target of a link, or its kind."""
    found = {}
    for parent, folders, files in os.walk(place):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                what = hashlib.sha256(path.read_bytes()).hexdigest()
            elif stat.S_ISLNK(mode):
                what = f"link to {path.readlink()}"
            else:
                what = f"kind {stat.S_IFMT(mode):o}"
            found[str(path.relative_to(place))] = what
    return found
