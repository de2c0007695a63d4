"""The page of the gate's study: what runs whose truth is known say of its alarms and its power."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rmsprop.suite.records.gate import Policy
from rmsprop.suite.report.page import (
    Block,
    Cell,
    Detail,
    Facts,
    Figures,
    Heading,
    Page,
    Sentences,
    Table,
    capped,
    note,
)
from rmsprop.suite.words import count, percent, when
from studies.gate.calibration import calibration_table, calibrations
from studies.gate.figures import draw_power
from studies.gate.injection import LOOP
from studies.gate.other_tools import RivalRun
from studies.gate.resampling import GOAL, DrawnLaunch, Resampled
from studies.gate.scores import (
    GATE,
    Live,
    Rate,
    Scenario,
    Score,
    Study,
    powers,
    scores,
    spreads,
)

_LISTED = 500


def pages(study: Study) -> Iterable[Page]:
    """One page, if the gate was studied."""
    if study.runs:
        title = "The gate, tested where the truth is known"
        yield Page("gate-study.html", title, tuple(_blocks(study)), nav="Gate study")


def _blocks(study: Study) -> Iterator[Block]:
    scored = scores(study.runs)
    own = [score for score in scored if score.rule == GATE]
    yield Sentences(tuple(_headlines(own)))
    yield Facts(_facts(study))
    yield note(
        "Each run is the whole gate, over as many cases as are given. It compares two copies of the tree, "
        "and extra work inside a step makes the named scenario true. The work is tuned beforehand, so that "
        "each case is slower by about the named share; the real cost is measured over all launches of "
        "these runs. Rates have exact 95% intervals (Clopper and Pearson). A case is detected by itself or "
        "with its family. Where nothing changed, each run counts that was measured to its end. If too few of "
        "its cases could show 5% for a pass, it is inconclusive, but it could have alarmed."
    )
    yield _live_table(own)
    if found := powers(study.runs):
        yield Heading("Power")
        yield Figures((draw_power(found),))
        yield _power_table(study.runs)
        yield calibration_table(calibrations(study.runs))
    yield Heading("Other rules, other designs, other tools")
    yield _rules_table(scored)
    yield _spread_table(study.runs)
    if study.rivals:
        yield _rivals_table(study.rivals)
    if study.resampled:
        yield Heading("Resampled launches")
        yield note(
            "These are no live runs: a matrix is drawn from recorded launches of many runs, each whole and "
            "at most once. That dilutes what is peculiar to one run, and the same few launches stand "
            "behind all matrices of a half, so that there are no intervals."
        )
        for one in study.resampled:
            yield note(_chosen(one))
            yield _resampled_table(one)
    yield Detail((Heading("Every run"), _runs_table(study.runs)))


def _headlines(own: Sequence[Score]) -> list[str]:
    """The gate's own design in a sentence for each kind of run."""
    said = []
    for score in own:
        if score.design != "turns":
            continue
        runs = count(score.alarms.of, "run")
        least, most = score.cases
        cases = f"{least} to {most} cases" if least < most else count(most, "case")
        ends = f"{cases}; the longest took {score.seconds:.0f} s."
        if not score.alarms.of:
            none = f"none of {count(score.inconclusive, 'run')} came to a conclusion"
            said.append(f"{_words(score.scenario)}: {none}; {ends}")
            continue
        if more := score.inconclusive - score.weak:
            ends = f"{more} more came to no conclusion; {ends}"
        if score.weak:
            ends = f"{score.weak} of them could see too little to pass; {ends}"
        if score.scenario.slowed:
            said.append(
                f"{_words(score.scenario)}: a slower case detected in {score.detecting.hits} of {runs}, "
                f"every powered one in {score.complete.hits}, "
                f"{count(score.false_positives, 'false positive')}; {ends}"
            )
        else:
            gained = f", called faster in {score.detecting.hits}" if score.detecting.of else ""
            said.append(
                f"{_words(score.scenario)}: {count(score.alarms.hits, 'alarm')} in {runs}{gained}; {ends}"
            )
    return said


