"""The page of files below results/ that could not be shown, each with its reason."""

from collections.abc import Iterable
from pathlib import Path

from rmsprop.suite.records.files import Problem
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import Page, Table, capped, headline, paragraph

PATH = "problems.html"
_LISTED = 500
_REASON = 300
"""Characters."""


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, also where every file could be read: it says so."""
    number = len(inputs.problems)
    if not number:
        blocks = (headline("None: every file below the results folder could be read."),)
        yield Page(PATH, "Problems: files that are left out", blocks, "Problems", in_markdown=False)
        return
    explanation = paragraph(
        "These files, or parts of them, are damaged, cut short, written by another program, newer than this "
        "version reads, or contradict themselves. The report is made from everything else; results that were "
        "not measured are counted with the history. A record is never edited: remove such a file, measure "
        "again, or update rmsprop-bench."
    )
    table = problems_table(inputs.problems, inputs.results, _LISTED)
    yield Page(PATH, "Problems: files that are left out", (explanation, table), f"Problems ({number:,})")


def problems_table(problems: Iterable[Problem], results: Path, most: int) -> Table:
    """File and reason, without the folders of this machine, which nobody else needs to know."""
    rows = []
    for problem in problems:
        name = problem.path.relative_to(results).as_posix()
        reason = problem.reason.replace(str(problem.path), name).replace(str(results), results.name)
        rows.append((name, reason if len(reason) <= _REASON else f"{reason[:_REASON]}…"))
    return capped(
        "Files below the results folder that cannot be shown", ("File", "Reason"), sorted(rows), most
    )
