"""Other people's optimizers, right, wrong and odd: each gets the answer that it deserves, of every runner."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rmsprop.book.programs import MATRIX, program
from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.measure.matrix import cases, others
from rmsprop.suite.measure.point import PointTask, measure_point
from rmsprop.suite.measure.registry import load_optimizer
from tests import authors

CHECKOUT = Path(__file__).parents[3]
LOOP = Case("builtin-loop", "cpu", "float32", "1e3", "single", 1)
HYPER = ", ".join(f"{name} {value:g}" for name, value in program(MATRIX).hyperparameters.items())
EQUAL = f"its first 3 steps equal those of torch.optim.RMSprop with {HYPER}"
DIFFER = (
    "its first 3 steps differ from those of torch.optim.RMSprop and of the book's RMSProp "
    f"(ε inside the root) with {HYPER}"
)
OWN = "but its first 3 steps equal those of torch.optim.RMSprop with lr 0.003, alpha 0.5, eps 1e-08"
HIDDEN = HYPER.replace("lr 0.01", "lr 0.01 (not passed to it)")
GOOD = {
    "Plain": f"no formula is known, but {EQUAL}",
    "Doubled": f"no formula is known, and {DIFFER}",
    "OwnRate": f"no formula is known, {OWN}",
    "RightOwnRate": "checked by the author's reference_step in its first 3 steps",
    "HiddenRate": f"{DIFFER.removesuffix(HYPER)}{HIDDEN}",
    "Clamped": f"no formula is known, but {EQUAL}",
    "Right": "checked by the author's reference_step in its first 3 steps",
    "Forwarding": "checked by the author's reference_step in its first 3 steps",
    "ForwardingButOne": "checked by the author's reference_step in its first 3 steps",
    "ForgetsLater": "checked by the author's reference_step in its first 3 steps",
    "PlainForwarding": EQUAL,
    "IllConditioned": "ill-conditioned, right in float64 and off by",
    "NeedsClosure": EQUAL,
    "factory": EQUAL,
    "factory_with_kwargs": OWN,
    "factory_of_closures": "checked against itself in float64",
}
"""Those that get a time, and what is said of the check."""
BAD = {
    "Wrong": f"wrong also in float64, by the author's reference_step with {HYPER}: relative error",
    "WrongInFloat32": "right in float64, wrong in float32: tensor 0, element",
    "NotFinite": "found nan, expected a finite number",
    "ConstructorRaises": "no such rate",
    "StepRaises": "no luck today",
    "Idle": "no parameter has moved",
}
"""Those that get none, and why."""
REFUSED = {
    "tests.authors:NoOptimizer": "no torch.optim.Optimizer subclass",
    "tests.authors:number": "no torch.optim.Optimizer subclass",
    "tests.authors:Unknown": "cannot be imported",
    "nowhere:Nothing": "cannot be imported",
}
"""Those that are refused before anything is measured."""


@pytest.mark.parametrize("name", [*GOOD, *BAD])
def test_the_bench_measures_it_or_says_why_not_and_measures_the_others(name):
    theirs = replace(LOOP, implementation=f"tests.authors:{name}")
    part, loop = measure_point(PointTask((theirs, LOOP), 0.01, None, 0, False)).parts
    assert (part.ended or ("measured",))[0] == ("measured" if name in GOOD else "failed")
    assert (GOOD | BAD)[name] in (part.ended[1] if part.ended else "; ".join(part.notes))
    assert bool(part.trace) == (name in BAD)
    assert loop.ended is None
    assert len(loop.seconds) >= 5


@pytest.mark.parametrize("name", ["ConstructorRaises", "StepRaises"])
def test_an_error_names_the_line_of_the_author(name):
    theirs = replace(LOOP, implementation=f"tests.authors:{name}")
    [part] = measure_point(PointTask((theirs,), 0.01, None, 0, False)).parts
    line = 1 + next(
        number
        for number, text in enumerate((CHECKOUT / "tests" / "authors.py").read_text().splitlines())
        if "raise" in text and BAD[name] in text
    )
    assert part.ended[1].endswith(f"{BAD[name]} (authors.py, line {line})")


class RaisesLater(authors.Right):
    """Once it is checked and warm."""

    taken = 0

    def step(self, closure=None):
        self.taken += 1
        if self.taken > 20:
            raise ValueError("late")
        super().step()


def test_an_error_in_a_timed_step_keeps_its_type_and_its_line(monkeypatch):
    monkeypatch.setattr(authors, "Late", RaisesLater, raising=False)
    theirs = replace(LOOP, implementation="tests.authors:Late")
    [part] = measure_point(PointTask((theirs,), 0.01, None, 0, False)).parts
    assert re.fullmatch(r"ValueError: late \(test_authors\.py, line \d+\)", part.ended[1])


@pytest.mark.parametrize("spec", REFUSED)
def test_what_is_none_is_refused(spec):
    with pytest.raises(UserError, match=REFUSED[spec]):
        load_optimizer(spec)


def test_the_variable_names_optimizers_for_what_has_no_option(monkeypatch):
    monkeypatch.setenv("RMSPROP_OPTIMIZERS", "tests.authors:Right tests.authors:factory")
    assert others()[-2:] == ["tests.authors:Right", "tests.authors:factory"]
    listed = cases("smoke", others=others())
    assert {"tests.authors:Right", "tests.authors:factory"} <= {case.implementation for case in listed}


def in_the_checkout(*command, names=()):
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        check=False,
        cwd=CHECKOUT,
        env=os.environ | {"RMSPROP_OPTIMIZERS": " ".join(f"tests.authors:{name}" for name in names)},
    )


@pytest.mark.slow
def test_pytest_benchmark_measures_the_good_ones_and_fails_the_bad_ones(tmp_path):
    options = [f"--optimizer=tests.authors:{name}" for name in (*GOOD, *BAD)]
    done = in_the_checkout(
        *("-m", "pytest", "benchmarks/bench_steps.py", "-rA", "--size=1e3", "--device=cpu"),
        *(f"--benchmark-storage=file://{tmp_path}", "--benchmark-min-rounds=2", "--benchmark-max-time=0.01"),
        *("--implementation=builtin-loop", *options),
    )
    [file] = tmp_path.rglob("*.json")
    measured = {one["extra_info"]["implementation"] for one in json.loads(file.read_text())["benchmarks"]}
    assert measured == {"builtin-loop", *(f"tests.authors:{name}" for name in GOOD)}
    for name, reason in BAD.items():
        assert f"FAILED benchmarks/bench_steps.py::test_step[tests.authors:{name}-" in done.stdout
        assert reason in done.stdout
    assert done.returncode == 1


@pytest.mark.slow
def test_pytest_benchmark_refuses_what_is_none():
    for spec, reason in REFUSED.items():
        done = in_the_checkout("-m", "pytest", "benchmarks", "--collect-only", f"--optimizer={spec}")
        assert done.returncode == 4
        assert reason in done.stderr


EACH = """
import json, sys
from {module} import {given}

