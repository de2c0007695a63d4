"""What every reader of records says of the files that it could not read."""

from collections.abc import Iterable

import typer

from rmsprop.suite.records.files import Problem


def show_left_out(problems: Iterable[Problem]) -> None:
    """Name each file on stderr, with the reason."""
    for problem in problems:
        typer.echo(f"left out {problem.path}: {problem.reason}", err=True)
