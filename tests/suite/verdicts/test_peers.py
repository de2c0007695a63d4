"""Other packages against torch: who agrees, who can express its call, and how long a step takes."""

from dataclasses import replace

import pytest

from rmsprop.suite.records.peers import Agreement, PeerFacts, PeersRecord, Speed
from rmsprop.suite.verdicts.peers import judge_peers

TORCH = PeerFacts("torch", "torch.optim.RMSprop", "2.13.0", None, {}, {})


def agreement(target, digits, **changes):
    return replace(
        Agreement("torch", target, "dense", "float32", digits, digits, {"lr": 0.01}, ()), **changes
    )


@pytest.fixture
def record(make_environment):
    return PeersRecord(
        environment=make_environment(),
        data="surrogate (asked for)",
        steps=20,
        elements=1000,
        given={"lr": 0.01},
        peers=(TORCH, replace(TORCH, name="near"), replace(TORCH, name="far")),
        kinds={"dense": "normal"},
        agreements=(
            agreement("near", 5.0),
            agreement("far", 4.9, arguments=None),
            agreement("far", 17.0, kind="sparse"),
            agreement("far", 17.0, source="near"),
            agreement("far", 17.0, dtype="float64"),
        ),
        health=(),
        speed=(Speed("torch", 6, 10, (1e-5, 2e-5, 9e-5)), Speed("near", 6, 10, (5e-5, 3e-5, 4e-5))),
        untimed={},
        book=(),
    )


def test_agreement_is_that_with_torch_on_dense_float32_gradients_to_five_digits(record):
    found = judge_peers(record)
    assert (found.others, found.agree, found.express) == (2, ("near",), ("near",))


def test_an_absent_package_is_none_of_the_others(record):
    absent = replace(record, peers=(TORCH, replace(TORCH, name="near", absent="not installed")))
    assert judge_peers(absent).others == 0


def test_a_step_is_the_median_and_is_divided_by_torchs_of_the_same_record(record):
    near = judge_peers(record).steps["near"][6]
    assert near.seconds == 4e-5
    assert near.of_torchs == pytest.approx(2)


def test_without_torchs_time_there_is_no_ratio(record):
    assert judge_peers(replace(record, speed=record.speed[1:])).steps["near"][6].of_torchs is None
