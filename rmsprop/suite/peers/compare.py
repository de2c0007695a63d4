"""One run of `rmsprop peers`: who agrees with whom, where a step gives NaN, and how fast each is."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations, product
from typing import Any

import torch
from torch import Tensor

from rmsprop.book.airfoil import Airfoil
from rmsprop.book.programs import program
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.pauses import Pauses
from rmsprop.suite.peers.gradients import ELEMENTS, KINDS, STEPS, gradients, start
from rmsprop.suite.peers.peer import DTYPES, Arguments, Peer
from rmsprop.suite.peers.semantics import Fixed, Flag, Number
from rmsprop.suite.peers.stepping import digits, peer_moved, train_book
from rmsprop.suite.peers.translate import translate
from rmsprop.suite.records.peers import Agreement, BookJob, Health, PeerFacts, PeersRecord, Speed

_BOOK = program("rmsprop-scratch").hyperparameters
GIVEN = {"lr": _BOOK["lr"], "decay": _BOOK["gamma"], "eps": _BOOK["eps"]}
"""The hyperparameters of the book, which each call gets under its own names."""
SIZES = (6, 1_000_000)
SAMPLES, SAMPLE_SECONDS = 15, 2e-3
SEEDS = (0, 1, 2)

TrainedPeer = tuple[str, list[float], list[Tensor]]
"""A peer's name, the final loss of each seed, and w and b of each."""


def compare(
    peers: Sequence[Peer], rows: Airfoil, progress: Callable[[str], None] = lambda _what: None
) -> PeersRecord:
    """Everything about these peers; an absent one is named as absent. `progress` hears what begins.

    torch runs on one thread meanwhile, afterwards on as many as before.
    """
    here = [peer for peer in peers if not peer.absent]
    environment = capture_environment()
    with _one_thread():
        agreements: list[Agreement] = []
        for dtype in DTYPES:
            progress(f"agreement in {dtype}")
            agreements += _agreements([peer for peer in here if dtype in peer.dtypes], dtype)
        health = []
        for peer in here:
            progress(f"defaults of {peer.name}")
            health += list(_health(peer))
        book: list[TrainedPeer] = []
        for peer in here:
            progress(f"the book's job with {peer.name}")
            book.append(_book(peer, rows))
        progress("seconds of a step")
        speed = [one for elements in SIZES for one in _speed([p for p in here if not p.untimed], elements)]
    return PeersRecord(
        environment=environment,
        data=f"{rows.source} ({rows.detail})",
        steps=STEPS,
        elements=ELEMENTS,
        given=GIVEN,
        peers=tuple(_facts(peer) for peer in peers),
        kinds={kind: words for kind, (words, _) in KINDS.items()},
        agreements=tuple(agreements),
        health=tuple(health),
        speed=tuple(speed),
        untimed={peer.name: peer.untimed for peer in here if peer.untimed},
        book=tuple(_finished(book)),
    )


def plain(peer: Peer) -> dict[str, float | bool]:
    """`GIVEN` by the names of this call; everything else is its default, momentum none."""
    given: dict[str, float | bool] = {}
    for field, value in (GIVEN | {"momentum": 0.0}).items():
        argument = peer.arguments[field]
        if isinstance(argument, Number):
            given[argument.name] = value
    return given


def _ends(peer: Peer, arguments: Arguments, dtype: str) -> dict[str, Tensor]:
    """Of each kind of gradients: all are rows of one parameter, for RMSProp steps each element by itself."""
    torch_dtype = getattr(torch, dtype)
    given = torch.stack([gradients(kind, torch_dtype) for kind in KINDS], dim=1)
    begin = start(torch_dtype).repeat(len(KINDS), 1)
    return dict(zip(KINDS, peer_moved(peer, arguments, begin, given), strict=True))


def _agreements(peers: Sequence[Peer], dtype: str) -> Iterator[Agreement]:
    """Of each kind of gradients and each pair, both ways, since a translation has a direction."""
    begin = start(getattr(torch, dtype))
    ends = {peer.name: _ends(peer, plain(peer), dtype) for peer in peers}
    made: dict[tuple[str, str], dict[str, Tensor]] = {}
    for kind, (a, b) in product(KINDS, combinations(peers, 2)):
        for source, target in ((a, b), (b, a)):
            from_source = ends[source.name][kind]
            answer = translate(source, plain(source), target)
            translated = None
            if answer.arguments is not None:
                key = (target.name, repr(sorted(answer.arguments.items())))
                if key not in made:
                    made[key] = _ends(target, answer.arguments, dtype)
                translated = digits(from_source, made[key][kind], begin)
            yield Agreement(
                source.name,
                target.name,
                kind,
                dtype,
                digits(from_source, ends[target.name][kind], begin),
                translated,
                answer.arguments,
                answer.reasons,
            )


