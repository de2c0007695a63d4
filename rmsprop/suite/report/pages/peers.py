"""The page of the other packages' RMSProp: what their calls mean, who agrees with whom, NaN, seconds."""

from collections.abc import Iterable, Iterator, Mapping

from rmsprop.suite.records.peers import Agreement, Health, PeerFacts, PeersRecord
from rmsprop.suite.report.inputs import Inputs
from rmsprop.suite.report.page import (
    Block,
    Cell,
    Code,
    Detail,
    Facts,
    Heading,
    Page,
    Table,
    headline,
    note,
    paragraph,
)
from rmsprop.suite.verdicts.peers import EQUAL, PeersVerdict, judge_peers
from rmsprop.suite.words import commit_name, digits_in_words, duration, factor, when

PATH = "peers.html"
FIELDS = {
    "lr": "lr",
    "decay": "decay",
    "eps": "ε",
    "eps_place": "place of ε",
    "first_state": "first s",
    "centered": "centred",
    "momentum": "momentum",
    "momentum_form": "lr and buffer",
    "nesterov": "Nesterov",
    "weight_decay": "weight decay",
    "decay_form": "form of it",
}


def pages(inputs: Inputs) -> Iterable[Page]:
    """One page, of the newest record."""
    if inputs.peers:
        record = inputs.peers[-1]
        yield Page(PATH, "RMSProp in other packages", tuple(_blocks(record)), "Peers")


def _blocks(record: PeersRecord) -> Iterator[Block]:
    here = [facts for facts in record.peers if not facts.absent]
    names = [facts.name for facts in here]
    dense = [one for one in record.agreements if (one.kind, one.dtype) == ("dense", "float32")]
    found = judge_peers(record)
    yield headline(
        f"With the same lr, decay and ε, {len(found.agree)} of {found.others} other calls agree with "
        f"torch.optim.RMSprop to {EQUAL:g} digits or more on dense float32 gradients: "
        f"{', '.join(found.agree) or 'none'}. "
        f"{len(found.express)} can express torch's call: {', '.join(found.express) or 'none'}."
    )
    environment = record.environment
    yield Facts(
        {
            "Machine": environment.machine,
            "Run": when(environment.started),
            "Commit": commit_name(environment.commit, environment.dirty),
            "Gradients": f"{record.elements:,} elements, {record.steps} steps, the same for all",
            "Given": ", ".join(f"{name} {value:g}" for name, value in record.given.items()),
            "Book's rows": record.data,
            "Absent": ", ".join(f"{f.name} ({f.absent})" for f in record.peers if f.absent) or "none",
        }
    )
    yield Heading("What each call means")
    yield Table(
        "Defaults; in brackets the argument that sets it. A test holds each row against the package",
        ("Package", "Version", *FIELDS.values()),
        tuple(_semantics(facts) for facts in record.peers),
    )
    yield Heading("Who agrees with whom")
    yield paragraph(
        "Digits are those of the movement: 6 means that two ends differ by a millionth of the largest "
        "movement. "
        "“all bits” means that every bit is equal. In the second table the call of the row is translated "
        "for the package of the column, as ",
        Code("rmsprop translate"),
        " does; an empty cell means that no arguments give the same numbers.",
    )
    yield _matrix("Same lr, decay and ε, other defaults kept; dense, float32", names, dense, translated=False)
    yield _matrix("The row's call translated for the column; dense, float32", names, dense, translated=True)
    yield _by_kind(record, names)
    yield Heading("NaN and infinity")
    yield note(
        "Each package runs with the defaults of its own call on parameters of size 1. The table tells how "
        "many elements end as NaN or infinity, and after which step the first one did."
    )
    yield _nan(record)
    yield Heading("Seconds of a step")
    yield _speed(found, record.untimed)
    yield Heading("The book's job")
    yield Table(
        "Final loss with seed 0, 1, 2, and digits of w and b against torch's; float32",
        ("Package", "Losses", "Digits"),
        tuple(
            (
                one.peer,
                ", ".join(f"{loss:.6f}" for loss in one.losses),
                ", ".join(digits_in_words(value) for value in one.digits),
            )
            for one in record.book
        ),
    )
    yield Detail((_reasons(dense),))


def _semantics(facts: PeerFacts) -> tuple[str | Cell, ...]:
    cells = []
    for field in FIELDS:
        value, name = facts.defaults[field], facts.choices.get(field)
        words = f"{value:g}" if isinstance(value, float) else str(value).lower()
        cells.append(f"{words} ({name})" if name else words)
    return facts.call, facts.version or "absent", *cells


def _matrix(caption: str, names: list[str], dense: list[Agreement], *, translated: bool) -> Table:
    found = {
        (one.source, one.target): one.translated if translated else one.plain
        for one in dense
        if not translated or one.arguments is not None
    }
    rows = tuple(
        (
            row,
            *(
                Cell(digits_in_words(found[row, column]), found[row, column])
                if (row, column) in found
                else ""
                for column in names
            ),
        )
        for row in names
    )
    return Table(caption, ("Package", *names), rows)


def _by_kind(record: PeersRecord, names: list[str]) -> Table:
    """Digits against torch, by kind of gradient and dtype."""
    found = {
        (one.kind, one.dtype, one.target): one.plain for one in record.agreements if one.source == "torch"
    }
    rows = []
    for dtype in dict.fromkeys(one.dtype for one in record.agreements):
        for kind in record.kinds:
            cells = [
                digits_in_words(found[kind, dtype, name]) if (kind, dtype, name) in found else ""
                for name in names
                if name != "torch"
            ]
            rows.append((f"{kind}, {dtype}", *cells))
    return Table(
        "Digits against torch, same lr, decay and ε. A dash: an end is not finite, or nothing moved",
        ("Gradients", *(name for name in names if name != "torch")),
        tuple(rows),
    )


def _nan(record: PeersRecord) -> Table:
    bad = [one for one in record.health if one.nan or one.infinite or one.error]
    rows = tuple(
        (
            one.peer + (", centred" if one.centered else ""),
            one.kind,
            one.dtype,
            str(one.nan),
            str(one.infinite),
            one.error or f"step {one.first_step}",
        )
        for one in sorted(bad, key=_order)
    )
    fine = len(record.health) - len(bad)
    caption = f"Of {record.elements:,} elements; {fine} of {len(record.health)} combinations stay finite"
    return Table(caption, ("Package", "Gradients", "dtype", "NaN", "Infinite", "First"), rows)


def _order(one: Health) -> tuple[str, bool, str, str]:
    return one.peer, one.centered, one.dtype, one.kind


def _speed(found: PeersVerdict, untimed: Mapping[str, str]) -> Table:
    sizes = sorted({size for steps in found.steps.values() for size in steps})
    rows = []
    for name, steps in found.steps.items():
        cells: list[str | Cell] = []
        for step in map(steps.get, sizes):
            cells.append("" if step is None else Cell(duration(step.seconds), step.seconds))
            cells.append("" if step is None or step.of_torchs is None else factor(step.of_torchs))
        rows.append((name, *cells))
    rows += [(name, *([why] + [""] * (2 * len(sizes) - 1))) for name, why in untimed.items()]
    columns = [column for size in sizes for column in (f"{size:,} elements", "of torch's")]
    return Table(
        "Median of samples in turns, in one process, so without intervals; float32, one tensor, one thread",
        ("Package", *columns),
        tuple(rows),
    )


def _reasons(dense: list[Agreement]) -> Table:
    rows = tuple((one.source, one.target, " ".join(one.reasons)) for one in dense if one.arguments is None)
    return Table("Why no arguments give the same numbers", ("From", "To", "Reasons"), rows)
