import shutil
import subprocess

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.git import git, git_or_none

GIT = ("git", "-c", "user.name=test", "-c", "user.email=test@example.org")


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    folder.mkdir()
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def test_the_answer_is_what_git_prints(repository):
    head = git(repository, "rev-parse", "HEAD")
    assert len(head) == 40
    assert git(repository, "log", "--format=%H") == head


def test_a_failure_is_one_line_of_git(repository):
    with pytest.raises(UserError, match=r"^git rev-parse: fatal: Needed a single revision$"):
        git(repository, "rev-parse", "--verify", "nonsense")
    assert git_or_none(repository, "rev-parse", "--verify", "nonsense") is None


def test_a_machine_without_git_is_told(repository, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match="install git"):
        git(repository, "status")
    assert git_or_none(repository, "status") is None


def test_inside_a_hook_of_another_repository_the_folder_decides(repository, tmp_path, monkeypatch):
    """git sets GIT_DIR for its hooks; a benchmark that a hook starts asked the hook's repository."""
    other = tmp_path / "other"
    subprocess.run(["git", "init", "-q", str(other)], check=True)
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / "index"))
    assert git(repository, "rev-parse", "HEAD") == head


def test_the_users_configuration_stays(repository, monkeypatch):
    """CI names a safe directory by these."""
    for name, value in (("COUNT", "1"), ("KEY_0", "x.y"), ("VALUE_0", "kept")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert git(repository, "config", "x.y") == "kept"


def test_signatures_are_not_printed_between_the_commits(repository):
    subprocess.run(["git", "config", "log.showSignature", "true"], cwd=repository, check=True)
    assert len(git(repository, "log", "--format=%H").splitlines()) == 1


def test_no_hook_and_no_monitor_of_the_repository_runs(repository, tmp_path):
    program = repository / ".git" / "hooks" / "post-checkout"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n", encoding="utf-8")
    program.chmod(0o755)
    subprocess.run(["git", "config", "core.fsmonitor", str(program)], cwd=repository, check=True)
    git(repository, "worktree", "add", "--detach", str(tmp_path / "tree"), "HEAD")
    git(repository, "status", "--porcelain")
    assert not (tmp_path / "ran").exists()


def test_a_name_that_is_not_utf_8_comes_back_as_the_system_has_it(repository):
    name = b"caf\xe9.txt"
    if shutil.which("touch") is None:
        pytest.skip("no touch")
    subprocess.run([b"touch", name], cwd=repository, check=True)
    listed = git(repository, "ls-files", "-z", "--others").split("\0")
    assert listed[0].encode(errors="surrogateescape") == name


def test_messages_are_english_in_every_locale(tmp_path, monkeypatch):
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(UserError, match="not a git repository"):
        git(tmp_path, "status")
