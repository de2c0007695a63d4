"""The record of one comparison of the packages that have an RMSProp."""

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from rmsprop.suite.records.environment import Environment

SCHEMA = 1
_STRICT = ConfigDict(extra="forbid", ser_json_inf_nan="strings")


@dataclass(frozen=True, config=_STRICT)
class PeerFacts:
    """One package.

    Attributes
    ----------
    name, call : str
        As commands name it; what its users call.
    version : str or None
        None where it is absent.
    absent : str or None
        Why it could not run.
    defaults : dict
        Field of the semantics -> the value with the call's own defaults, or `given` for one that has none.
    choices : dict
        Field of the semantics -> the argument that sets it, for those that the call can set.
    """

    name: str
    call: str
    version: str | None
    absent: str | None
    defaults: dict[str, float | bool | str]
    choices: dict[str, str]


@dataclass(frozen=True, config=_STRICT)
class Agreement:
    """Two packages over the same gradients.

    Attributes
    ----------
    source, target, kind, dtype : str
        The two packages, the kind of gradients, and the dtype of the parameters.
    plain : float or None
        Digits that agree with the same lr, decay and ε and the defaults of each call for all else; None
        where an end is not finite or nothing moved.
    translated : float or None
        Digits that agree once the source's call is translated; None where it cannot be, or as above.
    arguments : dict or None
        The translated call.
    reasons : tuple of str
        Why there is none.
    """

    source: str
    target: str
    kind: str
    dtype: str
    plain: float | None
    translated: float | None
    arguments: dict[str, float | bool] | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, config=_STRICT)
class Health:
    """One package with its own defaults: how many elements end as NaN or infinity, and since which step.

    Attributes
    ----------
    peer, kind, dtype
        The package, the kind of gradients, and the dtype of the parameters.
    centered
        Whether the call was told to centre; all else is its default, where it has one.
    elements
        How many there are.
    nan, infinite
        How many end so.
    first_step
        After which an element is not finite, from 1 on; None where all stay finite.
    error
        Why it refused to go on, one line; None where it did not.
    """

    peer: str
    kind: str
    dtype: str
    centered: bool
    elements: int
    nan: int
    infinite: int
    first_step: int | None
    error: str | None


@dataclass(frozen=True, config=_STRICT)
class Speed:
    """Seconds of one step in turns with the other packages; each sample is the mean over `steps` steps.

    Attributes
    ----------
    peer
        The package.
    elements
        Of the one tensor that it steps, float32.
    steps
        In a sample: about 2 ms of the package's own.
    samples
        Seconds of one step on one thread.
    """

    peer: str
    elements: int
    steps: int
    samples: tuple[float, ...]


@dataclass(frozen=True, config=_STRICT)
class BookJob:
    """The book's job with one package's step: final loss of each seed; digits of w and b against torch.

    Attributes
    ----------
    peer
        The package.
    losses
        A seed each.
    digits
        Of w and b against torch, a seed each; None where torch was not compared, or as in `Agreement`.
    """

    peer: str
    losses: tuple[float, ...]
    digits: tuple[float | None, ...]


@dataclass(frozen=True, config=_STRICT)
class PeersRecord:
    """One run of `rmsprop peers`.

    Attributes
    ----------
    environment
        Of the process that compared.
    data
        Which rows the book's job had: source and detail.
    steps, elements
        Of each comparison and each look at the defaults.
    given
        The lr, decay and ε of agreements, speed and the book's job, by field of the semantics.
    peers
        All that were asked for, absent ones too.
    kinds
        Kind of gradients -> what it is.
    agreements
        By dtype, kind and pair, each pair in both directions.
    health
        By package, dtype and kind; twice where the package can centre.
    speed
        By number of elements and package.
    untimed
        Package that is not absent -> why its steps were not timed.
    book
        One for each package that is not absent.
    kind, schema
        Which kind of record it is, and in which schema.
    """

    environment: Environment
    data: str
    steps: int
    elements: int
    given: dict[str, float]
    peers: tuple[PeerFacts, ...]
    kinds: dict[str, str]
    agreements: tuple[Agreement, ...]
    health: tuple[Health, ...]
    speed: tuple[Speed, ...]
    untimed: dict[str, str]
    book: tuple[BookJob, ...]
    kind: str = "peers"
    schema: int = SCHEMA
