"""The page that says whether section 7.6 of the book still holds, and shows by what."""

from collections.abc import Iterable, Iterator, Sequence

from rmsprop.book.claims import PRIMARY, primary
from rmsprop.book.programs import TRACES
from rmsprop.suite.records.reproduction import ReproductionRecord
from rmsprop.suite.records.store import short_commit
from rmsprop.suite.report.figures.canvas import Drawing
from rmsprop.suite.report.figures.reproduction import NAMES, draw_reproduction, verdicts_on
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    MARK,
    Block,
    Cell,
    Code,
    Facts,
    Figures,
    Heading,
    Link,
    Page,
    Part,
    Sentences,
    Status,
    Table,
    capped,
    headline,
    marked,
    note,
    paragraph,
    warning,
)
from rmsprop.suite.report.pages.reproduction_evidence import curves, excluded
from rmsprop.suite.verdicts.reproduction import COMPARED, Judgement, Verdict
from rmsprop.suite.verdicts.speed import Runs, as_rows
from rmsprop.suite.words import count, duration, when

PATH = "reproduction.html"
BOOK = "https://github.com/ShusenTang/Dive-into-DL-PyTorch/blob/master/docs/chapter07_optimization/7.6_rmsprop.md"
"""The section, in the edition that the verdicts go by."""
SURROGATE = warning("These numbers are from the moment-matched surrogate, not from the real airfoil data.")
_SUBJECTS = {name: trace.title for name, trace in TRACES.items()} | NAMES
_QUANTITIES = {
    "x1": "x₁ after 20 steps",
    "x2": "x₂ after 20 steps",
    "loss": "final loss",
    "sec_per_epoch": "seconds per epoch",
}
_MARKS = {
    "reproduced": "✓",
    "consistent": "✓",
    "not reproduced": "✗",
    "not consistent": "✗",
    "undecided": "?",
    "placed": "·",
    "compared": "≈",
    "not run": "–",
}
_LISTED = 50
_JOBS_LISTED = 500
_DISAGREE = 0.001
"""A Kolmogorov-Smirnov p value below this says that loop and ensemble are two programs."""


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, of the record that is shown and of every implementation's run of the book's job."""
    best = shown(inputs.reproductions)
    jobs = _jobs_table(inputs)
    if best is None and not jobs.rows:
        return
    blocks: list[Block] = []
    if best is None:
        blocks += [headline("There is no record of the reproduction to show yet."), TO_REPRODUCE]
    else:
        blocks += _evidence(best)
    if jobs.rows:
        blocks += _jobs(jobs)
    if best is not None:
        blocks += _editions(best)
        others = _others_table([one for one in reversed(inputs.reproductions) if one is not best])
        blocks += [Heading("Other records"), others] if others.rows else []
    yield Page(PATH, "Reproduction: does section 7.6 still hold?", tuple(blocks), nav="Reproduction")


TO_REPRODUCE = paragraph(
    "Run ",
    Code("rmsprop reproduce"),
    ", which takes under a minute, then ",
    Code("rmsprop report"),
    " again.",
)


def shown(reproductions: Sequence[Judgement]) -> Judgement | None:
    """The newest record of section 7.6, alone or in the chapter, that decides; else one that ran to its end.

    Failing both, any of section 7.6.
    """
    of_section = [one for one in reproductions if all(name in one.record.programs for name in COMPARED)]
    numbered = enumerate(of_section)
    best = max(
        numbered, key=lambda one: (one[1].decides, not one[1].record.interrupted, one[0]), default=None
    )
    return best[1] if best else None


def answer(one: Judgement) -> str:
    """One sentence: does the book hold?"""
    holds = "Yes" if one.holds else "Not in everything" if one.decides else "Not known yet"
    rows = "" if one.record.data.source == "real" else ", on the surrogate rows"
    return f"{holds}: {one.headline}{rows}."


def claims(one: Judgement, page: str = "") -> Sentences:
    """A sentence for each claim of the primary edition; `page` has the evidence, empty on that page."""
    anchors = {"loss": "distribution", "sec_per_epoch": "seconds"}
    items = []
    for verdict in _of_primary(one):
        subject, here = _subject(verdict), _here(verdict)
        anchor = anchors.get(verdict.claim.quantity, "traces")
        parts: tuple[Part, ...] = (
            Status(f"{_MARKS[verdict.status]} {verdict.status}", verdict.status),
            ": ",
            Link(subject, f"{page}#{anchor}"),
            f": the book prints {verdict.claim.printed}, here {here}; {verdict.words}.",
        )
        items.append(parts)
    return Sentences(tuple(items))


def claims_table(one: Judgement) -> Table:
    """A row for each claim of the primary edition."""
    rows = tuple(
        (
            _subject(verdict),
            verdict.claim.printed,
            _here(verdict),
            f"{_MARKS[verdict.status]} {verdict.status}: {verdict.words}",
        )
        for verdict in _of_primary(one)
    )
    return Table("What the book prints, and what this run gave", ("Claim", "Book", "Here", "Verdict"), rows)


def origin(record: ReproductionRecord) -> str:
    """One sentence: with which data, where, when and by which commit the record was made."""
    machine = record.environment
    rows = "Real" if record.data.source == "real" else "Surrogate"
    return (
        f"{rows} airfoil rows, {record.device} {record.dtype}, torch {machine.versions['torch']}, "
        f"{machine.processor} with {machine.threads} threads, {when(machine.started)}, "
        f"commit {_commit(record)}."
    )


def _evidence(best: Judgement) -> Iterator[Block]:
    record, drawings = best.record, draw_reproduction(best)
    yield headline(answer(best))
    yield paragraph(
        "The book is Dive into Deep Learning in its PyTorch edition; ",
        Link("section 7.6 is on RMSProp", BOOK),
        ".",
    )
    if record.data.source == "surrogate":
        yield SURROGATE
    if record.interrupted:
        yield warning("This run was interrupted: the page shows what was finished.")
    yield claims(best)
    yield paragraph(
        "Traces have no chance in them: their digits are reproduced or not. A loss is one unseeded draw. It "
        "is consistent when it lies within the central 99% of the same program’s losses over many seeds, "
        "which says little: other programs end there too. Seconds are compared and never decide."
    )
    yield Heading("What was run")
    yield Facts(_facts(record))
    yield Heading("Two dimensions", anchor="traces")
    yield from _drawn(drawings, "trajectories")
    yield Heading("Loss during training")
    yield from _drawn(drawings, "curves-rmsprop-scratch", "curves-rmsprop-concise")
    yield from curves(best)
    yield from excluded(best)
    yield Heading("Final loss over seeds", anchor="distribution")
    yield from _drawn(drawings, "distribution-rmsprop-scratch", "distribution-rmsprop-concise")
    for program in COMPARED:
        yield paragraph(_agreement(best, program))
    yield Heading("Seconds per epoch", anchor="seconds")
    yield from _drawn(drawings, "seconds-rmsprop-scratch", "seconds-rmsprop-concise")
    yield paragraph(_order(best))
    yield from _drawn(drawings, "order")


def _drawn(drawings: dict[str, Drawing], *names: str) -> Iterator[Block]:
    found = tuple(drawings[name] for name in names if name in drawings)
    if found:
        yield Figures(found)


def _jobs(jobs: Table) -> Iterator[Block]:
    yield Heading("Every implementation, device and dtype", anchor="everywhere")
    yield paragraph(
        "The book’s job is two epochs of mini-batches of ten, and each implementation runs it. The results "
        "from scratch are compared with the values that the primary edition prints for its loop from "
        "scratch, all others with those of its concise loop. The benchmark runs the job on the surrogate "
        "rows, which have the same loss surface as the real rows, so that machines and commits are compared "
        "on the same data."
    )
    yield jobs
    yield note(f"{MARK} A warning speaks against this number.")


def _editions(best: Judgement) -> Iterator[Block]:
    yield Heading("Every edition", anchor="editions")
    yield paragraph(
        "The page of Dive-into-DL-PyTorch (docs) is the primary source, and its notebook ran the same code. "
        "The other editions ran code of their own. From scratch it is the same program; their concise loops "
        "start from other weights or train longer, so that the table gives the percentile of those losses "
        "and no verdict."
    )
    for program in COMPARED:
        yield _editions_table(best, program)
    yield note(f"{MARK} These seconds leave out the loss evaluations and cannot be compared.")
    yield Heading("Sources", level=3)
    sources = dict.fromkeys((v.claim.edition, v.claim.source) for v in best.verdicts)
    yield Sentences(tuple(f"{edition}: {source}" for edition, source in sources))


def _of_primary(one: Judgement) -> list[Verdict]:
    return [verdict for verdict in one.verdicts if verdict.claim.edition == PRIMARY]


def _subject(verdict: Verdict) -> str:
    return f"{_SUBJECTS[verdict.claim.program]}, {_QUANTITIES[verdict.claim.quantity]}"


def _here(verdict: Verdict) -> str:
    if verdict.here is None:
        return "nothing"
    kind = "median " if verdict.claim.quantity in ("loss", "sec_per_epoch") else ""
    return f"{kind}{verdict.here:.6f}"


def _commit(record: ReproductionRecord) -> str:
    return short_commit(record.environment) + " with local changes" * bool(record.environment.dirty)


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
        "Commit": _commit(record),
    } | {NAMES[program]: record.programs[program].program.words for program in COMPARED}


def _agreement(one: Judgement, program: str) -> str:
    """Whether the seeds that were trained at once speak of the book's loop."""
    measured = one.record.programs[program]
    summary, p_value = measured.ensemble, one.agreement[program]
    seeds = summary.seeds if summary else 0
    lost = ""
    if summary and summary.not_finite:
        lost = f", of which {summary.not_finite:,} ended without a finite loss"
    words = f"{NAMES[program]}: {count(seeds, 'seed')} trained at once{lost}, and "
    words += f"{count(len(measured.seeds), 'run')} of the book’s own loop. "
    if p_value is None:
        return words + "That is too little to compare the two."
    chance = f"(Kolmogorov-Smirnov test, p = {p_value:.2g})"
    if p_value < _DISAGREE:
        return words + f"Their losses disagree {chance}, so that the seeds say nothing about the book."
    return words + f"The test finds no difference between their losses {chance}."


