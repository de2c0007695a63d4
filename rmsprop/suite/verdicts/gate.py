"""The gate's verdict: which cases have changed, and what the run could detect. Pure functions.

The unit is a launch: log(head / base) of one pair of live processes. Turns within a launch are not
independent, and are never pooled. A screen over all cases only chooses what is measured again; the test
sees fresh launches alone. It is the exact sign-flip test of log ratio - log(1 + margin) > 0, with Holm's
correction over the hypotheses, so that the probability of any false positive in a run is at most
`policy.alpha`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rmsprop.suite.records.gate import GateCase, GateRecord, Hypothesis, Policy, Sample
from rmsprop.suite.verdicts.gate_counters import CounterChange, counted_cases, counter_changes
from rmsprop.suite.verdicts.gate_statistics import detectable, holm, interval, level, pooled_sd, sign_flip
from rmsprop.suite.words import count

Outcome = Literal["pass", "regression", "failed", "inconclusive"]
Conclusion = Literal["slower", "faster", "not confirmed", "unsteady", "undecided"]

CODES: dict[Outcome, int] = {"pass": 0, "regression": 1, "failed": 2, "inconclusive": 3}


@dataclass(frozen=True)
class Finding:
    """What the confirming launches say of one hypothesis. Changes are shares: 0.05 is 5% slower.

    Attributes
    ----------
    name, cases
        The hypothesis, and the cases that it is about.
    verdict
        slower, faster: confirmed. not confirmed: the test or the alarm line was not reached. unsteady: base
        differed from itself as well. undecided: too few launches.
    launches
        Confirming launches that measured all of its cases.
    change, low, high
        The estimate and its 95% interval (Student's t over launches).
    p_value
        Of the sign-flip test, with Holm's correction.
    control
        Change of base against itself in the same launches.
    rare
        Whether sums are tested, which hold steps that are slow now and then.
    """

    name: str
    cases: tuple[str, ...]
    verdict: Conclusion
    launches: int
    change: float | None
    low: float | None
    high: float | None
    p_value: float | None
    control: float | None
    rare: bool = False

    @property
    def title(self) -> str:
        """The name, with what is slow now and then said of it."""
        return f"{self.name}, now and then" if self.rare else self.name


@dataclass(frozen=True)
class CaseView:
    """What is known of one case, by its confirming launches if it has any, else by the screen's.

    Attributes
    ----------
    case, finding
        The case of the record, and the finding that it is part of, if any.
    launches
        That the estimate stands on.
    change, low, high
        The estimate and its 95% interval (Student's t over launches).
    sd
        Standard deviation of the log ratio between launches.
    detectable
        The minimum detectable slowdown, with `policy.power`; None if too little was measured.
    powered
        Whether that is at most `policy.gates_at`. A case that is not is underpowered.
    """

    case: GateCase
    launches: int
    change: float | None
    low: float | None
    high: float | None
    sd: float | None
    detectable: float | None
    powered: bool
    finding: Finding | None


@dataclass(frozen=True)
class GateVerdict:
    """The gate's answer, with its reasons.

    Attributes
    ----------
    outcome
        pass, regression, failed or inconclusive.
    reasons
        What speaks against a pass, the gravest first.
    findings
        One for each hypothesis, those that say slower first.
    cases
        Every case of the record.
    counters
        Exact counters that differ between the sides.
    """

    outcome: Outcome
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...]
    cases: tuple[CaseView, ...]
    counters: tuple[CounterChange, ...] = ()

    @property
    def code(self) -> int:
        """Exit code."""
        return CODES[self.outcome]

    def found(self, conclusion: Conclusion) -> tuple[Finding, ...]:
        """The findings with that verdict, the largest change first."""
        chosen = (finding for finding in self.findings if finding.verdict == conclusion)
        return tuple(sorted(chosen, key=lambda finding: -abs(finding.change or 0)))


@dataclass(frozen=True)
class JudgedRun:
    """A run of the gate and its verdict, which is made once and travels with the record.

    Attributes
    ----------
    record
        The run.
    verdict
        What `judge_gate` says of it.
    """

    record: GateRecord
    verdict: GateVerdict


def judge_gate(record: GateRecord) -> GateVerdict:
    """The verdict of a run: a command makes it once, and terminal, formats and pages take it."""
    findings = _findings(record)
    by_case = {case: finding for finding in findings if not finding.rare for case in finding.cases}
    for finding in findings:
        (name, *_) = finding.cases
        if finding.rare and (name not in by_case or by_case[name].verdict != "slower"):
            by_case[name] = finding
    asked = sum(
        hypothesis.slower and not hypothesis.rare and finding.launches > 0
        for hypothesis, finding in zip(_in_order(record), findings, strict=True)
    )
    views = tuple(_view(case, record, by_case.get(case.id), max(1, asked)) for case in record.cases)
    counters = counter_changes(record)
    reasons = _reasons(record, findings, views)
    reasons["regression"] += [change.words for change in counters if change.alarm]
    outcome: Outcome = next((outcome for outcome, said in reasons.items() if said), "pass")
    if record.interrupted and outcome == "regression":
        outcome = "inconclusive"  # what was asked for was not measured to its end
    said = tuple(reason for group in reasons.values() for reason in group)
    return GateVerdict(outcome, said, findings, views, counters)


def log_ratios(
    case: GateCase, record: GateRecord, stage: str, control: bool = False, rare: bool = False
) -> dict[int, float]:
    """A case's log ratio in each launch of a stage, by the launch's number.

    Of head to base, or of base to itself (`control`); the trimmed mean over turns, or of their sums (`rare`).
    """
    found = {}
    for sample in case.samples:
        value = _of_sums(sample, control) if rare else sample.control if control else sample.log_ratio
        if record.launches[sample.launch].stage == stage and value is not None:
            found[sample.launch] = value
    return found


def _of_sums(sample: Sample, control: bool) -> float | None:
    over = sample.again_sum if control else sample.head_sum
    return math.log(over / sample.base_sum) if over and sample.base_sum else None


def _findings(record: GateRecord) -> tuple[Finding, ...]:
    """Slower and faster hypotheses are corrected apart: only the first can alarm. So are those of sums.

    Where the time was too short for so many hypotheses, those that the screen put first are tested: neither
    its order nor the number of launches knows what the confirming launches say.
    """
    found = []
    null = math.log1p(record.policy.margin)
    for slower, rare in ((True, False), (True, True), (False, False)):
        sign = 1 if slower else -1
        alpha = level(record.policy, rare=rare)
        asked = [one for one in _in_order(record) if (one.slower, one.rare) == (slower, rare)]
        means = [_mean_by_launch(hypothesis, record) for hypothesis in asked]
        measured = [number for number, mean in enumerate(means) if len(mean)]
        launches = min((len(means[number]) for number in measured), default=0)
        tested = measured[: int(alpha * 2**launches)]
        corrected = holm([sign_flip(sign * means[number], null) for number in tested])
        p_values = dict(zip(tested, corrected, strict=True))
        for number, (hypothesis, mean) in enumerate(zip(asked, means, strict=True)):
            control = _mean_by_launch(hypothesis, record, control=True)
            found.append(_finding(hypothesis, mean, control, p_values.get(number), record.policy, alpha))
    return tuple(found)


def _in_order(record: GateRecord) -> list[Hypothesis]:
    """Slower before faster, and what is slow now and then between them, as they are told."""
    return sorted(record.hypotheses or (), key=lambda one: (not one.slower, one.rare))


def _mean_by_launch(hypothesis: Hypothesis, record: GateRecord, control: bool = False) -> NDArray[np.float64]:
    """The mean log ratio of its cases, the log of their geometric mean, in each launch that has them all."""
    cases = {case.id: case for case in record.cases}
    each = [log_ratios(cases[name], record, "confirm", control, hypothesis.rare) for name in hypothesis.cases]
    launches = sorted(set.intersection(*(set(ratios) for ratios in each)))
    return np.array([np.mean([ratios[launch] for ratios in each]) for launch in launches])


def _finding(
    hypothesis: Hypothesis,
    measured: NDArray[np.float64],
    control: NDArray[np.float64],
    p_value: float | None,
    policy: Policy,
    alpha: float,
) -> Finding:
    change, low, high = interval(measured)
    itself = float(control.mean()) if len(control) else None
    sign = 1 if hypothesis.slower else -1
    verdict: Conclusion = "not confirmed"
    if p_value is None:
        verdict = "undecided"
    elif p_value <= alpha and sign * measured.mean() >= math.log1p(policy.alarm):
        moved = itself is not None and sign * itself >= sign * measured.mean() / 2
        verdict = "unsteady" if moved else "slower" if hypothesis.slower else "faster"
    return Finding(
        name=hypothesis.name,
        cases=hypothesis.cases,
        verdict=verdict,
        launches=len(measured),
        change=change,
        low=low,
        high=high,
        p_value=p_value,
        control=None if itself is None else math.expm1(itself),
        rare=hypothesis.rare,
    )


def _view(case: GateCase, record: GateRecord, finding: Finding | None, hypotheses: int) -> CaseView:
    stages = {stage: np.array([*log_ratios(case, record, stage).values()]) for stage in ("screen", "confirm")}
    shown = stages["confirm"] if len(stages["confirm"]) else stages["screen"]
    change, low, high = interval(shown)
    spread = pooled_sd([*stages.values()])
    least = None
    if spread is not None:
        screen, confirm = len(stages["screen"]), len(stages["confirm"])
        least = (
            detectable(spread, screen, confirm, record.policy, hypotheses)
            if confirm
            else detectable(spread, screen, record.plan.confirm, record.policy)
        )
        least = least if math.isfinite(least) else None
    return CaseView(
        case=case,
        launches=len(shown),
        change=change,
        low=low,
        high=high,
        sd=spread,
        detectable=least,
        powered=least is not None and least <= record.policy.gates_at,
        finding=finding,
    )


def _reasons(
    record: GateRecord, findings: Sequence[Finding], views: Sequence[CaseView]
) -> dict[Outcome, list[str]]:
    """What speaks for each outcome but a pass, the gravest first."""
    policy = record.policy
    slower = [f"{f.title}: {f.change:+.1%}" for f in findings if f.verdict == "slower"]
    compared = [view for view in views if view.case.status == "compared"]
    of = {status: [v.case for v in views if v.case.status == status] for status in ("failed", "removed")}
    inconclusive = []
    if record.interrupted:
        inconclusive.append(record.interrupted)
    if not record.timed:
        inconclusive += [] if counted_cases(record) else ["no case was counted on both sides"]
    elif not any(view.launches for view in compared):
        inconclusive.append("nothing was measured")
    elif record.hypotheses is None:
        inconclusive.append("the screen did not end")
    else:
        inconclusive += _underpowered(views, policy)
    inconclusive += [f"{case.id}: {case.reason}" for case in of["removed"]]
    for finding in findings:
        if finding.verdict == "unsteady":
            inconclusive.append(f"{finding.title}: base against itself moved by {finding.control:+.1%} too")
        if finding.verdict == "undecided":
            why = f"{finding.launches} launches are too few" if finding.launches else "there was no room"
            inconclusive.append(f"{finding.title}: {why} to confirm it")
    return {
        "regression": slower,
        "failed": [
            *([record.error] if record.error else []),
            *(f"{case.id}: {case.reason}" for case in of["failed"]),
        ],
        "inconclusive": inconclusive,
    }


def _underpowered(views: Sequence[CaseView], policy: Policy) -> list[str]:
    """The families of which too few cases could detect a slowdown: their silence is no evidence."""
    wanted = [view for view in views if view.case.status in ("compared", "left out")]
    if policy.powered is None:
        none = f"every case is underpowered: none could detect a slowdown of {policy.gates_at:.0%}"
        return [] if any(view.powered for view in wanted) else [none]
    families: dict[str, list[bool]] = {}
    for view in wanted:
        families.setdefault(view.case.family, []).append(view.powered)
    return [
        f"{family}: {sum(powered)} of {count(len(powered), 'case')} could detect a slowdown of "
        f"{policy.gates_at:.0%}, and a pass needs more than {policy.powered:.0%}"
        for family, powered in families.items()
        if sum(powered) <= policy.powered * len(powered)
    ]
