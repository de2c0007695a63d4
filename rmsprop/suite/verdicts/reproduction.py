"""What a record of the section says of each printed value.

The book printed one unseeded draw for each loss, so the question is where that draw stands among many
seeds of the same program. Seconds are compared as ratios and never decide.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from rmsprop.book.claims import (
    HYPERPARAMETERS,
    PRIMARY,
    PROGRAMS,
    Claim,
    TrainingProgram,
    claims,
    primary,
)
from rmsprop.suite.records.reproduction import EnsembleSummary, ProgramRecord, ReproductionRecord

CENTRAL = 0.99
"""A printed loss is reproduced when it lies inside this central part of the distribution."""

Status = Literal["reproduced", "not reproduced", "undecided", "placed", "compared", "not run"]
"""`placed`: a loss of another program, which has a percentile here and no verdict."""


@dataclass(frozen=True)
class Verdict:
    """What a record says of one claim."""

    claim: Claim
    here: float | None
    """The same quantity here: the 2-D coordinate, the median loss over seeds, the median seconds."""
    status: Status
    words: str
    percentile: float | None = None
    """Of the printed loss among the seeds, 0 to 100."""
    interval: tuple[float, float] | None = None
    """95% interval: of the percentile for a loss, its rounding included; of here / book for seconds."""

    @property
    def decides(self) -> bool:
        """Whether this verdict counts for the exit code: the primary edition's digits and losses."""
        return self.claim.edition == PRIMARY and self.claim.quantity != "sec_per_epoch"


@dataclass(frozen=True)
class Order:
    """Seconds per epoch, from scratch over concise: which of the two is faster, here and in the book."""

    book: float
    here: float | None
    interval: tuple[float, float] | None
    words: str


def judge(record: ReproductionRecord) -> tuple[Verdict, ...]:
    """A verdict for each claim of each edition, in the order of `claims()`."""
    return tuple(_judge(claim, record) for claim in claims())


def _judge(claim: Claim, record: ReproductionRecord) -> Verdict:
    match claim.quantity:
        case "x1" | "x2":
            return _judge_digits(claim, record)
        case "loss":
            return _judge_loss(claim, record)
        case "sec_per_epoch":
            return _judge_seconds(claim, record)


def _judge_digits(claim: Claim, record: ReproductionRecord) -> Verdict:
    here = record.traces[claim.program][-1][0 if claim.quantity == "x1" else 1]
    decimals = len(claim.printed.partition(".")[2])
    if f"{here:.{decimals}f}" == claim.printed:
        return Verdict(claim, here, "reproduced", "equal to the last printed digit")
    return Verdict(claim, here, "not reproduced", f"prints {here:.{decimals}f} here")


def _judge_loss(claim: Claim, record: ReproductionRecord) -> Verdict:
    summary = _program(claim, record).ensemble
    if summary is None:
        return Verdict(claim, None, "not run", "interrupted before its seeds were trained")
    if not summary.quantiles:
        return Verdict(claim, None, "not reproduced", "no seed gave a finite loss")
    # The printed digits stand for all values that round to them.
    half = 0.5 * 10.0 ** -len(claim.printed.partition(".")[2])
    least, share, most = (
        _share(value, summary) for value in (claim.value - half, claim.value, claim.value + half)
    )
    low, high = _binomial_interval(least, summary.seeds)[0], _binomial_interval(most, summary.seeds)[1]
    edge = (1 - CENTRAL) / 2
    if not claim.same_program:
        status: Status = "placed"
    elif most >= edge and least <= 1 - edge:
        status = "reproduced"
    elif high < edge or low > 1 - edge:
        status = "not reproduced"
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
    seconds = sec_per_epoch(_program(claim, record))
    if not seconds:
        return Verdict(claim, None, "not run", "interrupted before the first run")
    here = float(np.median(seconds))
    interval = _median_interval(np.asarray(seconds) / claim.value)
    words = f"{here / claim.value:.2f} times the book's"
    if not claim.timed_alike:
        words += ", which are timed otherwise: not comparable"
    return Verdict(claim, here, "compared", words, interval=interval)


