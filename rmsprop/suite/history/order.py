"""Where measured commits stand: by the history of a checkout, by their dates, or nowhere."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from rmsprop.suite.git import git_or_none
from rmsprop.suite.words import count

_ELSEWHERE = "that the checkout has on other branches alone"
_UNKNOWN = (
    "that the checkout lacks though its history is complete: of a branch that was deleted or squashed, "
    "or of a fork"
)
_UNDATED = "without a date, and git does not know when they were made"


@dataclass(frozen=True)
class CommitOrder:
    """The order of all measured commits.

    Attributes
    ----------
    commits
        The checkout's history, oldest first; empty where it holds no measured commit.
    times
        UTC, of each measured commit that stands somewhere: of the commit where git or a file tells it, else
        of the measurement.
    left_out
        Measured commits that stand nowhere -> why.
    remarks
        What a reader must know of the order, a sentence each.
    """

    commits: tuple[str, ...]
    times: dict[str, datetime]
    left_out: dict[str, str]
    remarks: tuple[str, ...]
    _places: dict[str, tuple[float, float, str]]

    def sorted(self, commits: Mapping[str, object]) -> list[str]:
        """These commits, oldest first."""
        return sorted(commits, key=self._places.__getitem__)

    def remarks_on(self, measurements: Counter[str]) -> list[str]:
        """A sentence for each reason why commits are left out; `measurements` of each commit."""
        said = []
        for reason in dict.fromkeys(self.left_out.values()):
            commits = [commit for commit, why in self.left_out.items() if why == reason]
            number = sum(measurements[commit] for commit in commits)
            said.append(
                f"left out {count(number, 'measurement')} of {count(len(commits), 'commit')} {reason}"
            )
        return said


def order_of(dates: Mapping[str, datetime | None], repo: Path | None) -> CommitOrder:
    """The order of measured commits, whose dates the files tell or do not.

    Along the history of `repo`, if that holds some of them. Then those that it has on other branches alone
    are left out, and so are those that it lacks, unless it is a shallow clone: there, their dates say where
    they stand. Without such a checkout dates decide alone. What has neither place nor date is left out.
    """
    log = _git_log(repo)
    remarks = []
    if log and dates and not log.keys() & dates.keys():
        remarks.append(
            "the history of the checkout in this folder has none of the measured commits: "
            "their dates say where they stand"
        )
        log = {}
    missing = [commit for commit in dates if commit not in log]
    left_out: dict[str, str] = {}
    if repo and log and missing:
        elsewhere = _all_commits(repo)
        left_out = {commit: _ELSEWHERE for commit in missing if commit in elsewhere}
        unknown = [commit for commit in missing if commit not in elsewhere]
        if not _is_shallow(repo):
            left_out |= dict.fromkeys(unknown, _UNKNOWN)
        elif unknown:
            remarks.append(
                f"the clone is shallow, and git does not know {len(unknown)} of {len(dates)} measured "
                "commits: their dates say where they stand"
            )
    times, places = {}, {}
    # Dates need not grow along a history; the newest so far does.
    newest = np.maximum.accumulate([date.timestamp() for date in log.values()] or [0.0])
    positions = {commit: i for i, commit in enumerate(log)}
    for commit, told in dates.items():
        date = log.get(commit, told)
        if commit in left_out:
            continue
        if date is None:
            left_out[commit] = _UNDATED
            continue
        times[commit] = date
        if commit in positions:
            places[commit] = (float(positions[commit]), 0.0, commit)
        else:
            before = int(np.searchsorted(newest, date.timestamp(), side="right")) if log else 0
            places[commit] = (before - 0.5, date.timestamp(), commit)
    return CommitOrder(tuple(log), times, left_out, tuple(remarks), places)


def _git_log(repo: Path | None) -> dict[str, datetime]:
    """Commit -> its date, along the history of HEAD, oldest first; empty without git or a checkout."""
    log = repo and git_or_none(repo, "log", "--topo-order", "--reverse", "--format=%H %ct", timeout=None)
    lines = (line.split() for line in (log or "").splitlines())
    return {commit: datetime.fromtimestamp(int(seconds), UTC) for commit, seconds in lines}


def _all_commits(repo: Path) -> set[str]:
    """Those of every branch, and those that a branch was at before."""
    return set((git_or_none(repo, "rev-list", "--all", "--reflog", timeout=None) or "").split())


def _is_shallow(repo: Path) -> bool:
    """Whether the clone lacks the beginning of its history, or git is too old to say."""
    return git_or_none(repo, "rev-parse", "--is-shallow-repository") != "false"
