import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from torch import nn

from rmsprop.suite.gate.session import Session
from rmsprop.suite.gate.turns import Launched
from rmsprop.suite.records.gate import GateLaunch
from studies.gate.injection import CALIBRATED, inject, key, slowed, slowed_epochs
from studies.gate.other_tools import read_rivals, slower_by_asv, slower_by_pytest_benchmark
from studies.gate.scores import Scenario, read_study
from studies.gate.study import DESIGNS, _load, change, main

CHECKOUT = Path(__file__).parents[3]


class Counted:
    """A stepper that counts the elements that it was given."""

    elements = 0

    def __init__(self, params, *, lr):
        self.params = params

    def step(self):
        for p in self.params:
            Counted.elements += p.numel()


def taken(how, amount, shapes, steps=200, tuned=None):
    """Elements stepped through for each element of as many steps without the extra work."""
    params = [nn.Parameter(torch.ones(shape)) for shape in shapes]
    for p in params:
        p.grad = torch.ones_like(p)
    stepper = slowed(Counted, how, amount, tuned)(params, lr=0.1)
    Counted.elements = 0
    for _ in range(steps):
        stepper.step()
    return Counted.elements / sum(p.numel() for p in params) / steps


@pytest.mark.parametrize("shapes", [[(5,)], [(10,)] * 1000])
@pytest.mark.parametrize("amount", [0.02, 0.05, 0.2])
def test_extra_passes_are_the_share_of_a_step(shapes, amount):
    assert taken("passes", amount, shapes) == pytest.approx(1 + amount, abs=0.006)


def test_extra_passes_over_a_large_tensor_are_the_share_of_its_elements():
    assert taken("passes", 0.1, [(1_000_000,)]) == pytest.approx(1.1)


def test_a_slowed_implementation_takes_what_it_took():
    assert signature(slowed(Counted, "work", 0.1)) == signature(Counted)


def test_a_list_of_parameters_may_have_an_amount_of_its_own():
    tuned = {key("float32", 10_000, 1000): 0.2, key("float32", 5, 1): 0.5}
    assert taken("passes", 0.1, [(10,)] * 1000, tuned=tuned) == pytest.approx(1.2)
    assert taken("passes", 0.1, [(10,)] * 100, tuned=tuned) == pytest.approx(1.1)


@pytest.mark.parametrize("how", ["work", "offset", "memory"])
def test_other_extra_work_leaves_the_step_alone(how):
    amount = 0.1 if how == "memory" else 1e-6
    assert taken(how, amount, [(1000,)]) == 1.0


@pytest.mark.parametrize(("how", "every"), [("every20", 20), ("every100", 100)])
def test_the_work_of_many_steps_is_done_in_the_last_of_them(monkeypatch, how, every):
    done = []
    monkeypatch.setattr("studies.gate.injection._work", lambda now, seconds: done.append(seconds))
    assert taken(how, 0.05, [(10,)], steps=3 * every) == pytest.approx(1 + CALIBRATED / (3 * every))
    assert len(done) == 3
    assert 0 < done[0] == done[1] == done[2]


def test_the_books_loop_works_on_after_each_batch_for_a_share_of_what_it_took(monkeypatch):
    """A batch takes three seconds of a made-up clock, each look at which takes one hundredth."""
    clock = [0.0]

    def thread_time():
        clock[0] += 0.01
        return clock[0]

    monkeypatch.setattr("studies.gate.injection.time", SimpleNamespace(thread_time=thread_time))
    seen = []

    def epochs(batches, step, eval_loss, num_epochs):
        for X, y in batches * num_epochs:
            step(X, y)
        return eval_loss()

    def step(X, y):
        seen.append((X, y))
        clock[0] += 3

    assert slowed_epochs(epochs, 0.08)([(1, 2), (3, 4)], step, lambda: 0.5, 2) == 0.5
    assert seen == [(1, 2), (3, 4), (1, 2), (3, 4)]
    assert clock[0] == pytest.approx(4 * 3 * 1.08, abs=4 * 0.03)


LOOP_TRAINS = """
import torch
from rmsprop.book.airfoil import load_airfoil
from rmsprop.book import training
from rmsprop.book.programs import MATRIX, program
from dataclasses import replace
rows = load_airfoil("surrogate").to("cpu", torch.float32)
print(training.train(replace(program(MATRIX), num_epochs=1), *rows, 0).loss.hex(), training.train.__module__)
"""


