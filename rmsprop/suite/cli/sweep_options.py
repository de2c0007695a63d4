"""The options of `rmsprop sweep`, checked as those in `options.py` are."""

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from rmsprop.errors import UserError
from rmsprop.suite.cli.option_kinds import Data, Records, among, one_of, rows_there
from rmsprop.suite.records.files import check_writable
from rmsprop.suite.sweep.grid import AXES, DEFAULTS, OPTIMIZERS, PROFILES, SHARED, Grid, values_of
from rmsprop.suite.sweep.jobs import JOBS


@dataclass(frozen=True)
class SweepOptions:
    """Train a job at each point of a grid with many seeds: where does an optimizer work?

    Such as: rmsprop sweep optimizer=rmsprop,adam lr=1e-4..1:9 gamma=.9,.99 --seeds 256. The range 1e-4..1:9
    stands for nine values from 1e-4 to 1, each the same multiple of the one before. A finished chunk is on
    disk; the same command goes on with a sweep that was interrupted. Exit code 0: the sweep is whole. 2: an
    option or the data is wrong, or workers were lost. 130: interrupted.
    """

    axis: Annotated[
        tuple[str, ...],
        Argument(
            help=f"Values of an axis, in place of the profile's: {', '.join(AXES)}.",
            metavar="[AXIS=VALUES]...",
            show_default=False,
        ),
    ] = ()
    profile: Annotated[
        str | None,
        among(
            PROFILES,
            "Where to begin",
            "Smoke trains every optimizer of the chapter 12,000 times in all, map 1.4 million times; on the "
            "digits 360 and 10,464 times. Without it, an axis that is not given has the book's value for "
            "RMSProp.",
        ),
    ] = None
    job: Annotated[
        str,
        among(
            JOBS,
            "What is trained",
            "The book's linear regression, or a small network on the digits of scikit-learn.",
        ),
    ] = "book"
    seeds: Annotated[
        int | None,
        Option(help="How many seeds a point; without a profile 128, of the digits 32.", show_default=False),
    ] = None
    target: Annotated[
        float | None,
        Option(
            help="The loss to which epochs are counted; 0.25 without it, of the digits 0.1.",
            show_default=False,
        ),
    ] = None
    jobs: Annotated[
        int | None,
        Option(help="How many processes train. Without it: one for each processor.", show_default=False),
    ] = None
    scheduler: Annotated[
        str | None,
        Option(help="Train on the Dask cluster of this scheduler: tcp://host:8786.", metavar="ADDRESS"),
    ] = None
    chunk: Annotated[
        int | None,
        Option(
            help="About how many trainings a worker takes at a time, at most; 32,768 without it, of the "
            "digits 512.",
            show_default=False,
        ),
    ] = None
    listed: Annotated[bool, Option("--list", help="Train nothing: print axes and size.")] = False
    again: Annotated[bool, Option("--again", help="Begin anew, also where the same sweep is there.")] = False
    data: Data = "auto"
    output: Records = Path("results")

    def __post_init__(self) -> None:
        """Check names and numbers."""
        one_of("--job", self.job, JOBS)
        if self.profile is not None:
            one_of("--profile", self.profile, PROFILES)
        if self.job != "book" and self.data != "auto":
            raise UserError(f"--data {self.data}: the job {self.job} has rows of its own; leave it out")
        if self.job == "book":
            rows_there(self.data)
        if self.jobs is not None and self.jobs < 1:
            raise UserError(f"--jobs {self.jobs}: expected at least 1")
        lanes = JOBS[self.job].lanes
        if self.most < lanes:
            raise UserError(f"--chunk {self.chunk}: expected at least {lanes}, the seeds of a chunk")
        if self.target is not None and not self.target > 0:
            raise UserError(f"--target {self.target:g}: expected a number above 0")
        if self.scheduler is not None and self.jobs is not None:
            raise UserError("--jobs and --scheduler: give one of them; a cluster has its own workers")
        grid = self.grid
        known = {axis for name in grid.optimizer for axis in (*SHARED, *OPTIMIZERS[name])}
        for axis in self.given:
            if axis not in known:
                having = next(name for name, axes in OPTIMIZERS.items() if axis in axes)
                raise UserError(
                    f"{axis}: no chosen optimizer has it ({', '.join(grid.optimizer)}); leave it out, or "
                    f"choose one that has, such as optimizer={having}"
                )

    def check_here(self) -> None:
        """Refuse a folder that cannot be written."""
        if not self.listed:
            check_writable(self.output)

    @property
    def given(self) -> dict[str, Any]:
        """The values that were given, by axis."""
        found: dict[str, Any] = {}
        for word in self.axis:
            name, equals, values = word.partition("=")
            if not equals:
                raise UserError(f"{word!r}: expected AXIS=VALUES with an axis of {', '.join(AXES)}")
            name = name.replace("-", "_")
            if name in found:
                raise UserError(f"{name}: given twice; join its values with commas")
            found[name] = values_of(name, values)
        return found

    @property
    def grid(self) -> Grid:
        """What is asked for."""
        begin = PROFILES[self.profile][self.job] if self.profile else DEFAULTS[self.job]
        seeds = begin.seeds if self.seeds is None else self.seeds
        return replace(begin, seeds=seeds, **self.given)

    @property
    def loss(self) -> float:
        """To which epochs are counted."""
        return JOBS[self.job].target if self.target is None else self.target

    @property
    def most(self) -> int:
        """About how many trainings a chunk holds at most."""
        return JOBS[self.job].chunk if self.chunk is None else self.chunk

    @property
    def processes(self) -> int:
        """How many of this machine train; 0 on a cluster."""
        if self.scheduler is not None:
            return 0
        if self.jobs is not None:
            return self.jobs
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