def _words(scenario: Scenario) -> str:
    if scenario.slowed is None:
        kinds = {
            "aa": "The same tree twice",
            "docs": "A change of a text",
            "load": "Others use the processors",
        }
        return kinds.get(scenario.kind, f"The slower tree as base ({_work(scenario)})")
    named = {LOOP: "The book's training loop"}.get(scenario.implementation, scenario.implementation)
    return f"{named} slower by {_work(scenario)}"


def _work(scenario: Scenario) -> str:
    if scenario.how == "offset":
        return f"{scenario.amount * 1e6:g} µs"
    kinds = {
        "memory": " more memory traffic",
        "passes": " (more passes)",
        "every20": ", all in every 20th step",
        "every100": ", all in every 100th step",
    }
    return f"{scenario.amount:.0%}{kinds.get(scenario.how, '')}"


def _load(load: float | None) -> Cell:
    return Cell("unknown") if load is None else Cell(f"{load:.1f}", load)


def _facts(study: Study) -> dict[str, str]:
    environments = [run.record.environment for run in study.runs]
    loads = [one.load for one in environments if one.load is not None]
    machines = sorted({one.words for one in environments})
    days = {one.started[:10] for one in environments}
    commits = Counter(_commit(run) for run in study.runs)
    return {
        "Runs": f"{len(study.runs)}, on {count(len(machines), 'machine')} and {count(len(days), 'day')}",
        "Machines": "; ".join(machines),
        "The gate at": ", ".join(f"{commit} ({count(many, 'run')})" for commit, many in commits.items()),
        "Load when they began": f"{min(loads)} to {max(loads)}" if loads else "unknown",
    }


def _commit(run: Live) -> str:
    of = run.record.environment
    return f"{(of.commit or 'no commit')[:9]}{' with local changes' if of.dirty else ''}"


def _live_table(own: Sequence[Score]) -> Table:
    rows = tuple(
        (
            _words(score.scenario),
            score.design,
            _changes(score),
            score.alarms.words,
            score.detecting.words if score.detecting.of else "–",
            score.complete.words if score.complete.of else "–",
            Cell(str(score.false_positives), score.false_positives),
            Cell(str(score.inconclusive), score.inconclusive),
            Cell(f"{score.seconds:.0f} s", score.seconds),
        )
        for score in own
    )
    columns = (
        "Ground truth",
        "Design",
        "Measured change of a slower case",
        "Runs that alarm",
        "Runs that detect a slower case",
        "Runs that detect all powered cases",
        "False positives",
        "Inconclusive",
        "Longest run",
    )
    return Table("Live runs of the whole gate", columns, rows)


def _changes(score: Score) -> str:
    if score.change is None:
        return "–"
    low, middle, high = score.change
    return f"{percent(middle)} ({percent(low)} to {percent(high)})"


def _power_table(runs: Sequence[Live]) -> Table:
    rows = tuple(
        (
            Cell(_between(power.low, power.high), max(power.low, -1.0)),
            power.duration,
            Cell(power.found.words, power.found.hits / power.found.of),
        )
        for power in powers(runs)
    )
    columns = ("Measured change", "Duration", "Detected")
    return Table("Slower cases that the gate detects, by what they really cost", columns, rows)


def _between(low: float, high: float) -> str:
    if math.isinf(low):
        return f"below {high:.0%}"
    return f"from {low:.0%}" if math.isinf(high) else f"{low:.0%} to {high:.0%}"


def _rules_table(scored: Sequence[Score]) -> Table:
    rows = tuple(
        (
            _words(score.scenario),
            score.design,
            score.rule,
            score.alarms.words,
            score.found.words if score.found.of else "–",
            Cell(str(score.false_positives), score.false_positives),
        )
        for score in scored
    )
    columns = (
        "Ground truth",
        "Design",
        "Rule",
        "Runs that alarm",
        "Slower cases that are detected",
        "False positives",
    )
    return Table("What other rules say of the very same launches", columns, rows)


