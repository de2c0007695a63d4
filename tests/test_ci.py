"""What the workflows run: each step is a script of .ci/, and each script does what its workflow needs."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.repositories import CHECKOUT, GIT, commit, make_repository, write_mine

WORKFLOWS = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
SLOWER = ["--suite", "speed", "--budget", "5m", "--aim", "20%"]


def steps_of(path):
    """The scripts of a workflow's or an action's steps."""
    content = yaml.safe_load(path.read_text())
    jobs = [content["runs"]] if "runs" in content else content["jobs"].values()
    return [step["run"].strip() for job in jobs for step in job["steps"] if "run" in step]


def script(name, *arguments, cwd, path=None, **environment):
    """Run `.ci/name`, copied to where it is run, in an environment of its own."""
    (cwd / ".ci").mkdir(exist_ok=True)
    shutil.copy(CHECKOUT / ".ci" / name, cwd / ".ci")
    ours = fake(cwd.parent / "ours", "rmsprop", f'exec "{sys.executable}" -m rmsprop "$@"')
    found = [str(path)] if path else []
    path = os.pathsep.join([*found, str(ours), str(Path(sys.executable).parent), os.environ["PATH"]])
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    return subprocess.run(
        ["bash", f".ci/{name}", *arguments],
        cwd=cwd,
        env={**inherited, "PATH": path, "PYTHONPATH": str(CHECKOUT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def fake(folder, name, body):
    """A command of that name, which notes how it was called in calls.txt beside it."""
    folder.mkdir(exist_ok=True)
    command = folder / name
    command.write_text(f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls.txt"\n{body}\n')
    command.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Somebody's repository with a suite of its own, whose last commit takes a third longer."""
    folder = make_repository(tmp_path_factory.mktemp("somewhere") / "theirs")
    with (folder / ".gitignore").open("a") as ignored:
        ignored.write(".ci/\ngate/\n")
    write_mine(folder, heavy=2e-4 * 4 / 3)
    commit(folder, "a third longer")
    return folder


@pytest.mark.parametrize("path", [*WORKFLOWS, CHECKOUT / "action.yml"], ids=lambda path: path.name)
def test_each_step_installs_or_runs_a_script_that_is_tested_here(path):
    tested = {"run", "gate", "comment", "history", "action", "audit"}
    for step in steps_of(path):
        installs = re.compile(r'(\S+/)?python"? -m (pip install|venv) ')
        lines = [line for line in step.splitlines() if not installs.search(line)]
        scripts = re.findall(
            r'^(?:(?:RMSPROP|AUDIT)=\S+ )?bash (?:"\$ACTION/)?\.ci/(\w+)', "\n".join(lines), re.MULTILINE
        )
        data = path.name == "tests.yml" and "load_airfoil" in step  # the loader has tests of its own
        assert data or set(scripts) <= tested, step
        assert data or len(lines) == len(scripts), step


@pytest.mark.slow
def test_a_slowdown_fails_the_gates_step_and_leaves_a_comment(repository):
    answer = script("gate", "HEAD~1", *SLOWER, cwd=repository, PULL_REQUEST="17")
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "::error" in answer.stdout
    assert "heavy" in (repository / "gate" / "comment.md").read_text().splitlines()[0]
    assert (repository / "gate" / "pull-request").read_text() == "17\n"
    assert list((repository / "results" / "gate").rglob("*.json"))


@pytest.mark.slow
def test_a_revision_that_is_not_there_fails_the_step_and_the_comment_says_so(tmp_path):
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, check=True)
    answer = script("gate", "nowhere", *SLOWER, cwd=tmp_path)
    assert answer.returncode == 2
    assert "Traceback" not in answer.stderr
    assert "The measurement failed" in (tmp_path / "gate" / "comment.md").read_text()


