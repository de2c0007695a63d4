"""Tables on the terminal, which lose no digit in a narrow one."""

from rich.cells import cell_len
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


def show_table(console: Console, table: Table) -> None:
    """Print the table; where it is wider than the terminal, print each row as lines of its own."""
    for column in table.columns:
        column.overflow = "fold"
        if column.no_wrap or column.justify == "right":
            column.no_wrap = True
            column.min_width = max(
                cell_len(Text.from_markup(str(cell)).plain) for cell in (column.header, *column.cells)
            )
    if Measurement.get(console, console.options.update(width=10_000), table).minimum <= console.width:
        console.print(table)
        return
    if table.title:
        console.print(table.title, style="italic", soft_wrap=True)
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        named = zip((column.header for column in table.columns), cells, strict=True)
        for number, (header, cell) in enumerate(named):
            if cell:
                name = "" if number == 0 or not header else f"  {header}: "
                console.print(Text.from_markup(name) + Text.from_markup(str(cell)), soft_wrap=True)
