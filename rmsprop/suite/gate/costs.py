"""What cases cost: how long a launch over them takes, and which of them go first where time is short."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from rmsprop.suite.gate.cpus import load
from rmsprop.suite.gate.turns import turns_of


@dataclass(frozen=True)
class Cost:
    """Seconds that a case takes on one side.

    Attributes
    ----------
    family
        Its family: the first case of one pays for the family's imports.
    ready
        Until it can be measured.
    turn
        Of one turn.
    dear, rare
        Whether it takes fewer turns, or more because its sums are confirmed.
    """

    family: str
    ready: float
    turn: float
    dear: bool = False
    rare: bool = False


@dataclass(frozen=True)
class Costs:
    """What launches take.

    Attributes
    ----------
    imports
        Seconds that the first case of each family costs beyond itself, in one process.
    cases
        What each case costs.
    busy
        How many times as long everything takes because others use the processors too.
    """

    imports: Mapping[str, float]
    cases: Mapping[str, Cost]
    busy: float = 1.0


def launch_seconds(costs: Costs, names: Iterable[str], turns: int, processes: int) -> float:
    """One launch over these cases: its processes share a CPU."""
    chosen = [costs.cases[name] for name in names]
    imports = sum(costs.imports[family] for family in {cost.family for cost in chosen})
    return processes * costs.busy * (imports + sum(_case_seconds(cost, turns) for cost in chosen))


def screen_seconds(costs: Costs, turns: int) -> float:
    """One launch of two processes over all cases."""
    return launch_seconds(costs, costs.cases, turns, 2)


def confirm_seconds(costs: Costs, turns: int, candidates: float) -> float:
    """One launch of three processes over so many average cases."""
    families: dict[str, list[float]] = {}
    for cost in costs.cases.values():
        families.setdefault(cost.family, []).append(_case_seconds(cost, turns))
    imports = sum(costs.imports[family] for family in families) * min(1.0, candidates / len(families))
    cases = sum(map(sum, families.values())) * min(1.0, candidates / len(costs.cases))
    return 3 * costs.busy * (imports + cases)


def words_of(costs: Costs, turns: int) -> str:
    """What a launch of the screen takes, of what, for which family, and under which load."""
    families: dict[str, float] = {}
    for cost in costs.cases.values():
        families[cost.family] = families.get(cost.family, 0.0) + _case_seconds(cost, turns)
    imports = 2 * costs.busy * sum(costs.imports[family] for family in families)
    each = ", ".join(f"{family} {2 * costs.busy * seconds:.1f} s" for family, seconds in families.items())
    return (
        f"a launch of the screen takes {screen_seconds(costs, turns):.1f} s: imports {imports:.1f} s, {each};"
        f" others use the processors, so that everything takes {costs.busy:.1f} times as long (load {load()})"
    )


def fewer(costs: Costs, turns: int, share: float) -> Iterator[Costs]:
    """All cases; fewer of each family, down to more than `share` of it; then, from all again, fewer to one.

    The costliest go first, by what they and their share of their family's imports take with so many turns.
    The case that the suite lists first of its family outlasts the others, and stays while others can go,
    unless its imports take most of a launch.
    """
    sizes = Counter(cost.family for cost in costs.cases.values())
    firsts: dict[str, str] = {}
    for name, cost in costs.cases.items():
        firsts.setdefault(cost.family, name)

    def last_and_cheap(name: str) -> tuple[bool, float]:
        cost = costs.cases[name]
        seconds = _case_seconds(cost, turns) + costs.imports[cost.family] / sizes[cost.family]
        return firsts[cost.family] == name, -seconds

    order = sorted(costs.cases, key=last_and_cheap)
    yield costs
    kept = dict(costs.cases)
    for name in order:
        family = costs.cases[name].family
        if sum(cost.family == family for cost in kept.values()) - 1 > share * sizes[family]:
            kept.pop(name)
            yield replace(costs, cases=dict(kept))
    kept = dict(costs.cases)
    while len(kept) > 1:
        number = Counter(cost.family for cost in kept.values())
        whole = launch_seconds(costs, kept, turns, 1) / costs.busy
        stay = {family for family in number if number[family] == 1 and costs.imports[family] < whole / 2}
        left = [name for name in order if name in kept]
        kept.pop(next((name for name in left if kept[name].family not in stay), left[0]))
        yield replace(costs, cases=dict(kept))


def _case_seconds(cost: Cost, turns: int) -> float:
    return cost.ready + (turns_of(turns, dear=cost.dear, rare=cost.rare) + 1) * cost.turn
