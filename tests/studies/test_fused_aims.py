"""An aim is reached if the whole interval reaches it, and missed if the whole interval does not."""

import pytest

from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.verdicts.speed import Runs
from studies.fused_aims import aims, main

E7 = {"size": "1e7", "threads": 0}


@pytest.fixture
def found(tmp_path):
    """What was measured and answered, by aim."""

    def read():
        runs = Runs.of(read_frame(tmp_path / "results")[0])
        return {aim.words: (aim.measured, aim.answer) for aim in aims(runs)}

    return read


def test_an_aim_is_reached_if_the_whole_interval_is(put, found, tmp_path):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, ceiling=0.95e-3, **E7)
    put("benchmarks.others:adagrad", 1.1e-3, **E7)
    assert found() == {
        "7 times as fast as builtin-loop": ("8.00× (8.00 to 8.00)", "reached"),
        "no slower than benchmarks.others:adagrad": ("1.10× (1.10 to 1.10)", "reached"),
        "five plain passes are 90% of it": ("95%", "reached"),
    }
    assert main(tmp_path / "results") == 0


def test_an_aim_that_is_missed_is_called_so(put, found, tmp_path):
    put("builtin-loop", 6e-3, **E7)
    put("fused", 1e-3, ceiling=0.5e-3, **E7)
    put("builtin-compiled", 0.9e-3, **E7)
    assert {words: answer for words, (_, answer) in found().items()} == {
        "7 times as fast as builtin-loop": "missed",
        "no slower than builtin-compiled": "missed",
        "five plain passes are 90% of it": "missed",
    }
    assert main(tmp_path / "results") == 1


def test_an_interval_around_the_aim_leaves_it_open(put, found):
    put("builtin-loop", steps=(6e-3,) * 10 + (8e-3,) * 10, **E7)
    put("fused", steps=(1e-3,) * 20, **E7)
    assert found()["7 times as fast as builtin-loop"][1] == "open"


def test_what_did_not_take_turns_answers_no_aim(put, found, tmp_path):
    put("builtin-loop", 8e-3, **E7)
    put("fused", 1e-3, started="2026-01-02T03:10:05+00:00", **E7)
    assert found() == {}
    assert main(tmp_path / "results") == 3
