"""The commands of `rmsprop` as the soak starts them: arguments, exit codes, and what they may write."""

from dataclasses import dataclass

FRAME = frozenset({"bench", "asv", "pytest-benchmark"})
"""Folders of results/ that every reader of the frame reads."""


@dataclass(frozen=True)
class Command:
    """One way to call `rmsprop`.

    Attributes
    ----------
    name
        What the counts are listed under.
    arguments
        Of the call. `{gate}` is the newest record of the gate.
    codes
        Exit codes that the command documents for an answer; 2 and 130 are every command's.
    may_make, may_change
        Patterns of the files that it may make, and change or remove, relative to the place.
    record
        Pattern of the file that each answer leaves behind as a new one; None where it leaves none.
    reads
        Folders of results/ whose damaged files it must name.
    folder
        Where it is started, relative to the place.
    given
        The file that an argument names, relative to the place; it may be damaged too.
    seconds
        How long it usually takes, until the soak has seen it.
    weight
        How often it is drawn, against the others.
    """

    name: str
    arguments: tuple[str, ...]
    codes: frozenset[int] = frozenset({0})
    may_make: tuple[str, ...] = ()
    may_change: tuple[str, ...] = ()
    record: str | None = None
    reads: frozenset[str] = frozenset()
    folder: str = "."
    given: str | None = None
    seconds: float = 4.0
    weight: int = 2


_REPORT = ("reports/*",)
_ASKED = ("--data", "surrogate", "--seeds", "8", "--runs", "2", "--no-others", "--output", "results")
_KEPT = ("results/reproduction/unfinished/*", "results/reproduction/unfinished")
_CASES = (
    "--profile", "smoke", "--implementation", "builtin-loop", "--implementation", "scratch",
    "--device", "cpu", "--layout", "book", "--output", "results",
)  # fmt: skip
_GATE = ("gate", "--base", "HEAD~1", "--head", "HEAD", "--suite", "speed", "--output", "../results")

COMMANDS = (
    Command(
        "report", ("report",), may_make=_REPORT, may_change=_REPORT,
        reads=FRAME | {"gate", "reproduction", "peers"}, seconds=20, weight=3,
    ),
    Command(
        "report --readme", ("report", "--readme", "PAGE.md"), may_make=_REPORT,
        may_change=(*_REPORT, "PAGE.md"), reads=FRAME | {"gate", "reproduction", "peers"}, given="PAGE.md",
        seconds=20, weight=1,
    ),
    Command("alerts", ("alerts",), frozenset({0, 1, 3}), reads=FRAME | {"gate"}),
    Command("alerts --json", ("alerts", "--json"), frozenset({0, 1, 3}), reads=FRAME | {"gate"}, weight=1),
    Command("export csv", ("export",), may_make=("rmsprop.csv",), may_change=("rmsprop.csv",), reads=FRAME),
    Command(
        "export json", ("export", "--format", "json"), may_make=("rmsprop.json",),
        may_change=("rmsprop.json",), reads=FRAME, weight=1,
    ),
    Command(
        "reproduce", ("reproduce", *_ASKED), frozenset({0, 1}), may_make=("results/reproduction/*",),
        may_change=_KEPT, record="results/reproduction/*.json", seconds=15, weight=4,
    ),
    Command(
        "reproduce --data", ("reproduce", "--data", "rows.dat", *_ASKED[2:]), frozenset(), given="rows.dat",
        seconds=5, weight=1,  # no file but one has the hash of the book's rows
    ),
    Command(
        "bench", ("bench", *_CASES), frozenset({0, 1}), may_make=("results/bench/*",),
        record="results/bench/*.json", seconds=15, weight=4,
    ),
    Command("bench --list", ("bench", "--list"), weight=1),
    Command(
        "gate --counters", (*_GATE, "--counters"), frozenset({0, 1, 3}), folder="theirs",
        may_make=("results/gate/*",), record="results/gate/*.json", seconds=6, weight=3,
    ),
    Command(
        "gate", (*_GATE, "--budget", "20s"), frozenset({0, 1, 3}), folder="theirs",
        may_make=("results/gate/*",), record="results/gate/*.json", seconds=8, weight=3,
    ),
    Command(
        "gate --from", ("gate", "--from", "{gate}"), frozenset({0, 1, 3}), given="{gate}", weight=1,
    ),
    Command(
        "run", ("run", "--data", "surrogate", "--results", "results", "--output", "reports"),
        frozenset({0, 1}),
        may_make=(*_REPORT, "results/reproduction/*", "results/bench/*"), may_change=_REPORT,
        record="results/reproduction/*.json", seconds=150, weight=1,
    ),
    Command(
        "peers", ("peers", "--peer", "torch", "--peer", "book", "--data", "surrogate"),
        may_make=("results/peers/*",),
        record="results/peers/*.json", seconds=8,
    ),
    Command(
        "sweep",
        ("sweep", "lr=1e-3,1e-2", "epochs=1", "--seeds", "8", "--jobs", "2", "--data", "surrogate"),
        may_make=("results/sweep/*",), may_change=("results/sweep/*",), record="results/sweep/*/sweep.json",
        seconds=20,
    ),
    Command(
        "translate", ("translate", "keras", "--rho", ".9", "--to", "optax"), frozenset({0, 1}),
        seconds=1, weight=1,
    ),
    Command("machine --asv", ("machine", "--asv"), may_make=("home/*",), may_change=("home/*",), weight=1),
    Command("build", ("build",), weight=1),
)  # fmt: skip
