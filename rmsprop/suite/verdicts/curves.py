"""The printed training curves: does each fit its own program, and which other programs does it exclude."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from rmsprop.book.claims import Claims, Curve
from rmsprop.suite.records.reproduction import CurveRank, ReproductionRecord

Array = np.ndarray
ALPHA = 0.01
"""Below this p a program is excluded."""
RARE = 0.05
"""Below this p a curve of the claimed program is told as a rare one."""


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
        who = (
            "" if self.curve.primary else ". It is not of the primary edition, and does not decide by itself"
        )
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


def fisher(log_p: Array | float, number: int) -> Array:
    """p of `number` independent p values together, from the sum of their logarithms."""
    return np.asarray(stats.chi2.sf(-2 * np.asarray(log_p), 2 * number))


def fit_together(of: Sequence[Fit]) -> float | None:
    """p of all curves together, each under its own program; None below two that were judged.

    The notebook's count as well: it ran the same code, and no run is printed twice here.
    """
    p = [fit.p for fit in of if fit.p is not None]
    if len(p) < 2:
        return None
    return float(fisher(np.log(p).sum(), len(p))) if min(p) > 0 else 0.0


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