def _order(one: Judgement) -> str:
    order = one.order
    assert order is not None
    if order.here is None:
        return f"From scratch over concise: {order.book:.3f} in the book; {order.words}."
    low, high = order.interval or (None, None)
    interval = "" if low is None else f" (95% interval {low:.3f} to {high:.3f})"
    return (
        f"From scratch takes {order.here:.3f} times as long as concise here{interval}, "
        f"{order.book:.3f} times in the book: {order.words}."
    )


def _editions_table(one: Judgement, program: str) -> Table:
    """What each edition printed for a program, and where that stands here."""
    rows = []
    for loss, seconds in zip(
        verdicts_on(one, program, "loss"), verdicts_on(one, program, "sec_per_epoch"), strict=True
    ):
        alike = seconds.claim.timed_alike
        ratio = None if seconds.here is None else seconds.here / seconds.claim.value
        rows.append(
            (
                loss.claim.label,
                loss.claim.printed,
                Cell(_with_interval(loss.percentile, loss, 1), loss.percentile),
                Cell(f"{_MARKS[loss.status]} {loss.status}", status=loss.status),
                Cell(marked(seconds.claim.printed, alike), seconds.claim.value),
                Cell(marked(_with_interval(ratio, seconds, 2), alike), ratio),
            )
        )
    return Table(
        f"{NAMES[program]}: what each edition printed, and where it stands here (95% intervals)",
        ("Edition", "Loss", "Percentile here", "Verdict", "Seconds per epoch", "Here / printed"),
        tuple(rows),
    )


