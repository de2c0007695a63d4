"""Records -> the whole site and its Markdown twin, written whole or not at all."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandera.errors

from rmsprop.errors import UserError
from rmsprop.suite.history.series import alerts_of, history_of
from rmsprop.suite.records.files import Problem, read_folder, write_atomically
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.records.store import read_gates, read_reproduction
from rmsprop.suite.report import fused, gate, history, overview, performance, problems, reproduction
from rmsprop.suite.report.folder import GENERATOR, write_site
from rmsprop.suite.report.frames import Reproduction
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.verdicts.speed import Runs

MODULES = (overview, reproduction, performance, fused, history, gate, problems)
"""The page modules, in the order of the navigation."""

_EXCERPT = re.compile(r"(<!-- made by .*? -->)\n.*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """What was written, and which files below results/ are no records that can be shown."""

    paths: tuple[Path, ...]
    problems: tuple[Problem, ...]
    sentences: tuple[str, str, str]
    """Does the book hold; how fast is a step; what changed or cannot be trusted."""


def build_report(results: Path, reports: Path, readme: Path | None = None) -> Report:
    """Write the pages, README.md and figures/*.svg below `reports` from the records below `results`.

    The same records give the same bytes. All is rendered before anything is written, so that a failure
    leaves the former report whole; UserError where `reports` cannot be written. A `readme` gets the table
    of claims and the speed of a step between its two markers, `<!-- made by ...` and `<!-- end -->`.
    """
    if not results.is_dir():
        raise UserError(
            f"there is no folder {results}; run `rmsprop reproduce` here, or name one with --results"
        )
    inputs = read_inputs(results, asv_site=(reports / "asv" / "index.html").is_file())
    excerpt = _excerpt(readme, inputs) if readme else None
    paths = write_site(reports, files_of(inputs))
    if readme and excerpt:
        write_atomically(readme, excerpt)
        paths = (*paths, readme)
    return Report(paths, inputs.problems, overview.sentences(inputs))


def read_inputs(results: Path, *, asv_site: bool = False) -> Inputs:
    """Everything below `results`, read once. No checkout is asked: the same records give the same inputs."""
    reproductions, unread = read_folder(results / "reproduction", _read_reproduction)
    frame, unread_rows = read_frame(results)
    gates, unread_gates = read_gates(results)
    found = history_of(frame, gates)
    # The gate compares a commit with its base: one ratio is a history.
    compared = tuple(one for one in found.series if len(one.commits) > 1 or one.long_enough)
    return Inputs(
        results=results,
        reproductions=tuple(sorted(reproductions, key=lambda one: one.record.environment.started)),
        frame=frame,
        gates=tuple(gates),
        runs=Runs.of(frame),
        history=replace(found, series=compared),
        alerts=alerts_of(found),
        problems=(*unread, *unread_rows, *unread_gates),
        asv_site=asv_site,
    )


def _read_reproduction(path: Path) -> Reproduction:
    try:
        return Reproduction.of(read_reproduction(path))
    except pandera.errors.SchemaError as error:
        raise ValueError(f"contradicts itself: {str(error).splitlines()[0]}") from error


def files_of(inputs: Inputs) -> dict[str, str]:
    """The content of each file of the site, by its name; index.html last."""
    pages = [page for module in MODULES for page in module.pages(inputs)]
    figures = {f"figures/{drawing.name}.svg": drawing.file for page in pages for drawing in page.figures}
    sections = [page.markdown.strip() + "\n" for page in pages if page.markdown]
    twin = {"README.md": markdown("README.md.j2", sections=sections)}
    return figures | twin | {page.path: _framed(page, pages) for page in reversed(pages)}


def _framed(page: Page, pages: Iterable[Page]) -> str:
    return html("base.html.j2", page=page, pages=pages, generator=GENERATOR)


def _excerpt(readme: Path, inputs: Inputs) -> str:
    """The text of `readme` with claims and speed, and a figure of each, between its markers."""
    claims = reproduction.claims_excerpt(inputs)
    if claims is None:
        raise UserError(f"{readme} is left as it is: there is no record to show; run `rmsprop reproduce`")
    try:
        parts = _EXCERPT.split(readme.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{readme} cannot be read: {error.strerror}") from error
    if len(parts) != 4:
        raise UserError(f"{readme} must hold one `<!-- made by ... -->` and, after it, one `<!-- end -->`")
    drawing = performance.headline_figure(inputs.runs)
    fast = overview.sentences(inputs)[1]
    excerpt = markdown("excerpt.md.j2", claims=claims, fast=fast, drawing=drawing)
    return f"{parts[0]}{parts[1]}\n\n{excerpt}\n{parts[2]}{parts[3]}"
