"""One launch, with workers of this process whose clocks are made up."""

import math
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmsprop.suite.gate.prepare import prepare
from rmsprop.suite.gate.trees import prepared_trees
from rmsprop.suite.gate.turns import (
    PHASE,
    LaunchJob,
    log_ratio,
    phase_steps,
    phases,
    run_launch,
    sample_of,
    take_turns,
)
from rmsprop.suite.gate.worker_client import Arm, WorkerError
from studies.gate.sequential import run_sequential_launch
from tests.repositories import make_repository, write_mine


class Client:
    """Answers as a worker; all of them write to one log."""

    def __init__(self, name, log, seconds=1.0, opened=None):
        self.name, self.log, self.seconds, self.opened = name, log, seconds, opened or {"seconds": 0.1}

    def tell(self, **request):
        self.log.append((self.name, request["do"]))

    def answer(self):
        return self.opened

    def ask(self, **request):
        self.tell(**request)
        return {"seconds": self.seconds * request["steps"]} if request["do"] == "turn" else {}


JOB = LaunchJob("confirm", 1, {"a": 10}, 12)


def test_each_worker_goes_first_as_often_as_the_others_and_the_first_turn_is_left_out():
    log = []
    workers = {name: Client(name, log, seconds) for name, seconds in (("base", 1), ("again", 1), ("head", 2))}
    turns = take_turns(workers, "a", JOB, random.Random(3))
    assert turns == {"base": [10.0] * 12, "again": [10.0] * 12, "head": [20.0] * 12}
    names = [name for name, what in log if what == "turn"]
    rounds = [tuple(names[i : i + 3]) for i in range(3, len(names), 3)]
    assert set(Counter(rounds).values()) == {2}  # each of the six orders
    assert [what for _, what in log[:3]] == ["open"] * 3
    assert [what for _, what in log[-3:]] == ["close"] * 3


def test_a_case_that_cannot_be_opened_again_names_the_side():
    workers = {
        "base": Client("base", []),
        "head": Client("head", [], opened={"failed": "RuntimeError: gone"}),
    }
    with pytest.raises(
        WorkerError, match="head: a could be measured before, and cannot be any more: RuntimeError"
    ):
        take_turns(workers, "a", JOB, random.Random(3))


def test_the_log_ratio_leaves_out_a_fifth_of_the_turns_at_either_end():
    assert log_ratio([2.0] * 8 + [1e9, 1e-9], [1.0] * 10) == pytest.approx(math.log(2))


def test_a_sample_holds_medians_of_a_step_and_both_ratios():
    sample = sample_of({"base": [1.0] * 5, "head": [1.1] * 5, "again": [0.9] * 5}, 10, 3)
    assert (sample.launch, sample.base, sample.head) == (3, 0.1, 0.11)
    assert sample.log_ratio == pytest.approx(math.log(1.1), abs=1e-6)
    assert sample.control == pytest.approx(math.log(0.9), abs=1e-6)
    assert sample_of({"base": [1.0] * 5, "head": [1.1] * 5}, 10, 3).control is None
    assert (sample.base_sum, sample.head_sum, sample.again_sum) == (5.0, 5.5, 4.5)


def test_steps_ahead_of_the_turns_come_where_a_turn_is_few_steps():
    def ahead(seconds):
        workers = {name: Client(name, [], seconds) for name in ("base", "head")}
        asked = []
        for worker in workers.values():
            worker.tell = lambda **request: asked.append(request.get("steps"))
        take_turns(workers, "a", LaunchJob("screen", 1, {"a": 1}, 4, phase=0.75), random.Random(1))
        return max(steps for steps in asked if steps)

    assert ahead(1e-3) == 0.75 * PHASE
    assert ahead(1.0) == 1  # a long step
    assert phase_steps(100, 1e-5) == 1  # each turn meets a slow step anyway


@given(st.floats(0, 1, exclude_max=True), st.integers(0, PHASE - 1), st.sampled_from([16, 64, 100]))
def test_no_draw_hides_a_rare_step_from_the_launches_that_can_be_expected_to_meet_it(first, before, turns):
    """Every hundredth step is slow, wherever the turns begin."""
    launches = 12
    starts = [before + int(phase * PHASE) for phase in phases(launches, first)]
    meet = sum((start + turns) // PHASE > start // PHASE for start in starts)
    assert abs(meet - launches * turns / PHASE) < 1


@pytest.fixture
def arms(tmp_path):
    folder = make_repository(tmp_path / "theirs")
    write_mine(folder, heavy=4e-4)
    with prepared_trees(folder, {"base": "HEAD", "head": None}, "speed") as trees:
        yield tuple(
            Arm(name, Path(sys.executable), tree.path, trees.harness, trees.suite)
            for name, tree in (("base", trees.base), ("head", trees.head))
        )


@pytest.mark.parametrize("launch", [run_launch, run_sequential_launch])
@pytest.mark.parametrize(("stage", "processes"), [("screen", 2), ("confirm", 3)])
def test_a_launch_measures_each_case_on_each_side(arms, launch, stage, processes):
    done = []
    launched = launch(
        *arms, LaunchJob(stage, 1, {"light": 20, "heavy": 20}, 6), advance=lambda: done.append(1)
    )
    assert launched.error is None
    assert len(done) == 2
    assert (launched.launch.stage, launched.launch.turns) == (stage, 6)
    ratios = {case: math.exp(log_ratio(t["head"], t["base"])) for case, t in launched.turns.items()}
    assert ratios == {"light": pytest.approx(1, abs=0.02), "heavy": pytest.approx(2, abs=0.02)}
    assert {len(turns) for turns in launched.turns.values()} == {processes}


def test_a_launch_that_dies_keeps_what_it_has_and_says_why(arms):
    head = arms[1].tree / "mine" / "__init__.py"
    head.write_text("light = 1e-4\ndef __getattr__(name):\n    import os\n    os.kill(os.getpid(), 9)\n")
    seeds = iter(range(100))
    launched = next(
        one
        for one in (
            run_launch(*arms, LaunchJob("screen", seed, {"light": 20, "heavy": 20}, 4)) for seed in seeds
        )
        if one.turns
    )
    assert launched.turns.keys() == {"light"}
    assert "head: the measuring process died (SIGKILL)" in launched.error


def test_a_launch_ends_when_it_is_told_to(arms):
    launched = run_launch(*arms, LaunchJob("screen", 1, {"light": 20}, 4), stopped=lambda: True)
    assert (launched.turns, launched.error) == ({}, None)


def test_preparing_takes_the_cases_in_order_and_the_second_side_in_the_opposite_one(arms):
    base, head = (
        prepare(arm, (), lambda: None, again=again) for arm, again in zip(arms, (False, True), strict=True)
    )
    assert [*base.opened] == ["light", "heavy", "absent"] == [*head.opened][::-1]
    assert base.families == dict.fromkeys(base.opened, "all")
    # A turn of 3 ms: 30 steps of 0.1 ms and 15 of 0.2 ms, by the suite's clock.
    assert [base.opened[case].steps for case in ("light", "heavy")] == [
        pytest.approx(30, abs=1),
        pytest.approx(15, abs=1),
    ]
    assert head.opened["light"].steps is None
    assert base.opened["absent"].skipped == "nobody has it"
