"""Tables in wide and in narrow terminals."""

import pytest
from rich.console import Console
from rich.table import Table

from rmsprop.suite.cli.tables import show_table


def shown(width):
    table = Table(title="Steps")
    table.add_column("case")
    table.add_column("step", justify="right")
    table.add_column("interval", justify="right", no_wrap=True)
    table.add_column("warnings")
    table.add_row("builtin-compiled", "[bold]123.456 ms[/]", "-100.25 to +222.75%", "unstable, busy")
    table.add_row("scratch", "0.000123456 s", "", "")
    console = Console(width=width)
    with console.capture() as capture:
        show_table(console, table)
    return capture.get()


@pytest.mark.parametrize("width", range(10, 120))
def test_no_width_loses_or_cuts_a_number(width):
    assert "123.456 ms" in shown(width)
    assert "0.000123456 s" in shown(width)
    assert "-100.25 to +222.75%" in shown(width)
    assert "…" not in shown(width)


def test_a_narrow_terminal_names_each_number_by_its_column():
    assert "  step: 123.456 ms\n" in shown(20)
    assert "  warnings:" not in shown(20).partition("scratch")[2]


def test_a_wide_terminal_has_one_line_a_row():
    [line] = [line for line in shown(80).splitlines() if "builtin-compiled" in line]
    assert "123.456 ms" in line
    assert "unstable, busy" in line
