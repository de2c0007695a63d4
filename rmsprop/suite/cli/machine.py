"""`rmsprop machine`: the name of this machine."""

import typer

from rmsprop.suite.cli.options import MachineOptions
from rmsprop.suite.measure.capture import capture_environment, describe_to_asv


def run(options: MachineOptions) -> None:
    """Print the name, and describe the machine to asv if asked."""
    environment = capture_environment()
    if options.asv:
        describe_to_asv(environment)
    typer.echo(environment.machine)
