"""`rmsprop sweep`: a job over a grid of settings and many seeds."""

import math

import typer
from rich.console import Console
from rich.table import Table

from rmsprop.suite.cli.progress import bars
from rmsprop.suite.cli.rows import load_digit_rows, load_rows
from rmsprop.suite.cli.sweep_options import SweepOptions
from rmsprop.suite.cli.tables import show_table
from rmsprop.suite.records import sweep as records
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.records.sweep_files import POINTS, arrow, read_points
from rmsprop.suite.sweep.engines import engine_of
from rmsprop.suite.sweep.grid import Grid, chunks
from rmsprop.suite.sweep.session import SweepPlan, carry_on, check_size, prepare
from rmsprop.suite.verdicts.sweep import best_points, conditions_of
from rmsprop.suite.words import count


def run(options: SweepOptions) -> None:
    """Train what is missing, store the record, and show each optimizer's best point."""
    grid = options.grid
    if options.listed:
        _show_grid(grid, options.most)
        return
    arrow()
    engine = engine_of(options.processes, options.scheduler)
    check_size(grid, options.output, options.most, options.processes)
    check_writable(options.output)
    rows = load_digit_rows() if options.job == "digits" else load_rows(options.data)
    plan = prepare(grid, rows, options.output, target=options.loss, most=options.most, again=options.again)
    _show_plan(plan)
    try:
        with bars() as shown:
            bar = shown.add_task("trainings", total=plan.trainings)
            carry_on(plan, engine, lambda trainings: shown.advance(bar, trainings))
    except KeyboardInterrupt:
        typer.echo(
            f"interrupted; finished chunks are kept in {plan.folder}, and the same command goes on", err=True
        )
        raise typer.Exit(130) from None
    show_sweep(read_points(plan.folder / POINTS, plan.record))
    typer.echo(f"record: {plan.folder}")


def _show_grid(grid: Grid, most: int) -> None:
    for axis, values in grid.axes.items():
        typer.echo(f"{axis}: {', '.join(f'{v:g}' if isinstance(v, float) else str(v) for v in values)}")
    number = sum(1 for _ in chunks(grid, most))
    typer.echo(f"{size_of(grid)}, in {count(number, 'chunk')}")


def size_of(grid: Grid) -> str:
    """Such as `288 points x 128 seeds = 36,864 trainings`."""
    return f"{count(grid.points, 'point')} x {count(grid.seeds, 'seed')} = {grid.trainings:,} trainings"


def _show_plan(plan: SweepPlan) -> None:
    typer.echo(size_of(plan.grid), err=True)
    if plan.whole:
        typer.echo(f"this sweep is whole already; --again begins anew: {plan.folder}", err=True)
    elif plan.trainings < plan.grid.trainings:
        kept = plan.grid.trainings - plan.trainings
        typer.echo(f"going on with {plan.folder}: {kept:,} trainings are there", err=True)


def show_sweep(sweep: records.Sweep) -> None:
    """Each optimizer's best point for each batch size, number of epochs and dtype."""
    console = Console()
    for one in conditions_of(sweep.points):
        words = f"batch {one['batch_size']}, {count(one['epochs'], 'epoch')}, {one['dtype']}"
        table = Table(title=f"Each optimizer's best point: {words}", caption=EXPLAINED)
        for column in ("optimizer", "setting", "median loss", "central 90%", "diverged", "epochs to target"):
            table.add_column(column, justify="left" if column in ("optimizer", "setting") else "right")
        for best in best_points(sweep.points, one):
            table.add_row(
                best.optimizer,
                ", ".join(f"{axis} {value:g}" for axis, value in best.setting.items()),
                loss_in_words(best.median),
                f"{loss_in_words(best.q05)} to {loss_in_words(best.q95)}",
                f"{best.diverged.count} of {best.diverged.of}",
                epochs_in_words(best.epochs[1]),
            )
        show_table(console, table)


EXPLAINED = "chosen by the median over the seeds with even numbers; losses and diverged are of the others"


def loss_in_words(loss: float) -> str:
    """Four digits, or that it is no number."""
    return f"{loss:.4f}" if math.isfinite(loss) else "infinite" if loss > 0 else "–"


def epochs_in_words(epochs: float) -> str:
    """Two decimals, or `never`."""
    return f"{epochs:.2f}" if math.isfinite(epochs) else "never"
