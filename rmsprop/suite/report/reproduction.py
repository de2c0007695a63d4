"""The page that says whether section 7.6 of the book still holds, and shows by what."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rmsprop.book.claims import PRIMARY, PROGRAMS, TrainingProgram, primary
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.records.store import short_commit
from rmsprop.suite.report.frames import Frames, Reproduction, claims_of, records_frame
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.reproduction_figures import NAMES, draw_reproduction
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import MARK, Cell, Table, capped, marked
from rmsprop.suite.verdicts.reproduction import hyperparameters_in_words
from rmsprop.suite.verdicts.speed import Runs
from rmsprop.suite.words import count, duration, when

PATH = "reproduction.html"
_SUBJECTS = {"rmsprop_2d": "2-D RMSProp", "adagrad_2d": "2-D AdaGrad", **NAMES}
_QUANTITIES = {
    "x1": "x₁ after 20 steps",
    "x2": "x₂ after 20 steps",
    "loss": "final loss",
    "sec_per_epoch": "seconds per epoch",
}
_MARKS = {
    "reproduced": "✓",
    "not reproduced": "✗",
    "undecided": "?",
    "placed": "·",
    "compared": "≈",
    "not run": "–",
}
_LISTED = 50
_JOBS_LISTED = 500
_DISAGREE = 0.001


@dataclass(frozen=True)
class Answer:
    """What the record says of one claim of the primary edition."""

    anchor: str
    """Where on the page its evidence stands."""
    claim: str
    book: str
    here: str
    status: str
    mark: str
    words: str


def shown(reproductions: Sequence[Reproduction]) -> Reproduction | None:
    """The newest record that decides; failing that one that ran to its end; failing that any."""
    numbered = enumerate(reproductions)
    best = max(
        numbered, key=lambda one: (one[1].decides, not one[1].record.interrupted, one[0]), default=None
    )
    return best[1] if best else None


def headline(one: Reproduction) -> str:
    """One sentence: does the book hold?"""
    answer = "Yes" if one.holds else "Not in everything"
    rows = "" if one.record.data.source == "real" else ", on the surrogate rows"
    return f"{answer}: of the printed values that decide, {one.verdict}{rows}."


def answers(frames: Frames) -> Iterator[Answer]:
    """What the record says of each claim of the primary edition, in the order of the section."""
    for verdict in frames.verdicts[frames.verdicts["edition"] == PRIMARY].to_dict("records"):
        kind = "median " if verdict["quantity"] in ("loss", "sec_per_epoch") else ""
        anchor = {"loss": "distribution", "sec_per_epoch": "seconds"}.get(verdict["quantity"], "traces")
        yield Answer(
            anchor=anchor,
            claim=f"{_SUBJECTS[verdict['program']]}, {_QUANTITIES[verdict['quantity']]}",
            book=verdict["printed"],
            here="nothing" if pd.isna(verdict["here"]) else f"{kind}{verdict['here']:.6f}",
            status=verdict["status"],
            mark=_MARKS[verdict["status"]],
            words=verdict["words"],
        )


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, of the record that is shown and of every implementation's run of the book's job."""
    best = shown(inputs.reproductions)
    jobs = _jobs_table(inputs)
    if best is None and not jobs.rows:
        return
    context: dict[str, Any] = {"jobs": jobs, "mark": MARK, "headline": headline(best) if best else None}
    figures = {}
    if best is not None:
        figures = draw_reproduction(best.frames)
        context |= _content(best, inputs.reproductions) | {"drawings": figures}
    yield Page(
        PATH,
        "Reproduction: does section 7.6 still hold?",
        html("reproduction.html.j2", **context),
        nav="Reproduction",
        markdown=markdown("reproduction.md.j2", **context),
        figures=tuple(figures.values()),
    )


def claims_excerpt(inputs: Inputs) -> str | None:
    """The table of claims and one figure, in Markdown; None where there is no record."""
    best = shown(inputs.reproductions)
    if best is None:
        return None
    return markdown(
        "claims.md.j2",
        **_content(best, inputs.reproductions),
        drawing=draw_reproduction(best.frames).get("distribution-scratch"),
    )


def _content(best: Reproduction, reproductions: Sequence[Reproduction]) -> dict[str, Any]:
    frames, record = best.frames, best.record
    others = [one for one in reversed(reproductions) if one is not best]
    return {
        "record": record,
        "facts": _facts(record),
        "answers": list(answers(frames)),
        "order": frames.order.iloc[0],
        "programs": [row | {"name": NAMES[row["program"]]} for row in frames.programs.to_dict("records")],
        "disagree": _DISAGREE,
        "editions": [_editions_table(frames, program) for program in PROGRAMS],
        "sources": frames.verdicts[["edition", "source"]].drop_duplicates().to_dict("records"),
        "others": _others_table(records_frame(others)),
    }


def _facts(record: ReproductionRecord) -> dict[str, str]:
    machine, data = record.environment, record.data
    return {
        "Data": f"{data.source}, {data.detail}" + (f", SHA-256 {data.sha256[:12]}…" if data.sha256 else ""),
        "When": when(machine.started),
        "Machine": f"{machine.processor}, {machine.cpus} logical processors, "
        f"{machine.memory_bytes / 2**30:.0f} GiB" + (f", {machine.gpu}" if machine.gpu else ""),
        "Run on": f"{record.device}, {record.dtype}, {machine.threads} threads",
        "Software": f"torch {machine.versions.get('torch', 'unknown')}, Python {machine.python}, "
        f"{machine.platform}",
        "Commit": short_commit(machine) + (" with local changes" if machine.dirty else ""),
    } | {NAMES[program]: hyperparameters_in_words(program) for program in PROGRAMS}


