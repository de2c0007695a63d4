"""The gate, tested: live runs of known truth, recorded launches drawn again; `python -m studies.gate.study`.

    aa, docs, load          live: nothing has changed (docs: a text has; load: others use the processors)
    inject, swapped         live: an implementation does real extra work in head, or in base
    resample                matrices drawn from the launches of live runs without a change
    page                    README.md of this folder, made from all that is stored

Live runs are stored as records of the gate, in a folder that names what is true of them:
studies/results/gate-study/<scenario>/<design>/<machine>/. The design is `turns`, or `sequential`:
one process after the other.
"""

import argparse
import multiprocessing
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast, get_args

from rmsprop.errors import UserError
from rmsprop.suite.gate.plan import Noise
from rmsprop.suite.gate.request import GateRequest, seconds_of
from rmsprop.suite.gate.session import FORMER, Session
from rmsprop.suite.gate.trees import prepared_trees
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.records.files import write_atomically
from rmsprop.suite.records.gate import SIGNAL, GateRecord
from rmsprop.suite.records.store import write_gate
from rmsprop.suite.report import markdown
from rmsprop.suite.report.page import Figures
from rmsprop.suite.verdicts.gate import judge_gate
from rmsprop.suite.words import percent
from studies.gate.injection import LOOP, How, inject
from studies.gate.other_tools import Tool, run_rival
from studies.gate.page import pages
from studies.gate.resampling import FOLDER as RESAMPLED
from studies.gate.resampling import RESAMPLED_FILE, score_resampled
from studies.gate.scores import FOLDER, UNCHANGED, Scenario, read_study
from studies.gate.sequential import SequentialSession
from studies.gate.tuning import tune

HOW = Path(__file__).with_name("how.md")
"""How the study is made, in words: the head of the page."""
DESIGNS: dict[str, type[Session]] = {"turns": Session, "sequential": SequentialSession}


def tuned_for(
    scenario: Scenario, folder: Path, patterns: Sequence[str], say: Callable[[str], None]
) -> dict[str, float]:
    """What makes each case slower by the scenario's amount; nothing unless a share of a step is meant."""
    if (
        scenario.kind in UNCHANGED
        or scenario.how not in ("work", "passes")
        or scenario.implementation == LOOP
    ):
        return {}
    return tune(folder, scenario.implementation, patterns, cast(How, scenario.how), scenario.amount, say)


def change(scenario: Scenario, tree: Path, tuned: Mapping[str, float] | None = None) -> None:
    """Make it true of a tree: of base where the sides are swapped, of head otherwise."""
    if scenario.kind == "docs":
        (tree / "NOTES.md").write_text("One more sentence.\n", encoding="utf-8")
    if scenario.kind in ("inject", "swapped"):
        inject(tree, scenario.implementation, cast(How, scenario.how), scenario.amount, tuned)