def _spread_table(runs: Sequence[Live]) -> Table:
    rows = tuple(
        (
            one.duration,
            one.design,
            Cell(f"{one.sd[1]:.2%} ({one.sd[0]:.2%} to {one.sd[2]:.2%})", one.sd[1]),
            Cell("never" if math.isinf(one.sees) else f"{one.sees:.1%}", min(one.sees, 1e9)),
            Cell(one.blind.words, one.blind.hits / one.blind.of),
        )
        for one in spreads(runs)
    )
    columns = (
        "Duration",
        "Design",
        "Between launches (quartiles)",
        "Minimum detectable (median)",
        "Underpowered",
    )
    return Table(
        "The spread of the log ratio between launches, and what the gate can detect with it", columns, rows
    )


def _rivals_table(rivals: Sequence[RivalRun]) -> Table:
    groups: dict[tuple[str, str, str], list[RivalRun]] = {}
    for run in rivals:
        groups.setdefault((run.scenario, run.tool, run.command), []).append(run)
    rows = tuple(
        (
            _words(Scenario.parse(scenario)),
            Cell(command),
            Rate(sum(bool(run.slower) for run in group), len(group)).words,
            ", ".join(str(len(run.slower)) for run in group),
            f"{max(run.seconds for run in group):.0f} s",
        )
        for (scenario, _, command), group in groups.items()
    )
    columns = ("Ground truth", "Command", "Runs that alarm", "Cases called slower in each", "Longest run")
    return Table("Other tools on the same two commits, on cases of the same matrix", columns, rows)


def _resampled_table(one: Resampled) -> Table:
    runs = {half: len(started) for half, started in one.runs.items()}
    rows = tuple((f"{drawn.half}, {count(runs[drawn.half], 'run')}", *_drawn(drawn)) for drawn in one.drawn)
    columns = (
        "Half",
        "Screen, margin, alarm line",
        "True change",
        "Matrices that alarm",
        "Slower cases that are detected",
        "False positives",
        "Undecided",
    )
    where = f"{count(one.machines, 'machine')} and {count(one.days, 'day')}"
    return Table(f"Matrices drawn from runs without a change, on {where}", columns, rows)


def _chosen(one: Resampled) -> str:
    return (
        f"The first half of the runs chooses {_policy(one.chosen)}: of the policies that alarm in at most "
        f"{one.chosen.alpha:.0%} of the matrices without a change the one that detects most at {GOAL:.0%}. "
        f"The second half says what that is worth. The gate's own is {_policy(Policy())}, for machines that "
        "are noisier than this one, and all runs say what that is worth."
    )


def _policy(policy: Policy) -> str:
    return f"{policy.screen:.1%}, {policy.margin:.1%}, {policy.alarm:.1%}"


def _drawn(drawn: DrawnLaunch) -> tuple[str | Cell, ...]:
    return (
        _policy(drawn.policy),
        Cell(f"{drawn.change:.0%}" if drawn.change else "none", drawn.change),
        # No intervals: the same few launches stand behind all of the matrices.
        Cell(f"{drawn.alarms:,} of {drawn.matrices:,}", drawn.alarms / drawn.matrices),
        Cell(f"{drawn.found / drawn.asked:.0%}", drawn.found / drawn.asked) if drawn.asked else "–",
        Cell(str(drawn.wrong), drawn.wrong),
        Cell(str(drawn.undecided), drawn.undecided),
    )


def _runs_table(runs: Sequence[Live]) -> Table:
    rows = [
        (
            when(run.record.environment.started),
            run.scenario.name,
            run.design,
            Cell(run.verdict.outcome, status=run.verdict.outcome),
            "; ".join(f"{one.name} {percent(one.change)}" for one in run.verdict.found("slower")),
            Cell(f"{run.record.seconds:.0f} s", run.record.seconds),
            _load(run.record.environment.load),
            _commit(run),
        )
        for run in runs
    ]
    columns = ("When", "Ground truth", "Design", "Outcome", "Called slower", "Took", "Load before", "Gate at")
    return capped("Every live run", columns, rows, _LISTED)
