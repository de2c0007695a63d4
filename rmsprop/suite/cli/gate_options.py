"""The options of `rmsprop gate`, checked before anything heavy is imported."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from typer import Option

from rmsprop.errors import UserError
from rmsprop.suite.cli.option_kinds import Records, one_of
from rmsprop.suite.gate.request import seconds_of, share_of
from rmsprop.suite.gate.trees import check_revisions

GATE_FORMATS = ("table", "github", "markdown", "json", "junit", "github-action-benchmark", "bencher")


@dataclass(frozen=True)
class GateOptions:
    """Say whether head is slower than base. Both are measured at the same time, in pairs of processes.

    Exit code 0: no. 1: something is slower. 2: the measurement failed, or an option is wrong. 3:
    inconclusive. Ctrl-C reports what was measured so far, as inconclusive.
    """

    base: Annotated[
        str | None, Option(help="The revision to compare with, such as origin/main.", metavar="REVISION")
    ] = None
    head: Annotated[
        str | None,
        Option(help="The revision that is judged. Without it: the working tree.", metavar="REVISION"),
    ] = None
    base_python: Annotated[Path | None, Option(help="The Python that runs base.", metavar="PATH")] = None
    head_python: Annotated[Path | None, Option(help="The Python that runs head.", metavar="PATH")] = None
    budget: Annotated[str, Option(help="The time for everything, such as 8m or 90s.", metavar="TIME")] = "8m"
    aim: Annotated[
        str,
        Option(
            help="The smallest slowdown that the run should detect. It ends early when it can detect that."
        ),
    ] = "3%"
    suite: Annotated[
        str,
        Option(help="The module that lists the cases. docs/gate.md says how to write one.", metavar="MODULE"),
    ] = "benchmarks.suite"
    case: Annotated[
        tuple[str, ...],
        Option(
            help="Measure only cases whose id matches, such as 'scratch-*'. Can be repeated.",
            metavar="PATTERN",
        ),
    ] = ()
    pairs: Annotated[
        int | None,
        Option(min=1, max=5, help="How many pairs of processes run at a time, each on its own CPU."),
    ] = None
    counters: Annotated[
        bool,
        Option(
            "--counters",
            help="Only count what a step does (operations, calls, memory). Takes seconds, and a busy machine "
            "does not matter.",
        ),
    ] = False
    prepare: Annotated[
        str | None,
        Option(
            help="A shell command that runs once in each tree, such as a build or a code generator.",
            metavar="COMMAND",
        ),
    ] = None
    form: Annotated[
        str, Option("--format", help=f"How to print: {', '.join(GATE_FORMATS)}.", metavar="NAME")
    ] = "table"
    record: Annotated[
        Path | None,
        Option(
            "--from", help="Measure nothing: judge and print the record of an earlier run.", metavar="FILE"
        ),
    ] = None
    init: Annotated[
        bool, Option("--init", help="Write speed.py, a suite to start from, into this folder, and stop.")
    ] = False
    output: Records = Path("results")

    def __post_init__(self) -> None:
        """Check what needs neither a repository nor an interpreter."""
        one_of("--format", self.form, GATE_FORMATS)
        seconds_of(self.budget)
        share_of(self.aim)
        compares = self.base is not None or self.base_python is not None or self.head_python is not None
        if not (compares or self.record or self.init):
            raise UserError(
                "there is nothing to compare with: give --base REVISION, or --base-python and --head-python"
            )

    def check_here(self) -> None:
        """Refuse a revision that git does not know; the request refuses one that is blank.

        Other forms than the table are for programs, which are told by the command itself, in that form.
        """
        if self.form == "table" and not (self.record or self.init):
            named = [one for one in (self.base, self.head) if one is None or one.strip()]
            check_revisions(Path.cwd(), named)
