import math
from dataclasses import replace

import pandas as pd
import pytest

from rmsprop.book.claims import claims
from rmsprop.suite.report.frames import Reproduction, claims_of, frames_of, records_frame
from rmsprop.suite.verdicts.reproduction import judge, judge_order


@pytest.fixture(scope="module")
def frames(make_record):
    return frames_of(make_record())


def test_there_is_one_verdict_row_for_each_claim_and_it_is_the_judges(frames, make_record):
    verdicts = judge(make_record())
    assert len(frames.verdicts) == len(claims())
    assert list(frames.verdicts["status"]) == [verdict.status for verdict in verdicts]
    assert list(frames.verdicts["words"]) == [verdict.words for verdict in verdicts]
    assert frames.order["here"].item() == judge_order(make_record()).here


def test_the_primary_editions_claim_is_the_first_row(frames):
    for program in ("scratch", "concise"):
        for quantity in ("loss", "sec_per_epoch"):
            assert claims_of(frames, program, quantity)["edition"].iloc[0] == "docs"


def test_epochs_run_from_zero_to_the_books_two(frames):
    assert frames.runs["epoch"].min() == frames.curves["epoch"].min() == 0
    assert frames.runs["epoch"].max() == frames.curves["epoch"].max() == 2


def test_seconds_are_those_of_the_last_epoch(frames, make_record):
    expected = [seconds[-1] for seconds in make_record().programs["scratch"].epoch_seconds]
    assert list(frames.seconds.loc[frames.seconds["program"] == "scratch", "seconds"]) == expected


def test_seconds_of_another_timer_are_marked_as_not_comparable(frames):
    odd = frames.verdicts[~frames.verdicts["comparable"]]
    assert set(odd["edition"]) == {"d2l-en 0.17.6", "d2l-en 1.0.3", "d2l-zh 2.0.0"}
    assert set(odd["quantity"]) == {"sec_per_epoch"}


def test_an_interrupted_run_leaves_empty_frames_with_the_same_columns(frames, interrupted):
    left = frames_of(interrupted)
    for name in ("runs", "seconds", "curves", "histogram"):
        assert getattr(left, name).empty
        assert list(getattr(left, name)) == list(getattr(frames, name))
        assert list(getattr(left, name).dtypes) == list(getattr(frames, name).dtypes)


def test_runs_that_lost_their_numbers_stay_in_the_frame(make_record):
    record = make_record(runs=6)
    scratch = record.programs["scratch"]
    lost = (*scratch.losses[:-1], (0.49, *(math.nan,) * 30))
    record = replace(record, programs={**record.programs, "scratch": replace(scratch, losses=lost)})
    runs = frames_of(record).runs
    assert runs.loc[runs["program"] == "scratch", "loss"].isna().sum() == 30


def test_a_record_is_summed_up_in_words(make_record, interrupted):
    records = [make_record(), make_record(mean=0.3), make_record(seeds=100), interrupted]
    judged = [Reproduction.of(record) for record in records]
    words = list(records_frame(judged)["verdict"])
    assert words[:2] == ["6 of 6 reproduced", "4 of 6 reproduced, 2 not reproduced"]
    assert words[3] == "4 of 6 reproduced, 2 not run; interrupted"
    assert [one.decides for one in judged] == [True, True, True, False]
    assert [one.holds for one in judged] == [True, False, True, False]


def test_no_records_make_an_empty_frame():
    assert isinstance(records_frame([]), pd.DataFrame)
    assert records_frame([]).empty
