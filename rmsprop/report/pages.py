"""Figures and tables -> pages: one HTML file, and its Markdown twin for people on a code host."""

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from rmsprop.book.references import PRIMARY
from rmsprop.book.verdicts import hyperparameters_in_words
from rmsprop.errors import UserError
from rmsprop.records.frame import read_frame
from rmsprop.records.reproduction import PROGRAMS, ReproductionRecord
from rmsprop.records.store import Problem, check_writable, read_reproductions, short_commit, write_atomically
from rmsprop.report.figures import NAMES, Drawing, draw_all, draw_speed
from rmsprop.report.frames import Frames, claims_of, frames_of, records_frame
from rmsprop.report.speed import speed_of

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
_EXCERPT = re.compile(r"(<!-- made by .*? -->)\n.*?(<!-- end -->)", re.DOTALL)
_LISTED = 50
_DISAGREE = 0.001


@dataclass(frozen=True)
class Report:
    """What was written, and which files below results/ are no records that can be shown."""

    paths: tuple[Path, ...]
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Answer:
    """What the record says of one claim of the primary edition."""

    claim: str
    book: str
    here: str
    status: str
    mark: str
    words: str


def build_report(results: Path, reports: Path, readme: Path | None = None) -> Report:
    """Write index.html, README.md and figures/*.svg below `reports` from the records below `results`.

    Shown is the newest record that decides; the others are listed. Of benchmark results the newest run
    is shown. The same records give the same
    bytes. All is rendered before anything is written, so that a failure leaves the former report
    whole; UserError where `reports` cannot be written. A `readme` gets the table of claims between its two
    markers, `<!-- made by ...` and `<!-- end -->`.
    """
    if not results.is_dir():
        raise UserError(
            f"there is no folder {results}; run `rmsprop reproduce` here, or name one with --results"
        )
    records, problems = read_reproductions(results)
    frame, unread = read_frame(results)
    problems += unread
    speed = speed_of(frame)
    context: dict[str, Any] = {
        "problems": [_relative(problem, results) for problem in problems],
        "drawings": {},
        "record": None,
        "speed": speed,
    }
    if records:
        context |= _content(records)
    drawings: dict[str, Drawing] = context["drawings"]
    if speed and not speed.lines.empty:
        drawings["speed"] = draw_speed(speed.lines, speed.lines_of)
    files = {
        **{f"figures/{name}.svg": drawing.file for name, drawing in drawings.items()},
        "README.md": _markdown().get_template("README.md.j2").render(context),
        "index.html": _html().get_template("index.html.j2").render(context),
    }
    excerpt = _excerpt(readme, context) if readme else None
    paths = _write_all(reports, files)
    if readme and excerpt:
        write_atomically(readme, excerpt)
        paths = (*paths, readme)
    return Report(paths, tuple(problems))


