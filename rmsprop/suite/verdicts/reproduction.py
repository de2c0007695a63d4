"""What a record of the section says of each printed value.

The book printed one unseeded draw for each loss, so the question is where that draw stands among many
seeds of the same program. Seconds are compared as ratios and never decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

from rmsprop.book.claims import CHAPTER, PRIMARY, Claim, Claims, claims
from rmsprop.book.programs import PROGRAMS, TRACES, Trace, noisy_end
from rmsprop.suite.records.reproduction import EnsembleSummary, ProgramRecord, ReproductionRecord
from rmsprop.suite.verdicts.curves import ALPHA, Fit, MatrixCell, fit_together, fits, matrix
from rmsprop.suite.verdicts.exclusion import Exclusion, exclusions, joint_p
from rmsprop.suite.verdicts.exclusion_words import excluded_by, not_excluded
from rmsprop.suite.verdicts.seconds import Order, block_interval, order, sec_per_epoch
from rmsprop.suite.verdicts.shares import exact_interval

CENTRAL = 0.99
"""A printed loss is consistent when it lies inside this central part of the distribution."""

Standing = Literal[
    "reproduced",
    "not reproduced",
    "consistent",
    "not consistent",
    "undecided",
    "placed",
    "compared",
    "not run",
]
"""`reproduced` is said of digits alone. `consistent`: a draw that the program could have given, which
excludes little by itself. `placed`: a loss of another program, which has a percentile here and no verdict."""
HOLDS: tuple[Standing, ...] = ("reproduced", "consistent")
FAILS: tuple[Standing, ...] = ("not reproduced", "not consistent")


@dataclass(frozen=True)
class Verdict:
    """What a record says of one claim.

    Attributes
    ----------
    claim, status
        What the book printed, and how it stands here.
    here
        The same quantity here: the 2-D coordinate, the median loss over seeds, the median seconds.
    words
        Why, in a few words.
    percentile
        Of the printed loss among the seeds, 0 to 100.
    interval
        95% interval: of the percentile for a loss, its rounding included; of here / book for seconds.
    """

    claim: Claim
    here: float | None
    status: Standing
    words: str
    percentile: float | None = None
    interval: tuple[float, float] | None = None

    @property
    def printed_here(self) -> str:
        """`here` with six digits, or with as many as the book prints where those are more; empty without."""
        digits = max(6, len(self.claim.printed.partition(".")[2]))
        return "" if self.here is None else f"{self.here:.{digits}f}"

    @property
    def ratio(self) -> float | None:
        """Here over printed; None where nothing was measured here."""
        return None if self.here is None else self.here / self.claim.value

    @property
    def decides(self) -> bool:
        """Whether this verdict counts for the exit code: the primary edition's digits and losses."""
        return self.claim.edition == PRIMARY and self.claim.quantity != "sec_per_epoch"


