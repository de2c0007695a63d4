"""The gate, tested: live runs of known truth, recorded launches drawn again; `python -m rmsprop.gate.study`.

    aa, docs, load          live: nothing has changed (docs: a text has; load: others use the processors)
    inject, swapped         live: an implementation does real extra work in head, or in base
    resample                matrices drawn from the launches of live runs without a change
    summary                 what all live runs below results/gate-study/ say, as Markdown

Live runs are stored as records of the gate, in a folder that names what is true of them:
results/gate-study/<scenario>/<design>/<machine>/. The design is `turns`, or `sequential` for the ablation:
one process after the other.
"""

import argparse
import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from scipy import stats

from rmsprop.errors import UserError
from rmsprop.gate.decide import choose, d_by_launch, holm, judge
from rmsprop.gate.formats import percent
from rmsprop.gate.injection import How, inject
from rmsprop.gate.launch import run_launch, run_sequential_launch
from rmsprop.gate.rivals import RivalRun, Tool, read_rivals, run_rival
from rmsprop.gate.run import Interpreters, measure_trees, seconds_of
from rmsprop.gate.trees import prepared
from rmsprop.gate.tuning import tune
from rmsprop.records.environment import capture_environment
from rmsprop.records.gate import GateRecord, Launch, Policy, Sample, Stage
from rmsprop.records.store import Problem, read_folder, read_gate, write_gate

FOLDER = "gate-study"
DESIGNS = {"turns": run_launch, "sequential": run_sequential_launch}
UNCHANGED = ("aa", "docs", "load")
RULES = ("gate", "no second stage", "fixed 5%", "fixed 10%", "Mann-Whitney p < 0.002 and 10%")


@dataclass(frozen=True)
class Scenario:
    """What is true of a live run; its folder's name."""

    kind: str
    """aa, docs, load, inject or swapped."""
    implementation: str = ""
    how: How = "passes"
    amount: float = 0.0

    @property
    def name(self) -> str:
        """Such as aa, or inject+scratch+passes+0.05."""
        if self.kind in UNCHANGED:
            return self.kind
        return f"{self.kind}+{self.implementation}+{self.how}+{self.amount:g}"

    @classmethod
    def parse(cls, name: str) -> "Scenario":
        """The scenario of that name."""
        kind, *rest = name.split("+")
        return cls(kind, rest[0], rest[1], float(rest[2])) if rest else cls(kind)  # type: ignore[arg-type]

    @property
    def slowed(self) -> str | None:
        """The implementation that is slower in head, if one is."""
        return self.implementation if self.kind == "inject" else None

    def tune(self, folder: Path, say: Callable[[str], None]) -> dict[str, float]:
        """What makes each case slower by the amount; nothing unless a share of a step is meant."""
        if self.kind in UNCHANGED or self.how != "passes":
            return {}
        return tune(folder, self.implementation, self.how, self.amount, say)

    def change(self, tree: Path, tuned: Mapping[str, float] | None = None) -> None:
        """Make it true of a tree: of base where the sides are swapped, of head otherwise."""
        if self.kind == "docs":
            (tree / "NOTES.md").write_text("One more sentence.\n", encoding="utf-8")
        if self.kind in ("inject", "swapped"):
            inject(tree, self.implementation, self.how, self.amount, tuned)


@dataclass(frozen=True)
class Live:
    """A live run that was stored."""

    scenario: Scenario
    design: str
    record: GateRecord


@dataclass(frozen=True)
class Rate:
    """So many of so many, with the exact 95% interval (Clopper and Pearson)."""

    hits: int
    of: int

    @property
    def words(self) -> str:
        """Such as `0 of 10 (0% to 31%)`."""
        if not self.of:
            return "none"
        interval = stats.binomtest(self.hits, self.of).proportion_ci(0.95, "exact")
        return f"{self.hits} of {self.of} ({interval.low:.1%} to {interval.high:.1%})"


