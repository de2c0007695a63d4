"""The trees hold what each side has, and the user's repository stays as it is."""

import errno
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.gate.trees import prepared_trees, run_in_each
from tests.repositories import CHECKOUT, GIT, commit, git, make_repository


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").touch()
    (folder / "suite.py").touch()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "first")
    return folder


def trees_of(repository, base="HEAD", head=None, suite="suite", **others):
    return prepared_trees(repository, {"base": base, "head": head}, suite, **others)


def names_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}


def state(folder):
    """Everything of the repository that the user could miss: each file below .git, and what git says."""
    files = {
        path.relative_to(folder): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in (folder / ".git").rglob("*")
        if path.is_file()
    }
    said = [git(folder, *words.split()) for words in ("stash list", "worktree list", "for-each-ref")]
    return files, said


@pytest.fixture
def staged(repository):
    """A repository with something staged, something stashed, and something not tracked."""
    (repository / "suite.py").write_text("# stashed\n")
    git(repository, "stash")
    (repository / "package" / "__init__.py").write_text("# staged\n")
    git(repository, "add", "-A")
    (repository / "new.py").write_text("# not tracked\n")
    return repository


def test_not_a_byte_of_the_users_git_folder_changes(staged):
    before = state(staged)
    with trees_of(staged) as trees:
        assert trees.base.path.joinpath("package", "__init__.py").read_text() == ""
        assert trees.head.path.joinpath("package", "__init__.py").read_text() == "# staged\n"
        assert trees.head.path.joinpath("new.py").is_file()
        assert state(staged) == before
    assert state(staged) == before


@pytest.mark.parametrize("hook", ["exit 1", "touch {marker}"])
def test_no_hook_runs(repository, tmp_path, hook):
    marker = tmp_path / "ran"
    script = repository / ".git" / "hooks" / "post-checkout"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\n{hook.format(marker=marker)}\n")
    script.chmod(0o755)
    with trees_of(repository) as trees:
        assert (trees.base.path / "suite.py").is_file()
    assert not marker.exists()


HOOK = f"""#!/bin/sh
PYTHONPATH={CHECKOUT} {sys.executable} -m rmsprop gate --suite speed --base HEAD --case absent --budget 2m >&2
test $? = 3
"""
"""Nothing is measured, since nobody has that case: the gate says so, and the commit goes on."""


