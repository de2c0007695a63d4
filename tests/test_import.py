"""`import rmsprop` costs nothing beyond its names, and needs nothing of the extra `suite`."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
MODULES = {"py-cpuinfo2": "cpuinfo", "platformdirs": "platformdirs"}

BEYOND_TORCH = """
import sys, torch, platformdirs
before = set(sys.modules)
import rmsprop
rmsprop.FusedRMSprop, rmsprop.init_rmsprop_states
print(*sorted(set(sys.modules) - before))
"""

LIGHT = """
import json, sys

for name in json.loads(sys.argv[1]):
    sys.modules[name] = None  # as if it were not installed

import torch
from rmsprop import FusedRMSprop
from rmsprop.book.airfoil import load_airfoil
import rmsprop.book.ensemble, rmsprop.book.training, rmsprop.book.trajectory

p = torch.nn.Parameter(torch.ones(3))
p.grad = torch.ones(3)
FusedRMSprop([p], lr=0.1).step()
print(load_airfoil("surrogate").source, float(p[0]))
"""


def run(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def distribution(requirement):
    """The name in a requirement such as `torch>=2.6`."""
    return requirement.partition(">")[0].partition("[")[0]


def beyond_the_standard_library(modules):
    return {module for module in modules if module.split(".")[0] not in sys.stdlib_module_names}


def test_importing_the_package_loads_nothing_else():
    program = (
        "import sys; before = set(sys.modules); import rmsprop; print(*sorted(set(sys.modules) - before))"
    )
    assert beyond_the_standard_library(run(program)) == {"rmsprop"}


@pytest.mark.slow
def test_its_names_load_torch_and_the_package_alone():
    loaded = beyond_the_standard_library(run(BEYOND_TORCH))
    assert {"rmsprop.optimizers.scratch", "rmsprop.optimizers.fused.optimizer"} <= loaded
    assert {module.split(".")[0] for module in loaded} == {"rmsprop"}


@pytest.mark.slow
def test_the_distribution_alone_takes_steps_and_has_the_programs_of_the_book():
    light = {distribution(requirement) for requirement in PROJECT["dependencies"]}
    assert light == {"torch", "numpy", "ninja", "platformdirs"}
    suite = {distribution(requirement) for requirement in PROJECT["optional-dependencies"]["suite"]}
    absent = [MODULES.get(name, name) for name in suite - {"jinja2"}]  # torch itself needs jinja2
    source, updated = run(LIGHT, json.dumps(absent))
    assert source == "surrogate"
    assert float(updated) < 1


def test_the_command_line_shows_its_help_without_loading_torch():
    assert run(
        "import sys, rmsprop.suite.cli.main; print('torch' in sys.modules, 'pandas' in sys.modules)"
    ) == ["False", "False"]
