"""The options of each command: one frozen dataclass a command, checked before anything heavy is imported.

A field is an option: its annotation holds what `--help` says, its default is the option's. The docstring of
the class is the help of the command. `__post_init__` refuses what is wrong with a UserError, so that a wrong
option is answered at once: this module imports neither torch nor pandas. What depends on this machine, such
as a folder that can be written, is checked by `check_here`, which the command line calls next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from typer import Option

from rmsprop.book.claims import CHAPTER, SECTIONS
from rmsprop.errors import UserError
from rmsprop.suite.case import DEVICES, ITEMSIZE, Case
from rmsprop.suite.cli.option_kinds import (
    Data,
    Json,
    Optimizers,
    Pages,
    Records,
    Results,
    among,
    folder_there,
    importable,
    one_of,
    rows_there,
)
from rmsprop.suite.measure.matrix import GROUP, PROFILES, SIZES, cases
from rmsprop.suite.records.files import check_replaceable, check_writable
from rmsprop.suite.report.excerpt import split_readme
from rmsprop.suite.report.write import check_site
from rmsprop.suite.words import command

DTYPES = tuple(ITEMSIZE)
RUN_PROFILES = ("smoke", "regular")
"""The profiles of the matrix that `rmsprop run` offers, each with more cases than the one before."""
THREADS = ("1", "all")
EXPORT_FORMATS = ("parquet", "csv", "json")


@dataclass(frozen=True)
class ReproduceOptions:
    """Run a section of the book, and say for each value and curve that it printed whether it still holds.

    Exit code 0: every claim of the primary edition holds. 1: at least one does not. 2: an option or the data
    is wrong. 130: interrupted; Ctrl-C keeps and judges what was finished, and the same command goes on from
    there.
    """

    section: Annotated[str, among(SECTIONS, "Which section of the chapter")] = "7.6"
    chapter: Annotated[bool, Option("--chapter", help="All sections, instead of one.")] = False
    others: Annotated[
        bool,
        Option(
            "--others/--no-others",
            help="For RMSProp, also train other programs, to see which the printed values exclude.",
        ),
    ] = True
    seeds: Annotated[int, Option(help="How many seeds of each program are trained.")] = 10_000
    runs: Annotated[
        int | None,
        Option(
            help="How many trainings of each program run one after the other and are timed. Without it: 60, "
            "and 5 for the chapter, whose program of batch 1 takes ten times as long as another.",
            show_default=False,
        ),
    ] = None
    dtype: Annotated[str, among(DTYPES, "The dtype of the parameters")] = "float32"
    device: Annotated[
        str, among(DEVICES, "The device that trains", "cuda:1 is a second device of its kind.")
    ] = "cpu"
    data: Data = "auto"
    output: Records = Path("results")
    as_json: Json = False

    def __post_init__(self) -> None:
        """Check numbers and names."""
        for name, number in (("--seeds", self.seeds), ("--runs", self.timed)):
            if number < 1:
                raise UserError(f"{name} {number}: expected at least 1")
        if self.section not in SECTIONS:
            known = ", ".join(SECTIONS)
            raise UserError(
                f"--section {self.section!r}: choose one of {known}, or --chapter for all of them"
            )
        one_of("--dtype", self.dtype, DTYPES)
        kind, _, index = self.device.partition(":")
        if kind not in DEVICES or (index and not index.isdecimal()):
            raise UserError(
                f"--device {self.device!r}: choose one of {', '.join(DEVICES)}, or cuda:1 and so on"
            )
        rows_there(self.data)

    def check_here(self) -> None:
        """Refuse a folder that cannot be written."""
        check_writable(self.output)

    @property
    def claimed(self) -> str:
        """What `rmsprop.book.claims.claims` takes."""
        return CHAPTER if self.chapter else self.section

    @property
    def timed(self) -> int:
        """How many sequential trainings of each program."""
        if self.runs is not None:
            return self.runs
        return 5 if self.chapter else 60


@dataclass(frozen=True)
class BenchOptions:
    """Measure how long a step of each implementation takes.

    Each case is checked before it is timed, and its record is on disk when the case ends. If you interrupt
    the command, run it again: it goes on with that run. Exit code 0: every case was measured or skipped.
    1: a case failed. 2: an option is wrong. 130: interrupted.
    """

    profile: Annotated[
        str,
        among(
            PROFILES,
            "Which list of cases",
            "Smoke takes two minutes, regular ten, fused fifteen, and full takes hours.",
        ),
    ] = "regular"
    implementation: Annotated[
        tuple[str, ...],
        Option(
            help="Measure only this implementation. Options that choose cases can be repeated.",
            metavar="NAME",
        ),
    ] = ()
    device: Annotated[tuple[str, ...], among(DEVICES, "Measure only on this device")] = ()
    dtype: Annotated[tuple[str, ...], among(DTYPES, "Measure only in this dtype")] = ()
    size: Annotated[
        tuple[str, ...], Option(help="Measure only this number of elements, such as 1e5.", metavar="NUMBER")
    ] = ()
    layout: Annotated[tuple[str, ...], among(SIZES, "Measure only this layout of the parameters")] = ()
    threads: Annotated[tuple[str, ...], among(THREADS, "Measure only with so many threads")] = ()
    momentum: Annotated[tuple[str, ...], among(("0", "0.9"), "Measure only with this momentum")] = ()
    optimizer: Optimizers = ()
    listed: Annotated[
        bool,
        Option("--list", help="Measure nothing: list the implementations and the cases."),
    ] = False
    again: Annotated[bool, Option("--again", help="Begin a new run, also where one was interrupted.")] = False
    output: Records = Path("results")

    def __post_init__(self) -> None:
        """Refuse what names no case."""
        importable(self.optimizer)
        for threads in self.threads:
            one_of("--threads", threads, THREADS)
        self.cases([entry.name for entry in entry_points(group=GROUP)])

    def check_here(self) -> None:
        """Refuse a folder that cannot be written."""
        if not self.listed:
            check_writable(self.output)

    def cases(self, installed: Iterable[str]) -> list[Case]:
        """The cases that were asked for; `installed` are other people's implementations, by name."""
        return cases(
            self.profile,
            others=[*installed, *self.optimizer],
            implementation=[*self.implementation, *self.optimizer] if self.implementation else (),
            device=self.device,
            dtype=self.dtype,
            size=self.size,
            layout=self.layout,
            threads=self.threads,
            momentum=self.momentum,
        )


