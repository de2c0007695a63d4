"""Other tools on the same two commits as the gate's study: `asv continuous`, pytest-benchmark's comparison.

Each runs as its own documentation has it, in a throw-away repository whose second commit a scenario changed.
What it called slower is stored in studies/results/gate-rivals/<scenario>/<tool>/.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.environment import Environment
from rmsprop.suite.records.files import Problem, read_folder, read_json, write_atomically

FOLDER = "gate-rivals"
FILES = ("asv.conf.json", "pyproject.toml", "README.md", "LICENSE", "constraints.txt")
GIT = ("git", "-c", "user.name=study", "-c", "user.email=study@example.org")
PYTEST_LIMIT = "median:5%"

Tool = Literal["asv", "asv-interleaved", "pytest-benchmark"]
"""asv-interleaved is `asv continuous --interleave-rounds`."""


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class RivalRun:
    """One run of another tool."""

    environment: Environment
    """Of this process, before the tool ran."""
    scenario: str
    """Its name, as of the gate's runs."""
    tool: Tool
    """Which one, and how it was asked."""
    command: str
    """The one that compares, without the cases."""
    code: int
    """Exit code of the command that compares."""
    slower: tuple[str, ...]
    """Ids of the cases that it called slower."""
    seconds: float
    """Of measuring and comparing; asv's environment was made before."""
    kind: Literal["gate-rival"] = "gate-rival"
    """Which kind of record it is."""
    schema: int = 1
    """Of that kind of record."""


_RUN = TypeAdapter(RivalRun)


def run_rival(
    tool: Tool,
    folder: Path,
    scenario: str,
    change: Callable[[Path], None],
    cases: Sequence[str],
    results: Path,
) -> tuple[RivalRun, Path]:
    """Compare the checkout at `folder` with what `change` makes of it, as two commits; stored."""
    environment = capture_environment()
    with tempfile.TemporaryDirectory(prefix="rmsprop-rival-") as work:
        repository = _repository(folder, Path(work) / "repository", change)
        tools: dict[Tool, tuple[Callable[[Path], None], Callable[..., tuple[str, int, str]]]] = {
            "asv": (_prepare_asv, _asv),
            "asv-interleaved": (_prepare_asv, partial(_asv, interleave=True)),
            "pytest-benchmark": (lambda _: None, _pytest_benchmark),
        }
        prepare, compare = tools[tool]
        prepare(repository)  # an environment with torch, which is kept from run to run elsewhere
        begun = time.monotonic()
        command, code, said = compare(repository, cases)
        seconds = round(time.monotonic() - begun, 1)
    slower = slower_by_pytest_benchmark(said) if tool == "pytest-benchmark" else slower_by_asv(said)
    if code not in (0, 1) or (code == 1 and not slower):
        raise UserError(f"{tool} failed with exit code {code}: {said.strip()[-500:]}")
    run = RivalRun(environment, scenario, tool, command, code, slower, seconds)
    stamp = environment.started[:19].replace("-", "").replace(":", "")
    path = results / FOLDER / scenario / tool / f"{stamp}-{environment.machine}.json"
    write_atomically(path, _RUN.dump_json(run).decode() + "\n")
    return run, path


def read_rivals(results: Path) -> tuple[list[RivalRun], list[Problem]]:
    """All runs of other tools, and the files that are none."""
    return read_folder(results / FOLDER, lambda path: _RUN.validate_python(read_json(path)))


def slower_by_asv(said: str) -> tuple[str, ...]:
    """The cases of the rows that `asv continuous` marks with a plus."""
    rows = re.findall(r"^\|\s*\+\s*\|.*?\('([^']+)', '([^']+)'\)\s*\|$", said, re.MULTILINE)
    return tuple(f"{implementation}-{point}" for implementation, point in rows)


def slower_by_pytest_benchmark(said: str) -> tuple[str, ...]:
    """The cases that pytest-benchmark says have regressed."""
    return tuple(re.findall(r"test_step\[([^\]]+)\][^\n]*has failed \w+RegressionCheck", said))


def _repository(folder: Path, repository: Path, change: Callable[[Path], None]) -> Path:
    repository.mkdir()
    for name in ("rmsprop", "benchmarks"):
        shutil.copytree(folder / name, repository / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        if (folder / name).is_file():
            shutil.copy(folder / name, repository)
    _must(repository, *GIT, "init", "-q", "-b", "main")
    for message in ("base", "head"):
        if message == "head":
            change(repository)
        _must(repository, *GIT, "add", "-A")
        _must(repository, *GIT, "commit", "-q", "--allow-empty", "-m", message)
    return repository


def _prepare_asv(repository: Path) -> None:
    _must(repository, sys.executable, "-m", "rmsprop", "machine", "--asv", HOME=str(repository))
    # It exits with its list of environments, which is code 1; without one `continuous` fails and says why.
    _run(repository, sys.executable, "-m", "asv", "setup", HOME=str(repository))


def _asv(repository: Path, cases: Sequence[str], interleave: bool = False) -> tuple[str, int, str]:
    parameters = (f"('{case.implementation}', '{case.point}')" for case in map(Case.parse, cases))
    chosen = "|".join(map(re.escape, parameters))
    options = ("--factor", "1.1", *(["--interleave-rounds"] if interleave else []))
    bench = ("--bench", f"steps.*time.*({chosen})")
    command = ("continuous", *options, *bench, "HEAD~1", "HEAD")
    code, said = _run(repository, sys.executable, "-m", "asv", *command, HOME=str(repository))
    return f"asv continuous {' '.join(options)} HEAD~1 HEAD", code, said


def _pytest_benchmark(repository: Path, cases: Sequence[str]) -> tuple[str, int, str]:
    names = [f"benchmarks/bench_steps.py::test_step[{case}]" for case in cases]
    storage = f"--benchmark-storage=file://{repository}/stored"
    pytest = (sys.executable, "-m", "pytest", "-q", *names, storage, "-p", "no:cacheprovider")
    _must(repository, "git", "checkout", "-q", "HEAD~1")
    _must(repository, *pytest, "--benchmark-save=base")
    _must(repository, "git", "checkout", "-q", "main")
    compare = ("--benchmark-compare=0001", f"--benchmark-compare-fail={PYTEST_LIMIT}")
    code, said = _run(repository, *pytest, *compare)
    return f"pytest {' '.join(compare)}", code, said


def _run(folder: Path, *command: str, **environment: str) -> tuple[int, str]:
    answer = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=os.environ | environment
    )
    return answer.returncode, answer.stdout + answer.stderr


def _must(folder: Path, *command: str, **environment: str) -> None:
    code, said = _run(folder, *command, **environment)
    if code:
        raise UserError(f"{' '.join(command[:4])} failed: {said.strip()[-500:]}")