@pytest.mark.slow
@pytest.mark.parametrize("linked", [False, True], ids=["repository", "linked worktree"])
def test_a_commit_whose_pre_commit_hook_runs_the_gate_holds_what_was_staged(tmp_path, linked):
    """git tells a hook by variables where its index is; with these it would take ours for the user's."""
    folder = tmp_path / "theirs"
    make_repository(folder)
    place = folder
    if linked:
        place = tmp_path / "linked"
        git(folder, "worktree", "add", "-q", str(place), "-b", "other")
    script = folder / ".git" / "hooks" / "pre-commit"
    script.parent.mkdir(exist_ok=True)
    script.write_text(HOOK)
    script.chmod(0o755)
    (place / "mine" / "more.py").write_text("more = 1\n")
    (place / "later.py").write_text("later = 1\n")
    git(place, "add", "mine/more.py")
    done = subprocess.run(
        [*GIT, "commit", "-m", "more"], cwd=place, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing was measured" in done.stderr
    assert git(place, "show", "--name-only", "--format=", "HEAD") == "mine/more.py"
    assert git(place, "status", "--porcelain") == "?? later.py"


def test_only_an_untracked_or_changed_file_that_is_not_a_result_makes_a_tree_dirty(repository):
    results = repository / "results"
    results.mkdir()
    (results / "record.json").write_text("{}")
    with trees_of(repository, results=results) as trees:
        assert not trees.head.dirty
        assert "results/record.json" not in names_in(trees.head.path)
    with trees_of(repository) as trees:
        assert trees.head.dirty
    (repository / "new.py").touch()
    with trees_of(repository, results=results) as trees:
        assert (trees.base.dirty, trees.head.dirty) == (False, True)
        assert "new.py" in names_in(trees.head.path)


def test_ignored_files_are_left_out_also_of_a_suites_folder(repository):
    (repository / ".gitignore").write_text("env/\n")
    for name in ("env/big.bin", "benchmarks/env/big.bin"):
        (repository / name).parent.mkdir(parents=True)
        (repository / name).touch()
    (repository / "benchmarks" / "speed.py").touch()
    with trees_of(repository, suite="benchmarks.speed") as trees:
        assert "env/big.bin" not in names_in(trees.head.path)
        copied = names_in(trees.harness / "benchmarks")
    assert copied == {"speed.py"}


@pytest.mark.parametrize("target", ["nowhere", "..", "package"])
def test_links_stay_links_wherever_they_lead(repository, target):
    (repository / "package" / "link").symlink_to(target)
    commit(repository, "a link")
    with trees_of(repository, suite="suite") as trees:
        for tree in (trees.base, trees.head):
            assert str((tree.path / "package" / "link").readlink()) == target


def test_a_name_that_is_not_utf_8_is_copied(repository):
    name = os.fsdecode(b"caf\xe9.txt")
    (repository / name).write_text("x")
    commit(repository, "a name")
    with trees_of(repository) as trees:
        assert (trees.base.path / name).is_file()
        assert (trees.head.path / name).is_file()


def test_a_submodule_is_said_to_be_missing(repository, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    commit(other, "other")
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(other), "vendored")
    commit(repository, "a submodule")
    with trees_of(repository) as trees:
        (sentence,) = trees.lacking
    assert "lack the submodules vendored; --prepare COMMAND" in sentence


def test_a_command_can_make_in_each_tree_what_git_ignores(repository):
    (repository / ".gitignore").write_text("_version.py\n")
    (repository / "package" / "_version.py").write_text("mine = 1\n")
    commit(repository, "a generated file")
    python = dict.fromkeys(("base", "head"), Path(sys.executable))
    with trees_of(repository) as trees:
        assert "package/_version.py" not in names_in(trees.head.path)
        run_in_each(trees, "echo 'version = 1' > package/_version.py", python)
        for tree in (trees.base, trees.head):
            assert (tree.path / "package" / "_version.py").read_text() == "version = 1\n"
        with pytest.raises(UserError, match=r"--prepare failed in base \(exit code 7\): last"):
            run_in_each(trees, "echo first; echo last; exit 7", python)
    assert (repository / "package" / "_version.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize(
    ("suite", "file", "module", "copied"),
    [
        ("speed", "speed.py", "speed", {"speed.py"}),
        ("speed.py", "speed.py", "speed", {"speed.py"}),
        (
            "benchmarks.speed",
            "benchmarks/speed.py",
            "benchmarks.speed",
            {"benchmarks/speed.py", "benchmarks/help.py"},
        ),
        ("my-bench/speed.py", "my-bench/speed.py", "speed", {"speed.py", "help.py"}),
        ("package.speed", "package/speed.py", "speed", {"speed.py"}),
        (
            "benchmarks",
            "benchmarks/__init__.py",
            "benchmarks",
            {"benchmarks/__init__.py", "benchmarks/help.py"},
        ),
    ],
    ids=[
        "module",
        "file",
        "package",
        "folder with a hyphen",
        "inside the package under test",
        "a package itself",
    ],
)
def test_a_suite_may_lie_anywhere(repository, suite, file, module, copied):
    path = repository / file
    path.parent.mkdir(exist_ok=True)
    path.write_text('PACKAGE = "package"\n')
    (path.parent / "help.py").touch()
    with trees_of(repository, suite=suite) as trees:
        assert trees.suite == module
        found = {name for name in names_in(trees.harness) if not name.startswith(("rmsprop/", "gate_"))}
    assert found == copied


@pytest.mark.parametrize("suite", ["nothing", "nothing.py", "../suite.py", "/suite.py", ""])
def test_a_suite_that_is_not_there_says_what_was_expected(repository, suite):
    with (
        pytest.raises(UserError, match="here: expected a module or a "),
        trees_of(repository, suite=suite),
    ):
        pass


def test_a_package_in_a_subfolder_is_measured_from_there(repository):
    inner = repository / "libs" / "inner"
    inner.mkdir(parents=True)
    (inner / "speed.py").touch()
    commit(repository, "a monorepo")
    with trees_of(inner, suite="speed") as trees:
        assert trees.base.path.parts[-2:] == ("libs", "inner")
        assert (trees.base.path / "speed.py").is_file()
    with (
        pytest.raises(UserError, match=r"base \(HEAD~1\) has no folder libs/inner"),
        trees_of(inner, base="HEAD~1", suite="speed"),
    ):
        pass


def test_a_linked_worktree_of_somebody_else_stays(repository, tmp_path):
    git(repository, "worktree", "add", "--detach", str(tmp_path / "theirs"), "HEAD")
    (tmp_path / "theirs").rename(tmp_path / "away")
    before = state(repository)
    with trees_of(repository):
        pass
    assert state(repository) == before


def test_nothing_is_left_behind(repository, tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with suppress(KeyboardInterrupt), trees_of(repository):
        assert [path.name[:12] for path in temporary.iterdir()] == ["rmsprop-gate"]
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def test_without_git_the_gate_says_so(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    with pytest.raises(UserError, match="finds no git; install git"), trees_of(repository):
        pass


def test_what_git_says_of_a_repository_that_it_refuses_is_passed_on(repository):
    (repository / ".git" / "config").write_text("[core\n")
    with pytest.raises(UserError, match="bad config line 1"), trees_of(repository):
        pass


@pytest.mark.parametrize("copies", ["copy", "copy2", "copytree"])
def test_a_disk_that_gets_full_is_one_line_that_says_where(repository, monkeypatch, tmp_path, copies):
    def full(*_given, **_named):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"rmsprop.suite.gate.trees.shutil.{copies}", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with (
        pytest.raises(UserError, match="temporary: No space left on device; free space"),
        trees_of(repository),
    ):
        pass
    assert list((tmp_path / "temporary").iterdir()) == []
