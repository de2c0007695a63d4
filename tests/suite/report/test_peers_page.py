"""The page of the other packages: what the record says, and only that."""

from dataclasses import replace

import pytest

from rmsprop.suite.records.peers import Agreement, BookJob, Health, PeerFacts, PeersRecord, Speed
from rmsprop.suite.records.store import read_peers, write_peers
from rmsprop.suite.report import markdown
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.page import Table
from rmsprop.suite.report.pages.peers import FIELDS, pages

DEFAULTS = dict.fromkeys(FIELDS, 0.0) | {"eps_place": "outside"}


@pytest.fixture
def peers_record(make_environment):
    facts = PeerFacts("torch", "torch.optim.RMSprop", "2.13.0", None, DEFAULTS, {"lr": "lr"})
    return PeersRecord(
        environment=make_environment(),
        data="surrogate (asked for)",
        steps=20,
        elements=1000,
        given={"lr": 0.01},
        peers=(
            facts,
            replace(facts, name="keras", call="keras.optimizers.RMSprop"),
            replace(facts, name="timm", version=None, absent="timm is not installed"),
        ),
        kinds={"dense": "normal"},
        agreements=(
            Agreement("torch", "keras", "dense", "float32", 4.25, None, None, ("eps: another place.",)),
            Agreement("keras", "torch", "dense", "float32", 4.25, 17.0, {"lr": 0.01}, ()),
        ),
        health=(Health("torch", "zero", "float16", False, 1000, 1000, 0, 1, None),),
        speed=(Speed("torch", 6, 10, (1e-5, 2e-5, 3e-5)), Speed("keras", 6, 10, (4e-5, 4e-5, 4e-5))),
        untimed={},
        book=(BookJob("torch", (0.2441,), (17.0,)),),
    )


def test_a_record_is_read_as_it_was_written(peers_record, tmp_path):
    write_peers(tmp_path, peers_record)
    assert read_peers(tmp_path) == ([peers_record], [])


def test_a_damaged_record_is_named(tmp_path):
    (tmp_path / "peers").mkdir()
    (tmp_path / "peers" / "one.json").write_text('{"kind": "peers", "schema": 9}')
    records, problems = read_peers(tmp_path)
    assert records == []
    assert "newer" in problems[0].reason


def test_the_page_shows_agreement_absence_nan_and_seconds(peers_record, tmp_path):
    write_peers(tmp_path / "results", peers_record)
    build_report(tmp_path / "results", tmp_path / "reports")
    text = (tmp_path / "reports" / "peers.html").read_text()
    for shown in ("4.2", "all bits", "timm is not installed", "step 1", "eps: another place.", "0.244100"):
        assert shown in text


def test_a_pair_without_a_translation_is_an_empty_cell(peers_record):
    class Only:
        peers = (peers_record,)

    (page,) = pages(Only)
    table = next(block for block in page.blocks if isinstance(block, Table) and "translated" in block.caption)
    assert table.rows[0][2] == ""
    assert table.rows[1][1].text == "all bits"
    ratios = next(block for block in page.blocks if isinstance(block, Table) and "in turns" in block.caption)
    assert [row[2] for row in ratios.rows] == ["1.00", "2.00"]


@pytest.mark.parametrize(
    ("digits", "said"), [(5.8, "1 of 1 other calls agree"), (0.9, "0 of 1 other calls agree")]
)
def test_calls_that_differ_by_rounding_alone_agree_and_others_do_not(peers_record, digits, said):
    class Only:
        peers = (replace(peers_record, agreements=(replace(peers_record.agreements[0], plain=digits),)),)

    (page,) = pages(Only)
    assert said in markdown.render(page.blocks)


def test_without_a_record_there_is_no_page():
    class Nothing:
        peers = ()

    assert list(pages(Nothing)) == []
