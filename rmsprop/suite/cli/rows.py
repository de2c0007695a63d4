"""The rows of a job for a command, and what the terminal says of them."""

import typer

from rmsprop.book.airfoil import FILE, Airfoil, load_airfoil
from rmsprop.errors import UserError
from rmsprop.suite.measure.digits import DigitRows, load_digits


def load_rows(data: str) -> Airfoil:
    """The rows that `--data` asks for. If a surrogate takes their place unasked, say why and what to do."""
    typer.echo("looking for the airfoil data", err=True)  # a network without an answer takes ten seconds
    rows = load_airfoil(data)
    if rows.source == "surrogate" and data != "surrogate":
        typer.echo(
            f"The real rows could not be downloaded ({rows.detail.partition(': ')[2]}).\n"
            "A surrogate takes their place: generated rows with the same loss surface. To use the real rows, "
            f"give the file {FILE} (UCI data set 291) with --data PATH or RMSPROP_DATA.",
            err=True,
        )
    else:
        typer.echo(f"data: {rows.source} ({rows.detail})", err=True)
    return rows


def load_digit_rows() -> DigitRows:
    """scikit-learn's digits; UserError where it is not installed."""
    try:
        rows = load_digits()
    except ModuleNotFoundError as absent:
        raise UserError(f"--job digits {absent}") from None
    typer.echo(f"data: {rows.detail}", err=True)
    return rows
