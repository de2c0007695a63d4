"""What a printed curve can tell: where it stands among held-out runs of a program.

For a printed curve c, claimed of the program R, and any program P, half of P's seeds are fitted and half are
held out. The statement is a rank among the held-out runs of P, so that it holds whatever the statistic is:

    p(c | P) = (1 + held-out runs of P at least as extreme as c) / (1 + held-out runs)

The statistic decides only the power. For P = R it is the density of a normal distribution of
log(loss - floor) that was fitted to R. For any other P it is the log odds of P against R: a logistic
regression on the marginal normal scores, their squares and products, and on the log likelihood ratio of the
two normal fits.

The linear algebra is torch's, because torch can be told to take one thread: NumPy's takes all processors, and
where others compute there too, such small products then take ten times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from rmsprop.book.claims import FLOOR, Curve
from rmsprop.suite.records.reproduction import CurveRank

Array = np.ndarray
Statistic = Callable[[Array], Array]

ALPHA = 0.01
"""A program is excluded when p is below this."""
LEAST_SEEDS = 400
"""Half are held out, and p below .01 takes a hundred."""
_LEVELS = np.linspace(0, 1, 51)
_LARGEST = 1e9
"""A diverged loss counts as this, so that no run is left out."""


@dataclass(frozen=True)
class _Halves:
    """log(loss - floor) of the runs of a program, (runs, points), as precise as the printed curve is."""

    fitted: Array
    held_out: Array


def rank(curve: Curve, name: str, losses: Array, claimed: Array) -> CurveRank:
    """Where `curve` stands among the runs of the program `name`.

    `losses` (evaluations, seeds) are of that program, `claimed` of the program that the curve is claimed of.
    """
    if len(losses) != len(curve.losses):
        return CurveRank(curve=curve.name, points=len(losses), held_out=0, as_extreme=0, told=1.0, tells=1.0)
    return ranker(losses, claimed, curve.precision, own=name == curve.program)(curve)


def ranker(losses: Array, claimed: Array, precision: float, *, own: bool) -> Callable[[Curve], CurveRank]:
    """What ranks curves of that precision, all by one fit; `own` says that both are one program."""
    right = _halves(claimed, precision, seed=0)
    if own:
        statistic: Statistic = _Normal(right.fitted)
        held_out = statistic(right.held_out)
        told = tells = ALPHA
        told_p: tuple[float, ...] = ()
    else:
        other = _halves(losses, precision, seed=1)
        statistic = _log_odds(other.fitted, right.fitted)
        held_out, of_right = statistic(other.held_out), statistic(right.held_out)
        # As p < ALPHA, of each program's held-out runs by those of the other.
        of_others = _p(-held_out, -of_right)
        told = float(np.mean(of_others < ALPHA))
        told_p = tuple(float(f"{p:.3g}") for p in np.quantile(of_others, _LEVELS, method="inverted_cdf"))
        tells = float(np.mean(_p(of_right, held_out) < ALPHA))

    def ranked(curve: Curve) -> CurveRank:
        here = statistic(_logs(np.array(curve.losses)[:, None], precision, noise=None))[0]
        return CurveRank(
            curve=curve.name,
            points=len(curve.losses),
            held_out=len(held_out),
            as_extreme=int(np.count_nonzero(held_out <= here)),
            told=told,
            tells=tells,
            told_p=told_p,
        )

    return ranked


def _p(values: Array, among: Array) -> Array:
    """p of each value: small where few of `among` are as small."""
    return np.asarray((1 + np.searchsorted(np.sort(among), values, side="right")) / (1 + len(among)))


def _halves(losses: Array, precision: float, seed: int) -> _Halves:
    logs = _logs(losses, precision, np.random.default_rng(seed))
    half = len(logs) // 2
    return _Halves(logs[:half], logs[half:])


def _logs(losses: Array, precision: float, noise: np.random.Generator | None) -> Array:
    """log(loss - floor), (runs, points), after the rounding that the printed curve went through."""
    losses = np.nan_to_num(losses.T, nan=_LARGEST, posinf=_LARGEST, neginf=_LARGEST)
    if noise is not None:
        losses = losses + noise.uniform(-precision, precision, losses.shape)
    floor = FLOOR - (precision if precision > 1e-5 else 0)
    return np.asarray(np.log(np.clip(losses - floor, 1e-6, _LARGEST)))


class _Normal:
    """The log density of a normal distribution fitted to runs (runs, points), up to a constant."""

    def __init__(self, runs: Array) -> None:
        fitted = torch.from_numpy(runs)
        self._mean = fitted.mean(0)
        covariance = torch.cov(fitted.T) + 1e-8 * torch.eye(runs.shape[1], dtype=fitted.dtype)
        self._root = torch.linalg.cholesky(covariance)
        self._volume = float(self._root.diagonal().log().sum())

    def __call__(self, runs: Array) -> Array:
        centred = (torch.from_numpy(runs) - self._mean).T
        z = torch.linalg.solve_triangular(self._root, centred, upper=False)
        return np.asarray((-0.5 * z.square().sum(0) - self._volume).numpy())


class _Scores:
    """Normal scores of each point by its rank among `runs`, and straight on beyond the last of them."""

    def __init__(self, runs: Array) -> None:
        self._sorted = np.sort(runs, axis=0)
        self._normal = stats.norm.ppf((np.arange(len(runs)) + 0.5) / len(runs))
        low, high = self._sorted[len(runs) // 10], self._sorted[-1 - len(runs) // 10]
        self._sd = np.maximum((high - low) / 2.56, 1e-9)

    def __call__(self, runs: Array) -> Array:
        beyond = np.minimum(0, runs - self._sorted[0]) + np.maximum(0, runs - self._sorted[-1])
        inside = [
            np.interp(point, known, self._normal) for point, known in zip(runs.T, self._sorted.T, strict=True)
        ]
        return np.asarray(np.array(inside).T + np.clip(beyond / self._sd, -10, 10))


def _log_odds(other: Array, right: Array) -> Statistic:
    """The log odds of `other` against `right`, from runs of both (runs, points)."""
    scores = _Scores(np.vstack([right, other]))
    of_other, of_right = _Normal(other), _Normal(right)

    def features(runs: Array) -> Array:
        z = scores(runs)
        ratio = np.clip(of_other(runs) - of_right(runs), -20, 20)[:, None]
        return np.hstack([z, z**2, z[:, :1] * z[:, 1:], z[:, 1:] * z[:, :-1], ratio])

    found = np.vstack([features(other), features(right)])
    centre, spread = found.mean(0), found.std(0) + 1e-9

    def scaled(features_of: Array) -> Tensor:
        return torch.from_numpy((features_of - centre) / spread)

    target = torch.from_numpy(np.r_[np.ones(len(other)), np.zeros(len(right))])
    weights = _logistic(scaled(found), target)
    return lambda runs: np.asarray((scaled(features(runs)) @ weights[1:] + weights[0]).numpy())


def _logistic(features: Tensor, target: Tensor, *, steps: int = 10, penalty: float = 1.0) -> Tensor:
    """Weights, the constant first, of a logistic regression with an L2 penalty, by Newton's method."""
    features = torch.hstack([torch.ones_like(target)[:, None], features])
    weights = torch.zeros(features.shape[1], dtype=features.dtype)
    penalties = torch.full_like(weights, penalty)
    penalties[0] *= 1e-9
    for _ in range(steps):
        probability = (features @ weights).clamp(-30, 30).sigmoid()
        slope = features.T @ (target - probability) - penalties * weights
        curvature = (features * (probability * (1 - probability))[:, None]).T @ features
        change = torch.linalg.solve(curvature + torch.diag(penalties), slope)
        weights = weights + change
        if float(change.abs().max()) < 1e-6:
            break
    return weights


def rank_all(
    curves: Sequence[Curve], name: str, losses: Array, ensembles: Mapping[str, Array]
) -> tuple[CurveRank, ...]:
    """The rank of each curve for one program; none where there are too few seeds to say anything.

    `ensembles` holds the losses (evaluations, seeds) of the programs that the curves are claimed of.
    """
    if losses.shape[1] < LEAST_SEEDS or any(ensembles[c.program].shape[1] < LEAST_SEEDS for c in curves):
        return ()
    return tuple(rank(curve, name, losses, ensembles[curve.program]) for curve in curves)