def _with_interval(value: float | None, verdict: Verdict, digits: int) -> str:
    """Such as `0.45 (0.44 to 0.46)`, of which everything may be missing."""
    if value is None:
        return "–"
    if verdict.interval is None:
        return f"{value:.{digits}f}"
    low, high = verdict.interval
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _others_table(others: Sequence[Judgement]) -> Table:
    rows = [
        (
            when(one.record.environment.started),
            one.record.environment.machine,
            one.record.device,
            one.record.dtype,
            one.record.data.source,
            one.record.environment.versions.get("torch", "unknown"),
            one.verdict,
        )
        for one in others
    ]
    columns = ("When", "Machine", "Device", "dtype", "Data", "torch", "Verdict")
    return capped("Other records, the newest first", columns, rows, _LISTED)


def _jobs_table(inputs: Inputs) -> Table:
    """Final loss and seconds per epoch against the primary edition's values, wherever they were measured."""
    rows = [*_reproduced_jobs(inputs.reproductions), *_benched_jobs(inputs.runs)]
    return capped(
        "Final loss and seconds per epoch of every implementation, device and dtype, against the book’s",
        ("Implementation", "Where", "Machine", "Run", "Rows", "Repeats", "Final loss", "Here − book",
         "Seconds per epoch", "Here / book"),
        rows,
        _JOBS_LISTED,
    )  # fmt: skip


def _reproduced_jobs(reproductions: Sequence[Judgement]) -> Iterator[tuple[str | Cell, ...]]:
    """Of each machine, device and dtype the newest record."""
    newest = {}
    for one in reproductions:
        record = one.record
        newest[record.environment.machine, record.device, record.dtype, record.data.source] = one
    for one in newest.values():
        record = one.record
        for program in COMPARED if all(name in record.programs for name in COMPARED) else ():
            measured = record.programs[program]
            here = {v.claim.quantity: v.here for v in _of_primary(one) if v.claim.program == program}
            seeds = measured.ensemble.seeds if measured.ensemble else 0
            yield _job(
                f"{NAMES[program]} (the book’s loop)",
                (
                    f"{record.device}, {record.dtype}",
                    record.environment.machine,
                    f"{when(record.environment.started)}, commit {_commit(record)}",
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
    jobs = rows[(rows["status"] == "measured") & rows["quantity"].isin(["loss", "epoch"])]
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
            trusted=bool(job["trusted"].all()),
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
