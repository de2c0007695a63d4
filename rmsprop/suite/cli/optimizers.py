"""Other people's optimizers on the command line."""

import sys
from collections.abc import Iterable
from pathlib import Path

from rmsprop.suite.measure.registry import load_optimizer


def load_optimizers(specs: Iterable[str]) -> None:
    """Import each `package.module:Class`, from this folder too; UserError before anything is measured."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for spec in specs:
        load_optimizer(spec)
