"""`rmsprop translate`: one package's call in the words of another."""

import json
from dataclasses import asdict

import typer

from rmsprop.suite.cli.peer_options import Translate
from rmsprop.suite.peers.catalogue import peer
from rmsprop.suite.peers.translate import translate


def run(options: Translate) -> None:
    """Print the arguments, or the reasons why there are none; then what the answer depends on."""
    source, target = peer(options.package), peer(options.to)
    found = translate(source, options.given, target)
    if options.as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
    elif found.arguments is None:
        typer.echo(f"No arguments of {target.call} give the same numbers.")
        typer.echo("\n".join(found.reasons))
    else:
        arguments = ", ".join(f"{name}={value!r}" for name, value in found.arguments.items())
        typer.echo(f"{target.call}({arguments})")
    if not options.as_json and found.notes:
        typer.echo("\n".join(found.notes))
    raise typer.Exit(0 if found.arguments is not None else 1)
