"""The two trees that are compared: the files of a commit, or the working tree as it is.

All lies in one temporary folder, with paths of one length, and nothing of it outlives the run. The user's
repository is only read: commits are checked out by an index of our own, and no worktree is registered.

    base/      head/      the trees
    harness/              today's suite, and the worker beside it
"""

import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import rmsprop.suite
from rmsprop.errors import UserError
from rmsprop.suite.gate import counting, worker
from rmsprop.suite.gate.suite_files import SuiteFiles, copy_suite, find_suite
from rmsprop.suite.git import git, git_or_none
from rmsprop.suite.measure import pauses, places
from rmsprop.suite.records.leftovers import left_behind, own_path

PREFIX = "rmsprop-gate-"
WORKING_TREE = "working tree"
BESIDE_THE_SUITE = ("errors.py", "book/programs.py")
"""Files of rmsprop that today's suite needs, whatever rmsprop is under test; see benchmarks/__init__.py."""


@dataclass(frozen=True)
class Tree:
    """One side's files, in a place of their own.

    Attributes
    ----------
    path
        What corresponds to the folder that the gate was started in.
    revision
        As it was asked for, or `working tree`.
    commit
        The commit, or the one that the working tree stands on; None before the first commit.
    dirty
        Whether the files differ from that commit.
    """

    path: Path
    revision: str
    commit: str | None
    dirty: bool


@dataclass(frozen=True)
class Trees:
    """Both sides, and the harness that measures them.

    Attributes
    ----------
    base, head
        The sides.
    harness, suite
        The folder that holds suite and worker, and the name of the suite's module there.
    lacking
        What the trees do not have that the user's folder has, in sentences.
    """

    base: Tree
    head: Tree
    harness: Path
    suite: str
    lacking: tuple[str, ...] = ()


@contextmanager
def prepared_trees(
    folder: Path, revisions: Mapping[str, str | None], suite: str, results: Path | None = None
) -> Iterator[Trees]:
    """The trees of two revisions of the repository around `folder`; None is the working tree as it is.

    `suite` is a module or a file below `folder`. `results`, where the gate writes, is no part of the working
    tree. UserError says what is wrong with a revision or a suite.
    """
    folder = folder.resolve()
    top = _top(folder)
    wanted = {side: revision and _commit(top, revision) for side, revision in revisions.items()}
    found = find_suite(folder, suite)
    listed = _listed(top, results)
    with _temporary_folder() as work:
        try:
            trees = _made(work, folder, top, revisions, wanted, found, listed, results)
        except OSError as error:  # such as a disk that gets full
            reason = error.strerror or "not all files could be copied"
            raise UserError(
                f"cannot make the trees in {work.parent}: {reason}; free space there, or name another folder "
                "by TMPDIR"
            ) from error
        yield trees


def _made(
    work: Path,
    folder: Path,
    top: Path,
    revisions: Mapping[str, str | None],
    wanted: Mapping[str, str | None],
    found: SuiteFiles,
    listed: list[str],
    results: Path | None,
) -> Trees:
    """Both trees and the harness, in the folder `work`."""
    inside = folder.relative_to(top)
    trees = {}
    for side, commit in wanted.items():
        path = work / side
        path.mkdir()
        if commit:
            index = work / f"{side}-index"
            git(top, "read-tree", commit, index=index)
            git(top, "checkout-index", "--all", "--quiet", f"--prefix={path}{os.sep}", index=index)
        else:
            _copy(top, listed, path)
        revision = revisions[side] or WORKING_TREE
        if not (path / inside).is_dir():
            raise UserError(
                f"{side} ({revision}) has no folder {inside}; start the gate in one that both have"
            )
        head = git_or_none(top, "rev-parse", "--verify", "--quiet", "HEAD")
        dirty = not commit and _dirty(top, results)
        trees[side] = Tree(path / inside, revision, commit or head, dirty)
    harness = work / "harness"
    copy_suite(found, harness, (top / name for name in listed))
    shutil.copy(worker.__file__, harness / "gate_worker.py")
    shutil.copy(counting.__file__, harness / "gate_counting.py")
    shutil.copy(pauses.__file__, harness / "gate_pauses.py")
    shutil.copy(places.__file__, harness / "gate_places.py")
    ours = Path(rmsprop.suite.__file__).parent
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ours, harness / "rmsprop" / "suite", ignore=ignored, dirs_exist_ok=True)
    for name in BESIDE_THE_SUITE:
        (harness / "rmsprop" / name).parent.mkdir(exist_ok=True)
        shutil.copy(ours.parent / name, harness / "rmsprop" / name)
    return Trees(trees["base"], trees["head"], harness, found.module, tuple(_lacking(top)))