class _Quiet:
    """Progress as lines, for a run of hours."""

    def say(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    def plan(self, record: GateRecord, promises: Any, measured: bool) -> None:
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
    patterns: Sequence[str] = (),
    pairs: int | None = None,
    policy: Policy = Policy(),  # noqa: B008 (frozen)
) -> tuple[GateRecord, Path]:
    """One run of the gate on copies of the working tree of which the scenario is true; stored."""
    begun = time.monotonic()
    environment = capture_environment()
    python = Path(sys.executable)
    with prepared(folder, None, None, "benchmarks.suite") as trees, _load(scenario.kind == "load"):
        scenario.change((trees.base if scenario.kind == "swapped" else trees.head).path, tuned)
        record = measure_trees(
            trees,
            Interpreters(python, python),
            environment,
            budget=budget,
            begun=begun,
            patterns=patterns,
            pairs=pairs,
            policy=policy,
            former=[],
            show=_Quiet(),
            launch=DESIGNS[design],
        )
    return record, write_gate(results / FOLDER / scenario.name / design, record)


@contextmanager
def _load(wanted: bool) -> Iterator[None]:
    """A process that uses a processor for five seconds of every ten, as a neighbour would."""
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


def read_study(results: Path) -> tuple[list[Live], list[Problem]]:
    """All live runs below results/gate-study/, oldest first, and the files that are none."""
    runs, problems = [], []
    for folder in sorted((results / FOLDER).glob("*/*")):
        records, damaged = read_folder(folder, read_gate)
        scenario = Scenario.parse(folder.parent.name)
        runs += [Live(scenario, folder.name, record) for record in records]
        problems += damaged
    return sorted(runs, key=lambda run: run.record.environment.started), problems


def named(record: GateRecord, rule: str) -> set[str]:
    """The cases that a rule calls slower: the gate's own, or one of those that others use."""
    d = {case.id: np.array([*d_by_launch(case, record, "screen").values()]) for case in record.cases}
    d = {name: values for name, values in d.items() if len(values)}
    if rule == "gate":
        return {name for finding in judge(record).found("slower") for name in finding.cases}
    if rule == "no second stage":
        null, line = math.log1p(record.policy.margin), math.log1p(record.policy.alarm)
        corrected = holm(
            [float(stats.ttest_1samp(x, null, alternative="greater").pvalue) for x in d.values()]
        )
        return {
            name
            for (name, x), p in zip(d.items(), corrected, strict=True)
            if p <= record.policy.alpha and x.mean() >= line
        }
    if rule.startswith("fixed"):
        line = math.log1p(float(rule.split()[1].removesuffix("%")) / 100)
        return {name for name, x in d.items() if np.median(x) >= line}
    found = set()
    for case in record.cases:
        base, head = ([getattr(sample, side) for sample in case.samples] for side in ("base", "head"))
        larger = len(base) > 1 and np.median(head) > 1.1 * np.median(base)
        if larger and stats.mannwhitneyu(head, base, alternative="two-sided").pvalue < 0.002:
            found.add(case.id)
    return found


def resample(
    records: Sequence[GateRecord], rng: np.random.Generator, *, slowed: str = "", change: float = 0.0
) -> tuple[GateRecord, set[str]]:
    """A run drawn from the launches of runs without a change, and the cases that it makes slower.

    A launch is drawn whole, for all cases, and turned round (base for head) with chance a half: what the
    cases of a launch have in common stays. `slowed` is a family whose d has log(1 + change) added.
    """
    first = records[0]
    pool = [_launch_of(record, index) for record in records for index in range(len(record.launches))]
    whole = [launch for launch in pool if len(launch) == max(map(len, pool))]
    names = list(whole[0])
    family = {case.id: case.family for case in first.cases}
    slower = {name for name in names if family[name] == slowed}

    def draw(stage: Stage, count: int, start: int) -> tuple[tuple[Launch, ...], dict[str, list[Sample]]]:
        drawn: dict[str, list[Sample]] = {name: [] for name in names}
        for index in range(start, start + count):
            launch, again = (whole[rng.integers(len(whole))] for _ in range(2))
            sign, other = rng.choice((-1, 1), 2)
            for name in names:
                d = sign * launch[name] + math.log1p(change) * (name in slower)
                control = other * again[name] if stage == "confirm" else None
                drawn[name].append(Sample(index, 1.0, math.exp(d), d, control))
        return tuple(Launch(stage, i, None, 0.0, None) for i in range(start, start + count)), drawn

    plan = first.plan
    launches, screened = draw("screen", plan.screen, 0)
    hypotheses = choose(
        {name: [sample.d for sample in samples] for name, samples in screened.items()},
        family,
        first.policy,
        most=len(names),
    )
    more, confirmed = draw("confirm", plan.confirm, len(launches))
    again = {name for hypothesis in hypotheses for name in hypothesis.cases}
    cases = tuple(
        replace(case, samples=(*screened[case.id], *(confirmed[case.id] if case.id in again else ())))
        for case in first.cases
        if case.id in screened
    )
    made = replace(
        first, launches=launches + more, cases=cases, hypotheses=hypotheses, interrupted=None, error=None
    )
    return made, slower


