"""The options of `rmsprop peers` and `rmsprop translate`, checked as those in `options.py` are."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Argument

from rmsprop.errors import UserError
from rmsprop.suite.cli.option_kinds import Data, Json, Records, among, one_of, rows_there
from rmsprop.suite.peers.catalogue import PEERS
from rmsprop.suite.records.files import check_writable


@dataclass(frozen=True)
class Peers:
    """Compare torch's RMSProp with those of other packages: who agrees with whom, and where a step gives NaN.

    A package that is not installed is named as absent. Exit code 0: the comparison was made. 2: an option or
    the data is wrong. 130: interrupted.
    """

    peer: Annotated[tuple[str, ...], among(PEERS, "Compare only this package; can be repeated. One of")] = ()
    data: Data = "auto"
    output: Records = Path("results")

    def __post_init__(self) -> None:
        """Check the names."""
        for name in self.peer:
            one_of("--peer", name, PEERS)
        rows_there(self.data)

    def check_here(self) -> None:
        """Refuse a folder that cannot be written."""
        check_writable(self.output)


@dataclass(frozen=True)
class Translate:
    """Say with which arguments another package gives the same numbers as a call, or why none do.

    Such as: rmsprop translate keras --rho .9 --epsilon 1e-7 --to optax. Exit code 0: there are such
    arguments. 1: there are none. 2: an option is wrong.
    """

    package: Annotated[str, Argument(help="Whose call it is.", metavar="PACKAGE")]
    to: Annotated[str, among(PEERS, "For which package the arguments are")]
    argument: Annotated[
        tuple[str, ...],
        Argument(help="The arguments of the call, as --name value.", metavar="[--NAME VALUE]..."),
    ] = ()
    as_json: Json = False

    def __post_init__(self) -> None:
        """Check names and values."""
        one_of("package", self.package, PEERS)
        one_of("--to", self.to, PEERS)
        PEERS[self.package].settings(self.given)

    @property
    def given(self) -> dict[str, float | bool]:
        """The arguments of the call by name."""
        words = [part for word in self.argument for part in word.split("=", 1)]
        found: dict[str, float | bool] = {}
        while words:
            name = words.pop(0)
            if not name.startswith("--"):
                raise UserError(f"{name!r}: expected --NAME VALUE, such as --momentum 0.9")
            value = words.pop(0) if words and not words[0].startswith("--") else "true"
            try:
                found[name[2:].replace("-", "_")] = (
                    value.lower() == "true" if value.lower() in ("true", "false") else float(value)
                )
            except ValueError:
                raise UserError(f"{name} {value!r}: expected a number, true or false") from None
        return found