def judge_order(record: ReproductionRecord) -> Order:
    """The ratio of scratch to concise over the interleaved pairs, against the book's 1.145."""
    printed = {program: primary(program, "sec_per_epoch").value for program in PROGRAMS}
    book = printed["scratch"] / printed["concise"]
    scratch, concise = (np.array(sec_per_epoch(record.programs[program])) for program in PROGRAMS)
    if scratch.size == 0:
        return Order(book, None, None, "interrupted before the first run")
    ratios = scratch / concise
    here, interval = float(np.median(ratios)), _median_interval(ratios)
    if interval is None:
        words = "too few runs to tell which is faster here"
    elif interval[0] <= 1 <= interval[1]:
        words = "neither is clearly faster here"
    elif (here > 1) == (book > 1):
        words = "the book's order holds: concise is faster"
    else:
        words = "the book's order is reversed: from scratch is faster here"
    return Order(book, here, interval, words)


def agreement(record: ReproductionRecord, program: TrainingProgram) -> float | None:
    """Kolmogorov-Smirnov p-value of the sequential runs' losses against the ensemble's distribution.

    The verdicts speak of the book's loop only if the ensemble is the same program: a p-value near 0
    says that it is not. None where there is too little to compare.
    """
    measured = record.programs[program]
    summary = measured.ensemble
    losses = np.array([losses[-1] for losses in measured.losses])
    if summary is None or not summary.quantiles or losses.size < 5 or summary.seeds < 100:
        return None
    quantiles, levels = summary.quantiles, summary.quantile_levels
    distance = stats.kstest(losses, lambda x: np.interp(x, quantiles, levels)).statistic
    # The ensemble is a sample too: the two-sample test's effective number.
    effective = round(losses.size * summary.seeds / (losses.size + summary.seeds))
    return float(stats.kstwo.sf(distance, effective))


def sec_per_epoch(measured: ProgramRecord) -> list[float]:
    """The seconds that the book would print for each sequential run: its last epoch's."""
    return [seconds[-1] for seconds in measured.epoch_seconds]


def hyperparameters_in_words(program: TrainingProgram) -> str:
    """Such as `lr 0.01, decay 0.9, ε 1e-06 inside the root, batch 10, 2 epochs`."""
    h = HYPERPARAMETERS[program]
    return (
        f"lr {h.lr}, decay {h.decay}, ε {h.eps} {h.eps_place} the root, "
        f"batch {h.batch_size}, {h.num_epochs} epochs"
    )


def _program(claim: Claim, record: ReproductionRecord) -> ProgramRecord:
    assert claim.program in ("scratch", "concise")
    return record.programs[claim.program]


def _binomial_interval(share: float, count: int) -> tuple[float, float]:
    interval = stats.binomtest(round(share * count), count).proportion_ci(0.95, method="exact")
    return float(interval.low), float(interval.high)


def _median_interval(values: Sequence[float] | np.ndarray) -> tuple[float, float] | None:
    """Distribution-free 95% interval of the median: order statistics, exact for independent values."""
    ordered = np.sort(values)
    rank = int(stats.binom.ppf(0.025, len(ordered), 0.5))
    if rank < 1:
        return None
    return float(ordered[rank - 1]), float(ordered[len(ordered) - rank])


def _ordinal(percentile: float) -> str:
    """40.2 -> `40th`; the tails, where a whole number says too little, keep a decimal."""
    if percentile < 1 or percentile > 99:
        return f"{percentile:.1f}th"
    whole = round(percentile)
    suffix = "th" if whole % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(whole % 10, "th")
    return f"{whole}{suffix}"


def deciding(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Those that count for the exit code."""
    return (verdict for verdict in verdicts if verdict.decides)
