"""What most times of a run share marks none of them; what sets a time apart marks it."""

import pytest

from rmsprop.suite.verdicts.usual import usual_sentence, usual_warnings

BUSY, SLOW = ("busy: others",), ("busy: others", "clock: it fell")


@pytest.mark.parametrize(
    ("times", "usual"),
    [
        ([BUSY] * 3 + [()] * 2, {"busy"}),
        ([BUSY] * 3 + [()] * 3, set()),  # half of them are not most
        ([SLOW] + [BUSY] * 4, {"busy"}),
        ([SLOW] * 5, {"busy", "clock"}),
        ([BUSY] * 4, set()),  # too few to say
        ([], set()),
    ],
)
def test_a_warning_is_usual_where_more_than_half_of_five_times_or_more_have_it(times, usual):
    assert usual_warnings(times) == usual


def test_two_warnings_of_one_kind_at_one_time_count_once():
    assert usual_warnings([("busy: a", "busy: b"), ("busy: a", "busy: b"), (), (), ()]) == set()


def test_a_sentence_claims_of_each_usual_warning_that_most_times_have_it_and_not_that_they_have_all():
    assert usual_sentence(()) == ""
    assert usual_sentence(["unstable"]) == "Most times of this run have the warning unstable."
    assert usual_sentence(["unstable", "busy"]) == (
        "Most times of this run have the warning busy, and most the warning unstable."
    )
