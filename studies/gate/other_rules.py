"""What rules that others use say of the gate's launches. Pure functions."""

import math

import numpy as np
from scipy import stats

from rmsprop.suite.records.gate import GateRecord
from rmsprop.suite.verdicts.gate import log_ratios
from rmsprop.suite.verdicts.gate_statistics import holm


def named_by(record: GateRecord, rule: str) -> set[str]:
    """The cases that a rule that others use calls slower, by the launches of the screen.

    Mann-Whitney takes all launches of a case: it pools what others call samples.
    """
    d = {case.id: np.array([*log_ratios(case, record, "screen").values()]) for case in record.cases}
    d = {name: values for name, values in d.items() if len(values)}
    if rule == "no second stage":
        null, line = math.log1p(record.policy.margin), math.log1p(record.policy.alarm)
        corrected = holm(
            [float(stats.ttest_1samp(x, null, alternative="greater").pvalue) for x in d.values()]
        )
        return {
            name
            for (name, x), p in zip(d.items(), corrected, strict=True)
            if p <= record.policy.alpha and x.mean() >= line
        }
    if rule.startswith("fixed"):
        line = math.log1p(float(rule.split()[1].removesuffix("%")) / 100)
        return {name for name, x in d.items() if np.median(x) >= line}
    found = set()
    for case in record.cases:
        base, head = ([getattr(sample, side) for sample in case.samples] for side in ("base", "head"))
        larger = len(base) > 1 and np.median(head) > 1.1 * np.median(base)
        if larger and stats.mannwhitneyu(head, base, alternative="two-sided").pvalue < 0.002:
            found.add(case.id)
    return found