@dataclass(frozen=True)
class Judgement:
    """All that one record says of what the book claims; made once, by `judge`.

    Attributes
    ----------
    record : ReproductionRecord
    verdicts : tuple of Verdict
        One for each printed value of each edition, the primary edition's first.
    order : Order or None
        Which of RMSProp's two programs is faster; None where they were not run.
    agreement : Mapping of str to float or None
        By program: whether the sequential runs and the ensemble are the same program (`_agreement`).
    fits : tuple of Fit
        Each printed curve against its own program.
    exclusions : tuple of Exclusion
        Each other program, and what excludes it; empty where none was tried.
    joint : Mapping of str to float
        By program, p of the losses of all editions together, one run counted once.
    matrix : tuple of MatrixCell
        Each printed curve against each program of the record.
    """

    record: ReproductionRecord
    verdicts: tuple[Verdict, ...]
    order: Order | None
    agreement: Mapping[str, float | None]
    fits: tuple[Fit, ...]
    exclusions: tuple[Exclusion, ...]
    joint: Mapping[str, float]
    matrix: tuple[MatrixCell, ...]

    @property
    def deciding(self) -> tuple[Verdict, ...]:
        """The verdicts that count for the exit code."""
        return tuple(verdict for verdict in self.verdicts if verdict.decides)

    @property
    def verdict(self) -> str:
        """Such as `2 reproduced, 2 consistent, 2 not run; interrupted`."""
        statuses = [verdict.status for verdict in self.deciding]
        known = (*HOLDS, *FAILS, "undecided", "not run")
        words = ", ".join(f"{statuses.count(s)} {s}" for s in known if s in statuses)
        return f"{words}; interrupted" if self.record.interrupted else words

    @property
    def decides(self) -> bool:
        """Whether the run came to its end and says yes or no to each claim that decides."""
        return not self.record.interrupted and all(v.status in HOLDS + FAILS for v in self.deciding)

    @property
    def holds(self) -> bool:
        """Whether every claim that decides holds."""
        together = fit_together(self.fits)
        curves = all(fit.status == "fits" for fit in self.fits if fit.decides)
        curves = curves and (together is None or together >= ALPHA)
        return curves and all(verdict.status in HOLDS for verdict in self.deciding)

    @property
    def nothing_excludes(self) -> str:
        """A sentence that names the other programs which no evidence excludes; empty where none was tried."""
        return not_excluded(self.exclusions)

    @property
    def pairs(self) -> tuple[MatrixCell, ...]:
        """Each printed curve against each program of the record that is not its own."""
        return tuple(cell for cell in self.matrix if cell.program != cell.claimed)

    @property
    def not_told_apart(self) -> str:
        """A sentence that names the pairs of a curve and another program which stay; empty without any."""
        left = [cell for cell in self.pairs if cell.status == "not excluded"]
        if not left:
            return ""
        words = "; ".join(f"{cell.curve}, from {cell.program} (p = {cell.p:.2g})" for cell in left)
        return f"By the curve alone these could also have come from another program: {words}."

    @property
    def headline(self) -> str:
        """What was shown, and what that excludes."""
        ends = [v for v in self.deciding if v.claim.quantity in ("x", "x1", "x2")]
        noisy = [v for v in ends if TRACES[v.claim.program].noisy]
        losses = [v for v in self.deciding if v.claim.quantity == "loss"]
        judged = [fit for fit in self.fits if fit.status != "not judged"]
        together = fit_together(self.fits)
        trained = any(v.status != "not run" for v in losses)
        rows = " on the surrogate rows" if trained and self.record.data.source == "surrogate" else ""
        said = [
            _held([v for v in ends if v not in noisy], "reproduced", "printed coordinates to the last digit"),
            _held(noisy, "consistent", "coordinates of a noisy trace consistent"),
            _held(losses, "consistent", f"final losses consistent{rows}"),
            _held(judged, "fits", "printed curves as their own program draws them")
            + ("" if together is None else f" (together p = {max(together, 1e-4):.2g})"),
        ]
        if self.fits and not judged:
            said.append(f"no curve is judged ({self.fits[0].words})")
        if self.exclusions:
            said.append(excluded_by(self.exclusions, rows))
        if self.record.section == CHAPTER and self.pairs:
            apart = sum(cell.status == "excluded" for cell in self.pairs)
            said.append(f"{apart} of {len(self.pairs)} pairs of a printed curve and another program excluded")
        return "; ".join(filter(None, said)) + ("; interrupted" if self.record.interrupted else "")


def _held(verdicts: Sequence[Verdict | Fit], good: str, words: str) -> str:
    """Such as `2 of 2 printed coordinates to the last digit`; empty where there are none."""
    held = sum(verdict.status == good for verdict in verdicts)
    return f"{held} of {len(verdicts)} {words}" if verdicts else ""


def subject(claim: Claim) -> str:
    """What the claim is of, such as `2-D RMSProp, eta 0.4` or `RMSProp from scratch`."""
    return (PROGRAMS[claim.program] if claim.program in PROGRAMS else TRACES[claim.program]).title


def judge(record: ReproductionRecord, claimed: Claims | None = None) -> Judgement:
    """What the record says of `claimed`, which is what the book prints in the record's section."""
    claimed = claimed or claims(record.section)
    fitting = fits(record, claimed)
    return Judgement(
        record,
        tuple(_judge(claim, record) for claim in claimed.printed),
        order(record, claimed),
        {name: _agreement(measured) for name, measured in record.programs.items()},
        fitting,
        exclusions(record, claimed),
        _joint(record, claimed),
        matrix(record, fitting),
    )


def section_of(record: ReproductionRecord, section: str = "7.6") -> ReproductionRecord:
    """What a record of the whole chapter holds of one section, as a record of that section."""
    claimed = claims(section)
    programs = {name: record.programs[name] for name in claimed.programs if name in record.programs}
    traces = {name: record.traces[name] for name in claimed.traces if name in record.traces}
    return replace(record, section=section, programs=programs, traces=traces)


def _joint(record: ReproductionRecord, claimed: Claims) -> dict[str, float]:
    found = {}
    for name, measured in record.programs.items():
        losses = [c for c in claimed.printed if c.program == name and c.quantity == "loss"]
        if measured.ensemble and measured.ensemble.quantiles and losses:
            found[name] = joint_p(losses, measured.ensemble)
    return found


def _judge(claim: Claim, record: ReproductionRecord) -> Verdict:
    match claim.quantity:
        case "x" | "x1" | "x2":
            return _judge_digits(claim, record)
        case "loss":
            return _judge_loss(claim, record)
        case "sec_per_epoch":
            return _judge_seconds(claim, record)


