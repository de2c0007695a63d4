"""What the book prints: values and training curves, with edition and source, from the two tables here.

Printed values are text: their digits are the claim. The primary source is the Markdown page of
Dive-into-DL-PyTorch (`docs`). Its notebook runs the same code; the other editions ran the chapter in code
of their own, and `Claim.same_program` and `Claim.timed_alike` say where that makes another experiment.

This module and the tables import and need the standard library alone.
"""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rmsprop.book.programs import PROGRAMS, TRACES, Program, Trace
from rmsprop.errors import UserError

PrintedQuantity = Literal["x", "x1", "x2", "loss", "sec_per_epoch"]

PRIMARY = "docs"
_SAME_CODE = (PRIMARY, "notebook")
_BOTH = "docs and notebook"
"""The edition of a curve that both printed, of one run."""

CHAPTER = "chapter"
SECTIONS = ("7.2", "7.3", "7.4", "7.5", "7.6", "7.7", "7.8")

SHA256 = {
    "printed.csv": "7d6294efebfaae9e8ef99b504678a940d879ad15a9acc5333982e3ef81a05d55",
    "curves.csv": "7e392b0260cdcd49f776e7a861c956dc7d9c01b61837a0135993dd59ab95a13a",
}
"""Of the two tables; who changes one says so here."""

FLOOR = 0.2415
"""Just below .241688, the least loss of a linear model on the rows: what a curve is told by is its distance
from there."""

CURVES_SOURCE = (
    "ShusenTang/Dive-into-DL-PyTorch, code/chapter07_optimization/*.ipynb at 09c8bac (Apache-2.0): the "
    "vector figures, read by their tick marks; the docs' curve of 7.6 from scratch is read from a bitmap"
)


@dataclass(frozen=True)
class Claim:
    """One printed value.

    Attributes
    ----------
    edition, framework : str
        Who printed it, and what it ran on.
    program : str
        The name of the program or of the trace.
    quantity : str
        `x`, `x1` or `x2` at the end of a trace, the final `loss`, or `sec_per_epoch`.
    printed : str
        The digits.
    source : str
        Where they stand.
    repeated : bool
        Whether the notebook shows the output of the run that the docs print: one run, not two.
    """

    edition: str
    framework: str
    program: str
    quantity: PrintedQuantity
    printed: str
    source: str
    repeated: bool = False

    @property
    def value(self) -> float:
        """The printed digits as a number; seconds for `sec_per_epoch`."""
        return float(self.printed)

    @property
    def half_digit(self) -> float:
        """Half a unit of the last printed digit: the number before rounding lies no further away."""
        return 0.5 * 10.0 ** -len(self.printed.partition(".")[2])

    @property
    def same_program(self) -> bool:
        """Whether the edition ran the primary edition's program, so that its loss can be judged by it.

        From scratch all did. The concise loops of the other packages start from N(0, 0.01²) weights and,
        with torch, train for four epochs instead of two.
        """
        return not self.program.endswith("-concise") or self.edition in _SAME_CODE

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


@dataclass(frozen=True)
class Curve:
    """One training curve of a figure.

    Attributes
    ----------
    edition : str
        Who printed it: `docs`, `notebook` or, of one run, `docs and notebook`.
    program : str
        The name of the program that the figure is of.
    printed_loss : str
        The digits below the figure.
    precision : float
        How far a loss may be from what was drawn.
    losses : tuple of float
        At the start and after every 100 samples, or after every epoch of one batch.
    """

    edition: str
    program: str
    printed_loss: str
    precision: float
    losses: tuple[float, ...]

    @property
    def name(self) -> str:
        """Such as `rmsprop-scratch, docs`."""
        return f"{self.program}, {self.edition}"

    @property
    def primary(self) -> bool:
        """Whether the primary edition prints it."""
        return self.edition in (PRIMARY, _BOTH)


@dataclass(frozen=True)
class Claims:
    """What a section or the whole chapter claims, with the programs that it claims it of.

    Attributes
    ----------
    section : str
        Such as `7.6`, or `chapter`.
    printed : tuple of Claim
        The primary edition's first.
    curves : tuple of Curve
    programs : Mapping of str to Program
        What values and curves are of, by name: every hyperparameter of the experiment stands here.
    traces : Mapping of str to Trace
        All paths that the section shows, by name, some without a printed end.
    """

    section: str
    printed: tuple[Claim, ...]
    curves: tuple[Curve, ...]
    programs: Mapping[str, Program]
    traces: Mapping[str, Trace]


def claims(section: str = "7.6") -> Claims:
    """What the book prints in a section, or in the `chapter`.

    UserError for an unknown section, and where a table is not the one that its checksum names.
    """
    if section not in (*SECTIONS, CHAPTER):
        raise UserError(f"--section {section}: choose one of {', '.join(SECTIONS)}, or --chapter for all")
    chosen = SECTIONS if section == CHAPTER else (section,)
    programs = {name: program for name, program in PROGRAMS.items() if program.section in chosen}
    traces = {name: trace for name, trace in TRACES.items() if trace.section in chosen}
    if section == "7.6":  # its text compares with AdaGrad at the same learning rate
        traces["adagrad_2d"] = TRACES["adagrad_2d"]
    return Claims(
        section,
        tuple(claim for claim in _values() if _section(claim.program) in chosen),
        tuple(curve for curve in _curves() if _section(curve.program) in chosen),
        programs,
        traces,
    )


def primary(program: str, quantity: PrintedQuantity) -> Claim:
    """The claim of the primary edition."""
    return next(c for c in _values() if (c.edition, c.program, c.quantity) == (PRIMARY, program, quantity))


def _section(name: str) -> str:
    return (PROGRAMS[name] if name in PROGRAMS else TRACES[name]).section


def _values() -> tuple[Claim, ...]:
    rows = _read("printed.csv")
    printed = {(row["edition"], row["program"], row["quantity"]): row["printed"] for row in rows}
    return tuple(
        Claim(
            row["edition"],
            row["framework"],
            row["program"],
            row["quantity"],  # type: ignore[arg-type]
            row["printed"],
            row["source"],
            # Two runs do not take the same time to the microsecond.
            repeated=row["edition"] == "notebook"
            and all(printed.get((edition, row["program"], "sec_per_epoch")) for edition in _SAME_CODE)
            and len({printed[edition, row["program"], "sec_per_epoch"] for edition in _SAME_CODE}) == 1,
        )
        for row in rows
    )


def _curves() -> tuple[Curve, ...]:
    points: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in _read("curves.csv"):
        points.setdefault((row["edition"], row["program"]), []).append(row)
    found = [
        Curve(
            edition,
            program,
            rows[0]["printed_loss"],
            float(rows[0]["precision"]),
            tuple(float(row["loss"]) for row in rows),
        )
        for (edition, program), rows in points.items()
    ]
    order = list(PROGRAMS)
    return tuple(sorted(found, key=lambda curve: (order.index(curve.program), not curve.primary)))


def _read(name: str, folder: Path = Path(__file__).parent) -> list[dict[str, str]]:
    content = (folder / name).read_bytes().replace(b"\r\n", b"\n")  # git may check out CR LF
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256[name]:
        raise UserError(
            f"{name} of rmsprop/book was changed: SHA-256 {SHA256[name][:9]}… expected, {found[:9]}… found; "
            "install rmsprop-bench again, or put the new checksum into rmsprop/book/claims.py"
        )
    return list(csv.DictReader(content.decode().splitlines()))