def _editions_table(frames: Frames, program: TrainingProgram) -> Table:
    """What each edition printed for a program, and where that stands here."""
    losses, seconds = (claims_of(frames, program, q).to_dict("records") for q in ("loss", "sec_per_epoch"))
    rows = []
    for loss, second in zip(losses, seconds, strict=True):
        ratio = second["here"] / second["value"]
        rows.append(
            (
                loss["label"],
                loss["printed"],
                Cell(_with_interval(loss["percentile"], loss, 1), _key(loss["percentile"])),
                Cell(f"{_MARKS[loss['status']]} {loss['status']}", status=loss["status"]),
                Cell(marked(second["printed"], second["comparable"]), second["value"]),
                Cell(marked(_with_interval(ratio, second, 2), second["comparable"]), _key(ratio)),
            )
        )
    return Table(
        f"{NAMES[program]}: what each edition printed, and where it stands here (95% intervals)",
        ("Edition", "Loss", "Percentile here", "Verdict", "Seconds per epoch", "Here / printed"),
        tuple(rows),
    )


def _with_interval(value: float, row: Mapping[Any, Any], digits: int) -> str:
    """Such as `0.45 (0.44 to 0.46)`, of which everything may be missing."""
    if pd.isna(value):
        return "–"
    if pd.isna(row["low"]):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"


def _key(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _others_table(others: pd.DataFrame) -> Table:
    columns = ("When", "Machine", "Device", "dtype", "Data", "torch", "Verdict")
    names = ("machine", "device", "dtype", "data", "torch", "verdict")
    rows = [(when(row["started"]), *(row[name] for name in names)) for row in others.to_dict("records")]
    return capped("Other records, newest first", columns, rows, _LISTED)


def _jobs_table(inputs: Inputs) -> Table:
    """Final loss and seconds per epoch against the primary edition's values, wherever they were measured."""
    rows = [*_reproduced_jobs(inputs.reproductions), *_benched_jobs(inputs.runs)]
    return capped(
        "Final loss and seconds per epoch of every implementation, device and dtype, against the book’s",
        ("Implementation", "Device", "dtype", "Machine", "Rows", "Runs", "Final loss", "Book", "Here − book",
         "Seconds per epoch", "Book’s seconds", "Here / book"),
        rows,
        _JOBS_LISTED,
    )  # fmt: skip


def _reproduced_jobs(reproductions: Sequence[Reproduction]) -> Iterator[tuple[str | Cell, ...]]:
    """Of each machine, device and dtype the newest record."""
    newest = {}
    for one in reproductions:
        record = one.record
        newest[record.environment.machine, record.device, record.dtype, record.data.source] = one
    for one in newest.values():
        record, frames = one.record, one.frames
        for program in PROGRAMS:
            of_program = frames.verdicts[frames.verdicts["edition"] == PRIMARY]
            here = of_program[of_program["program"] == program].set_index("quantity")["here"]
            runs = int(frames.programs.set_index("program")["runs"][program])
            seeds = int(frames.programs.set_index("program")["seeds"][program])
            yield _job(
                f"{NAMES[program]} (the book’s loop)",
                (record.device, record.dtype, record.environment.machine, record.data.source),
                f"{count(seeds, 'seed')}, {count(runs, 'run')}",
                program,
                (here["loss"], here["sec_per_epoch"]),
                trusted=True,
            )


def _benched_jobs(runs: Runs) -> Iterator[tuple[str | Cell, ...]]:
    """Of each case of the book's layout that ran the book's job, the latest."""
    rows = runs.latest
    jobs = rows[(rows["status"] == "measured") & rows["quantity"].isin(["loss", "epoch"])]
    keys = ["machine", "implementation", "device", "dtype", "threads"]
    for _, job in jobs.groupby(keys, sort=False):
        first = job.iloc[0]
        found = job.set_index("quantity")["median"]
        yield _job(
            first["implementation"],
            (first["place"], first["dtype"], first["machine"], "surrogate"),
            count(int(job["count"].max()), "run"),
            "scratch" if first["implementation"] == "scratch" else "concise",
            (found.get("loss"), found.get("epoch")),
            trusted=bool(job["trusted"].all()),
        )


def _job(
    name: str,
    place: tuple[str, ...],
    runs: str,
    program: TrainingProgram,
    here: tuple[float | None, float | None],
    *,
    trusted: bool,
) -> tuple[str | Cell, ...]:
    loss, seconds = here
    book_loss, book_seconds = primary(program, "loss"), primary(program, "sec_per_epoch")
    no_loss, no_seconds = loss is None or pd.isna(loss), seconds is None or pd.isna(seconds)
    return (
        name,
        *place,
        runs,
        "–" if no_loss else f"{loss:.6f}",
        book_loss.printed,
        "–" if loss is None or no_loss else f"{loss - book_loss.value:+.6f}",
        "–" if seconds is None or no_seconds else Cell(marked(duration(seconds), trusted), seconds),
        book_seconds.printed,
        "–" if seconds is None or no_seconds else marked(f"{seconds / book_seconds.value:.2f}", trusted),
    )
