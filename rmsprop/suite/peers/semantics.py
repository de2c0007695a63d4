"""What a call of any RMSProp means, in the same words for all packages.

One step on parameters p from gradients g, with the state s and, where they are used, m and b:

    g = g + λ p                              weight decay, coupled
    p = p - η λ p                            weight decay, decoupled
    s = γ s + (1 - γ) g²                     first s: 0 or 1
    v = s, or centred: m = γ m + (1 - γ) g; v = s - m²
    d = sqrt(v + ε), or sqrt(v) + ε          ε inside or outside the root
    p = p - η g / d                          without momentum
    b = μ b + g / d; p = p - η b             momentum, lr after the buffer
    b = μ b + η g / d; p = p - b             momentum, lr inside the buffer
    b = μ b + g / d; p = p - η (μ b + g / d) Nesterov

This module imports the standard library alone, so that a translation is answered at once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

Value = float | bool | str


@dataclass(frozen=True)
class Settings:
    """One RMSProp, whatever package runs it; the module has the formula.

    Attributes
    ----------
    lr, decay, eps : float
        η, γ and ε.
    eps_place : str
        Whether ε stands inside the root or outside.
    first_state : float
        s before the first step.
    centered : bool
        Whether the square of the mean gradient is taken off s.
    momentum : float
        μ; 0 is none.
    momentum_form : str
        Whether lr multiplies the buffer `after` it is updated, or stands `inside` it.
    nesterov : bool
        Whether the step looks ahead along the buffer.
    weight_decay : float
        λ; 0 is none.
    decay_form : str
        `coupled`, which adds to the gradient, or `decoupled`, which shrinks p by the factor 1 - η λ
        before the step.
    """

    lr: float
    decay: float
    eps: float
    eps_place: Literal["inside", "outside"] = "outside"
    first_state: float = 0.0
    centered: bool = False
    momentum: float = 0.0
    momentum_form: Literal["after", "inside"] = "after"
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_form: Literal["coupled", "decoupled"] = "coupled"

    @property
    def idle(self) -> frozenset[str]:
        """The fields that change nothing here, such as the form of a momentum of 0."""
        idle = set()
        if self.momentum == 0:
            idle |= {"momentum_form", "nesterov"}
        if self.weight_decay == 0:
            idle.add("decay_form")
        if self.eps == 0:
            idle.add("eps_place")
        return frozenset(idle)


FIELDS: tuple[str, ...] = tuple(field.name for field in fields(Settings))


@dataclass(frozen=True)
class Number:
    """An argument whose value is the field's own.

    Attributes
    ----------
    name
        Of the argument.
    default
        None where the package has none.
    """

    name: str
    default: float | None


@dataclass(frozen=True)
class Flag:
    """An argument that chooses.

    Attributes
    ----------
    name
        Of the argument.
    means
        Value of the argument -> value of the field.
    default
        Of the argument.
    """

    name: str
    means: Mapping[bool, Value]
    default: bool = False


@dataclass(frozen=True)
class Fixed:
    """The package gives no choice.

    Attributes
    ----------
    value
        What the field always is.
    ignores
        An argument that the package accepts and that changes nothing; None without one.
    """

    value: Value
    ignores: str | None = None


Argument = Number | Flag | Fixed
