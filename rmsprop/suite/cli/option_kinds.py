"""What the options of several commands share: kinds of options, and checks that refuse with a UserError."""

import os
from collections.abc import Iterable
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

from typer import Option

from rmsprop.errors import UserError

Results = Annotated[Path, Option(help="The folder that holds the records.", metavar="FOLDER")]
Pages = Annotated[Path, Option(help="The folder for the pages.", metavar="FOLDER")]
Records = Annotated[Path, Option("--output", help="The folder for the records.", metavar="FOLDER")]
Json = Annotated[bool, Option("--json", help="Print the answer as JSON, for programs.")]
Data = Annotated[
    str,
    Option(
        help="Which rows to train on. auto takes the real rows, or the surrogate if they cannot be had; "
        "real refuses the surrogate; surrogate; or the path of the airfoil file.",
        metavar="ROWS",
    ),
]

Optimizers = Annotated[
    tuple[str, ...],
    Option(
        help="Measure your own optimizer beside the others: package.module:Class. Can be repeated.",
        metavar="NAME",
    ),
]


def among(names: Iterable[str], text: str, remark: str = "") -> Any:
    """An option whose value is one of these names; the shell completes them. A remark follows the names."""
    known = tuple(names)
    return Option(
        help=f"{text}: {', '.join(known)}. {remark}".strip(),
        metavar="NAME",
        autocompletion=lambda incomplete: [name for name in known if name.startswith(incomplete)],
    )


def one_of(option: str, value: str, known: Iterable[str]) -> None:
    names = tuple(known)
    if value not in names:
        raise UserError(f"{option} {value!r}: choose one of {', '.join(names)}")


def importable(specs: Iterable[str]) -> None:
    for spec in specs:
        module, _, name = spec.partition(":")
        if not module or not name:
            raise UserError(f"--optimizer {spec!r}: expected package.module:Class")
        top = module.partition(".")[0]
        # Finding is not importing: a package may take seconds, and only the command itself pays for them.
        if PathFinder.find_spec(top, [str(Path.cwd())]) is None and find_spec(top) is None:
            raise UserError(
                f"optimizer {spec!r} cannot be imported: there is no module {top!r}; install it or set "
                "PYTHONPATH"
            )


def rows_there(data: str) -> None:
    """Refuse a file of rows that is not there. What it holds is checked when it is read."""
    named = {"surrogate": "", "auto": (given := os.environ.get("RMSPROP_DATA", "")), "real": given}
    path = named.get(data, data)
    if path and not Path(path).is_file():
        option = "RMSPROP_DATA" if data in named else "--data"
        raise UserError(
            f"{option} {path!r}: there is no such file; expected the path of airfoil_self_noise.dat, or, of "
            "--data, one of auto, real, surrogate"
        )


def folder_there(option: str, path: Path, advice: str) -> None:
    if not path.is_dir():
        raise UserError(f"{option}: there is no folder {path}; {advice}, or name another folder")
