"""`rmsprop export`: every measured case as one table."""

import typer

from rmsprop.suite.cli.left_out import show_left_out
from rmsprop.suite.cli.options import ExportOptions
from rmsprop.suite.records.export import export_frame
from rmsprop.suite.records.frame import read_frame


def run(options: ExportOptions) -> None:
    """Read all records, write the table and say how long it is."""
    frame, problems = read_frame(options.results)
    show_left_out(problems)
    export_frame(frame, options.path, options.form)
    typer.echo(f"{options.path}: {len(frame):,} rows")