def _launch_of(record: GateRecord, index: int) -> dict[str, float]:
    return {
        case.id: sample.d
        for case in record.cases
        for sample in case.samples
        if sample.launch == index and record.launches[index].stage == "screen"
    }


def summary(runs: Sequence[Live], rivals: Sequence[RivalRun] = ()) -> str:
    """Live runs as Markdown: alarms, what was found, what else was named, by scenario, design and rule.

    Other tools' runs stand below, on the cases that they were given.
    """
    lines = [
        "| scenario | design | rule | runs that alarm | that name all slowed cases that gate | wrong names |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    groups: dict[tuple[str, str], list[Live]] = {}
    for run in runs:
        groups.setdefault((run.scenario.name, run.design), []).append(run)
    for (name, design), group in groups.items():
        for rule in RULES:
            lines.append(f"| {name} | {design} | {rule} | {' | '.join(_scores(group, rule))} |")
    lines += [
        "",
        "| class | sd of d between launches | sees from (median) | cannot gate |",
        "| --- | --- | --- | --- |",
    ]
    lines += [*_by_class(runs)]
    if rivals:
        lines += [
            "",
            "| scenario | tool | runs that alarm | cases called slower in a run | seconds (median) |",
        ]
        lines += ["| --- | --- | --- | --- | --- |", *_by_rival(rivals)]
    return "\n".join(lines)


def _scores(group: Sequence[Live], rule: str) -> tuple[str, str, str]:
    alarms, whole, wrong = 0, 0, 0
    for run in group:
        found = named(run.record, rule)
        slowed = {case.id for case in run.record.cases if case.family == run.scenario.slowed}
        gated = {view.case.id for view in judge(run.record).cases if view.gates} & slowed
        alarms += bool(found)
        whole += bool(gated) and gated <= found
        wrong += len(found - slowed)
    asked = group[0].scenario.slowed is not None
    return Rate(alarms, len(group)).words, Rate(whole, len(group)).words if asked else "", str(wrong)


def _by_rival(rivals: Sequence[RivalRun]) -> Iterator[str]:
    groups: dict[tuple[str, str], list[RivalRun]] = {}
    for run in rivals:
        groups.setdefault((run.scenario, run.tool), []).append(run)
    for (scenario, tool), group in groups.items():
        alarms = Rate(sum(bool(run.slower) for run in group), len(group)).words
        slower = np.mean([len(run.slower) for run in group])
        seconds = np.median([run.seconds for run in group])
        yield f"| {scenario} | {tool} | {alarms} | {slower:.1f} | {seconds:.0f} |"


def _by_class(runs: Sequence[Live]) -> Iterator[str]:
    """The spread by how long a step takes, over the runs of the gate's own design."""
    views = [view for run in runs if run.design == "turns" for view in judge(run.record).cases if view.sd]
    for name, low, high in (
        ("a step below 50 us", 0, 5e-5),
        ("50 to 500 us", 5e-5, 5e-4),
        ("0.5 to 3 ms", 5e-4, 3e-3),
        ("a step fills a turn", 3e-3, math.inf),
    ):
        chosen = [v for v in views if low <= np.median([sample.base for sample in v.case.samples]) < high]
        if chosen:
            spreads = np.array([view.sd for view in chosen], float)
            sees = np.array([view.detectable or math.inf for view in chosen])
            blind = Rate(sum(not view.gates for view in chosen), len(chosen)).words
            quartiles = np.quantile(spreads, (0.25, 0.5, 0.75))
            yield (
                f"| {name} | {quartiles[1]:.2%} ({quartiles[0]:.2%} to {quartiles[2]:.2%}) "
                f"| {percent(float(np.median(sees)))} | {blind} |"
            )


def score_resampled(records: Sequence[GateRecord], matrices: int, changes: Sequence[float], seed: int) -> str:
    """Markdown: alarms of drawn matrices without a change, and how often a slowed family is found."""
    rng = np.random.default_rng(seed)
    machines = len({record.environment.machine for record in records})
    days = len({record.environment.started[:10] for record in records})
    alarms = sum(judge(resample(records, rng)[0]).outcome == "regression" for _ in range(matrices))
    lines = [
        f"Drawn from {len(records)} live runs on {machines} machine(s) and {days} day(s).",
        "",
        "| true change | matrices | alarm | slowed cases that are named | others that are named |",
        "| --- | --- | --- | --- | --- |",
        f"| none | {matrices} | {Rate(alarms, matrices).words} | | |",
    ]
    families = list(dict.fromkeys(case.family for case in records[0].cases if case.samples))
    for change in changes:
        alarmed = found = asked = wrong = 0
        for number in range(matrices // 10):
            made, slower = resample(records, rng, slowed=families[number % len(families)], change=change)
            cases = named(made, "gate")
            alarmed += bool(cases & slower)
            found, asked, wrong = (
                found + len(cases & slower),
                asked + len(slower),
                wrong + len(cases - slower),
            )
        alarm = Rate(alarmed, matrices // 10).words
        lines.append(f"| {change:.0%} | {matrices // 10} | {alarm} | {Rate(found, asked).words} | {wrong} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m rmsprop.gate.study", description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("aa", "docs", "load", "inject", "swapped", "resample", "summary"))
    parser.add_argument("--tool", choices=("gate", *get_args(Tool)), default="gate", help="for aa and inject")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--budget", default="8m")
    parser.add_argument("--aim", type=float, default=3.0, help="percent")
    parser.add_argument("--design", choices=list(DESIGNS), default="turns")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--implementation", default="scratch")
    parser.add_argument("--how", choices=get_args(How), default="passes")
    parser.add_argument("--amount", type=float, default=0.05, help="share of a step; seconds for offset")
    parser.add_argument("--matrices", type=int, default=300)
    parser.add_argument(
        "--half", choices=("first", "second"), help="resample from that half of the runs alone"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args(arguments)
    try:
        if options.what in ("resample", "summary"):
            _report(options)
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
    for _ in range(options.runs):
        run, path = run_rival(
            options.tool, Path.cwd(), scenario.name, scenario.change, options.case, options.results
        )
        print(f"{scenario.name} {run.tool}: {len(run.slower)} slower in {run.seconds:.0f} s; {run.slower}")
        print(f"  {path}", flush=True)


def _live_runs(options: argparse.Namespace) -> None:
    scenario = _scenario(options)
    tuned = scenario.tune(Path.cwd(), _Quiet().say)
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
            policy=Policy(aim=options.aim / 100),
        )
        decision = judge(record)
        slower = "; ".join(
            f"{finding.name} {percent(finding.change)}" for finding in decision.found("slower")
        )
        print(f"{scenario.name} {options.design}: {decision.outcome} in {record.seconds:.0f} s; {slower}")
        print(f"  {path}", flush=True)
        if record.interrupted == "interrupted":
            raise KeyboardInterrupt


def _report(options: argparse.Namespace) -> None:
    runs, problems = read_study(options.results)
    for problem in problems:
        print(f"left out {problem.path}: {problem.reason}", file=sys.stderr)
    if options.what == "summary":
        rivals, unread = read_rivals(options.results)
        for problem in unread:
            print(f"left out {problem.path}: {problem.reason}", file=sys.stderr)
        print(summary(runs, rivals))
        return
    records = [
        run.record
        for run in runs
        if run.scenario.kind in UNCHANGED and run.design == "turns" and run.record.hypotheses is not None
    ]
    middle = len(records) // 2
    records = {"first": records[:middle], "second": records[middle:], None: records}[options.half]
    if not records:
        raise UserError("no live run without a change to draw from; run `python -m rmsprop.gate.study aa`")
    print(score_resampled(records, options.matrices, (0.02, 0.03, 0.05, 0.1), options.seed))


if __name__ == "__main__":
    sys.exit(main())