def _excerpt(readme: Path, context: dict[str, Any]) -> str:
    """The text of `readme` with the newest record's table of claims and one figure between its markers."""
    if context["record"] is None:
        raise UserError(f"{readme} is left as it is: there is no record to show; run `rmsprop reproduce`")
    try:
        parts = _EXCERPT.split(readme.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{readme} cannot be read: {error.strerror}") from error
    if len(parts) != 4:
        raise UserError(f"{readme} must hold one `<!-- made by ... -->` and, after it, one `<!-- end -->`")
    table = _markdown().get_template("excerpt.md.j2").render(context)
    return f"{parts[0]}{parts[1]}\n\n{table}\n{parts[2]}{parts[3]}"


def _content(records: list[ReproductionRecord]) -> dict[str, Any]:
    listed = records_frame(records)
    # The newest that decides; failing that the newest that ran to its end; failing that the newest.
    best = max(range(len(records)), key=lambda i: (listed["decides"].iloc[i], not records[i].interrupted, i))
    record = records[best]
    frames = frames_of(record)
    others = listed.drop(index=best).iloc[::-1]
    return {
        "record": record,
        "facts": _facts(record),
        "summary": listed.loc[best],
        "all_reproduced": frames.verdicts.loc[frames.verdicts["decides"], "status"].eq("reproduced").all(),
        "answers": list(_answers(frames)),
        "order": frames.order.iloc[0],
        "programs": [row | {"name": NAMES[row["program"]]} for row in frames.programs.to_dict("records")],
        "disagree": _DISAGREE,
        "hyperparameters": {NAMES[program]: hyperparameters_in_words(program) for program in PROGRAMS},
        "editions": {NAMES[program]: list(_edition_rows(frames, program)) for program in PROGRAMS},
        "sources": frames.verdicts[["edition", "source"]].drop_duplicates().to_dict("records"),
        "drawings": draw_all(frames),
        "others": others.head(_LISTED).to_dict("records"),
        "unlisted": max(0, len(others) - _LISTED),
    }


def _facts(record: ReproductionRecord) -> dict[str, str]:
    machine, data = record.environment, record.data
    return {
        "Data": f"{data.source}, {data.detail}" + (f", SHA-256 {data.sha256[:12]}…" if data.sha256 else ""),
        "When": _when(machine.started),
        "Machine": f"{machine.processor}, {machine.cpus} logical processors, "
        f"{machine.memory_bytes / 2**30:.0f} GiB" + (f", {machine.gpu}" if machine.gpu else ""),
        "Run on": f"{record.device}, {record.dtype}, {machine.threads} threads",
        "Software": f"torch {machine.versions.get('torch', 'unknown')}, Python {machine.python}, "
        f"{machine.platform}",
        "Commit": short_commit(machine) + (" with local changes" if machine.dirty else ""),
    }


def _answers(frames: Frames) -> Iterator[Answer]:
    for verdict in frames.verdicts[frames.verdicts["edition"] == PRIMARY].to_dict("records"):
        kind = "median " if verdict["quantity"] in ("loss", "sec_per_epoch") else ""
        yield Answer(
            claim=f"{_SUBJECTS[verdict['program']]}, {_QUANTITIES[verdict['quantity']]}",
            book=verdict["printed"],
            here="nothing" if pd.isna(verdict["here"]) else f"{kind}{verdict['here']:.6f}",
            status=verdict["status"],
            mark=_MARKS[verdict["status"]],
            words=verdict["words"],
        )


def _edition_rows(frames: Frames, program: str) -> Iterator[dict[str, Any]]:
    """What each edition printed for a program, and where that stands here, as text."""
    losses, seconds = (claims_of(frames, program, q).to_dict("records") for q in ("loss", "sec_per_epoch"))
    for loss, second in zip(losses, seconds, strict=True):
        yield {
            "edition": loss["label"],
            "loss": loss["printed"],
            "percentile": _with_interval(loss["percentile"], loss, 1),
            "status": loss["status"],
            "mark": _MARKS[loss["status"]],
            "seconds": second["printed"],
            "ratio": _with_interval(second["here"] / second["value"], second, 2),
            "comparable": second["comparable"],
        }


def _with_interval(value: float, row: Mapping[Any, Any], digits: int) -> str:
    """Such as `0.45 (0.44 to 0.46)`, of which everything may be missing."""
    if pd.isna(value):
        return "–"
    if pd.isna(row["low"]):
        return f"{value:.{digits}f}"
    return f"{value:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"


def _when(started: str) -> str:
    """`2026-01-02T03:04:05+00:00` -> `2026-01-02 03:04 UTC`."""
    return f"{started[:16].replace('T', ' ')} UTC"


def _relative(problem: Problem, results: Path) -> dict[str, str]:
    """A problem without the folders of this machine, which are nobody else's business."""
    name = problem.path.relative_to(results).as_posix()
    return {"path": name, "reason": problem.reason.replace(str(problem.path), name)}


def _html() -> Environment:
    return _templates(autoescape=True)


def _markdown() -> Environment:
    return _templates(finalize=_escape_markdown)


def _templates(**options: Any) -> Environment:
    environment = Environment(
        loader=PackageLoader("rmsprop.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        **options,
    )
    environment.filters["when"] = _when
    return environment


def _escape_markdown(value: object) -> object:
    """Text that stays text in Markdown, also inside a table."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = re.sub(r"[\r\n]+", " ", html.escape(value, quote=False))
    return re.sub(r"([\\`*_~\[\]|$])", r"\\\1", line)


def _write_all(reports: Path, files: Mapping[str, str]) -> tuple[Path, ...]:
    """Write every file beside the former ones, then put all in place: a full disk changes nothing."""
    check_writable(reports)
    try:
        with TemporaryDirectory(dir=reports, prefix=".building-") as staging:
            for name, content in files.items():
                write_atomically(Path(staging) / name, content)
            for name in files:
                (reports / name).parent.mkdir(exist_ok=True)
                (Path(staging) / name).replace(reports / name)
    except OSError as error:
        raise UserError(
            f"cannot write to {reports}: {error.strerror or error}; choose another folder"
        ) from error
    return tuple(reports / name for name in files)
