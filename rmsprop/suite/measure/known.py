"""What the machine tells of itself, and None for what it will not tell: nothing of it stops a measurement."""

import os
from collections.abc import Callable
from typing import TypeVar

Told = TypeVar("Told")


def known(source: Callable[[], Told]) -> Told | None:
    """What the source tells; None where it fails, in whatever way.

    Facts of a machine come from files of the kernel, from system calls that some systems lack, and from
    libraries that read both: a container, a sandbox or another kernel may refuse each of them, and each of
    them has errors of its own. A record without the fact is worth more than no record.
    """
    try:
        return source()
    except Exception:
        return None


def load_average() -> float | None:
    """How many processes ran or waited, on average over the last minute."""
    return known(lambda: round(os.getloadavg()[0], 2))