@dataclass(frozen=True)
class RunOptions:
    """Reproduce the section, measure the steps and build the report, in the folder runs/.

    Exit code 0: every claim is reproduced and no case failed. 1: at least one is not, or failed. 2: an
    option or the data is wrong. 130: interrupted; Ctrl-C keeps and reports what was finished.
    """

    profile: Annotated[
        str, among(RUN_PROFILES, "How much is measured", "Smoke takes two minutes, and regular fifteen.")
    ] = "smoke"
    data: Data = "auto"
    results: Annotated[Path, Option(help="The folder for the records.", metavar="FOLDER")] = Path(
        "runs/results"
    )
    output: Pages = Path("runs/report")
    optimizer: Optimizers = ()

    def __post_init__(self) -> None:
        """Check the names."""
        one_of("--profile", self.profile, RUN_PROFILES)
        importable(self.optimizer)
        rows_there(self.data)

    def check_here(self) -> None:
        """Refuse folders that cannot be written."""
        check_writable(self.results)
        check_site(self.output)


@dataclass(frozen=True)
class AlertsOptions:
    """Find change points in the history of all results, and say between which commits each one lies.

    Commits are ordered by the history of the checkout in this folder, or by their dates if it has none of
    them. Exit code 0: no alert of something slower or larger stands. 1: one does, or an improvement was lost.
    2: an option is wrong. 3: there is not enough history.
    """

    results: Results = Path("results")
    recent: Annotated[
        int | None, Option(min=1, help="Report only what changed at one of the last N commits.", metavar="N")
    ] = None
    as_json: Json = False

    def __post_init__(self) -> None:
        """Check the folder."""
        folder_there("--results", self.results, "measure first (docs/benchmarks.md)")


@dataclass(frozen=True)
class ReportOptions:
    """Build the HTML site and its Markdown twin from the records."""

    results: Results = Path("results")
    output: Pages = Path("reports")
    readme: Annotated[
        Path | None,
        Option(
            help="A Markdown file. Its table of claims is renewed between its two markers.", metavar="FILE"
        ),
    ] = None

    def __post_init__(self) -> None:
        """Check the folder."""
        folder_there("--results", self.results, f"run `{command('reproduce', output=self.results)}` first")

    def check_here(self) -> None:
        """Refuse a folder or a README that cannot be written, and one without its markers."""
        check_site(self.output)
        if self.readme:
            check_replaceable(self.readme)
            split_readme(self.readme)


@dataclass(frozen=True)
class ExportOptions:
    """Write every measured case as one table. docs/report.md explains its columns."""

    form: Annotated[
        str, Option("--format", help=f"{', '.join(EXPORT_FORMATS)}; parquet needs pyarrow.", metavar="NAME")
    ] = "csv"
    results: Results = Path("results")
    output: Annotated[
        Path | None, Option(help="The file. Without it: rmsprop.<format> in this folder.", metavar="FILE")
    ] = None

    @property
    def path(self) -> Path:
        """Of the file that is written."""
        return self.output or Path(f"rmsprop.{self.form}")

    def __post_init__(self) -> None:
        """Check format and folder."""
        one_of("--format", self.form, EXPORT_FORMATS)
        folder_there("--results", self.results, f"run `{command('bench', output=self.results)}` first")

    def check_here(self) -> None:
        """Refuse a file that cannot be written."""
        if self.form == "parquet" and find_spec("pyarrow") is None:
            raise UserError(
                "parquet needs pyarrow: python -m pip install 'rmsprop-bench[parquet]', or choose csv or json"
            )
        check_replaceable(self.path)


@dataclass(frozen=True)
class BuildOptions:
    """Build the C++ kernel of FusedRMSprop now, instead of in its first step.

    Exit code 2: the kernel cannot be built.
    """


@dataclass(frozen=True)
class MachineOptions:
    """Print the name under which results of this machine are stored, for `asv run --machine`."""

    asv: Annotated[bool, Option("--asv", help="Also describe the machine to asv under that name.")] = False
