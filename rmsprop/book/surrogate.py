"""1500 rows with the first and second moments of the book's airfoil rows, for machines without the data.

Half the mean squared error of a linear model is a quadratic form in its weights, and its coefficients
are the first and second moments of the rows. Rows with the same moments give the same loss at every
weight; what differs is the noise of a mini-batch, which the shape of the rows decides, and that little.
"""

import math

import numpy as np
import numpy.typing as npt

ROWS = 1500

# Lower Cholesky factor L of the mean of z zᵀ over the real 1500 standardised rows, where z = (1, frequency,
# angle, chord, velocity, thickness, sound level): its first column holds the means. The rows z are those of
# rmsprop.book.airfoil, and L = np.linalg.cholesky(z.T @ z / 1500); the test of this module makes it again.
FACTOR = (
    (1.0,),
    (-0.0014047929101988405, 1.0004162930622864),
    (-0.0029808860442914996, -0.2752934138048065, 0.9600842722540205),
    (0.0007474790806746512, -0.0031405760402641453, -0.5266476885890343, 0.8510889657802977),
    (
        0.0014466896670673251,
        0.13489318528141733,
        0.10225436818068537,
        0.06759352640288839,
        0.9837329106691542,
    ),
    (
        -0.00634554501149006,
        -0.2349357681649416,
        0.7090499590749524,
        0.1806789924920333,
        -0.05327433404536489,
        0.6232150918332465,
    ),
    (
        0.005556150171647706,
        -0.387333989612458,
        -0.26534395005134265,
        -0.4461035057374692,
        0.2346784945352271,
        -0.16909700736244193,
        0.6952524075354761,
    ),
)


def surrogate_rows() -> npt.NDArray[np.float64]:
    """The surrogate: (1500, 6), five features and then the label, the same bits on every machine.

    A stream that numpy guarantees, single IEEE operations and exactly rounded sums (`math.fsum`) are all
    it is made of: no logarithm, no BLAS, no LAPACK, whose last bits differ between builds.
    """
    columns = _orthonormal([np.ones(ROWS), *_shapes()])
    mixed = [sum(f * c for f, c in zip(factors, columns, strict=False)) for factors in FACTOR[1:]]
    return np.stack(mixed, axis=1)


def _shapes() -> list[npt.NDArray[np.float64]]:
    """Six columns, each skewed about as much as what the real column adds to those before it."""
    frequency, angle, chord, velocity, thickness, sound = np.random.RandomState(0).random_sample((6, ROWS))
    for column, squarings in ((frequency, 3), (angle, 1), (thickness, 2)):
        for _ in range(squarings):
            np.square(column, out=column)
    # The real sound level strays from the linear model most at high frequencies, where gradients are large.
    sound = (sound - 0.5) * (1 + 0.5 * frequency)
    return [frequency, angle, chord, velocity, thickness, sound]


def _orthonormal(columns: list[npt.NDArray[np.float64]]) -> list[npt.NDArray[np.float64]]:
    """Gram-Schmidt in the given order, for the inner product <a, b> = mean of a b."""
    basis: list[npt.NDArray[np.float64]] = []
    for column in columns:
        rest = column
        for earlier in basis:
            rest = rest - _mean_product(rest, earlier) * earlier
        basis.append(rest / math.sqrt(_mean_product(rest, rest)))
    return basis


def _mean_product(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return math.fsum(a * b) / ROWS
