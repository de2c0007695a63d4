"""The command `rmsprop`: checks the options, loads the command's own module, and calls it.

Each command has its options in `options.py` or a file beside it, and a module of its name here with
`run(options)`, which imports what it needs at its top. That module is imported when the command runs, after
its options were checked.
"""

import inspect
import logging
import sys
import traceback
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import MISSING, fields
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, get_origin

import typer

from rmsprop import __version__
from rmsprop.errors import UserError
from rmsprop.suite.cli import gate_options, options, peer_options, sweep_options
from rmsprop.suite.cli.interrupts import catch_interrupts, put_off
from rmsprop.suite.cli.output import Unbroken

COMMANDS: dict[str, type[Any]] = {
    "run": options.RunOptions,
    "reproduce": options.ReproduceOptions,
    "bench": options.BenchOptions,
    "gate": gate_options.GateOptions,
    "alerts": options.AlertsOptions,
    "report": options.ReportOptions,
    "export": options.ExportOptions,
    "peers": peer_options.Peers,
    "translate": peer_options.Translate,
    "sweep": sweep_options.SweepOptions,
    "build": options.BuildOptions,
    "machine": options.MachineOptions,
}

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a wrong option is one plain line, not a box
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rmsprop-bench {__version__}")
        raise typer.Exit


@app.callback()
def rmsprop(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop."),
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Print the traceback of an error as well.")] = False,
) -> None:
    """Reproduce and benchmark RMSProp."""


def _register(name: str, kind: type[Any]) -> None:
    """Make a command of the dataclass `kind`: its fields are the options, its docstring is the help."""

    def command(**given: Any) -> None:
        chosen = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
        checked = kind(**chosen)
        if hasattr(checked, "check_here"):
            checked.check_here()
        with put_off():
            module = import_module(f"rmsprop.suite.cli.{name}")
        module.run(checked)

    command.__doc__ = inspect.getdoc(kind)
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(
                field.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=_default(field.default),
                annotation=_parsed_as(field.type),
            )
            for field in fields(kind)
        ]
    )
    # What `translate` is told are the arguments of another package's call, which only that package knows.
    app.command(name, context_settings={"ignore_unknown_options": name == "translate"})(command)


def _default(default: Any) -> Any:
    if default is MISSING:
        return inspect.Parameter.empty
    return list(default) if isinstance(default, tuple) else default


def _parsed_as(annotation: Any) -> Any:
    """What typer parses a field as: it takes `list[str]` for an option that may be repeated."""
    plain, option = annotation.__origin__, annotation.__metadata__[0]
    return Annotated[list[str] if get_origin(plain) is tuple else plain, option]


for _name, _kind in COMMANDS.items():
    _register(_name, _kind)


def main() -> None:
    """Run the command line; an error becomes one line and exit code 2. `--debug` may stand anywhere."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    debug = len(arguments) < len(sys.argv) - 1
    came = catch_interrupts()
    out, err = Unbroken(sys.stdout), Unbroken(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        logging.basicConfig(format="%(message)s")
        if debug:  # what failed while it was measured, too
            logging.getLogger("rmsprop").setLevel(logging.DEBUG)
        try:
            app(args=arguments)
        except Exception as error:  # Python's own exit code would be 1, which says that something is slower
            if came:  # in the middle of an import, which then fails in its own way
                sys.exit(130)
            if debug:
                traceback.print_exc()
            typer.echo(f"rmsprop: {_line(error)}", err=True)
            sys.exit(2)
        finally:
            out.flush()


def _line(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    *_, place = traceback.extract_tb(error.__traceback__)
    where = f"{Path(place.filename).name}:{place.lineno}"
    return (
        f"internal error ({type(error).__name__} at {where}): {error}. Please report it, "
        "with what --debug adds."
    )
