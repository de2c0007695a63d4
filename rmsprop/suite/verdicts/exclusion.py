"""What the printed values exclude: for each piece of evidence and each other program, a p value and a power.

A program is excluded by a piece of evidence when p is below 1%: among its own runs, fewer than one in a
hundred stand where the book's value stands. The power says how often that evidence would tell, had the book
run the other program. Where several pieces are asked, the least p is multiplied by their number (Bonferroni),
so that a program which the book did run is excluded by mistake in 1% of cases, and not by each piece once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmsprop.book.claims import PRIMARY, Claim, Claims
from rmsprop.book.wrong import CHANGES
from rmsprop.suite.records.reproduction import CurveRank, EnsembleSummary, ReproductionRecord, WrongRecord
from rmsprop.suite.verdicts.curves import ALPHA, fisher, p_of

KINDS = ("trace", "loss", "editions", "curves together")
"""Of evidence, from the sharpest to the widest; a single curve is of the kind `curve`."""
_DRAWS = 2_000

Array = np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What one piece of evidence says of another program.

    Attributes
    ----------
    name : str
        `trace`, `loss, ` and the claimed program, `editions`, `curves together` or a curve's name.
    p : float
        Of the printed value among the runs of the other program; 0 for other digits or number of points.
    power : float
        The share of the other program's runs with which this evidence would exclude the claimed program.
    """

    name: str
    p: float
    power: float

    @property
    def kind(self) -> str:
        """`trace`, `loss`, `editions`, `curves together` or `curve`."""
        first = self.name.partition(",")[0]
        return first if first in KINDS else "curve"

    @property
    def excludes(self) -> bool:
        """Whether the other program is excluded."""
        return self.p < ALPHA


@dataclass(frozen=True)
class Exclusion:
    """One other program, and all that speaks of it.

    Attributes
    ----------
    change : str
        How it differs from the claimed program.
    evidence : tuple of Evidence
        In the order trace, loss, editions, curves, curves together; those that can show the change.
    diverged : float
        The share of its seeds whose loss did not fall.
    """

    change: str
    evidence: tuple[Evidence, ...]
    diverged: float

    @property
    def excluded(self) -> bool:
        """Whether all evidence taken together excludes it."""
        return self.p < ALPHA

    @property
    def p(self) -> float:
        """The least p of all evidence, times how many pieces have chance in them; digits have none."""
        return _least(self.evidence)

    def by(self, kind: str) -> bool | None:
        """Whether evidence of this kind excludes it; None where no such evidence can show the change.

        Of the curves all together, where the record holds what that takes.
        """
        found = self._of(kind)
        return _least(found) < ALPHA if found else None

    def power(self, kind: str) -> float:
        """The largest power of evidence of this kind; 0 where there is none."""
        return max((e.power for e in self._of(kind)), default=0.0)

    def _of(self, kind: str) -> list[Evidence]:
        found = [e for e in self.evidence if e.kind == kind]
        return [e for e in self.evidence if kind == "curve" and e.kind == "curves together"] or found


@dataclass(frozen=True)
class Worth:
    """What one kind of evidence excludes of all other programs.

    Attributes
    ----------
    kind : str
        `trace`, `loss`, `editions`, `curve` or `all`.
    tried : int
        How many programs this kind of evidence could show.
    excluded : int
        How many of them it excludes.
    optimizers_tried, optimizers_excluded : int
        The same of the other optimizers of the chapter alone.
    """

    kind: str
    tried: int
    excluded: int
    optimizers_tried: int
    optimizers_excluded: int


def worth(found: Sequence[Exclusion]) -> tuple[Worth, ...]:
    """Each kind of evidence that was tried, and all together where there is more than one."""
    optimizers = {change.name for change in CHANGES if change.kind == "optimizer"}
    rows: list[Worth] = []
    for kind in ("trace", "loss", "editions", "curve", "all"):
        said = {e.change: e.excluded if kind == "all" else e.by(kind) for e in found}
        known = {change: excludes for change, excludes in said.items() if excludes is not None}
        of_optimizers = [excludes for change, excludes in known.items() if change in optimizers]
        if known and (kind != "all" or len(rows) > 1):
            rows.append(Worth(kind, len(known), sum(known.values()), len(of_optimizers), sum(of_optimizers)))
    return tuple(rows)


