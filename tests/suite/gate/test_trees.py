import shutil
import subprocess

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.gate.trees import _worktrees_removed, prepared_trees

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder, *arguments):
    return subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "__init__.py").touch()
    (folder / "suite.py").touch()
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_a_worktree_whose_making_was_cut_short_is_removed_too(repository, tmp_path):
    work = tmp_path / "work"
    with _worktrees_removed(repository, work):
        # git locks one while it makes it
        git(repository, "worktree", "add", "--lock", "--detach", str(work / "base"), "HEAD")
        (work / "base" / ".git").unlink()
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert not work.exists()


def test_a_worktree_of_somebody_else_whose_disk_is_away_is_not_forgotten(repository, tmp_path):
    git(repository, "worktree", "add", "--detach", str(tmp_path / "theirs"), "HEAD")
    shutil.move(tmp_path / "theirs", tmp_path / "away")
    with prepared_trees(repository, {"base": "HEAD", "head": None}, "suite"):
        pass
    assert [line.split()[0] for line in git(repository, "worktree", "list").splitlines()] == [
        str(repository),
        str(tmp_path / "theirs"),
    ]


def test_a_link_to_a_folder_is_in_a_copy_of_the_working_tree_as_in_a_worktree(repository):
    (repository / "link").symlink_to("package", target_is_directory=True)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "a link")
    with prepared_trees(repository, {"base": "HEAD", "head": None}, "suite") as trees:
        assert (trees.base.path / "link" / "__init__.py").is_file()
        assert (trees.head.path / "link" / "__init__.py").is_file()


def test_without_git_the_gate_says_so(repository, monkeypatch):
    monkeypatch.setenv("PATH", str(repository))
    with (
        pytest.raises(UserError, match="finds no git; install git"),
        prepared_trees(repository, {"base": None, "head": None}, "suite"),
    ):
        pass


def test_what_git_says_of_a_repository_that_it_refuses_is_passed_on(repository):
    (repository / ".git" / "config").write_text("[core\n")
    with pytest.raises(UserError, match="bad config line 1"):
        prepared_trees(repository, {"base": None, "head": None}, "suite").__enter__()
