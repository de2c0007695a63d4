"""`rmsprop build`: the C++ kernel of FusedRMSprop."""

import typer

from rmsprop.errors import UserError
from rmsprop.optimizers.fused.build import KernelUnavailableError, load_kernel
from rmsprop.suite.cli.options import BuildOptions


def run(_options: BuildOptions) -> None:
    """Build the kernel and print where it is."""
    try:
        built = load_kernel().__file__
    except KernelUnavailableError as error:
        raise UserError(
            f"the kernel cannot be built: {error}; it takes a C++ compiler (CXX names it) and ninja"
        ) from error
    typer.echo(built)