def run_in_each(trees: Trees, command: str, interpreters: Mapping[str, Path]) -> None:
    """Have a shell run the command in each tree, with that side's interpreter first on the path.

    UserError with the last line that it printed if it fails.
    """
    for side, tree in (("base", trees.base), ("head", trees.head)):
        path = os.pathsep.join((str(interpreters[side].parent), os.environ.get("PATH", "")))
        answer = subprocess.run(
            command,
            shell=True,
            cwd=tree.path,
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        if answer.returncode:
            said = answer.stdout.decode(errors="replace").strip().splitlines()
            last = f": {said[-1]}" if said else ""
            raise UserError(f"--prepare failed in {side} (exit code {answer.returncode}){last}")


def _top(folder: Path) -> Path:
    if shutil.which("git") is None:
        raise UserError("the gate compares revisions, and finds no git; install git")
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    except UserError as error:
        if "not a git repository" not in str(error):
            raise  # such as a checkout that somebody else owns
        raise UserError(f"{folder} lies in no git repository; start the gate in a checkout") from None


def check_revisions(folder: Path, revisions: Iterable[str | None]) -> None:
    """UserError where git knows no commit of one of them here; None is the working tree."""
    top = _top(folder)
    for revision in revisions:
        if revision:
            _commit(top, revision)


def _commit(top: Path, revision: str) -> str:
    try:
        return git(top, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except UserError:
        shallow = git(top, "rev-parse", "--is-shallow-repository") == "true"
        advice = (
            "this clone is shallow: `git fetch --unshallow`, or fetch-depth: 0 for actions/checkout"
            if shallow
            else "see `git branch --all` and `git log`"
        )
        raise UserError(f"git knows no commit {revision!r} here; {advice}") from None


def _without(top: Path, results: Path | None) -> tuple[str, ...]:
    """A path specification of everything but the results."""
    place = results.resolve() if results else top
    inside = place != top and place.is_relative_to(top)
    return ("--", ".", f":(exclude,top){place.relative_to(top).as_posix()}") if inside else ("--", ".")


def _listed(top: Path, results: Path | None) -> list[str]:
    """All files of the working tree, relative to `top`, but the ignored ones and the results."""
    names = git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard", *_without(top, results))
    return [name for name in dict.fromkeys(names.split("\0")) if name and os.path.lexists(top / name)]


def _dirty(top: Path, results: Path | None) -> bool:
    return bool(git(top, "status", "--porcelain", *_without(top, results)))


def _copy(top: Path, listed: list[str], folder: Path) -> None:
    """Copy these files; links stay links, and folders (of submodules) are left out."""
    for name in listed:
        source = top / name
        if source.is_symlink() or not source.is_dir():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, folder / name, follow_symlinks=False)


def _lacking(top: Path) -> Iterator[str]:
    entries = git(top, "ls-files", "-z", "--stage").split("\0")
    modules = [entry.partition("\t")[2] for entry in entries if entry.startswith("160000 ")]
    if modules:
        yield f"the trees lack the submodules {', '.join(modules)}; --prepare COMMAND can make them in each"


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """It is removed whatever happens, undisturbed by a second signal; so is what a killed gate left."""
    top = Path(tempfile.gettempdir()).resolve()
    for left in left_behind(top, PREFIX):
        shutil.rmtree(left, ignore_errors=True)
    work = own_path(top, PREFIX)
    try:
        work.mkdir(mode=0o700)
        yield work
    finally:
        with _undisturbed():
            shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    former = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
