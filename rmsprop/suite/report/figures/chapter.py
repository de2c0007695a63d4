"""The figure of the chapter: which printed curve could have come from which program."""

from rmsprop.book.programs import PROGRAMS
from rmsprop.suite.report.figures.canvas import BLUE, INK, ORANGE, VERMILLION, Drawing, canvas, finish
from rmsprop.suite.verdicts.reproduction import Judgement

_MARKS = {
    "fits": ("o", BLUE, "its own program, fits"),
    "does not fit": ("X", VERMILLION, "its own program, does not fit"),
    "not excluded": ("s", ORANGE, "another program, not excluded"),
    "excluded": (".", INK, "another program, excluded"),
}


def draw_matrix(one: Judgement) -> Drawing | None:
    """A mark for each printed curve and each program; None where the record judges no curve."""
    cells = one.matrix
    if not cells:
        return None
    curves = list(dict.fromkeys(cell.curve for cell in cells))
    programs = list(dict.fromkeys(cell.program for cell in cells))
    with canvas("matrix", 5.4) as figure:
        axes = figure.add_subplot()
        for status, (marker, colour, label) in _MARKS.items():
            places = [
                (programs.index(cell.program), curves.index(cell.curve))
                for cell in cells
                if cell.status == status
            ]
            if places:
                size = 3 if status == "excluded" else 7
                x, y = zip(*places, strict=True)
                axes.plot(x, y, marker, color=colour, markersize=size, linestyle="none", label=label)
        axes.set_xticks(range(len(programs)), programs, rotation=90, fontsize=7)
        axes.set_yticks(range(len(curves)), curves, fontsize=6.5)
        axes.set(xlim=(-0.6, len(programs) - 0.4), ylim=(len(curves) - 0.4, -0.6), xlabel="program")
        figure.legend(loc="outside lower center", ncols=1)
        others = [cell for cell in cells if cell.program != cell.claimed]
        excluded = sum(cell.status == "excluded" for cell in others)
        fit = sum(cell.status == "fits" for cell in cells)
        sections = len({PROGRAMS[cell.claimed].section for cell in cells})
        return finish(
            figure,
            "matrix",
            "Printed curves against programs",
            f"A row for each of {len(curves)} printed curves of {sections} sections, a column for each of "
            f"{len(programs)} programs: {fit} curves fit their own program, and {excluded} of {len(others)} "
            "pairs of a curve and another program are excluded.",
            "Each printed curve (row) against each program of the chapter (column). A program is excluded "
            "when fewer than 1% of its own held-out runs look as little like it as the printed curve does.",
        )
