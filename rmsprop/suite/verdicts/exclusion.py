"""What the printed values exclude: for each piece of evidence and each other program, a p value and a power.

A program is excluded by a piece of evidence when p is below 1%: among its own runs, fewer than one in a
hundred stand where the book's value stands. The power says how often that evidence would tell, had the book
run the other program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from rmsprop.book.claims import PRIMARY, Claim, Claims, Curve
from rmsprop.suite.records.reproduction import CurveRank, EnsembleSummary, ReproductionRecord, WrongRecord

ALPHA = 0.01
"""Below this p a program is excluded."""
RARE = 0.05
"""Below this p a curve of the claimed program is told as a rare one."""
_DRAWS = 2_000

Array = np.ndarray


@dataclass(frozen=True)
class Evidence:
    """What one piece of evidence says of another program.

    Attributes
    ----------
    name : str
        `trace`, `loss`, `editions` or a curve's name.
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
        """`trace`, `loss`, `editions` or `curve`."""
        first = self.name.partition(",")[0]
        return first if first in ("trace", "loss", "editions") else "curve"

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
        In the order trace, loss, editions, curves; those that can show the change.
    diverged : float
        The share of its seeds whose loss did not fall.
    """

    change: str
    evidence: tuple[Evidence, ...]
    diverged: float

    @property
    def excluded(self) -> bool:
        """Whether anything excludes it."""
        return any(evidence.excludes for evidence in self.evidence)

    @property
    def by_curve(self) -> bool:
        """Whether a training curve excludes it."""
        return any(e.excludes for e in self.evidence if e.kind == "curve")

    @property
    def by_loss(self) -> bool:
        """Whether a final loss of the primary edition excludes it."""
        return any(e.excludes for e in self.evidence if e.kind == "loss")


@dataclass(frozen=True)
class Fit:
    """A printed curve among the held-out runs of its own program.

    Attributes
    ----------
    curve : Curve
    p : float or None
        None where the record has no curves of the program.
    status : str
        `fits`, `does not fit`, or `not judged`.
    words : str
        Why, in a few words.
    """

    curve: Curve
    p: float | None
    status: str
    words: str

    @property
    def remark(self) -> str:
        """A sentence on a curve that is rare for its own program, p below 5%; empty for the others."""
        if self.p is None or self.p >= RARE:
            return ""
        said = "it does not fit" if self.status == "does not fit" else "it still counts as one that fits"
        who = "" if self.curve.primary else ". It is not of the primary edition, and does not decide"
        return (
            f"The curve of {self.curve.name} (printed loss {self.curve.printed_loss}) is rare for its own "
            f"program: p = {self.p:.4f}, so that {said}, as several curves are judged together{who}."
        )

    @property
    def decides(self) -> bool:
        """Whether it counts for the exit code: the primary edition prints it, and it was judged."""
        return self.curve.primary and self.status != "not judged"


def p_of(rank: CurveRank) -> float:
    """(1 + as extreme) / (1 + held out); 0 where a curve of the program has another number of points."""
    return (1 + rank.as_extreme) / (1 + rank.held_out) if rank.held_out else 0.0


def fits(record: ReproductionRecord, claimed: Claims) -> tuple[Fit, ...]:
    """Each printed curve of the section against its own program.

    A curve does not fit when p is below 1%, divided by the number of curves that are judged together, so that
    one run in a hundred is called wrong by mistake and not one curve.
    """
    together = sum(curve.primary for curve in claimed.curves) or 1
    return tuple(_fit(curve, record, together) for curve in claimed.curves)


def _fit(curve: Curve, record: ReproductionRecord, together: int) -> Fit:
    if record.data.source != "real":
        return Fit(curve, None, "not judged", "the surrogate rows train along other curves")
    measured = record.programs.get(curve.program)
    rank = next((r for r in measured.curves if r.curve == curve.name), None) if measured else None
    if rank is None:
        return Fit(curve, None, "not judged", "the record has no curves, or too few seeds")
    p = p_of(rank)
    words = f"{(1 - p) * 100:.0f}% of {rank.held_out:,} held-out runs are more typical, p = {p:.4f}"
    if rank.held_out == 0:
        words = f"the program has {rank.points} points, the figure has {len(curve.losses)}"
    return Fit(curve, p, "does not fit" if p < ALPHA / together else "fits", words)


@dataclass(frozen=True)
class MatrixCell:
    """A printed curve against one program of the chapter.

    Attributes
    ----------
    curve, claimed, program : str
        The curve's name, the program that it is claimed of, and the program that it is held against.
    p : float
        Of the curve among the program's held-out runs; 0 where its curves have another number of points.
    points : bool
        Whether the number of points is the same.
    status : str
        `fits` or `does not fit` for its own program, `excluded` or `not excluded` for another.
    """

    curve: str
    claimed: str
    program: str
    p: float
    points: bool
    status: str


def matrix(record: ReproductionRecord, fits_of: Sequence[Fit]) -> tuple[MatrixCell, ...]:
    """Every printed curve that was ranked against every program of the record, row by row."""
    ranks = {
        (rank.curve, name): rank for name, measured in record.programs.items() for rank in measured.curves
    }
    cells = []
    for fit in fits_of:
        for name in record.programs:
            if (rank := ranks.get((fit.curve.name, name))) is None:
                continue
            p, own = p_of(rank), name == fit.curve.program
            status = fit.status if own else "excluded" if p < ALPHA else "not excluded"
            cells.append(MatrixCell(fit.curve.name, fit.curve.program, name, p, rank.held_out > 0, status))
    return tuple(cells)


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
    found += [Evidence(r.curve, p_of(r), r.told) for wrong in tried for r in wrong.curves]
    diverged = max((wrong.diverged / wrong.seeds for wrong in tried), default=0.0)
    return Exclusion(change, tuple(found), diverged)


def _trace(end: Sequence[float], printed: Sequence[Claim]) -> Evidence:
    """Digits are equal or not: no chance is in a trace."""
    claims = {str(c.quantity): c for c in printed if c.program == "rmsprop_2d"}
    same = all(f"{value:.6f}" == claims[name].printed for name, value in zip(("x1", "x2"), end, strict=True))
    return Evidence("trace", 1.0 if same else 0.0, 0.0 if same else 1.0)


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
