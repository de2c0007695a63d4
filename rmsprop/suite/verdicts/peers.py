"""What a record of the other packages' RMSProp says: who agrees with torch, and what a step takes."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from rmsprop.suite.records.peers import PeersRecord
from rmsprop.suite.verdicts.ratios import speed_up

EQUAL = 5.0
"""Digits of float32 from which two calls are said to agree. Rounding of 20 steps leaves about 6, at times a
little less; another place of ε or another first state leaves less than 1."""


@dataclass(frozen=True)
class PeerStep:
    """A step of a package's call at one size.

    Attributes
    ----------
    seconds
        The median of its samples.
    of_torchs
        That over torch's of the same record; None without one. All samples come from one process, so that it
        has no interval.
    """

    seconds: float
    of_torchs: float | None


@dataclass(frozen=True)
class PeersVerdict:
    """The other packages against `torch.optim.RMSprop`.

    Attributes
    ----------
    others
        How many were called.
    agree
        With the same lr, decay and ε, on dense float32 gradients, to `EQUAL` digits or more, by name.
    express
        Those that have arguments for torch's call, by name.
    steps
        Of each package, torch among them, by the number of elements.
    """

    others: int
    agree: tuple[str, ...]
    express: tuple[str, ...]
    steps: Mapping[str, Mapping[int, PeerStep]]


def judge_peers(record: PeersRecord) -> PeersVerdict:
    """The verdict on one record."""
    against = [
        one for one in record.agreements if (one.source, one.kind, one.dtype) == ("torch", "dense", "float32")
    ]
    torchs = {one.elements: one.samples for one in record.speed if one.peer == "torch"}
    steps: dict[str, dict[int, PeerStep]] = {}
    for one in record.speed:
        reference = torchs.get(one.elements)
        ratio = 1 / speed_up(reference, one.samples).ratio if reference else None
        steps.setdefault(one.peer, {})[one.elements] = PeerStep(statistics.median(one.samples), ratio)
    return PeersVerdict(
        others=sum(not facts.absent for facts in record.peers) - 1,
        agree=tuple(sorted({one.target for one in against if (one.plain or 0) >= EQUAL})),
        express=tuple(sorted({one.target for one in against if one.arguments is not None})),
        steps=steps,
    )
