"""`import rmsprop` costs no more than importing torch."""

import subprocess
import sys

BEYOND_TORCH = """
import sys, torch
before = set(sys.modules)
import rmsprop
rmsprop.init_rmsprop_states
print(*sorted(set(sys.modules) - before))
"""


def test_importing_the_package_and_using_it_loads_nothing_beyond_torch_and_itself():
    answer = subprocess.run([sys.executable, "-c", BEYOND_TORCH], capture_output=True, text=True, check=True)
    loaded = answer.stdout.split()
    assert "rmsprop.optimizers.scratch" in loaded
    assert all(module.split(".")[0] == "rmsprop" for module in loaded), loaded


def test_the_command_line_shows_its_help_without_loading_torch():
    program = "import sys, rmsprop.suite.cli.main; print('torch' in sys.modules, 'pandas' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False"]
