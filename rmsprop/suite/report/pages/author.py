"""The page for the author of an optimizer: whether it is right, its speed, its training, its memory."""

from collections.abc import Iterable, Iterator, Sequence

import pandas as pd

from rmsprop.suite.case import IMPLEMENTATIONS
from rmsprop.suite.records.frame import Row
from rmsprop.suite.report.figures.author import draw_loss_curves
from rmsprop.suite.report.figures.canvas import Drawing, Styles, styles_of
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    RATIO_MARK,
    Block,
    Cell,
    Code,
    Figures,
    Heading,
    Page,
    Table,
    capped,
    headline,
    marked,
    note,
    paragraph,
)
from rmsprop.suite.verdicts.correctness import Answer, check_of, sentence
from rmsprop.suite.verdicts.speed import POINT, Runs, as_rows, measured_steps
from rmsprop.suite.verdicts.turns import compare, row_of
from rmsprop.suite.words import count, duration, size_of, slug

PATH = "author.html"
_OPTIMIZERS = 6
_ROWS = 60


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, where an optimizer that is not the suite's own was measured, skipped or failed."""
    names = _optimizers(inputs.runs)
    if not names:
        return
    styles = styles_of(inputs.runs.implementations)
    blocks: list[Block] = [
        paragraph(
            "Each optimizer here came with ",
            Code("--optimizer"),
            ", an entry point or the variable ",
            Code("RMSPROP_OPTIMIZERS"),
            ". All numbers of a row were measured in turns in one run.",
        )
    ]
    for name in names[:_OPTIMIZERS]:
        blocks += _section(inputs.runs, name, _last_machine(inputs.runs, name), styles)
    if (more := len(names) - _OPTIMIZERS) > 0:
        blocks.append(paragraph(f"{count(more, 'further optimizer')} stand on the page of the times alone."))
    yield Page(PATH, "Your optimizer", tuple(blocks), nav="Your optimizer", in_markdown=False)


def answers(runs: Runs) -> tuple[str, ...]:
    """A sentence for each optimizer that is not the suite's own: whether it is right."""
    return tuple(
        _answer(name, _own_steps(runs, name, _last_machine(runs, name)))
        for name in _optimizers(runs)[:_OPTIMIZERS]
    )


def _optimizers(runs: Runs) -> list[str]:
    return [name for name in runs.implementations if name not in IMPLEMENTATIONS]


def _last_machine(runs: Runs, name: str) -> str:
    """The machine that measured the optimizer last."""
    machines = set(runs.rows.loc[runs.rows["implementation"] == name, "machine"])
    return next(machine for machine in runs.machines if machine in machines)


def _own_steps(runs: Runs, name: str, machine: str) -> pd.DataFrame:
    rows = runs.on(machine)
    return rows[(rows["implementation"] == name) & rows["latest"] & (rows["quantity"] == "step")]


def _section(runs: Runs, name: str, machine: str, styles: Styles) -> Iterator[Block]:
    """All that is known of one optimizer on the machine that measured it last."""
    rows = runs.on(machine)
    own = rows[(rows["implementation"] == name) & rows["latest"]]
    steps = _own_steps(runs, name, machine)
    turns = [turn for turn in _turns(rows) if _has(turn, name)]
    yield Heading(name, anchor=f"optimizer-{slug(name)}")
    yield headline(_answer(name, steps))
    yield paragraph(f"Measured on {machine}. The letter of a run is that of the page Performance.")
    yield _checks(steps)
    if not turns:
        return
    yield _speeds(turns, name)
    yield note(
        "Times the other: how many times as fast as the other implementation this optimizer is, with the 95% "
        f"interval over the processes of the run. {RATIO_MARK}"
    )
    if drawings := tuple(_curves(rows, own, name, styles)):
        yield Figures(drawings)
    memory = _memory(rows, own, name)
    if memory.rows:
        yield memory


def _answer(name: str, steps: pd.DataFrame) -> str:
    return sentence(name, [check_of(row) for row in as_rows(steps)])


