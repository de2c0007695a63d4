"""The command `rmsprop`: the one door. Each command parses, calls its room and shows the answer."""

import signal
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from rmsprop.errors import UserError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # a wrong option is one plain line, not a box
    help="Reproduce and benchmark RMSProp.",
)

INTERRUPTED = 130


@app.command()
def reproduce(
    seeds: Annotated[int, typer.Option(help="Seeds of each program's loss distribution.")] = 10_000,
    runs: Annotated[int, typer.Option(help="Sequential trainings of each program, timed in pairs.")] = 100,
    dtype: Annotated[str, typer.Option(help="float64, float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or mps.")] = "cpu",
    data: Annotated[
        str,
        typer.Option(help="auto, real (refuses the surrogate), surrogate, or a path to the airfoil file."),
    ] = "auto",
    output: Annotated[Path, typer.Option(help="Folder for records.")] = Path("results"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Run section 7.6 of the book and say for each printed value whether it still holds.

    Exit code 0: every claim of the primary edition is reproduced; 1: something is not; 2: wrong use or
    bad data. Ctrl-C keeps and judges what was finished.
    """
    from rmsprop.book.airfoil import load_airfoil  # noqa: PLC0415 (torch and scipy take seconds to import)
    from rmsprop.suite.cli.views import reproduction_json, reproduction_progress, show_reproduction  # noqa: PLC0415
    from rmsprop.suite.devices import parse_device, parse_dtype  # noqa: PLC0415
    from rmsprop.suite.measure.reproduction import check_size, reproduce  # noqa: PLC0415
    from rmsprop.suite.records.store import check_writable, write_reproduction  # noqa: PLC0415
    from rmsprop.suite.verdicts.reproduction import deciding, judge  # noqa: PLC0415

    torch_dtype = parse_dtype(dtype)
    torch_device = parse_device(device, torch_dtype)
    check_size(seeds, runs)
    check_writable(output)
    typer.echo("looking for the airfoil data", err=True)  # a hanging network takes up to ten seconds
    airfoil = load_airfoil(data)
    typer.echo(f"data: {airfoil.source} ({airfoil.detail})", err=True)
    with reproduction_progress(seeds, runs) as progress:
        record = reproduce(
            airfoil,
            seeds=seeds,
            runs=runs,
            device=torch_device,
            dtype=torch_dtype,
            progress=progress,
        )
    path = write_reproduction(output, record)
    if as_json:
        print(reproduction_json(record, path))
    else:
        show_reproduction(record, path)
    if record.interrupted:
        raise typer.Exit(INTERRUPTED)
    reproduced = all(verdict.status == "reproduced" for verdict in deciding(judge(record)))
    raise typer.Exit(0 if reproduced else 1)


@app.command()
def report(
    results: Annotated[Path, typer.Option(help="Folder of records.")] = Path("results"),
    output: Annotated[Path, typer.Option(help="Folder for the pages.")] = Path("reports"),
    readme: Annotated[
        Path | None,
        typer.Option(help="A Markdown file whose table of claims is renewed between its markers."),
    ] = None,
) -> None:
    """Make the HTML page and its Markdown twin from the records."""
    from rmsprop.suite.report.pages import build_report  # noqa: PLC0415

    built = build_report(results, output, readme)
    for problem in built.problems:
        typer.echo(f"left out {problem.path}: {problem.reason}", err=True)
    for path in built.paths:
        typer.echo(path)


@app.command()
def export(
    form: Annotated[str, typer.Option("--format", help="parquet (needs pyarrow), csv or json.")] = "csv",
    results: Annotated[Path, typer.Option(help="Folder of records.")] = Path("results"),
    output: Annotated[Path | None, typer.Option(help="File; rmsprop.<format>, if not given.")] = None,
) -> None:
    """Write every measured case as one table; docs/report.md explains its columns."""
    if not results.is_dir():
        raise UserError(f"there is no folder {results}; run `rmsprop bench` here, or name one with --results")
    from rmsprop.suite.records.export import export_frame  # noqa: PLC0415
    from rmsprop.suite.records.frame import read_frame  # noqa: PLC0415

    frame, problems = read_frame(results)
    for problem in problems:
        typer.echo(f"left out {problem.path}: {problem.reason}", err=True)
    path = output or Path(f"rmsprop.{form}")
    export_frame(frame, path, form)
    typer.echo(f"{path}: {len(frame):,} rows")


@app.command()
def run(
    profile: Annotated[str, typer.Option(help="smoke (two minutes) or regular (a quarter of an hour).")] = (
        "smoke"
    ),
    data: Annotated[
        str, typer.Option(help="auto, real (refuses the surrogate), surrogate, or a path.")
    ] = "auto",
    results: Annotated[Path, typer.Option(help="Folder for records.")] = Path("results"),
    output: Annotated[Path, typer.Option(help="Folder for the pages.")] = Path("reports"),
) -> None:
    """Reproduce the section, measure the steps and build the report, in one go.

    Exit code 0: every claim is reproduced and no case failed; 1: otherwise; 2: wrong use or bad data. Ctrl-C
    keeps and reports what was finished.
    """
    from rmsprop.suite.cli.run_all import plan_of  # noqa: PLC0415
    from rmsprop.suite.cli.run_all import run as run_all  # noqa: PLC0415
    from rmsprop.suite.cli.views import stage_progress  # noqa: PLC0415

    plan = plan_of(profile)
    with stage_progress(plan.stages) as progress:
        outcome = run_all(plan, results, output, data, progress)
    for remark in outcome.remarks:
        typer.echo(remark, err=True)
    typer.echo(output / "index.html")
    for sentence in outcome.report.sentences:
        typer.echo(sentence)
    if outcome.interrupted:
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(0 if outcome.good else 1)


@app.command()
def bench(
    profile: Annotated[
        str, typer.Option(help="smoke (a minute), regular (ten minutes), fused (15) or full (hours).")
    ] = "regular",
    implementation: Annotated[list[str] | None, typer.Option(help="Keep only these; repeatable.")] = None,
    device: Annotated[list[str] | None, typer.Option(help="cpu, cuda, mps; repeatable.")] = None,
    dtype: Annotated[list[str] | None, typer.Option(help="float64, float32, bfloat16, float16.")] = None,
    size: Annotated[list[str] | None, typer.Option(help="Elements, such as 1e5; repeatable.")] = None,
    layout: Annotated[list[str] | None, typer.Option(help="single, book, many, resnet50, gpt2.")] = None,
    threads: Annotated[list[str] | None, typer.Option(help="1 or all.")] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(help="Someone else's, package.module:Class, measured beside the others; repeatable."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Measure also what is on record already.")] = False,
    output: Annotated[Path, typer.Option(help="Folder for records.")] = Path("results"),
) -> None:
    """Measure what a step costs, for each implementation, from a checkout.

    Each case is proved right before it is timed, and its record is on disk when it ends: run the command
    again after an interrupt and it goes on. Exit code 0: all cases were measured or skipped; 1: a case
    failed; 2: wrong use.
    """
    sys.path.insert(0, str(Path.cwd()))
    from rmsprop.suite.cli.views import bench_progress, show_bench  # noqa: PLC0415
    from rmsprop.suite.measure.matrix import cases  # noqa: PLC0415
    from rmsprop.suite.measure.registry import implementations  # noqa: PLC0415
    from rmsprop.suite.measure.session import EFFORTS  # noqa: PLC0415
    from rmsprop.suite.measure.session import bench as measure  # noqa: PLC0415
    from rmsprop.suite.records.store import check_writable  # noqa: PLC0415

    for spec in optimizer or ():
        if ":" not in spec:
            raise UserError(f"--optimizer {spec!r}: expected package.module:Class")
    chosen = cases(
        profile,
        others=[*implementations(), *(optimizer or ())],
        implementation=[*implementation, *(optimizer or ())] if implementation else (),
        device=device or (),
        dtype=dtype or (),
        size=size or (),
        layout=layout or (),
        threads=threads or (),
    )
    check_writable(output)
    with bench_progress(len(chosen)) as progress:
        try:
            measure(chosen, output, EFFORTS[profile], again=again, progress=progress.update)
        except KeyboardInterrupt:
            progress.interrupted = True
    show_bench(progress.records, output)
    if progress.interrupted:
        typer.echo("interrupted; what was measured is kept, and the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if any(record.status == "failed" for record in progress.records) else 0)


@app.command()
def build() -> None:
    """Build the C++ kernel of FusedRMSprop now, instead of in its first step. Exit code 2: it cannot be."""
    from rmsprop.optimizers.fused.build import KernelUnavailableError, load_kernel, path  # noqa: PLC0415

    try:
        load_kernel()
    except KernelUnavailableError as error:
        raise UserError(
            f"the kernel cannot be built: {error}; it takes a C++ compiler (CXX names it) and ninja"
        ) from error
    typer.echo(path())


@app.command()
def alerts(
    results: Annotated[Path, typer.Option(help="Folder of records.")] = Path("results"),
    recent: Annotated[
        int | None, typer.Option(min=1, help="Only steps that first showed at one of the last N commits.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the alerts as JSON.")] = False,
) -> None:
    """Find steps in the history of asv's, the bench's and the gate's results, and say between which commits.

    Commits are ordered by the history of the checkout in this folder, else by their dates. Exit code 0: no
    step; 1: something became slower or larger; 2: wrong use; 3: not enough history to say.
    """
    if not results.is_dir():
        raise UserError(f"no folder {results}; say --results FOLDER, or measure: docs/benchmarks.md")
    from rmsprop.suite.cli.views import alerts_json, show_alerts  # noqa: PLC0415
    from rmsprop.suite.history.series import alerts_of, read_history  # noqa: PLC0415

    history = read_history(results, Path())
    for problem in history.problems:
        typer.echo(f"left out {problem.path}: {problem.reason}", err=True)
    found = alerts_of(history, recent)
    if as_json:
        print(alerts_json(history, found))
    else:
        show_alerts(history, found)
    if any(alert.direction == "slower" for alert in found):
        raise typer.Exit(1)
    raise typer.Exit(0 if any(series.long_enough for series in history.series) else 3)


@app.command()
def gate(
    base: Annotated[str | None, typer.Option(help="Revision to compare with, such as origin/main.")] = None,
    head: Annotated[
        str | None, typer.Option(help="Revision that is judged; the working tree as it is, if not given.")
    ] = None,
    base_python: Annotated[Path | None, typer.Option(help="Interpreter of the base side.")] = None,
    head_python: Annotated[Path | None, typer.Option(help="Interpreter of the head side.")] = None,
    budget: Annotated[str, typer.Option(help="Time for all of it, such as 8m or 90s.")] = "8m",
    aim: Annotated[
        str, typer.Option(help="Slowdown to see; no more of the budget is spent than that takes.")
    ] = "3%",
    suite: Annotated[str, typer.Option(help="Module of cases, here; benchmarks/suite.py says how.")] = (
        "benchmarks.suite"
    ),
    case: Annotated[
        list[str] | None, typer.Option(help="Keep ids like this: 'scratch-*'; repeatable.")
    ] = None,
    pairs: Annotated[
        int | None, typer.Option(min=1, max=5, help="Launches at a time, each on its own CPU.")
    ] = None,
    form: Annotated[
        str, typer.Option("--format", help="table, github, markdown, json, junit, ... (see docs/gate.md).")
    ] = "table",
    output: Annotated[Path, typer.Option(help="Folder for records.")] = Path("results"),
) -> None:
    """Say whether head is slower than base, from a checkout. Cases are measured in live pairs of processes.

    Exit code 0: no; 1: something is slower; 2: the measurement failed, or wrong use; 3: inconclusive. Ctrl-C
    gives what was measured so far, as inconclusive.
    """
    from rmsprop.suite.cli.views import gate_progress, show_gate  # noqa: PLC0415
    from rmsprop.suite.gate.formats import failure, format_of  # noqa: PLC0415
    from rmsprop.suite.gate.run import gate as run_gate  # noqa: PLC0415
    from rmsprop.suite.records.store import write_gate  # noqa: PLC0415
    from rmsprop.suite.verdicts.gate import judge  # noqa: PLC0415

    write = format_of(form)
    try:
        with gate_progress() as progress:
            record = run_gate(
                Path.cwd(),
                base=base,
                head=head,
                base_python=base_python,
                head_python=head_python,
                budget=budget,
                aim=aim,
                suite=suite,
                patterns=case or (),
                pairs=pairs,
                results=output,
                show=progress,
            )
    except KeyboardInterrupt:
        typer.echo("interrupted before anything was measured: inconclusive", err=True)
        raise typer.Exit(3) from None
    except UserError as error:
        if said := failure(form, str(error)):
            typer.echo(said)
        raise
    path = write_gate(output / "gate", record)
    if write is None:
        show_gate(record, path)
    else:
        typer.echo(write(record))
        typer.echo(f"record: {path}", err=True)
    raise typer.Exit(judge(record).code)


@app.command()
def machine(
    asv: Annotated[bool, typer.Option("--asv", help="Describe the machine to asv under that name.")] = False,
) -> None:
    """Print the name under which results of this machine are stored, for `asv run --machine`."""
    from rmsprop.suite.records.environment import capture_environment, describe_to_asv  # noqa: PLC0415

    environment = capture_environment()
    if asv:
        describe_to_asv(environment)
    typer.echo(environment.machine)


def main() -> None:
    """Run the command line; a UserError becomes one line and exit code 2."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill keeps what was finished too
    try:
        app()
    except UserError as error:
        typer.echo(f"rmsprop: {error}", err=True)
        sys.exit(2)
    except Exception as error:  # Python's own exit code would be 1, which says that something is slower
        *_, place = traceback.extract_tb(error.__traceback__)
        where = f"{Path(place.filename).name}:{place.lineno}"
        typer.echo(f"rmsprop: a mistake of its own, {type(error).__name__} in {where}: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
