"""The first page: does the book hold, how fast is a step here, what changed, on which machines."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import pandas as pd

from rmsprop.suite.case import DEFAULTS, REFERENCE
from rmsprop.suite.report.figures.reproduction import draw_reproduction
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    MARK,
    RATIO_MARK,
    Block,
    Cell,
    Detail,
    Figures,
    Heading,
    Link,
    Page,
    Sentences,
    Table,
    capped,
    marked,
    note,
    paragraph,
    warning,
)
from rmsprop.suite.report.pages import (
    author,
    gate,
    history,
    performance,
    performance_tables,
    problems,
    reproduction,
)
from rmsprop.suite.report.pages.history_tables import alerts_table
from rmsprop.suite.report.pages.reproduction_claims import (
    answer,
    claim_sentences,
    claims_table,
    origin,
    run_on,
)
from rmsprop.suite.report.pages.reproduction_evidence import worth_table
from rmsprop.suite.verdicts.gate_words import headline as gate_answer
from rmsprop.suite.verdicts.ratios import LEAST_PROCESSES
from rmsprop.suite.verdicts.reproduction import Judgement
from rmsprop.suite.verdicts.speed import Run, first_of, measured_steps
from rmsprop.suite.verdicts.turns import compare, row_of
from rmsprop.suite.verdicts.usual import usual_sentence
from rmsprop.suite.words import command, count, duration, factor, when

TITLE = "RMSProp: does the book hold, and how fast is a step?"
_TITLE_ELSEWHERE = "Benchmarks: is anything slower than it was?"
_TITLE_OF_AUTHOR = "Your optimizer: is it right, and how fast is a step?"
_HEADLINES = 4
"""Tables of speed-ups, one for each machine and device."""
_IMPLEMENTATIONS = 30
_ALERTS_LISTED = 10


def pages(inputs: Inputs) -> Iterable[Page]:
    """The page that is always there, also where nothing was measured."""
    yield Page("index.html", title(inputs), tuple(_blocks(inputs)), nav="Overview")


def title(inputs: Inputs) -> str:
    """Of the page and of the Markdown file."""
    if not inputs.elsewhere:
        return TITLE
    return _TITLE_OF_AUTHOR if author.answers(inputs.runs) else _TITLE_ELSEWHERE


def sentences(inputs: Inputs) -> tuple[str, ...]:
    """Does the book hold; how fast is a step; what changed, and what is unreliable.

    In somebody else's repository no book is spoken of, and their own optimizers come first.
    """
    changed = f"What changed? {_changed(inputs)}"
    found = next(_headline_runs(inputs), None)
    fast = f"How fast is a step? {_fast(inputs, found)}"
    if inputs.elsewhere:
        return (*author.answers(inputs.runs), *((fast,) if found else ()), changed)
    best = _reproduction(inputs)
    to_make = command("reproduce", output=inputs.results)
    holds = f"No reproduction is on record. The command {to_make} makes one."
    if inputs.invocation:
        holds = "This run did not reproduce the section."
    return (
        f"Does the book hold? {f'{answer(best)} {run_on(best.record)}' if best else holds}",
        fast,
        changed,
    )


def excerpt(inputs: Inputs) -> tuple[Block, ...]:
    """The claims and the speed of a step with a figure of each, for a README; nothing without a record.

    They are of the newest records of a CPU, which every reader has; of another device where there are none.
    """
    best = reproduction.shown(inputs.reproductions)
    if best is None:
        return ()
    losses = draw_reproduction(best).get("distribution-rmsprop-scratch")
    found = list(_headline_runs(inputs))
    fast = next((one for one in found if one.device == "cpu"), next(iter(found), None))
    times = fast and performance.headline_figure(inputs.runs, fast.run.machine, fast.device)
    return (
        paragraph(f"{answer(best)} {best.nothing_excludes}".strip()),
        *((worth_table(best),) if best.exclusions else ()),
        claims_table(best),
        paragraph(origin(best.record)),
        *((Figures((losses,)),) if losses else ()),
        paragraph(f"How fast is a step? {_fast(inputs, fast)}"),
        *((Figures((times,)),) if times else ()),
    )


def _blocks(inputs: Inputs) -> Iterator[Block]:
    if not inputs.elsewhere:
        yield paragraph(
            "RMSProp is an optimizer for neural networks. This report says whether ",
            Link("section 7.6 of Dive into Deep Learning", reproduction.BOOK),
            " still gives the numbers that it prints, and what one step of each implementation of RMSProp "
            f"costs. {performance.WHAT_IS_REFERENCE}",
        )
    yield Sentences(sentences(inputs), large=True)
    if not inputs.elsewhere:
        yield from _book(inputs)
    elif author.answers(inputs.runs):
        words = " has the checks, the speed against each implementation, the training and the memory."
        yield paragraph(Link("Your optimizer", author.PATH), words)
    if len(inputs.runs.rows) or not inputs.elsewhere:
        yield from _speed(inputs)
    yield from _changes(inputs)
    theirs = performance_tables.their_benchmarks(inputs.frame)
    if theirs.rows:
        yield theirs
    yield from _gate(inputs)
    if number := len(inputs.problems):
        yield Heading("What is left out")
        words = " below the results folder could not be shown."
        yield paragraph(Link(count(number, "file"), problems.PATH), words)


def _book(inputs: Inputs) -> Iterator[Block]:
    yield Heading("Does the book hold?")
    best = _reproduction(inputs) or reproduction.shown(inputs.reproductions)
    if best is None:
        yield paragraph("Nothing says so yet.")
        yield reproduction.to_show(inputs, "reproduce")
        return
    if best is not _reproduction(inputs):
        yield warning("This run did not reproduce the section. What follows was recorded before.")
    if best.record.data.source == "surrogate":
        yield reproduction.SURROGATE
    yield Detail((claim_sentences(best, reproduction.PATH),))
    yield note(origin(best.record))


def _speed(inputs: Inputs) -> Iterator[Block]:
    yield Heading("How fast is each implementation?")
    tables = list(_speed_tables(inputs))
    if not tables and not inputs.runs.runs:
        yield paragraph("Nothing was measured yet.")
        yield reproduction.to_show(inputs, "bench", profile="smoke")
        return
    yield from tables
    if tables:
        yield note(
            "Each table is of one run. Ratios are of times that were measured in turns, with the 95% "
            f"interval over that run’s processes. {RATIO_MARK} ",
            Link("Performance", performance_tables.PATH),
            " has every case, ",
            Link("and what the warnings say", performance_tables.PATH),
            ".",
        )
    shown = {(one.run.machine, one.run.label) for one in _headline_runs(inputs)}
    others = [run for run in inputs.runs.runs if (run.machine, run.label) not in shown]
    if others:
        yield performance_tables.runs_table(others, "Other runs on record", machine=True)


def _changes(inputs: Inputs) -> Iterator[Block]:
    yield Heading("What changed?")
    alerts = alerts_table(inputs, _ALERTS_LISTED, history.PATH)
    if alerts.rows:
        yield alerts
    elif inputs.history.series:
        yield paragraph(f"{history.changed(inputs)}.")
    else:
        yield paragraph(f"{history.changed(inputs)}. A case has one when two commits were measured.")
    if inputs.history.series:
        yield paragraph(Link("History", history.PATH), " has each series, of all runs on record.")


def _gate(inputs: Inputs) -> Iterator[Block]:
    if inputs.gates:
        newest = inputs.gates[-1]
        yield Heading("Is head slower than base?")
        words = f": {gate_answer(newest.record, newest.verdict)} ({when(newest.record.environment.started)})"
        yield paragraph(Link("The newest run of the gate", gate.PATH), words)


def _reproduction(inputs: Inputs) -> Judgement | None:
    """The record that the sentences speak of."""
    return inputs.reproduced if inputs.invocation else reproduction.shown(inputs.reproductions)


def _is_answered_for(run: str | None, inputs: Inputs) -> bool:
    """Whether the sentences speak of the run of that id."""
    return inputs.invocation is None or (inputs.invocation.run is not None and run == inputs.invocation.run)


@dataclass(frozen=True)
class Headline:
    """The steps that matter of the newest run on one device of one machine.

    Attributes
    ----------
    run, device
        The run, which says on which machine, and the device.
    points
        The steps of one turn at one point each.
    default
        Which implementation `torch.optim.RMSprop` is there without options, where it was measured.
    """

    run: Run
    device: str
    points: list[pd.DataFrame]

    @property
    def default(self) -> str:
        default = DEFAULTS.get(self.device, REFERENCE)
        measured = all((point["implementation"] == default).any() for point in self.points)
        return default if measured else REFERENCE


def _headline_runs(inputs: Inputs) -> Iterator[Headline]:
    for machine in inputs.runs.machines:
        rows = inputs.runs.on(machine)
        seen = set()
        for run in inputs.runs.runs_on(machine):
            # asv and pytest-benchmark measure one case after the other, and what is said here is in turns.
            if run.runner != "bench" or not _is_answered_for(run.id, inputs):
                continue
            for device, on_device in rows[rows["label"] == run.label].groupby("device", sort=False):
                points = list(performance.headline_points(on_device))
                if points and device not in seen:
                    seen.add(device)
                    yield Headline(run, str(device), points)


def _fast(inputs: Inputs, found: Headline | None) -> str:
    if found is None:
        if inputs.invocation:
            return "This run measured no step."
        return (
            "No run of rmsprop bench is on record, which alone measures in turns. The command "
            f"{command('bench', profile='smoke', output=inputs.results)} makes one."
        )
    point = max(found.points, key=lambda rows: (rows["layout"].iloc[0] == "single", rows["elements"].iloc[0]))
    best = first_of(point, "median")
    time = marked(duration(best["median"]), best["typical"])
    words = f"{best['implementation']} takes {time} ({best['device']}; float32; {best['point']})"
    doubted = not best["typical"]
    if best["implementation"] == found.default:
        words += ", and nothing there is faster"
    elif (point["implementation"] == found.default).any():
        one = compare(point, best["implementation"], found.default)
        times = marked(f"{factor(one.ratio)} times", one.trusted)
        words += f" and is {times} as fast as {found.default}"
        if one.interval:
            words += " (95% interval {} to {})".format(*map(factor, one.interval))
        doubted |= not one.trusted
    warned = f"{MARK} A warning speaks against the number before it." if doubted else ""
    said = (f"{words}. Measured on {found.run.machine}, {found.run.words}.", warned)
    return " ".join(filter(None, (*said, usual_sentence(found.run.usual))))


def _changed(inputs: Inputs) -> str:
    words = [history.changed(inputs)]
    steps = measured_steps(inputs.runs.latest)
    steps = steps[[_is_answered_for(run, inputs) for run in steps["run_id"]]]
    if len(steps):
        ratios = steps[steps["ratio"].notna() & (steps["implementation"] != REFERENCE)]
        doubted = [f"{(~steps['typical']).sum():,} of {count(len(steps), 'time')}"]
        if len(ratios):
            doubted.append(f"{(~ratios['ratio_trusted']).sum():,} of {count(len(ratios), 'ratio')}")
        words.append(f"warnings mark {' and '.join(doubted)} that are shown")
        runs = steps.drop_duplicates("run")["usual"]
        if usual := sorted(frozenset().union(*runs)):
            where = f"in {sum(map(bool, runs)):,} of {count(len(runs), 'run')}"
            words.append(f"{where} most times have the warning {' or '.join(usual)}, which marks none")
    if inputs.problems:
        words.append(f"{count(len(inputs.problems), 'file')} left out")
    return f"{'; '.join(words)}."


def _speed_tables(inputs: Inputs) -> Iterator[Table]:
    """For each machine and device, how many times as fast as torch's default at the points that matter."""
    for found in islice(_headline_runs(inputs), _HEADLINES):
        measured = {name for point in found.points for name in point["implementation"]}
        names = [name for name in inputs.runs.implementations if name in measured]
        yield capped(
            f"{found.run.machine}, {found.device}, float32: how many times as fast as {found.default} "
            f"(95% intervals where {LEAST_PROCESSES} processes measured); {found.run.words}",
            ("Implementation", *(str(point["point"].iloc[0]) for point in found.points)),
            [
                (
                    _link(name, found.run.machine),
                    *(_ratio(point, name, found.default) for point in found.points),
                )
                for name in names
            ],
            _IMPLEMENTATIONS,
        )


def _link(name: str, machine: str) -> Cell:
    return Cell(name, href=f"{performance_tables.PATH}#{performance_tables.machine_anchor(machine)}")


def _ratio(point: pd.DataFrame, name: str, default: str) -> str | Cell:
    measured = set(point["implementation"])
    if name not in measured or default not in measured:
        return "–"
    if name == default:
        median = row_of(point, name)["median"]
        return Cell(f"1 ({duration(median)})", 1.0)
    found = compare(point, name, default)
    return Cell(marked(found.words, found.trusted), found.ratio)