def _turns(rows: pd.DataFrame) -> list[pd.DataFrame]:
    """The latest measured steps, with all that was measured in turns with them."""
    steps = measured_steps(rows)
    return [turn for _, turn in steps.groupby([*POINT, "turn"], sort=False)]


def _has(turn: pd.DataFrame, name: str) -> bool:
    mine = turn[turn["implementation"] == name]
    return bool(mine["latest"].any())


def _checks(steps: pd.DataFrame) -> Table:
    """An answer for each device and dtype, with what it rests on."""
    listed: dict[tuple[str, str, Answer, str], list[str]] = {}
    for row in as_rows(steps):
        check = check_of(row)
        listed.setdefault((row["device"], row["dtype"], check.answer, check.why), []).append(row["point"])
    return capped(
        "Is it right?",
        ("Device and dtype", "Answer", "By what", "Cases"),
        [
            (f"{device}, {dtype}", answer, why, Cell(_cases(points), len(points)))
            for (device, dtype, answer, why), points in listed.items()
        ],
        _ROWS,
    )


def _cases(points: Sequence[str]) -> str:
    return points[0] if len(points) == 1 else f"{len(points)}, such as {points[0]}"


def _speeds(turns: Sequence[pd.DataFrame], name: str) -> Table:
    """A row for each size and layout: the step, and how many times as fast as each of the suite's own."""
    measured = {other for turn in turns for other in turn["implementation"]}
    others = [other for other in IMPLEMENTATIONS if other in measured]
    return capped(
        "How fast is a step?",
        ("Case", "Run", "Step", *(f"Times {other}" for other in others)),
        [_speed(turn, name, others) for turn in turns],
        _ROWS,
    )


def _speed(turn: pd.DataFrame, name: str, others: Sequence[str]) -> tuple[str | Cell, ...]:
    own = row_of(turn, name)
    cells: list[str | Cell] = [Cell(marked(duration(own["median"]), own["typical"]), own["median"])]
    for other in others:
        if other not in set(turn["implementation"]):
            cells.append("–")
            continue
        found = compare(turn, name, other)
        cells.append(Cell(marked(found.words, found.trusted), found.ratio))
    return f"{own['device']}, {own['dtype']}, {own['point']}", own["label"], *cells


def _curves(rows: pd.DataFrame, own: pd.DataFrame, name: str, styles: Styles) -> Iterator[Drawing]:
    """The loss on the book's job, beside those of the suite's own that trained in the same turn."""
    for mine in as_rows(own[own["quantity"] == "curve"]):
        beside = _beside(rows, mine, "curve")
        curves = {row["implementation"]: list(row["samples"]) for row in beside}
        order = [name, *(other for other in IMPLEMENTATIONS if other in curves)]
        where = f"{mine['place']}, {mine['dtype']}, run {mine['label']}"
        yield draw_loss_curves(
            f"loss-{slug(name)}-{slug(where)}", {other: curves[other] for other in order}, where, styles
        )


def _memory(rows: pd.DataFrame, own: pd.DataFrame, name: str) -> Table:
    """What a step takes beyond what is alive before it, by case, beside the suite's own."""
    points = [_beside(rows, mine, "peak") for mine in as_rows(own[own["quantity"] == "peak"])]
    measured = {row["implementation"] for point in points for row in point}
    names = [name, *(other for other in IMPLEMENTATIONS if other in measured)]
    cells = []
    for point in points:
        peaks = {row["implementation"]: row["median"] for row in point}
        first = point[0]
        cells.append(
            (
                f"{first['device']}, {first['dtype']}, {first['point']}",
                first["label"],
                *("–" if one not in peaks else Cell(size_of(peaks[one]), peaks[one]) for one in names),
            )
        )
    return capped("How much extra memory does a step take?", ("Case", "Run", *names), cells, _ROWS)


def _beside(rows: pd.DataFrame, mine: Row, quantity: str) -> list[Row]:
    """The rows of that quantity that were measured in turns with this one, this one among them."""
    same = rows["quantity"] == quantity
    for key in (*POINT, "turn"):
        same &= rows[key] == mine[key]
    return as_rows(rows[same & (rows["status"] == "measured")])
