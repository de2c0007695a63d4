"""What the pages are made from: everything below results/, read and judged once."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from rmsprop.book.claims import CHAPTER
from rmsprop.suite.case import IMPLEMENTATIONS
from rmsprop.suite.history.alerts import Alert, alerts_of
from rmsprop.suite.history.links import commit_url
from rmsprop.suite.history.reading import history_of
from rmsprop.suite.history.series import History
from rmsprop.suite.records.files import Problem, read_folder
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.records.peers import PeersRecord
from rmsprop.suite.records.store import read_gates, read_peers, read_reproduction
from rmsprop.suite.records.sweep import Sweep
from rmsprop.suite.records.sweep_files import read_sweeps
from rmsprop.suite.verdicts.gate import JudgedRun, judge_gate
from rmsprop.suite.verdicts.reproduction import Judgement, judge, section_of
from rmsprop.suite.verdicts.speed import Runs


@dataclass(frozen=True)
class Invocation:
    """What one invocation of `rmsprop run` recorded, whatever else was recorded at the same time.

    Attributes
    ----------
    reproduction
        The file of its record.
    run
        The id of its run of the benchmark matrix; None where it measured no case.
    """

    reproduction: Path
    run: str | None = None


@dataclass(frozen=True)
class Inputs:
    """Everything below results/.

    Attributes
    ----------
    results, pages
        The folders of the records, for names relative to it, and of the pages.
    reproductions, gates
        Records with their verdicts, the oldest first. Of a record of the whole chapter, section 7.6.
    chapters
        The records of the whole chapter with their verdicts, the oldest first.
    peers
        Comparisons with other packages, the oldest first.
    sweeps
        Finished sweeps, the oldest first.
    frame
        `rmsprop.suite.records.frame.read_frame`: every row of bench, asv and pytest-benchmark.
    runs
        What was measured last of each case on each machine, with its speed-ups.
    history, alerts
        Each case that was measured at two commits or more, and the change points in it.
    problems
        Files that could not be read, with reasons; the page `problems` shows them.
    commit_url
        What comes before a hash in the address of a commit; None where no asv.conf.json says it.
    asv_site
        Whether asv's own published site lies beside the pages, in asv/.
    invocation
        What the first page answers for; None where it answers for the newest records.
    reproduced
        The record of that invocation, with its verdicts.
    """

    results: Path
    pages: Path
    reproductions: tuple[Judgement, ...]
    frame: pd.DataFrame
    gates: tuple[JudgedRun, ...]
    runs: Runs
    history: History
    alerts: tuple[Alert, ...]
    problems: tuple[Problem, ...]
    peers: tuple[PeersRecord, ...] = ()
    sweeps: tuple[Sweep, ...] = ()
    chapters: tuple[Judgement, ...] = ()
    commit_url: str | None = None
    asv_site: bool = False
    invocation: Invocation | None = None
    reproduced: Judgement | None = None

    @property
    def elsewhere(self) -> bool:
        """Whether these are somebody else's results, and not about the book.

        They have no record of the book, and either an optimizer of one's own or nothing of a checkout of this
        project: an installed wheel knows no commit of its own.
        """
        rows = self.runs.rows
        ours = (rows["runner"] != "bench") | rows["commit"].notna()
        theirs = any(name not in IMPLEMENTATIONS for name in self.runs.implementations)
        anything = bool(self.gates or self.history.series or len(self.frame))
        of_book = self.invocation is not None or bool(self.reproductions)
        return anything and not of_book and (theirs or not ours.any())


def read_inputs(
    results: Path,
    pages: Path = Path("reports"),
    *,
    repo: Path | None = None,
    invocation: Invocation | None = None,
) -> Inputs:
    """Everything below `results`, with the commits in the order of the history of the checkout `repo`.

    The same records and the same history give the same inputs.
    """
    found_here, unread = read_folder(results / "reproduction", lambda path: (path, read_reproduction(path)))
    found_here.sort(key=lambda one: one[1].environment.started)
    judged = [
        (path, judge(section_of(record) if record.section == CHAPTER else record))
        for path, record in found_here
    ]
    reproduced = next((one for path, one in judged if invocation and path == invocation.reproduction), None)
    frame, unread_rows = read_frame(results)
    records, unread_gates = read_gates(results)
    gates = tuple(JudgedRun(record, judge_gate(record)) for record in records)
    peers, unread_peers = read_peers(results)
    sweeps, unread_sweeps = read_sweeps(results)
    found = history_of(frame, gates, repo=repo)
    # The gate compares a commit with its base: one ratio is a history.
    compared = tuple(one for one in found.series if len(one.commits) > 1 or one.long_enough)
    return Inputs(
        results=results,
        pages=pages,
        reproductions=tuple(one for _, one in judged),
        chapters=tuple(judge(record) for _, record in found_here if record.section == CHAPTER),
        frame=frame,
        gates=gates,
        runs=Runs.of(frame),
        history=replace(found, series=compared),
        alerts=alerts_of(found),
        problems=(*unread, *unread_rows, *unread_gates, *unread_peers, *unread_sweeps),
        peers=tuple(peers),
        sweeps=tuple(sweeps),
        commit_url=commit_url(results),
        asv_site=(pages / "asv" / "index.html").is_file(),
        invocation=invocation,
        reproduced=reproduced,
    )
