"""Alerts -> groups: what one commit changed, on one machine."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from rmsprop.suite.history.alerts import Alert, importance
from rmsprop.suite.history.series import History
from rmsprop.suite.words import printable


@dataclass(frozen=True)
class AlertGroup:
    """The alerts of one machine and runner between the same two commits, the largest first.

    Attributes
    ----------
    runner, machine
        Of all the series.
    last_good, first_bad, direction
        As in each alert.
    alerts
        Those that fail first, then those that stand, then by size.
    compared
        Series of the machine and runner that are long enough to show a change.
    before, after
        What the results say of the machine at the two commits; empty where they say nothing.
    environments
        Of the series of the machine and runner that are long enough.
    """

    runner: str
    machine: str
    last_good: str
    first_bad: str
    direction: Literal["slower", "faster"]
    alerts: tuple[Alert, ...]
    compared: int
    before: str = ""
    after: str = ""
    environments: frozenset[str] = frozenset()

    @property
    def head(self) -> str:
        """What the series became at the commit, such as `slower`, or `slower and larger`."""
        slower = self.direction == "slower"
        said = []
        if any(alert.timed for alert in self.alerts):
            said.append("slower" if slower else "faster")
        if any(alert.followed and not alert.timed for alert in self.alerts):
            said.append("larger" if slower else "smaller")
        return " and ".join(said) or "changed"

    def case_of(self, alert: Alert) -> str:
        """The case of an alert; where the machine has several environments, with what differs in its own."""
        series = alert.series
        if len(self.environments) < 2:
            return series.case
        shared = set.intersection(*(set(one.split("-")) for one in self.environments))
        own = "-".join(part for part in series.environment.split("-") if part not in shared)
        named = printable(own or series.environment) or "an environment without a name"
        return f"{series.case} in {named}"

    @property
    def suspicion(self) -> str:
        """Why the machine is to be suspected before the code, in words; empty where nothing speaks for it.

        Another processor or memory is said; another release of the system is not, which is frequent.
        """
        before, after = (
            {fact for fact in told.split(", ") if not fact.startswith("os ")}
            for told in (self.before, self.after)
        )
        said = []
        if self.before and self.after and before != after:
            gone, new = (
                ", ".join(sorted(facts)) or "less to tell" for facts in (before - after, after - before)
            )
            said.append(f"the machine had {gone} before, and {new} after")
        if len(self.alerts) > max(3, self.compared / 2):
            said.append(f"{len(self.alerts):,} of {self.compared:,} series changed here")
        return "; ".join((*said, "suspect the machine before the code")) if said else ""

    @property
    def stands(self) -> bool:
        """Whether a change of the group stands."""
        return any(alert.stands for alert in self.alerts)


def by_commit(alerts: Iterable[Alert], history: History) -> list[AlertGroup]:
    """The alerts in groups, in the order of the first of each."""
    together: dict[tuple[str, str, str, str, Literal["slower", "faster"]], list[Alert]] = {}
    for alert in alerts:
        one = alert.series
        key = (one.runner, one.machine, alert.last_good, alert.first_bad, alert.direction)
        together.setdefault(key, []).append(alert)
    environments: dict[tuple[str, str], set[str]] = {}
    compared: Counter[tuple[str, str]] = Counter()
    for one in history.series:
        if one.long_enough:
            environments.setdefault((one.runner, one.machine), set()).add(one.environment)
            compared[one.runner, one.machine] += 1
    groups = [
        AlertGroup(
            *key,
            tuple(sorted(found, key=importance)),
            compared[key[:2]],
            before=history.hardware.get((key[1], key[2]), ""),
            after=history.hardware.get((key[1], key[3]), ""),
            environments=frozenset(environments.get(key[:2], ())),
        )
        for key, found in together.items()
    ]
    return sorted(groups, key=lambda group: importance(group.alerts[0]))