def _least(evidence: Sequence[Evidence]) -> float:
    chances = sum(e.kind != "trace" for e in evidence)
    return min((min(1.0, e.p * (1 if e.kind == "trace" else chances)) for e in evidence), default=1.0)


def exclusions(record: ReproductionRecord, claimed: Claims) -> tuple[Exclusion, ...]:
    """Every other program that the record holds, in its order."""
    changes = dict.fromkeys((*(wrong.change for wrong in record.wrong), *record.wrong_traces))
    return tuple(_exclusion(change, record, claimed) for change in _in_order(changes, record))


def _in_order(changes: Mapping[str, None], record: ReproductionRecord) -> list[str]:
    """Those that only a trace can show stand last."""
    trained = dict.fromkeys(wrong.change for wrong in record.wrong)
    return [*trained, *(change for change in changes if change not in trained)]


def _exclusion(change: str, record: ReproductionRecord, claimed: Claims) -> Exclusion:
    found: list[Evidence] = []
    if change in record.wrong_traces:
        found.append(_trace(record.wrong_traces[change], claimed.printed))
    tried = [wrong for wrong in record.wrong if wrong.change == change]
    for wrong in tried:
        summary = record.programs[wrong.claimed].ensemble
        if summary is None or not summary.quantiles:
            continue
        printed = [c for c in claimed.printed if c.program == wrong.claimed and c.quantity == "loss"]
        right, other = Distribution.of_summary(summary), Distribution.of_wrong(wrong)
        primary = next(c for c in printed if c.edition == PRIMARY)
        found.append(Evidence(f"loss, {wrong.claimed}", other.two_sided(primary), right.outside(other)))
        together = [c for c in printed if c.same_program and not c.repeated]
        if len(together) > 2:
            found.append(_editions(together, right, other))
    ranks = [rank for wrong in tried for rank in wrong.curves]
    found += [Evidence(rank.curve, p_of(rank), rank.told) for rank in ranks]
    if len(ranks) > 1 and all(rank.told_p or not rank.held_out for rank in ranks):
        found.append(_curves_together(ranks))
    diverged = max((wrong.diverged / wrong.seeds for wrong in tried), default=0.0)
    return Exclusion(change, tuple(found), diverged)


def _trace(end: Sequence[float], printed: Sequence[Claim]) -> Evidence:
    """Digits are equal or not: no chance is in a trace."""
    claims = {str(c.quantity): c for c in printed if c.program == "rmsprop_2d"}
    same = all(f"{value:.6f}" == claims[name].printed for name, value in zip(("x1", "x2"), end, strict=True))
    return Evidence("trace", 1.0 if same else 0.0, 0.0 if same else 1.0)


def _curves_together(ranks: Sequence[CurveRank]) -> Evidence:
    """Fisher's sum of log p over the figures, which are of independent runs: no run is drawn twice."""
    p = [p_of(rank) for rank in ranks]
    if 0.0 in p:  # its curves have another number of points
        return Evidence("curves together", 0.0, 1.0)

    rng = np.random.default_rng(3)
    of_other = sum(
        np.log(np.interp(rng.uniform(size=_DRAWS), np.linspace(0, 1, len(rank.told_p)), rank.told_p))
        for rank in ranks
    )
    # A rank knows no p below one in all held-out runs and one more, so that the sum says none either.
    together = max(float(fisher(np.log(p).sum(), len(p))), 1 / (1 + max(rank.held_out for rank in ranks)))
    return Evidence("curves together", together, float(np.mean(fisher(of_other, len(p)) < ALPHA)))