@pytest.mark.slow
def test_a_tree_whose_training_loop_is_slowed_learns_the_same(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(CHECKOUT / "rmsprop", tree / "rmsprop", ignore=shutil.ignore_patterns("__pycache__"))

    def said():
        answer = subprocess.run(
            [sys.executable, "-P", "-c", LOOP_TRAINS],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONPATH": str(tree)},
        )
        return answer.stdout.split()

    loss, module = said()
    inject(tree, "loop", "work", 0.08)
    assert said() == [loss, f"{module}_before_injection"]


STEPS = """
import sys
from importlib import import_module
import torch
from torch import nn
from rmsprop.suite.measure.registry import builtins

params = [nn.Parameter(torch.linspace(-1, 1, 50))]
stepper = builtins()[sys.argv[1]].make(list(params), lr=0.01, alpha=0.9, eps=1e-6)
for step in range(20):
    params[0].grad = torch.full((50,), 0.1 * step)
    stepper.step()
print(isinstance(stepper, torch.optim.Optimizer), params[0].detach().double().tolist())
try:
    injected = import_module("rmsprop.optimizers.injection")
except ModuleNotFoundError:
    print("none")
else:
    print(injected._Passes.taken)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "extra"), [("scratch", 2), ("builtin-loop", 5), ("fused", 5)])
def test_an_injected_tree_does_more_and_is_as_right(tmp_path, name, extra):
    """Half a step more, and for another list of parameters a tenth: twenty steps take ten more, or two."""
    tree = tmp_path / "tree"
    shutil.copytree(CHECKOUT / "rmsprop", tree / "rmsprop", ignore=shutil.ignore_patterns("__pycache__"))

    def said():
        command = [sys.executable, "-P", "-c", STEPS, name]
        environment = os.environ | {"PYTHONPATH": str(tree)}
        answer = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        return answer.stdout.splitlines()

    plain, _ = said()
    inject(tree, name, "passes", 0.5)
    inject(tree, name, "passes", 0.25, {"float32 50 1": 0.1} if name == "scratch" else {"float32 6 1": 0.1})
    assert said() == [plain, str(extra)]


def test_what_other_tools_say_is_read():
    asv = (
        "| Change | Before [0a1b] | After [2c3d] | Ratio | Benchmark (Parameter) |\n"
        "| + | 12.3±0.1μs | 15.0±0.2μs | 1.22 |"
        " steps.Small.time_1000_steps('scratch', 'cpu-float32-6-book-1t') |\n"
        "| - | 12.3±0.1μs | 10.0±0.2μs | 0.81 |"
        " steps.Small.time_1000_steps('fused', 'cpu-float32-6-book-1t') |\n"
    )
    assert slower_by_asv(asv) == ("scratch-cpu-float32-6-book-1t",)
    pytest_benchmark = (
        "Performance has regressed:\n\tbenchmarks/bench_steps.py::test_step[fused-cpu-float32-1e3-single-1t]"
        " (0001_base) - Field 'median' has failed PercentageRegressionCheck: 7.1 > 5.0\n"
    )
    assert slower_by_pytest_benchmark(pytest_benchmark) == ("fused-cpu-float32-1e3-single-1t",)


@pytest.mark.slow
def test_pytest_benchmark_runs_on_two_commits_and_is_stored(tmp_path, capsys):
    tool = ("--tool", "pytest-benchmark", "--how", "offset", "--amount", "5e-5")
    arguments = ("inject", "--implementation", "scratch", *tool, "--results", str(tmp_path))
    assert main([*arguments, "--case", "scratch-cpu-float32-6-book-1t"]) == 0, capsys.readouterr().err
    runs, problems = read_rivals(tmp_path)
    assert problems == []
    # Whether it calls the case slower is up to the clock; what it says is read in the test above.
    assert set(runs[0].slower) <= {"scratch-cpu-float32-6-book-1t"}
    assert (runs[0].scenario, runs[0].tool) == ("inject+scratch+offset+5e-05", "pytest-benchmark")


BOOK = "scratch-cpu-float32-6-book-1t"


def live(results, *arguments):
    """A short live run of one case, as it is read again."""
    assert main([*arguments, "--case", BOOK, "--budget", "4m", "--aim", "10", "--results", str(results)]) == 0
    study, problems = read_study(results)
    assert problems == []
    return study.runs[-1]


class MadeUp(Session):
    """A session whose launches take no time: base takes a third longer than head, by made-up clocks."""

    def launch(self, job):
        draw = random.Random(job.seed)
        sides = {"base": 4e-5, "head": 3e-5} | ({"again": 4e-5} if job.stage == "confirm" else {})
        turns = {
            case: {
                side: [steps * s * draw.gauss(1, 0.002) for _ in range(job.turns)]
                for side, s in sides.items()
            }
            for case, steps in job.steps.items()
        }
        return Launched(GateLaunch(job.stage, job.seed, None, 0.1, None, job.turns), turns, None)


@pytest.mark.slow
def test_a_base_that_does_more_makes_head_faster_and_is_no_alarm(tmp_path, monkeypatch):
    monkeypatch.setitem(DESIGNS, "turns", MadeUp)
    slower = ("--implementation", "scratch", "--how", "offset", "--amount", "5e-5")
    run = live(tmp_path, "swapped", *slower)
    assert (run.scenario.kind, run.design, run.gained) == ("swapped", "turns", True)
    assert run.verdict.outcome != "regression"


def test_the_neighbour_of_a_run_under_load_works_as_long_as_it_runs():
    with _load(wanted=True):
        (neighbour,) = multiprocessing.active_children()
        before = psutil.Process(neighbour.pid).cpu_times().user
        deadline = time.monotonic() + 60
        while psutil.Process(neighbour.pid).cpu_times().user <= before and time.monotonic() < deadline:
            time.sleep(0.1)
        assert psutil.Process(neighbour.pid).cpu_times().user > before
    assert multiprocessing.active_children() == []
    with _load(wanted=False):
        assert multiprocessing.active_children() == []


def test_a_scenario_changes_what_it_says_and_nothing_else(tmp_path):
    change(Scenario("aa"), tmp_path)
    change(Scenario("load"), tmp_path)
    assert list(tmp_path.iterdir()) == []
    change(Scenario("docs"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["NOTES.md"]


def test_other_tools_want_whole_ids(tmp_path, capsys):
    assert main(["aa", "--tool", "asv", "--case", "scratch-*", "--results", str(tmp_path)]) == 2
    assert "whole ids" in capsys.readouterr().err


def test_a_study_without_runs_says_what_to_run(tmp_path, capsys):
    assert main(["resample", "--results", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "the first half of 0 live runs without a change has 0 launches" in error
    assert "run `python -m studies.gate.study aa --runs 10`" in error
