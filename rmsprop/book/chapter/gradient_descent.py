"""Section 7.2, gradient descent: x ← x - η ∇f(x)."""

from rmsprop.book.chapter.optimizer import Optimizer


def gd_2d(
    x1: float, x2: float, s1: float, s2: float, *, gradient: tuple[float, float], eta: float
) -> tuple[float, float, float, float]:
    """One step of gradient descent; s1 and s2 are not used."""
    return x1 - eta * gradient[0] * x1, x2 - eta * gradient[1] * x2, s1, s2


GRADIENT_DESCENT = Optimizer("gd", None, None, None, gd_2d)
