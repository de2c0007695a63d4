"""`rmsprop peers`: the RMSProp of other packages beside torch's."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rmsprop.suite.cli.peer_options import Peers
from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.rows import load_rows
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.peers.catalogue import PEERS
from rmsprop.suite.peers.compare import compare
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.records.peers import PeersRecord
from rmsprop.suite.records.store import write_peers
from rmsprop.suite.words import digits_in_words


def run(options: Peers) -> None:
    """Compare, store the record, and show who agrees with torch."""
    check_writable(options.output)
    rows = load_rows(options.data)
    with bars() as shown:
        task = shown.add_task("peers", total=None)
        try:
            record = compare(
                [PEERS[name] for name in options.peer or PEERS],
                rows,
                lambda what: shown.update(task, description=what, advance=1),
            )
        except KeyboardInterrupt:
            typer.echo("interrupted; nothing is stored, since a comparison is of one run", err=True)
            raise typer.Exit(130) from None
    show_peers(record)
    typer.echo(f"record: {write_peers(options.output, record)}")


def show_peers(record: PeersRecord) -> None:
    """Each package against torch on dense float32 gradients, and what is absent."""
    console = Console()
    table = Table(title="Against torch.optim.RMSprop: dense gradients, float32, 20 steps")
    for column in ("package", "version", "digits with its defaults", "torch's call in it"):
        table.add_column(column)
    seen = {(one.source, one.target, one.kind, one.dtype): one for one in record.agreements}
    for facts in record.peers:
        one = seen.get(("torch", facts.name, "dense", "float32"))
        if one:
            said = "; ".join(one.reasons) if one.arguments is None else _call(one.arguments)
            table.add_row(
                facts.name,
                facts.version or "",
                digits_in_words(one.plain, "nothing to compare"),
                escape(said),
            )
    if table.rows:
        show_table(console, table)
    for facts in record.peers:
        if facts.absent:
            console.print(f"{facts.name}: absent, {escape(facts.absent)}", soft_wrap=True)


def _call(arguments: dict[str, float | bool]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
