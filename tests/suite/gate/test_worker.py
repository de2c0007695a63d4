"""The process that measures: each request, and what it answers."""

import gc
import json
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from rmsprop.suite.gate import counting, worker
from rmsprop.suite.gate.worker import MOST_STEPS, Worker
from rmsprop.suite.measure import pauses, places

FILE = worker.__file__


@pytest.fixture
def suite(monkeypatch):
    """A suite whose steps take a microsecond by its own clock; `log` holds what it opened and closed."""
    module = ModuleType("a_suite")
    module.log = []

    @contextmanager
    def make(case):
        if case == "skipped":
            raise NotImplementedError("no such device\nand more")
        if case == "broken":
            raise RuntimeError("it is wrong")
        if case == "exits":
            raise SystemExit(3)
        module.log.append(f"open {case}")
        yield lambda steps: steps * {"one": 1e-6, "stands": 0.0}[case]
        module.log.append(f"close {case}")

    module.PACKAGE, module.cases, module.make = None, lambda: ["one", "skipped"], make
    monkeypatch.setitem(sys.modules, "a_suite", module)
    return module


@pytest.fixture(autouse=True)
def beside(monkeypatch):
    """What the gate copies beside the worker."""
    monkeypatch.setitem(sys.modules, "gate_pauses", pauses)
    monkeypatch.setitem(sys.modules, "gate_places", places)


@pytest.fixture
def greeted(suite, tmp_path):
    made = Worker()
    made.hello("a_suite", str(tmp_path))
    yield made
    gc.unfreeze()


def test_hello_tells_versions_and_cases_with_their_families(suite, tmp_path):
    answer = Worker().hello("a_suite", str(tmp_path))
    assert answer["cases"] == [["one", "all", None, False], ["skipped", "all", None, False]]
    assert answer["python"] == ".".join(map(str, sys.version_info[:3]))
    assert set(answer["versions"]) == {"torch", "numpy"}
    suite.family, suite.uncounted, suite.dear = str.upper, lambda case: "why", lambda case: True
    assert Worker().hello("a_suite", str(tmp_path))["cases"][0] == ["one", "ONE", "why", True]


def test_a_package_from_elsewhere_and_a_suite_without_a_part_are_refused(suite, tmp_path):
    suite.PACKAGE = "json"
    with pytest.raises(ImportError, match="the tree has no package json"):
        Worker().hello("a_suite", str(tmp_path))
    del suite.make
    with pytest.raises(AttributeError, match="the suite a_suite has no make"):
        Worker().hello("a_suite", str(tmp_path))


def test_a_case_is_opened_measured_and_closed(greeted, suite):
    opened = greeted.open("one")
    assert opened.keys() == {"seconds", "used"}
    assert greeted.steps(0.003) == {"steps": 3000}
    assert greeted.turn(3000) == {"seconds": pytest.approx(0.003)}
    assert greeted.close() == {}
    assert suite.log == ["open one", "close one"]


def test_a_step_is_counted_and_what_differs_from_step_to_step_is_named(greeted, monkeypatch):
    calls = iter([0, 1, 2, 2, 7, 8, 9, 5])  # the first is of what counting itself imports
    counting = ModuleType("gate_counting")
    counting.count = lambda run: {"python_calls": next(calls), "c_calls": 3}
    monkeypatch.setitem(sys.modules, "gate_counting", counting)
    greeted.open("one")
    stable, unstable = greeted.count(twice=True), greeted.count(twice=True)
    assert stable == {"python_calls": 2, "c_calls": 3, "result": None, "unstable": []}
    assert unstable["unstable"] == ["python_calls"]
    assert greeted.count(twice=False)["python_calls"] == 5


def test_a_step_that_cannot_be_counted_says_why(greeted, monkeypatch):
    monkeypatch.setitem(sys.modules, "gate_counting", counting)
    greeted.open("one")
    greeted.run = None
    assert greeted.count(twice=True) == {"uncounted": "TypeError: 'NoneType' object is not callable"}


def test_a_suite_may_make_a_case_otherwise_where_it_is_only_counted(greeted, suite):
    @contextmanager
    def make_to_count(case):
        suite.log.append(f"count {case}")
        yield lambda steps: None

    suite.make_to_count = make_to_count
    greeted.open("one", timed=False)
    greeted.open("one")
    assert suite.log == ["count one", "open one"]


def test_the_next_case_closes_the_last_one(greeted, suite):
    greeted.open("one")
    greeted.open("one")
    assert suite.log == ["open one", "close one", "open one"]


@pytest.mark.parametrize(
    ("case", "answer"),
    [
        ("skipped", {"skipped": "no such device"}),
        ("broken", {"failed": "RuntimeError: it is wrong (test_worker.py, line {line})"}),
        ("exits", {"failed": "SystemExit: 3 (test_worker.py, line {line})"}),
    ],
)
def test_a_case_that_cannot_be_measured_says_why_and_where(greeted, case, answer):
    lines = Path(__file__).read_text().splitlines()
    raised = next(n for n, text in enumerate(lines, 1) if f'if case == "{case}"' in text) + 1
    given = greeted.open(case)
    assert ("raise" in given.pop("trace", "")) == (case != "skipped")
    assert given == {kind: why.format(line=raised) for kind, why in answer.items()}


def test_a_clock_that_stands_is_an_error(greeted):
    greeted.open("stands")
    with pytest.raises(ValueError, match="which is no time to compare"):
        greeted.turn(10)
    with pytest.raises(ValueError, match=rf"{MOST_STEPS // 10}\d* steps took 0.0 s"):
        greeted.steps(0.003)


def test_what_a_suite_prints_does_not_mix_with_the_answers(tmp_path):
    (tmp_path / "loud.py").write_text(
        "import os\nprint('loud')\nos.system('echo louder')\nPACKAGE = None\nmake = print\n"
        "def cases():\n    print('loudest')\n    return ['a']\n"
    )
    shutil.copy(places.__file__, tmp_path / "gate_places.py")
    requests = [{"do": "hello", "suite": "loud", "tree": "."}, {"do": "steps", "second": 1}]
    answer = subprocess.run(
        [sys.executable, FILE],
        input="".join(json.dumps(request) + "\n" for request in requests),
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    hello, wrong = map(json.loads, answer.stdout.splitlines())
    assert hello["cases"] == [["a", "all", None, False]]
    assert wrong["error"].startswith("TypeError: ")
    assert set(answer.stderr.split()) == {"loud", "louder", "loudest"}


@pytest.mark.slow
def test_a_turn_in_which_the_process_stood_still_is_taken_again(suite, greeted, monkeypatch):
    turns = iter([0.0, 2 * pauses.STILL, 0.0, 0.0])

    @contextmanager
    def make(case):
        yield lambda steps: time.sleep(still := next(turns)) or 1e-6 + still

    monkeypatch.setattr(suite, "make", make)
    greeted.open("one")
    assert greeted.turn(1) == {"seconds": 1e-6}
    assert next(turns, None) == 0.0
