import json
from pathlib import Path

import pytest

from rmsprop.suite.gate.prepare import Opened, Prepared
from studies.gate import tuning
from studies.gate.tuning import next_amount, tune

SMALL, LARGE = "builtin-loop-cpu-float32-1e3-single-1t", "builtin-loop-cpu-float32-1e6-single-1t"
OTHER = "fused-cpu-float32-1e3-single-1t"


@pytest.mark.parametrize(
    ("tried", "following"),
    [
        ([(0.05, 0.10)], 0.025),  # twice as slow as wanted: half of it
        ([(0.05, 0.08), (0.03, 0.06)], 0.02),  # 3% that no amount takes away
        ([(0.05, 0.08), (0.04, 0.09)], 0.04 * 5 / 9),  # noise: more took less
        ([(0.05, -0.01)], 0.15),  # noise: nothing is seen yet
        ([(0.05, 0.11), (0.01, 0.07)], 0.0),  # the wrapper alone takes more
    ],
)
def test_the_next_amount_lies_on_the_line_through_those_that_were_tried(tried, following):
    assert next_amount(tried, 0.05) == pytest.approx(following)


@pytest.mark.slow
def test_work_is_tuned_in_seconds_for_each_case_until_it_takes_the_share(monkeypatch):
    opened = {
        case: Opened(1.0, 1.0, 10, turn) for case, turn in ((SMALL, 1e-4), (LARGE, 1e-2), (OTHER, 1e-5))
    }
    monkeypatch.setattr(tuning, "prepare", lambda *_: Prepared("3", {}, dict.fromkeys(opened, ""), opened))
    costs = {SMALL: ("float32 1000 1", 1e-5, 1.5), LARGE: ("float32 1000000 1", 1e-3, 0.7)}

    def launches(base, head, steps):
        """What was injected takes a constant share beside that of its seconds, times a factor."""
        told = json.loads((head.tree / "rmsprop" / "optimizers" / "injection.json").read_text())
        assert (told["attribute"], told["how"], told["amount"]) == ("loop", "work", 0.03)
        injected = told["tuned"]
        samples = {
            case: {"head": [1.005 + factor * injected[known_as] / step] * 5, "base": [1.0] * 5}
            for case, (known_as, step, factor) in costs.items()
        }
        assert set(steps) == set(samples)
        return [samples]

    monkeypatch.setattr(tuning, "_launches", launches)
    said = []
    tuned = tune(Path.cwd(), "builtin-loop", (), "work", 0.03, said.append)
    for known_as, step, factor in costs.values():
        assert 0.005 + factor * tuned[known_as] / step == pytest.approx(0.03)
    assert len(said) == tuning.ROUNDS * 2
