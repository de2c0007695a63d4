"""What a budget buys: how many launches of how many turns, and which cases it must leave out."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median, stdev

from scipy import stats

from rmsprop.errors import UserError
from rmsprop.suite.gate.costs import (
    Costs,
    confirm_seconds,
    fewer,
    launch_seconds,
    screen_seconds,
    words_of,
)
from rmsprop.suite.records.gate import GatePlan, GateRecord, Hypothesis, Policy
from rmsprop.suite.verdicts.gate import judge_gate, log_ratios
from rmsprop.suite.verdicts.gate_screen import choose, choose_rare
from rmsprop.suite.verdicts.gate_statistics import detectable, least_launches

TURN_SECONDS = 0.003
"""Far longer than a change of turns, and shorter than the noise of a neighbour lasts."""
TURNS = (16, 24, 32, 48, 64)
LEAST_SCREEN, MOST_SCREEN = 4, 12
MOST_CONFIRM = 20
"""The exact test enumerates two to the power of it."""
DISSENTERS = 2
"""Extra launches beyond the minimum for significance, so that one dissenting launch does not decide."""
SPARED = 0.25
"""Safety margin: this share of the time after the preparation is unplanned: the machine may slow down."""
SPARED_AGAIN = 0.1
"""Safety margin: this share of the time after the screen is left unplanned."""
BETWEEN, WITHIN = 0.01, 0.08
"""Assumed noise, if no record says more: the standard deviation of the log ratio between launches, and that
of one pair of turns."""
CHANGED = 3
"""Cases that are expected to have changed, beside those that noise makes candidates."""


@dataclass(frozen=True)
class Confirmation:
    """What the second stage does.

    Attributes
    ----------
    hypotheses
        What is tested; those for which there is no time come last.
    names
        The cases that are measured.
    launches, turns
        How many, and how many turns of each process in one.
    seconds
        That a launch is expected to take.
    """

    hypotheses: tuple[Hypothesis, ...]
    names: tuple[str, ...]
    launches: int
    turns: int
    seconds: float


@dataclass(frozen=True)
class Noise:
    """How noisy this machine was in former runs.

    Attributes
    ----------
    ratio
        The standard deviation between launches over the one that is assumed; 1 without former runs.
    families
        The median standard deviation of each family's cases.
    """

    ratio: float = 1.0
    families: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, former: Iterable[GateRecord]) -> "Noise":
        """By the spread of every case in these runs."""
        ratios: list[float] = []
        families: dict[str, list[float]] = {}
        for record in former:
            for view in judge_gate(record).cases:
                if view.sd:
                    ratios.append(view.sd / spread(record.plan.turns))
                    families.setdefault(view.case.family, []).append(view.sd)
        medians = {family: median(each) for family, each in families.items()}
        return cls(median(ratios), medians) if ratios else cls()


def spread(turns: int, noise: float = 1.0) -> float:
    """The expected standard deviation of the log ratio with so many turns, `noise` times the assumed one."""
    return noise * math.sqrt(BETWEEN**2 + WITHIN**2 / turns)


def candidates(cases: int, sd: float, screen: int, policy: Policy) -> float:
    """How many cases to expect in the second stage: the changed ones, and those that only seem so."""
    by_chance = 2 * cases * stats.norm.sf(policy.screen * math.sqrt(screen) / sd)
    return min(policy.candidates, CHANGED + float(by_chance))


def make_plan(
    costs: Costs, seconds: float, budget: float, pairs: int, policy: Policy, noise: float = 1.0
) -> tuple[GatePlan, tuple[str, ...]]:
    """The shortest plan that detects `policy.aim`, else the one that detects most; and what it leaves out.

    It takes at most `seconds`. While no plan fits that would detect `policy.gates_at`, `fewer` cases are
    tried. If none fits, the noise is the reason, and the plan that detects most is taken. UserError if not
    even one case fits.
    """
    most = seconds * (1 - SPARED)
    for needed in (policy.gates_at, math.inf):
        for kept in fewer(costs, TURNS[0], policy.powered or 0.0):
            plans = _plans(kept, most, budget, pairs, policy, noise)
            if plan := _best([found for found in plans if found[0] <= needed], policy):
                return plan, tuple(name for name in costs.cases if name not in kept.cases)
    # Too little to confirm anything. What the screen sees is worth a run: the answer says what is undecided.
    screen, confirm = _even(LEAST_SCREEN, pairs), _even(least_launches(policy.candidates, policy), pairs)
    for kept in fewer(costs, TURNS[0], policy.powered or 0.0):
        if screen / pairs * screen_seconds(kept, TURNS[0]) <= seconds:
            plan = GatePlan(budget, pairs, TURNS[0], TURN_SECONDS, screen, confirm)
            return plan, tuple(name for name in costs.cases if name not in kept.cases)
    minutes = needed_minutes(costs, budget - seconds, pairs, policy)
    raise UserError(
        f"a budget of {budget:g} s is too small: {max(0, seconds):.0f} s are left after the preparation; "
        f"{words_of(costs, TURNS[0])}; try --budget {minutes}m, or choose fewer cases with --case"
    )


def needed_minutes(costs: Costs, spent: float, pairs: int, policy: Policy) -> int:
    """The budget in minutes that leaves no case out, if `spent` seconds of it go to the preparation."""
    minutes = 1
    while minutes < 24 * 60:
        plans = _plans(costs, (60 * minutes - spent) * (1 - SPARED), 60 * minutes, pairs, policy, 1.0)
        if any(seen <= policy.gates_at for seen, *_ in plans):
            break
        minutes = math.ceil(1.2 * minutes)
    return minutes


def promises(record: GateRecord, noise: Noise) -> dict[str, float]:
    """The minimum detectable slowdown of each family by the plan, and by the noise or what is assumed of it.

    Infinite if there are too few launches, whatever the noise.
    """
    plan, assumed = record.plan, spread(record.plan.turns)
    families = dict.fromkeys(case.family for case in record.cases if case.status == "compared")
    return {
        family: detectable(noise.families.get(family, assumed), plan.screen, plan.confirm, record.policy)
        for family in families
    }


def second_stage(
    record: GateRecord, costs: Costs, seconds: float, turns: Sequence[int] = TURNS
) -> Confirmation:
    """What the screen's launches ask to be measured again, in the seconds left; one of `turns` in each."""
    plan, policy = record.plan, record.policy
    screened = {case.id: [*log_ratios(case, record, "screen").values()] for case in record.cases}
    summed = {case.id: [*log_ratios(case, record, "screen", rare=True).values()] for case in record.cases}
    taken = sum(launch.seconds for launch in record.launches) / len(record.launches)
    # As the screen found the machine.
    busier = replace(costs, busy=costs.busy * max(1.0, taken / screen_seconds(costs, plan.turns)))
    case = launch_seconds(busier, costs.cases, TURNS[0], 3) / len(costs.cases)
    most = int(seconds * plan.pairs / case / least_launches(policy.candidates, policy))
    rare = choose_rare(summed, screened, policy)
    families = {case.id: case.family for case in record.cases}
    tested, left = choose(screened, families, policy, max(0, most - len(rare)))
    tested = (*tested, *rare)
    names = tuple(dict.fromkeys(name for hypothesis in tested for name in hypothesis.cases))
    if not names:
        return Confirmation(left, (), 0, 0, 0.0)
    sd = median(stdev(screened[name]) for name in names)
    if rare:  # as many launches as there is time for
        sd = max(sd, *(stdev(summed[one.name]) for one in rare))
        rarely = {one.name: replace(busier.cases[one.name], rare=True) for one in rare}
        busier = replace(busier, cases={**busier.cases, **rarely})
    time = seconds * (1 - SPARED_AGAIN)
    launches, chosen = plan_confirmation(busier, names, time, plan, len(tested), sd, policy, turns, len(rare))
    return Confirmation((*tested, *left), names, launches, chosen, launch_seconds(busier, names, chosen, 3))