def test_a_gate_that_dies_does_not_leave_the_former_comment_standing(tmp_path):
    subprocess.run([*GIT, "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "summary.md").touch()  # as GitHub makes it before the step
    commands = fake(tmp_path / "bin", "rmsprop", "exit 2")
    answer = script(
        "gate", "HEAD", cwd=tmp_path, path=commands, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md")
    )
    assert answer.returncode == 2
    assert "The gate gave no answer" in (tmp_path / "gate" / "comment.md").read_text()


@pytest.fixture
def downloaded(tmp_path):
    """What a run of the gate left, unpacked."""
    folder = tmp_path / "downloaded" / "gate"
    folder.mkdir(parents=True)
    (folder / "comment.md").write_text("fine")
    (folder / "pull-request").write_text("17\n")
    return folder


def comment(tmp_path, former=""):
    """What `.ci/comment` asked of GitHub, where that comment is there."""
    commands = fake(
        tmp_path / "bin", "gh", f"case $2 in view) echo abc;; */17/comments) echo {former};; esac"
    )
    answer = script(
        "comment", "downloaded", cwd=tmp_path, path=commands, GITHUB_REPOSITORY="me/mine", HEAD_SHA="abc"
    )
    assert answer.returncode == 0, answer.stderr
    calls = commands / "calls.txt"
    return calls.read_text() if calls.exists() else ""


def test_the_comment_goes_to_the_pull_request_of_the_run(tmp_path, downloaded):
    calls = comment(tmp_path)
    posted = (
        "gh api --method POST repos/me/mine/issues/17/comments --raw-field body=<!-- rmsprop gate -->\nfine"
    )
    assert posted in calls
    assert "PATCH" not in calls
    assert '.user.type == "Bot" and (.body | startswith("<!-- rmsprop gate -->"))' in calls


def test_the_comment_of_an_earlier_run_is_renewed(tmp_path, downloaded):
    calls = comment(tmp_path, former="5")
    assert "gh api --method PATCH repos/me/mine/issues/comments/5 --raw-field body=" in calls
    assert "POST" not in calls


def test_a_comment_is_no_longer_than_github_takes(tmp_path, downloaded):
    (downloaded / "comment.md").write_text("e" + "é" * 65_536)
    calls = comment(tmp_path)
    assert 32_000 < calls.count("é") <= 32_500


def test_another_pull_request_than_the_runs_is_not_commented_on(tmp_path, downloaded):
    commands = fake(tmp_path / "bin", "gh", "case $2 in view) echo other;; esac")
    answer = script(
        "comment", "downloaded", cwd=tmp_path, path=commands, GITHUB_REPOSITORY="me/mine", HEAD_SHA="abc"
    )
    assert answer.returncode == 0
    assert [call.split()[:3] for call in (commands / "calls.txt").read_text().splitlines()] == [
        ["gh", "pr", "view"]
    ]


@pytest.mark.parametrize("number", ["", "17; rm -rf /", "17 --repo other/other", "$(id)"])
def test_what_is_no_number_is_not_commented_on(tmp_path, downloaded, number):
    (downloaded / "pull-request").write_text(number + "\n")
    assert comment(tmp_path) == ""


@pytest.mark.parametrize("name", ["pull-request", "comment.md"])
def test_a_link_to_another_file_is_not_commented(tmp_path, downloaded, name):
    (tmp_path / "secret").write_text("17\n")
    (downloaded / name).unlink()
    (downloaded / name).symlink_to(tmp_path / "secret")
    assert comment(tmp_path) == ""


def test_a_pipe_does_not_hang_the_comment(tmp_path, downloaded):
    (downloaded / "comment.md").unlink()
    os.mkfifo(downloaded / "comment.md")
    assert comment(tmp_path) == ""


@pytest.mark.parametrize("path", [*WORKFLOWS, CHECKOUT / "action.yml"], ids=lambda path: path.name)
def test_actions_are_pinned_by_commit_and_leave_no_credentials(path):
    content = yaml.safe_load(path.read_text())
    jobs = [content["runs"]] if "runs" in content else content["jobs"].values()
    used = [step for job in jobs for step in job["steps"] if "uses" in step]
    assert used
    for step in used:
        assert re.fullmatch(r"actions/[\w/-]+@[0-9a-f]{40}", step["uses"])
        if step["uses"].startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_each_known_security_fault_is_a_warning_of_a_step_that_fails_no_run(tmp_path):
    lock = "constraints.txt"
    (tmp_path / lock).touch()
    commands = fake(tmp_path / "bin", "pip-audit", f'case $2 in {lock}) echo "x 1 CVE-1"; exit 1;; esac')
    answer = script("audit", cwd=tmp_path, path=commands)
    assert answer.returncode == 1
    assert "::warning title=pip-audit::constraints.txt" in answer.stdout
    assert "x 1 CVE-1" in answer.stdout
    assert answer.stdout.count("::warning") == 1
    calls = (commands / "calls.txt").read_text()
    assert all(
        f"--requirement {one} " in calls for one in (lock, ".ci/judging-lock.txt", ".ci/audit-lock.txt")
    )
    jobs = yaml.safe_load((CHECKOUT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    [step] = [step for step in jobs["audit"]["steps"] if "run" in step]
    assert step["continue-on-error"] is True


LOADED = """
import importlib.metadata, importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "torch" else found(name, package)
import rmsprop.suite.cli.main, rmsprop.suite.cli.gate
from rmsprop.suite.measure.capture import capture_environment
capture_environment()
assert "torch" not in sys.modules
files = importlib.metadata.packages_distributions()
print(*sorted({one for module in sys.modules if "." not in module for one in files.get(module, ())}))
"""


@pytest.mark.slow
def test_what_judges_needs_no_torch_and_only_what_the_action_installs():
    answer = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    named = (CHECKOUT / ".ci" / "judging.txt").read_text().splitlines()
    installed = {name for name in named if not name.startswith("#")}
    required = {
        re.split(r"[^\w-]", requirement)[0].replace("_", "-")
        for name in installed
        for requirement in importlib.metadata.requires(name) or ()
        if "extra ==" not in requirement
    }
    loaded = {name.replace("_", "-") for name in answer.stdout.split()}
    ours = {"rmsprop-bench", "setuptools", "pip", "charset-normalizer"}  # taken where it is there, not needed
    assert installed <= loaded
    second = {re.split(r"[^\w-]", one)[0] for name in required for one in _requires(name)}
    assert loaded - installed - ours <= required | second


def _requires(name):
    try:
        return importlib.metadata.requires(name) or ()
    except importlib.metadata.PackageNotFoundError:
        return ()


def test_what_a_fork_leaves_is_unpacked_beside_the_checkout():
    text = (CHECKOUT / ".github" / "workflows" / "gate-comment.yml").read_text()
    assert "path: ${{ runner.temp }}/downloaded" in text
    assert 'bash .ci/comment "$RUNNER_TEMP/downloaded"' in text


def history(folder, gate=0, alerts=0, *, asv=True):
    """What `.ci/history` exits with in a repository of six commits, and what it called."""
    if not (folder / ".git").exists():
        subprocess.run([*GIT, "init", "-q"], cwd=folder, check=True)
        for number in range(6):
            subprocess.run([*GIT, "commit", "-q", "--allow-empty", "-m", str(number)], cwd=folder, check=True)
    body = f"case $1 in machine) echo here;; gate) exit {gate};; alerts) exit {alerts};; esac"
    measured = "mkdir -p results/asv/here; touch results/asv/here/$(git rev-parse HEAD | cut -c 1-8)-env.json"
    commands = fake(fake(folder / "bin", "rmsprop", body), "asv", measured if asv else "[ $1 != run ]")
    answer = script("history", cwd=folder, path=commands)
    return answer, (commands / "calls.txt").read_text().splitlines()


@pytest.mark.parametrize(
    ("gate", "alerts", "code"), [(0, 0, 0), (0, 3, 0), (3, 0, 0), (1, 0, 1), (0, 1, 1), (2, 0, 2), (1, 2, 2)]
)
def test_the_history_is_published_whatever_it_says_and_then_fails_for_a_slowdown(
    tmp_path, gate, alerts, code
):
    answer, calls = history(tmp_path, gate, alerts)
    assert answer.returncode == code, answer.stdout + answer.stderr
    assert [call.split()[:2] for call in calls] == [
        ["rmsprop", "machine"],
        ["asv", "run"],
        *[["rmsprop", "gate"]] * 4,
        ["asv", "publish"],
        ["rmsprop", "alerts"],
        ["rmsprop", "report"],
    ]
    assert "--machine here" in calls[1]
    assert calls[1].endswith("NEW")


def test_an_asv_that_measured_nothing_fails_the_history_after_all_else(tmp_path):
    answer, calls = history(tmp_path, asv=False)
    assert answer.returncode == 2
    assert "asv left no results" in answer.stdout
    assert calls[-1].startswith("rmsprop report")


def test_each_new_commit_is_gated_against_its_parent_once(tmp_path):
    _, calls = history(tmp_path)
    log = subprocess.run([*GIT, "rev-list", "HEAD"], cwd=tmp_path, capture_output=True, text=True, check=True)
    newest = log.stdout.split()
    gated = [call.split()[2:6] for call in calls if " gate " in call]
    assert gated == [["--base", f"{commit}~1", "--head", commit] for commit in reversed(newest[:4])]

    record = tmp_path / "results" / "gate" / "here" / f"20261123T000000Z-{newest[2][:9]}-{newest[1][:9]}.json"
    record.parent.mkdir(parents=True)
    record.touch()
    (tmp_path / "bin" / "calls.txt").unlink()
    _, calls = history(tmp_path)
    assert [call.split()[5] for call in calls if " gate " in call] == [newest[0]]


@pytest.mark.slow
def test_the_action_gates_somebody_elses_repository(repository, tmp_path):
    output = tmp_path / "output"
    answer = script(
        "action",
        cwd=repository,
        BASE="HEAD~1",
        SUITE="speed",
        BUDGET="5m",
        GITHUB_OUTPUT=str(output),
        RUNNER_TEMP=str(tmp_path),
        PULL_REQUEST="17",
    )
    assert answer.returncode == 1, answer.stdout + answer.stderr
    assert "::error title=Regression gate::Slower: heavy" in answer.stdout
    assert output.read_text().startswith("code=1\ncomment=")
    assert "Slower: heavy" in (tmp_path / "rmsprop-gate" / "gate" / "comment.md").read_text()
    assert (tmp_path / "rmsprop-gate" / "gate" / "pull-request").read_text() == "17\n"


@pytest.mark.parametrize("python", ["no-such-python", "bin/python"])
def test_the_action_takes_an_interpreter_relative_to_its_folder(repository, tmp_path, python):
    seen = fake(tmp_path / "bin", "rmsprop", "exit 0")
    output = tmp_path / "output"
    if python == "bin/python":
        fake(repository / "bin", "python", "exit 0")
    answer = script(
        "action",
        cwd=repository,
        path=seen,
        PYTHON=python,
        BASE="HEAD~1",
        SUITE="speed",
        BUDGET="5m",
        GITHUB_OUTPUT=str(output),
        RUNNER_TEMP=str(tmp_path),
        RMSPROP=str(seen / "rmsprop"),
    )
    if python == "bin/python":
        assert answer.returncode == 0, answer.stderr
        assert f"--base-python {repository}/bin/python" in (seen / "calls.txt").read_text()
        shutil.rmtree(repository / "bin")
    else:
        assert answer.returncode == 2
        assert "there is no interpreter no-such-python" in answer.stdout


def test_the_history_gates_against_the_last_release_too(tmp_path):
    history(tmp_path)
    subprocess.run([*GIT, "tag", "v1", "HEAD~3"], cwd=tmp_path, check=True)
    (tmp_path / "bin" / "calls.txt").unlink()
    _, calls = history(tmp_path)
    assert [call.split()[3] for call in calls if " gate " in call][-1] == "v1"
