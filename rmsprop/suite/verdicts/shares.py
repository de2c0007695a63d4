"""How sure a share is that was counted."""

from scipy.special import betaincinv


def exact_interval(count: int, of: int) -> tuple[float, float]:
    """Clopper and Pearson's 95% interval of a probability, from `count` successes in `of` independent trials.

    Its ends are quantiles of beta distributions; `scipy.stats.binomtest` searches for them, and a report asks
    for hundreds. 0 to 1 where there was no trial.
    """
    low = float(betaincinv(count, of - count + 1, 0.025)) if count else 0.0
    high = float(betaincinv(count + 1, of - count, 0.975)) if count < of else 1.0
    return low, high