def _health(peer: Peer) -> Iterator[Health]:
    """With the call's own defaults; lr 0.01 where it has none; centred too where it can be."""
    required = {
        argument.name: GIVEN[field]
        for field, argument in peer.arguments.items()
        if isinstance(argument, Number) and argument.default is None
    }
    centred = peer.arguments["centered"]
    forms: list[dict[str, float | bool]] = [{}]
    if isinstance(centred, Flag):
        forms.append({centred.name: True})
    for dtype in peer.dtypes:
        for kind in KINDS:
            for form in forms:
                yield _one_health(peer, {**required, **form}, kind, dtype, bool(form))


def _one_health(peer: Peer, arguments: Arguments, kind: str, dtype: str, centered: bool) -> Health:
    torch_dtype = getattr(torch, dtype)
    parameter = torch.nn.Parameter(start(torch_dtype))
    first, error = None, None
    try:
        stepper = peer.make([parameter], arguments)
        for number, gradient in enumerate(gradients(kind, torch_dtype), 1):
            parameter.grad = gradient.clone()
            stepper.step()
            if first is None and not bool(parameter.isfinite().all()):
                first = number
    except (RuntimeError, ValueError, TypeError) as refused:
        error = str(refused).splitlines()[0]
    nan, infinite = int(parameter.isnan().sum()), int(parameter.isinf().sum())
    return Health(peer.name, kind, dtype, centered, ELEMENTS, nan, infinite, first, error)


def _book(peer: Peer, rows: Airfoil) -> TrainedPeer:
    features, labels = rows.to("cpu", torch.float32)
    trained = [train_book(peer, plain(peer), features, labels, seed=seed) for seed in SEEDS]
    return peer.name, [loss for loss, _ in trained], [end for _, end in trained]


def _finished(trained: Sequence[TrainedPeer]) -> Iterator[BookJob]:
    """Digits against torch's, of w and b."""
    reference = next((ends for name, _, ends in trained if name == "torch"), None)
    for name, losses, ends in trained:
        against = [
            None if reference is None else digits(end, one, torch.zeros_like(end))
            for end, one in zip(ends, reference or ends, strict=True)
        ]
        yield BookJob(name, tuple(losses), tuple(against))


def _speed(peers: Sequence[Peer], elements: int) -> list[Speed]:
    """In turns, float32, one tensor, one thread."""
    steppers: dict[str, Any] = {}
    steps: dict[str, int] = {}
    generator = torch.Generator().manual_seed(0)
    gradient = torch.randn(elements, generator=generator)
    for peer in peers:
        parameter = torch.nn.Parameter(torch.zeros(elements))
        parameter.grad = gradient.clone()
        steppers[peer.name] = stepper = peer.make([parameter], plain(peer))
        for _ in range(3):
            stepper.step()
        seconds = min(_seconds(stepper, 1) for _ in range(3))
        steps[peer.name] = max(1, round(SAMPLE_SECONDS / seconds))
    samples: dict[str, list[float]] = {name: [] for name in steppers}
    pauses = Pauses()
    for _ in range(SAMPLES):
        for name, stepper in steppers.items():
            seconds = pauses.undisturbed(partial(_seconds, stepper, steps[name]))
            samples[name].append(seconds / steps[name])
    return [Speed(name, elements, steps[name], tuple(taken)) for name, taken in samples.items()]


def _seconds(stepper: Any, steps: int) -> float:
    begin = time.perf_counter()
    for _ in range(steps):
        stepper.step()
    return time.perf_counter() - begin


def _facts(peer: Peer) -> PeerFacts:
    defaults: dict[str, float | bool | str] = {}
    choices = {}
    for field, argument in peer.arguments.items():
        match argument:
            case Number(name, default):
                defaults[field], choices[field] = "given" if default is None else default, name
            case Flag(name, means, default):
                defaults[field], choices[field] = means[default], name
            case Fixed(value, ignores):
                defaults[field] = f"ignores {ignores}" if ignores else value
    absent = peer.absent
    return PeerFacts(peer.name, peer.call, None if absent else peer.version, absent, defaults, choices)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