class _Quiet:
    """Progress as lines, for a run of hours."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def plan(self, record: GateRecord, promised: Any, measured: bool) -> None:
        plan = record.plan
        compared = sum(case.status == "compared" for case in record.cases)
        self.say(f"{compared} cases, {plan.screen} to screen, {plan.confirm} to confirm, {plan.turns} turns")

    def begin(self, stage: str, total: int | None) -> None:
        self.say(stage)

    def advance(self) -> None:
        pass


def live_run(
    folder: Path,
    scenario: Scenario,
    results: Path,
    *,
    tuned: Mapping[str, float] | None = None,
    design: str = "turns",
    budget: float = 480.0,
    aim: float = 0.03,
    patterns: Sequence[str] = (),
    pairs: int | None = None,
) -> tuple[GateRecord, Path]:
    """One run of the gate on copies of the working tree of which the scenario is true; stored."""
    begun = time.monotonic()
    environment = capture_environment()
    request = GateRequest(folder, budget=budget, aim=aim, patterns=tuple(patterns), pairs=pairs)
    with (
        prepared_trees(folder, request.revisions(), request.suite) as trees,
        _load(scenario.kind == "load"),
    ):
        change(scenario, (trees.base if scenario.kind == "swapped" else trees.head).path, tuned)
        record = DESIGNS[design](
            request,
            trees,
            request.interpreters(),
            environment,
            _Quiet(),
            Noise.of(_former(results, design, environment.machine)),
            begun,
        ).run()
    return record, write_gate(results / FOLDER / scenario.name / design, record)


def _former(results: Path, design: str, machine: str) -> list[GateRecord]:
    records = [run.record for run in read_study(results)[0].runs if run.design == design]
    return [record for record in records if record.environment.machine == machine][-FORMER:]


@contextmanager
def _load(wanted: bool) -> Iterator[None]:
    """A process that uses a processor for five seconds of every ten, as a neighbour would.

    Where the sides take turns it falls on both alike; where one follows the other, on one of them.
    """
    if not wanted:
        yield
        return
    neighbour = multiprocessing.get_context("spawn").Process(target=_burn, daemon=True)
    neighbour.start()
    try:
        yield
    finally:
        neighbour.kill()
        neighbour.join()


def _burn() -> None:
    while True:
        end = time.monotonic() + 5
        while time.monotonic() < end:
            sum(range(10_000))
        time.sleep(5)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m studies.gate.study", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("aa", "docs", "load", "inject", "swapped", "resample", "page"))
    parser.add_argument("--tool", choices=("gate", *get_args(Tool)), default="gate", help="for aa and inject")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--budget", default="8m")
    parser.add_argument("--aim", type=float, default=3.0, help="percent")
    parser.add_argument("--design", choices=list(DESIGNS), default="turns")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--implementation", default="builtin-loop", help="or loop: the book's training loop")
    parser.add_argument("--how", choices=get_args(How), default="work")
    parser.add_argument("--amount", type=float, default=0.05, help="share of a step; seconds for offset")
    parser.add_argument("--matrices", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("studies/results"))
    options = parser.parse_args(arguments)
    try:
        if options.what == "page":
            _page(options)
        elif options.what == "resample":
            _resample(options)
        elif options.tool != "gate":
            _rival_runs(options)
        else:
            _live_runs(options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def _scenario(options: argparse.Namespace) -> Scenario:
    if options.what in ("inject", "swapped"):
        return Scenario(options.what, options.implementation, options.how, options.amount)
    return Scenario(options.what)


def _rival_runs(options: argparse.Namespace) -> None:
    """Another tool on the cases whose ids are given, each by --case."""
    scenario = _scenario(options)
    if not options.case or any("*" in case for case in options.case):
        raise UserError("--tool takes whole ids of cases, each by --case")
    tuned = tuned_for(scenario, Path.cwd(), options.case, _Quiet().say)
    for _ in range(options.runs):
        run, path = run_rival(
            options.tool,
            Path.cwd(),
            scenario.name,
            partial(change, scenario, tuned=tuned),
            options.case,
            options.results,
        )
        print(f"{scenario.name} {run.tool}: {len(run.slower)} slower in {run.seconds:.0f} s; {run.slower}")
        print(f"  {path}", flush=True)


def _live_runs(options: argparse.Namespace) -> None:
    scenario = _scenario(options)
    tuned = tuned_for(scenario, Path.cwd(), options.case, _Quiet().say)
    for _ in range(options.runs):
        record, path = live_run(
            Path.cwd(),
            scenario,
            options.results,
            tuned=tuned,
            design=options.design,
            budget=seconds_of(options.budget),
            patterns=options.case,
            pairs=options.pairs,
            aim=options.aim / 100,
        )
        verdict = judge_gate(record)
        slower = "; ".join(f"{finding.name} {percent(finding.change)}" for finding in verdict.found("slower"))
        print(f"{scenario.name} {options.design}: {verdict.outcome} in {record.seconds:.0f} s; {slower}")
        print(f"  {path}", flush=True)
        if record.interrupted == SIGNAL:
            raise KeyboardInterrupt


def _page(options: argparse.Namespace) -> None:
    """Write the page and its figures beside this module."""
    study, problems = read_study(options.results)
    for problem in problems:
        print(f"left out {problem.path}: {problem.reason}", file=sys.stderr)
    folder = Path(__file__).parent
    for page in pages(study):
        text = markdown.render(page.blocks, figures="plots")
        write_atomically(folder / "README.md", f"# {page.title}\n\n{HOW.read_text(encoding='utf-8')}\n{text}")
        for drawing in (one for block in page.blocks if isinstance(block, Figures) for one in block.drawings):
            write_atomically(folder / "plots" / f"{drawing.name}.svg", drawing.file)
        print(folder / "README.md")


def _resample(options: argparse.Namespace) -> None:
    study, problems = read_study(options.results)
    for problem in problems:
        print(f"left out {problem.path}: {problem.reason}", file=sys.stderr)
    runs = [
        run.record
        for run in study.runs
        if run.scenario.kind in UNCHANGED and run.design == "turns" and run.record.hypotheses is not None
    ]
    # One that the budget kept from some cases would keep all matrices from them.
    cases = [frozenset(case.id for case in run.cases if case.samples) for run in runs]
    usual = Counter(cases).most_common(1)
    runs = [run for run, own in zip(runs, cases, strict=True) if own == usual[0][0]]
    found = score_resampled(runs, options.matrices, (0.02, 0.03, 0.05, 0.1), options.seed)
    path = options.results / RESAMPLED / f"{capture_environment().machine}.json"
    write_atomically(path, RESAMPLED_FILE.dump_json(found).decode() + "\n")
    for drawn in found.drawn:
        alarms = f"{drawn.alarms} of {drawn.matrices} alarm, {drawn.undecided} are undecided"
        print(f"{drawn.half}, alarm line {drawn.policy.alarm:.1%}, change {drawn.change:.0%}: {alarms}")
    print(path)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill removes trees and processes too
    sys.exit(main())
