"""Every value that an edition of the book prints for section 7.6, RMSProp.

Printed values are strings: their digits are the claim. The primary source is the Markdown page of
Dive-into-DL-PyTorch (`docs`). Its notebook runs the same code; the other editions ran the section in code
of their own, and `Claim.same_program` and `Claim.timed_alike` say where that makes another experiment.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Program = Literal["rmsprop_2d", "adagrad_2d", "scratch", "concise"]
TrainingProgram = Literal["scratch", "concise"]
PROGRAMS: tuple[TrainingProgram, ...] = ("scratch", "concise")
Quantity = Literal["x1", "x2", "loss", "sec_per_epoch"]

PRIMARY = "docs"
_SAME_CODE = (PRIMARY, "notebook")


@dataclass(frozen=True)
class Hyperparameters:
    """What the book sets for a program; `eps_place` is where ε stands: sqrt(s + ε) or sqrt(s) + ε."""

    lr: float
    decay: float
    """γ, torch's alpha; NaN for AdaGrad, which has none."""
    eps: float
    eps_place: Literal["inside", "outside"]
    steps: int | None = None
    batch_size: int | None = None
    num_epochs: int | None = None


HYPERPARAMETERS: dict[Program, Hyperparameters] = {
    "rmsprop_2d": Hyperparameters(lr=0.4, decay=0.9, eps=1e-6, eps_place="inside", steps=20),
    "adagrad_2d": Hyperparameters(lr=0.4, decay=math.nan, eps=1e-6, eps_place="inside", steps=20),
    "scratch": Hyperparameters(lr=0.01, decay=0.9, eps=1e-6, eps_place="inside", batch_size=10, num_epochs=2),
    "concise": Hyperparameters(
        lr=0.01, decay=0.9, eps=1e-8, eps_place="outside", batch_size=10, num_epochs=2
    ),
}


@dataclass(frozen=True)
class Claim:
    """One printed value, with what it takes to check it."""

    edition: str
    framework: str
    program: Program
    quantity: Quantity
    printed: str
    source: str

    @property
    def value(self) -> float:
        """The printed digits as a number; seconds for `sec_per_epoch`."""
        return float(self.printed)

    @property
    def hyperparameters(self) -> Hyperparameters:
        """Of the primary edition's program."""
        return HYPERPARAMETERS[self.program]

    @property
    def same_program(self) -> bool:
        """Whether the edition ran the primary edition's program, so that its loss can be judged by it.

        From scratch all did. The concise loops of the other packages start from N(0, 0.01²) weights and,
        with torch, train for four epochs instead of two.
        """
        return self.program != "concise" or self.edition in _SAME_CODE

    @property
    def timed_alike(self) -> bool:
        """Whether its seconds are of a whole epoch with its evaluations, so that a ratio means something.

        The d2l package's timer stops while the loss is evaluated, and where it prints an average, that is
        of 200 samples.
        """
        return not self.edition.startswith("d2l") or self.edition == "d2l-zh 1.0.0"

    @property
    def label(self) -> str:
        """The edition as people name it."""
        return self.edition if self.edition == PRIMARY else f"{self.edition} ({self.framework})"


_DOCS = "ShusenTang/Dive-into-DL-PyTorch, docs/chapter07_optimization/7.6_rmsprop.md"
_SOURCES = {
    PRIMARY: _DOCS,
    "notebook": "ShusenTang/Dive-into-DL-PyTorch, code/chapter07_optimization/7.6_rmsprop.ipynb",
    "d2l-zh 1.0.0": "d2l-ai/d2l-zh v1.0.0 (January 2019), chapter_optimization/rmsprop",
    "d2l-en 0.17.6": "d2l-ai/d2l-en v0.17.6, chapter_optimization/rmsprop",
    "d2l-en 1.0.3": "d2l-ai/d2l-en v1.0.3, chapter_optimization/rmsprop",
    "d2l-zh 2.0.0": "d2l-ai/d2l-zh v2.0.0, chapter_optimization/rmsprop",
}
"""Where each edition's values were read."""

# edition, framework, scratch loss and seconds, concise loss and seconds
_TRAINING = (
    (PRIMARY, "torch", "0.243452", "0.049984", "0.243676", "0.043637"),
    ("notebook", "torch", "0.242014", "0.053250", "0.243676", "0.043637"),
    ("d2l-zh 1.0.0", "Gluon", "0.244675", "0.383483", "0.243380", "0.250981"),
    ("d2l-en 0.17.6", "torch", "0.244", "0.015", "0.244", "0.014"),
    ("d2l-en 0.17.6", "MXNet", "0.246", "0.169", "0.244", "0.086"),
    ("d2l-en 0.17.6", "TF", "0.244", "0.113", "0.243", "0.139"),
    ("d2l-en 1.0.3", "torch", "0.245", "0.245", "0.246", "0.129"),
    ("d2l-en 1.0.3", "MXNet", "0.242", "0.659", "0.245", "0.381"),
    ("d2l-en 1.0.3", "TF", "0.244", "1.251", "0.245", "1.269"),
    ("d2l-zh 2.0.0", "torch", "0.247", "0.014", "0.244", "0.017"),
    ("d2l-zh 2.0.0", "MXNet", "0.245", "0.080", "0.247", "0.045"),
    ("d2l-zh 2.0.0", "TF", "0.246", "0.112", "0.244", "0.139"),
    ("d2l-zh 2.0.0", "Paddle", "0.246", "0.049", "0.244", "0.033"),
)


def claims() -> tuple[Claim, ...]:
    """All claims, the primary edition's first."""
    return tuple(_trajectory_claims()) + tuple(_training_claims())


def primary(program: Program, quantity: Quantity) -> Claim:
    """The claim of the primary edition."""
    return next(c for c in claims() if (c.edition, c.program, c.quantity) == (PRIMARY, program, quantity))


def _trajectory_claims() -> Iterator[Claim]:
    # The section's text compares its trace with AdaGrad's at the same learning rate, printed in 7.5.
    adagrad = _DOCS.replace("7.6_rmsprop", "7.5_adagrad")
    yield Claim(PRIMARY, "Python", "rmsprop_2d", "x1", "-0.010599", _DOCS)
    yield Claim(PRIMARY, "Python", "rmsprop_2d", "x2", "0.000000", _DOCS)
    yield Claim(PRIMARY, "Python", "adagrad_2d", "x1", "-2.382563", adagrad)
    yield Claim(PRIMARY, "Python", "adagrad_2d", "x2", "-0.158591", adagrad)


def _training_claims() -> Iterator[Claim]:
    for edition, framework, scratch_loss, scratch_sec, concise_loss, concise_sec in _TRAINING:
        source = _SOURCES[edition]
        yield Claim(edition, framework, "scratch", "loss", scratch_loss, source)
        yield Claim(edition, framework, "scratch", "sec_per_epoch", scratch_sec, source)
        yield Claim(edition, framework, "concise", "loss", concise_loss, source)
        yield Claim(edition, framework, "concise", "sec_per_epoch", concise_sec, source)