def _judge_digits(claim: Claim, record: ReproductionRecord) -> Verdict:
    if TRACES[claim.program].noisy:
        return _judge_noisy_end(claim, TRACES[claim.program])
    here = record.traces[claim.program][-1][1 if claim.quantity == "x2" else 0]
    decimals = len(claim.printed.partition(".")[2])
    if f"{here:.{decimals}f}" == claim.printed:
        return Verdict(claim, here, "reproduced", "equal to the last printed digit")
    return Verdict(claim, here, "not reproduced", f"prints {here:.{decimals}f} here")


def _judge_noisy_end(claim: Claim, trace: Trace) -> Verdict:
    """One unseeded draw of a normal distribution that is known exactly."""
    mean, sd = noisy_end(trace)[1 if claim.quantity == "x2" else 0]
    share = float(stats.norm.cdf(claim.value, mean, sd))
    inside = (1 - CENTRAL) / 2 <= share <= 1 - (1 - CENTRAL) / 2
    return Verdict(
        claim,
        mean,
        "consistent" if inside else "not consistent",
        f"{_ordinal(100 * share)} percentile of its normal distribution, N({mean:.3f}, {sd:.3f}²)",
        100 * share,
    )


def _judge_loss(claim: Claim, record: ReproductionRecord) -> Verdict:
    measured = record.programs.get(claim.program)
    summary = measured.ensemble if measured else None
    if summary is None:
        return Verdict(claim, None, "not run", "interrupted before its seeds were trained")
    if not summary.quantiles:
        return Verdict(claim, None, "not consistent", "no seed gave a finite loss")
    # The printed digits stand for all values that round to them.
    half = claim.half_digit
    least, share, most = (
        _share(value, summary) for value in (claim.value - half, claim.value, claim.value + half)
    )
    low, _ = exact_interval(round(least * summary.seeds), summary.seeds)
    _, high = exact_interval(round(most * summary.seeds), summary.seeds)
    edge = (1 - CENTRAL) / 2
    if not claim.same_program:
        status: Standing = "placed"
    elif most >= edge and least <= 1 - edge:
        status = "consistent"
    elif high < edge or low > 1 - edge:
        status = "not consistent"
    else:
        status = "undecided"
    words = f"{_ordinal(100 * share)} percentile of {summary.seeds:,} seeds"
    if status == "undecided":
        words += "; too few seeds to tell: ask for more with --seeds"
    if summary.not_finite:
        words += f"; {summary.not_finite:,} seeds without a finite loss"
    if not claim.same_program:
        words += "; its program is another"
    median = summary.quantiles[len(summary.quantiles) // 2]
    return Verdict(claim, median, status, words, 100 * share, (100 * low, 100 * high))


def _share(value: float, summary: EnsembleSummary) -> float:
    """The share of the seeds whose loss is below `value`."""
    # Ties in the quantiles would bias np.interp; the middle of both readings is the mid-rank.
    below = np.interp(value, summary.quantiles, summary.quantile_levels)
    above = 1 - np.interp(-value, np.negative(summary.quantiles[::-1]), summary.quantile_levels)
    # A seed without a finite loss stands above every printed value.
    return float(below + above) / 2 * (1 - summary.not_finite / summary.seeds)


def _judge_seconds(claim: Claim, record: ReproductionRecord) -> Verdict:
    measured = record.programs.get(claim.program)
    seconds = sec_per_epoch(measured) if measured else []
    if not seconds:
        return Verdict(claim, None, "not run", "interrupted before the first run")
    here = float(np.median(seconds))
    interval = block_interval(np.asarray(seconds) / claim.value)
    words = f"{here / claim.value:.2f} times the book's"
    if not claim.timed_alike:
        words += ", which are timed otherwise: not comparable"
    elif record.warnings:
        words += f"; a warning speaks against it ({', '.join(w.partition(':')[0] for w in record.warnings)})"
    return Verdict(claim, here, "compared", words, interval=interval)


def _agreement(measured: ProgramRecord) -> float | None:
    """Kolmogorov-Smirnov p-value of the sequential runs' losses against the ensemble's distribution.

    The verdicts speak of the book's loop only if the ensemble is the same program: a p-value near 0
    says that it is not. None where there is too little to compare.
    """
    summary = measured.ensemble
    losses = np.array([losses[-1] for losses in measured.losses])
    if summary is None or not summary.quantiles or losses.size < 5 or summary.seeds < 100:
        return None
    quantiles, levels = summary.quantiles, summary.quantile_levels
    distance = stats.kstest(losses, lambda x: np.interp(x, quantiles, levels)).statistic
    # The ensemble is a sample too: the two-sample test's effective number.
    effective = round(losses.size * summary.seeds / (losses.size + summary.seeds))
    return float(stats.kstwo.sf(distance, effective))


def _ordinal(percentile: float) -> str:
    """40.2 -> `40th`; the tails, where a whole number says too little, keep a decimal."""
    if percentile < 1 or percentile > 99:
        return f"{percentile:.1f}th"
    whole = round(percentile)
    suffix = "th" if whole % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{suffix}"
