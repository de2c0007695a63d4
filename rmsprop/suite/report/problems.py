"""The page of files below results/ that could not be shown, each with its reason."""

from collections.abc import Iterable
from pathlib import Path

from rmsprop.suite.records.files import Problem
from rmsprop.suite.report.render import html, markdown
from rmsprop.suite.report.site import Inputs, Page
from rmsprop.suite.report.tables import Table, capped

PATH = "problems.html"
_LISTED = 500
_LISTED_IN_MARKDOWN = 50
_REASON = 300


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, also where every file could be read: it says so."""
    number = len(inputs.problems)
    listed = problems_table(inputs.problems, inputs.results, _LISTED)
    brief = problems_table(inputs.problems, inputs.results, _LISTED_IN_MARKDOWN)
    yield Page(
        PATH,
        "Problems: files that are left out",
        html("problems.html.j2", table=listed),
        nav=f"Problems ({number:,})" if number else "Problems",
        markdown=markdown("problems.md.j2", table=brief) if number else "",
    )


def problems_table(problems: Iterable[Problem], results: Path, most: int) -> Table:
    """File and reason, without the folders of this machine, which are nobody else's business."""
    rows = []
    for problem in problems:
        name = problem.path.relative_to(results).as_posix()
        reason = problem.reason.replace(str(problem.path), name).replace(str(results), results.name)
        rows.append((name, reason if len(reason) <= _REASON else f"{reason[:_REASON]}…"))
    return capped(
        "Below the results folder, but no record that can be shown", ("File", "Reason"), sorted(rows), most
    )
