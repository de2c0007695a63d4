"""The two trees that are compared: worktrees of commits, or copies of the working tree as it is.

All stands in one temporary folder, with paths of one length, and nothing of it outlives the run:

    base/      head/      the trees
    harness/              today's suite, and the worker beside it
"""

import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import rmsprop.suite
from rmsprop.errors import UserError
from rmsprop.suite.gate import worker
from rmsprop.suite.git import git, git_or_none

WORKING_TREE = "working tree"


@dataclass(frozen=True)
class Tree:
    """One side's files, in a place of their own."""

    path: Path
    """What corresponds to the folder that the gate was started in."""
    revision: str
    commit: str | None
    dirty: bool


@dataclass(frozen=True)
class Trees:
    """Both sides, and the harness that measures them."""

    base: Tree
    head: Tree
    harness: Path
    suite: str
    """Name of the suite's module in the harness."""


@contextmanager
def prepared_trees(folder: Path, revisions: Mapping[str, str | None], suite: str) -> Iterator[Trees]:
    """The trees of two revisions of the repository around `folder`; None is the working tree as it is.

    `suite` is a module or a file below `folder`. UserError says what is wrong with a revision or a suite.
    """
    top = _top(folder)
    wanted = {side: revision and _commit(top, revision) for side, revision in revisions.items()}
    module, files = _suite(folder, suite)
    with ExitStack() as stack:
        work = Path(tempfile.mkdtemp(prefix="rmsprop-gate-")).resolve()
        stack.callback(shutil.rmtree, work, ignore_errors=True)
        stack.enter_context(_worktrees_removed(top, work))
        inside = folder.resolve().relative_to(top)
        trees = {}
        for side, commit in wanted.items():
            if commit:
                git(top, "worktree", "add", "--quiet", "--detach", str(work / side), commit)
                dirty = False
            else:
                _copy_working_tree(top, work / side)
                dirty = bool(git(top, "status", "--porcelain"))
            revision = revisions[side] or WORKING_TREE
            trees[side] = Tree(
                work / side / inside,
                revision,
                commit or git_or_none(top, "rev-parse", "--verify", "--quiet", "HEAD"),
                dirty,
            )
            if not trees[side].path.is_dir():
                raise UserError(
                    f"{side} ({revision}) has no folder {inside}; start the gate in one that both have"
                )
        harness = work / "harness"
        harness.mkdir()
        ignored = shutil.ignore_patterns("__pycache__")
        if files.is_dir():
            shutil.copytree(files, harness / files.name, ignore=ignored)
        else:
            shutil.copy(files, harness)
        shutil.copy(worker.__file__, harness / "gate_worker.py")
        ours = Path(rmsprop.suite.__file__).parent
        shutil.copytree(ours, harness / "rmsprop" / "suite", ignore=ignored)
        shutil.copy(ours.parent / "errors.py", harness / "rmsprop")
        yield Trees(trees["base"], trees["head"], harness, module)


def _suite(folder: Path, suite: str) -> tuple[str, Path]:
    """The suite's module name, and the file or the package folder that holds it."""
    name = suite.removesuffix(".py").replace("/", ".").removeprefix("..") if suite.endswith(".py") else suite
    parts = name.split(".")
    top = folder / parts[0]
    file = folder.joinpath(*parts).with_suffix(".py")
    if not all(part.isidentifier() for part in parts) or not (
        file.is_file() or (top / "__init__.py").is_file()
    ):
        raise UserError(
            f"there is no suite {suite!r} here: expected a module or a .py file below the folder that the "
            "gate starts in, such as benchmarks.suite; name yours with --suite"
        )
    return (name, top) if top.is_dir() else (name, file)


def _top(folder: Path) -> Path:
    if shutil.which("git") is None:
        raise UserError("the gate compares revisions, and finds no git; install git")
    try:
        return Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    except UserError as error:
        if "not a git repository" not in str(error):
            raise  # such as a checkout that somebody else owns
        raise UserError(f"{folder} lies in no git repository; start the gate in a checkout") from None


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


def _copy_working_tree(top: Path, folder: Path) -> None:
    """All files but the ignored ones."""
    listed = git(top, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    folder.mkdir()
    for name in dict.fromkeys(filter(None, listed.split("\0"))):
        submodule = (top / name).is_dir() and not (top / name).is_symlink()
        if os.path.lexists(top / name) and not submodule:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(top / name, folder / name, follow_symlinks=False)


@contextmanager
def _worktrees_removed(top: Path, work: Path) -> Iterator[None]:
    """Whatever happens, and undisturbed by a second signal."""
    shared = top / git(top, "rev-parse", "--git-common-dir")
    try:
        yield
    finally:
        with _undisturbed():
            shutil.rmtree(work, ignore_errors=True)
            # `git worktree prune` would also forget others' whose folder is away, on a disk that is not
            # mounted, and keep one whose making was cut short, which is locked.
            for place in shared.glob("worktrees/*/gitdir"):
                with suppress(OSError, ValueError):  # another gate may just have removed its own
                    tree = place.parent / place.read_text(encoding="utf-8").strip()
                    if tree.resolve().is_relative_to(work):
                        shutil.rmtree(place.parent, ignore_errors=True)


@contextmanager
def _undisturbed() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