def plan_confirmation(
    costs: Costs,
    names: Sequence[str],
    seconds: float,
    plan: GatePlan,
    hypotheses: int,
    sd: float,
    policy: Policy,
    turns: Sequence[int] = TURNS,
    rare: int = 0,
) -> tuple[int, int]:
    """Launches, and turns in each: the fewest that detect `policy.aim`, else as many as the seconds allow.

    `sd` is the standard deviation between the screen's launches at the cases that are tested, with as many
    turns as planned. There are at least as many launches as a test of so many hypotheses needs, of which
    `rare` are of sums and so need more, and `DISSENTERS` more if there is time.
    """
    needed = max(least_launches(hypotheses, policy), least_launches(rare, policy, rare=True) if rare else 0)
    choices = []
    for number in turns:
        each = launch_seconds(costs, names, number, 3)
        most = min(MOST_CONFIRM, int(seconds / each) * plan.pairs)
        expected = sd * spread(number) / spread(plan.turns)
        for launches in range(_even(needed, plan.pairs), most + 1, plan.pairs):
            seen = detectable(expected, MOST_SCREEN, launches, policy, hypotheses)
            few = launches < needed + DISSENTERS
            choices.append((few, max(seen, policy.aim), launches * each, launches, number))
    if not choices:
        return needed, turns[0]  # more than there is time for: those that end in time are judged
    return min(choices)[-2:]


def _plans(
    costs: Costs, most: float, budget: float, pairs: int, policy: Policy, noise: float
) -> list[tuple[float, float, GatePlan]]:
    """Every plan that fits, behind what it sees and what it takes."""
    least = least_launches(policy.candidates, policy)
    screens = range(_even(LEAST_SCREEN, pairs), max(MOST_SCREEN, pairs) + 1, pairs)
    confirms = range(_even(least, pairs), max(MOST_CONFIRM, _even(least, pairs)) + 1, pairs)
    plans = []
    for turns in TURNS:
        sd = spread(turns, noise)
        each = screen_seconds(costs, turns) / pairs
        for screen in screens:
            expected = candidates(len(costs.cases), sd, screen, policy)
            again = confirm_seconds(costs, turns, expected) / pairs
            for confirm in confirms:
                taken = screen * each + confirm * again
                if taken <= most:
                    seen = detectable(sd, screen, confirm, policy)
                    plans.append((seen, taken, GatePlan(budget, pairs, turns, TURN_SECONDS, screen, confirm)))
    return plans


def _best(plans: Sequence[tuple[float, float, GatePlan]], policy: Policy) -> GatePlan | None:
    enough = [plan for plan in plans if plan[0] <= policy.aim]
    if enough:
        return min(enough, key=lambda plan: plan[1])[2]
    return min(plans, key=lambda plan: plan[:2])[2] if plans else None


def _even(launches: int, pairs: int) -> int:
    """So many or more, that all pairs have the same number."""
    return pairs * math.ceil(launches / pairs)
