"""From one package's call to another's that gives the same numbers, or why there is none."""

from dataclasses import dataclass
from typing import Any

from rmsprop.suite.peers.peer import Arguments, Peer
from rmsprop.suite.peers.semantics import FIELDS, Fixed, Flag, Number, Settings, Value


@dataclass(frozen=True)
class Translation:
    """One answer.

    Attributes
    ----------
    settings : Settings
        What the given call means.
    arguments : dict or None
        Of the other package's call; None where no arguments give the same numbers.
    reasons : tuple of str
        Why there are none.
    notes : tuple of str
        What the answer depends on, or what comes nearest.
    """

    settings: Settings
    arguments: dict[str, float | bool] | None
    reasons: tuple[str, ...]
    notes: tuple[str, ...]


def translate(source: Peer, given: Arguments, target: Peer) -> Translation:
    """The arguments of `target` that give the numbers of `source` called with `given`.

    UserError where `given` are no arguments of the source.
    """
    settings = source.settings(given)
    arguments: dict[str, float | bool] = {}
    reasons, notes = [], []
    for field in FIELDS:
        value, argument = getattr(settings, field), target.arguments[field]
        match argument:
            case Number(name):
                arguments[name] = value
            case Flag(name, means, default):
                fitting = [flag for flag, meaning in means.items() if meaning == value]
                if field in settings.idle:
                    continue
                if not fitting:
                    reasons.append(_reason(field, source, value, target, means[default]))
                elif fitting[0] != default:
                    arguments[name] = fitting[0]
            case Fixed(fixed):
                if field in settings.idle or fixed == value:
                    continue
                if field == "momentum_form":
                    notes.append(CONSTANT_LR)
                else:
                    reasons.append(_reason(field, source, value, target, fixed))
    if settings.momentum and settings.momentum_form == _form(target, arguments):
        notes = [note for note in notes if note != CONSTANT_LR]
    if any(reason.startswith(_EPS) for reason in reasons) and settings.eps:
        notes.append(_nearest(settings, target))
    notes += [
        f"{source.call} accepts {argument.ignores} and ignores it"
        for argument in source.arguments.values()
        if isinstance(argument, Fixed) and argument.ignores and given.get(argument.ignores)
    ]
    return Translation(settings, None if reasons else arguments, tuple(reasons), tuple(notes))


CONSTANT_LR = (
    "The momentum buffers differ: one holds lr and the other does not. The parameters are the same while lr "
    "stays constant, and differ after a schedule has changed it."
)
_EPS = "eps: "


def _form(target: Peer, arguments: dict[str, float | bool]) -> Any:
    argument = target.arguments["momentum_form"]
    if isinstance(argument, Flag):
        return argument.means[bool(arguments.get(argument.name, argument.default))]
    return argument.value if isinstance(argument, Fixed) else None


def _nearest(settings: Settings, target: Peer) -> str:
    argument = target.arguments["eps"]
    assert isinstance(argument, Number)
    eps = settings.eps**2 if settings.eps_place == "outside" else settings.eps**0.5
    return (
        f"Nearest: {argument.name}={eps:.6g} gives the same denominator where s = 0 and for large s; between "
        "them sqrt(s + ε²) is smaller than sqrt(s) + ε by a factor of 1.42 at most."
    )


def _reason(field: str, source: Peer, value: Value, target: Peer, fixed: Value) -> str:
    ours, theirs = source.call, target.call
    match field:
        case "eps_place":
            return (
                f"{_EPS}{ours} divides by {_ROOTS[value]} and {theirs} by {_ROOTS[fixed]}; no number in one "
                "place gives the other for every s."
            )
        case "first_state":
            return f"first state: s starts from {value:g} in {ours} and from {fixed:g} in {theirs}."
        case "decay_form":
            return f"weight decay: {ours} {_DECAYS[value]}, {theirs} {_DECAYS[fixed]}."
    argument = target.arguments[field]
    ignored = isinstance(argument, Fixed) and argument.ignores
    return f"{_WORDS[field]}: {theirs} has none" + (", though it accepts the argument." if ignored else ".")


_ROOTS: dict[Value, str] = {"inside": "sqrt(s + eps)", "outside": "sqrt(s) + eps"}
_DECAYS: dict[Value, str] = {
    "coupled": "adds it to the gradient",
    "decoupled": "shrinks p by a factor",
}
_WORDS = {
    "centered": "centred form",
    "momentum": "momentum",
    "momentum_form": "this form of momentum",
    "nesterov": "Nesterov momentum",
    "weight_decay": "weight decay",
}
