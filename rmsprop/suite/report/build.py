"""Records -> the whole site and its Markdown twin, written whole or not at all."""

from dataclasses import dataclass
from pathlib import Path

from rmsprop.errors import UserError
from rmsprop.suite.records.files import Problem, write_atomically
from rmsprop.suite.report import html, markdown
from rmsprop.suite.report.excerpt import split_readme
from rmsprop.suite.report.inputs import Inputs, Invocation, read_inputs
from rmsprop.suite.report.page import drawings_of
from rmsprop.suite.report.pages import MODULES, overview
from rmsprop.suite.report.write import write_site
from rmsprop.suite.words import command


@dataclass(frozen=True)
class BuiltReport:
    """What was written, and which files below results/ are no records that can be shown.

    Attributes
    ----------
    paths
        Of every file that was written; the README's last, if it was asked for.
    problems
        Each with its reason.
    sentences
        Does the book hold; how fast is a step; what changed, and what is unreliable.
    holds
        Whether the book holds by the record of the invocation; None without one.
    """

    paths: tuple[Path, ...]
    problems: tuple[Problem, ...]
    sentences: tuple[str, ...]
    holds: bool | None


def build_report(
    results: Path,
    reports: Path,
    readme: Path | None = None,
    *,
    repo: Path | None = None,
    invocation: Invocation | None = None,
) -> BuiltReport:
    """Write the pages, README.md and figures/*.svg below `reports` from the records below `results`.

    The same records, and the same history of the checkout `repo`, give the same bytes. All is rendered before
    anything is written, so that a failure leaves the former report whole; UserError where `reports` cannot be
    written. A `readme` gets the claims and the speed of a step between its two markers, `<!-- made by ...`
    and `<!-- end -->`. The sentences answer for what one `invocation` recorded, for the newest records where
    that is not given.
    """
    if not results.is_dir():
        raise UserError(
            f"there is no folder {results}; run `{command('reproduce', output=results)}`, or name one with "
            "--results"
        )
    inputs = read_inputs(results, reports, repo=repo, invocation=invocation)
    excerpt = _excerpt(readme, inputs) if readme else None
    paths = write_site(reports, files_of(inputs))
    if readme and excerpt:
        write_atomically(readme, excerpt)
        paths = (*paths, readme)
    holds = inputs.reproduced.holds if inputs.reproduced else None
    return BuiltReport(paths, inputs.problems, overview.sentences(inputs), holds)


def files_of(inputs: Inputs) -> dict[str, str]:
    """The content of each file of the site, by its name; index.html last."""
    pages = [page for module in MODULES for page in module.pages(inputs)]
    drawings = [
        drawing for page in pages if page.in_markdown for drawing in drawings_of(page.blocks, details=False)
    ]
    figures = {f"figures/{drawing.name}.svg": drawing.file for drawing in drawings}
    twin = {"README.md": markdown.document(overview.title(inputs), pages)}
    return figures | twin | {page.path: html.document(page, pages) for page in reversed(pages)}


def _excerpt(readme: Path, inputs: Inputs) -> str:
    """The text of `readme` with claims and speed, and a figure of each, between its markers."""
    blocks = overview.excerpt(inputs)
    if not blocks:
        made_by = command("reproduce", output=inputs.results)
        raise UserError(f"{readme} is left as it is: there is no record to show; run `{made_by}`")
    before, after = split_readme(readme)
    text = markdown.render(blocks, figures="reports/figures")
    return f"{before}\n\n{text}{after}"
