"""`rmsprop report`: the site and its Markdown twin."""

from pathlib import Path

import typer

from rmsprop.suite.cli.left_out import show_left_out
from rmsprop.suite.cli.options import ReportOptions
from rmsprop.suite.report.build import build_report


def run(options: ReportOptions) -> None:
    """Build the report and print the files that it wrote."""
    built = build_report(options.results, options.output, options.readme, repo=Path())
    show_left_out(built.problems)
    for path in built.paths:
        typer.echo(path)
