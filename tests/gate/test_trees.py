import subprocess

from rmsprop.gate.trees import _worktrees_removed

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")


def git(folder, *arguments):
    return subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_worktree_whose_making_was_cut_short_is_removed_too(tmp_path):
    repository, work = tmp_path / "repository", tmp_path / "work"
    repository.mkdir()
    git(repository, "init", "-q")
    git(repository, "commit", "-q", "--allow-empty", "-m", "first")
    with _worktrees_removed(repository, work):
        # git locks one while it makes it
        git(repository, "worktree", "add", "--lock", "--detach", str(work / "base"), "HEAD")
        (work / "base" / ".git").unlink()
    assert len(git(repository, "worktree", "list").splitlines()) == 1
    assert not work.exists()