@dataclass(frozen=True)
class Distribution:
    """The final losses of a program, as its quantiles.

    Attributes
    ----------
    levels, quantiles : array
        Between 0 and 1, and the losses there; infinite where a seed has no finite loss.
    seeds : int
        How many seeds they are of.
    """

    levels: Array
    quantiles: Array
    seeds: int

    @classmethod
    def of_summary(cls, summary: EnsembleSummary) -> "Distribution":
        """Of a claimed program."""
        finite = 1 - summary.not_finite / summary.seeds
        return cls(np.array(summary.quantile_levels) * finite, np.array(summary.quantiles), summary.seeds)

    @classmethod
    def of_wrong(cls, wrong: WrongRecord) -> "Distribution":
        """Of another program."""
        quantiles = np.minimum(np.array(wrong.quantiles, dtype=float), 1e12)
        return cls(np.array(wrong.quantile_levels), quantiles, wrong.seeds)

    def below(self, values: Array | float) -> Array:
        """The share of seeds below each value."""
        return np.asarray(np.interp(values, self.quantiles, self.levels, left=0.0, right=1.0))

    def two_sided(self, claim: Claim) -> float:
        """Twice the smaller tail at the printed value, its rounding on its side; at least 1 / (1 + seeds)."""
        low = float(self.below(claim.value + claim.half_digit))
        high = 1 - float(self.below(claim.value - claim.half_digit))
        tail = min(low, high, 0.5)
        return min(1.0, 2 * (1 + tail * self.seeds) / (1 + self.seeds))

    def outside(self, other: "Distribution") -> float:
        """The share of the other's losses outside the central 99% of these."""
        edges = np.interp([ALPHA / 2, 1 - ALPHA / 2], self.levels, self.quantiles)
        return float(other.below(edges[0]) + 1 - other.below(edges[1]))

    def draw(self, shape: tuple[int, ...], seed: int) -> Array:
        """Losses by their quantiles."""
        uniform = np.random.default_rng(seed).uniform(size=shape)
        return np.asarray(np.interp(uniform, self.levels, self.quantiles))

    def mass(self, low: Array, high: Array) -> Array:
        """The share of seeds between, never 0."""
        return np.asarray(self.below(high) - self.below(low) + 1 / (1 + self.seeds))


def _editions(claims: Sequence[Claim], right: Distribution, other: Distribution) -> Evidence:
    """All editions together: the likelihood ratio of the printed values, among draws rounded alike."""
    digits = np.array([claim.half_digit for claim in claims])
    # Six digits say no more than a bin of a quarter of a thousandth does: the densities are smooth.
    half = np.maximum(digits, 2.5e-4)

    def ratio(values: Array) -> Array:
        masses = [np.asarray(d.mass(values - half, values + half)) for d in (other, right)]
        ratios: Array = np.log(masses[0] / masses[1])
        return np.asarray(ratios.sum(-1))

    def drawn(distribution: Distribution, seed: int) -> Array:
        values = distribution.draw((_DRAWS, len(claims)), seed)
        rounded: Array = np.round(values / (2 * digits)) * (2 * digits)
        return ratio(rounded)

    of_other, of_right = drawn(other, 0), drawn(right, 1)
    here = ratio(np.array([claim.value for claim in claims]))
    p = (1 + np.count_nonzero(of_other <= here)) / (1 + _DRAWS)
    told = np.mean((1 + np.searchsorted(np.sort(-of_right), -of_other, side="right")) / (1 + _DRAWS) < ALPHA)
    return Evidence("editions", float(p), float(told))


def joint_p(claims: Sequence[Claim], summary: EnsembleSummary) -> float:
    """p of all losses together under their own program, by Fisher's sum of log p, calibrated by draws.

    One run that two editions print counts once.
    """
    once = [c for c in claims if c.same_program and not c.repeated]
    distribution = Distribution.of_summary(summary)
    digits = np.array([claim.half_digit for claim in once])

    def fisher(values: Array) -> Array:
        share = distribution.below(values)
        tail = np.clip(np.minimum(share, 1 - share), 1 / (1 + distribution.seeds), 0.5)
        return np.asarray(np.log(2 * tail).sum(-1))

    draws = distribution.draw((_DRAWS, len(once)), 2)
    among = fisher(np.round(draws / (2 * digits)) * (2 * digits))
    here = fisher(np.array([claim.value for claim in once]))
    return float((1 + np.count_nonzero(among <= here)) / (1 + _DRAWS))