answers = {{}}
for name in {names!r}:
    try:
        {body}
        answers[name] = None
    except BaseException as error:
        answers[name] = str(error)
print(json.dumps(answers))
"""
POINT = "cpu-float32-1e3-single-1t"
RUNNERS = {
    "asv": (
        "benchmarks.steps",
        "Small",
        "one = Small(); a = f'tests.authors:{name}', POINT; one.setup(*a); one.time_step(*a)",
    ),
    "gate": (
        "benchmarks.suite",
        "cases, make",
        "case = f'tests.authors:{name}-{POINT}'; assert case in cases(); "
        "context = make(case); context.__enter__()(10)",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("runner", RUNNERS)
def test_asvs_classes_and_the_gates_suite_time_the_good_ones_and_say_why_not_of_the_bad_ones(runner):
    module, given, body = RUNNERS[runner]
    names = (*GOOD, *BAD)
    program = f"POINT = {POINT!r}\n" + EACH.format(module=module, given=given, names=names, body=body)
    done = in_the_checkout("-c", program, names=names)
    answers = json.loads(done.stdout.splitlines()[-1])
    assert {name: answers[name] for name in GOOD} == dict.fromkeys(GOOD)
    for name, reason in BAD.items():
        assert reason in answers[name]


@pytest.mark.slow
def test_asv_names_what_cannot_be_measured():
    module, given, body = RUNNERS["asv"]
    names = ("NoOptimizer", "number", "Unknown")
    program = f"POINT = {POINT!r}\n" + EACH.format(module=module, given=given, names=names, body=body)
    answers = json.loads(in_the_checkout("-c", program, names=names).stdout.splitlines()[-1])
    for name, said in answers.items():
        assert REFUSED[f"tests.authors:{name}"] in said


@pytest.mark.slow
@pytest.mark.parametrize("name", ["NoOptimizer", "Unknown"])
def test_the_gate_refuses_what_is_none_before_anything_is_measured(name):
    done = in_the_checkout("-m", "rmsprop", "gate", "--base", "HEAD", "--case", "scratch-*", names=(name,))
    assert done.returncode == 2
    [said] = (line for line in done.stderr.splitlines() if line.startswith("rmsprop: "))
    assert re.match(r"rmsprop: nothing can be measured: (base|head): (optimizer )?'tests\.authors", said)
    assert REFUSED[f"tests.authors:{name}"] in said
