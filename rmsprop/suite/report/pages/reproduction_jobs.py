"""The book's job, run by every implementation on every device: the table of the reproduction's page."""

from collections.abc import Iterator, Sequence

from rmsprop.book.claims import primary
from rmsprop.suite.report.figures.reproduction import NAMES
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    TIME_MARK,
    Block,
    Cell,
    Heading,
    Table,
    capped,
    marked,
    note,
    paragraph,
)
from rmsprop.suite.report.pages.reproduction_claims import commit_of, of_primary
from rmsprop.suite.verdicts.reproduction import Judgement
from rmsprop.suite.verdicts.seconds import COMPARED
from rmsprop.suite.verdicts.speed import Runs, as_rows
from rmsprop.suite.words import count, duration, when

_LISTED = 500


def blocks_of(jobs: Table) -> Iterator[Block]:
    yield Heading("Every implementation, device and dtype", anchor="everywhere")
    yield paragraph(
        "The book’s job is two epochs of mini-batches of ten, and each implementation runs it. The results "
        "from scratch are compared with the values that the primary edition prints for its loop from "
        "scratch, all others with those of its concise loop. The benchmark runs the job on the surrogate "
        "rows, which have the same loss surface as the real rows, so that machines and commits are compared "
        "on the same data."
    )
    yield jobs
    yield note(f"{TIME_MARK} A time over the book’s is marked with it.")


def jobs_table(inputs: Inputs) -> Table:
    """Final loss and seconds per epoch against the primary edition's values, wherever they were measured."""
    rows = [*_reproduced_jobs(inputs.reproductions), *_benched_jobs(inputs.runs)]
    return capped(
        "Final loss and seconds per epoch of every implementation, device and dtype, against the book’s",
        ("Implementation", "Where", "Machine", "Run", "Rows", "Repeats", "Final loss", "Here − book",
         "Seconds per epoch", "Here / book"),
        rows,
        _LISTED,
    )  # fmt: skip


def _reproduced_jobs(reproductions: Sequence[Judgement]) -> Iterator[tuple[str | Cell, ...]]:
    """Of each machine, device and dtype the newest record."""
    newest = {}
    for one in reproductions:
        record = one.record
        if not all(name in record.programs for name in COMPARED):
            continue
        newest[record.environment.machine, record.device, record.dtype, record.data.source] = one
    for one in newest.values():
        record = one.record
        for program in COMPARED:
            measured = record.programs[program]
            here = {v.claim.quantity: v.here for v in of_primary(one) if v.claim.program == program}
            seeds = measured.ensemble.seeds if measured.ensemble else 0
            yield _job(
                f"{NAMES[program]} (the book’s loop)",
                (
                    f"{record.device}, {record.dtype}",
                    record.environment.machine,
                    f"{when(record.environment.started)}, commit {commit_of(record)}",
                    record.data.source,
                    f"{count(seeds, 'seed')}, {count(len(measured.seeds), 'run')}",
                ),
                program,
                (here["loss"], here["sec_per_epoch"]),
                trusted=True,
            )


def _benched_jobs(runs: Runs) -> Iterator[tuple[str | Cell, ...]]:
    """Of each case of the book's layout that ran the book's job, the latest."""
    rows = runs.latest
    measured = (rows["status"] == "measured") & (rows["layout"] == "book")
    jobs = rows[measured & rows["quantity"].isin(["loss", "epoch"])]
    words = {(run.machine, run.label): run.words for run in runs.runs}
    keys = ["machine", "label", "implementation", "device", "dtype", "threads"]
    for _, job in jobs.groupby(keys, sort=False):
        first = as_rows(job)[0]
        found = {row["quantity"]: row["median"] for row in as_rows(job)}
        yield _job(
            first["implementation"],
            (
                f"{first['place']}, {first['dtype']}",
                first["machine"],
                words[first["machine"], first["label"]],
                "surrogate",
                count(int(job["count"].max()), "run"),
            ),
            COMPARED[0 if first["implementation"] == "scratch" else 1],
            (found.get("loss"), found.get("epoch")),
            trusted=bool(job["typical"].all()),
        )


def _job(
    name: str,
    facts: tuple[str, ...],
    program: str,
    here: tuple[float | None, float | None],
    *,
    trusted: bool,
) -> tuple[str | Cell, ...]:
    loss, seconds = here
    book_loss, book_seconds = primary(program, "loss").value, primary(program, "sec_per_epoch").value
    return (
        name,
        *facts,
        "–" if loss is None else f"{loss:.6f}",
        "–" if loss is None else f"{loss - book_loss:+.6f}",
        "–" if seconds is None else Cell(marked(duration(seconds), trusted), seconds),
        "–" if seconds is None else marked(f"{seconds / book_seconds:.2f}", trusted),
    )
