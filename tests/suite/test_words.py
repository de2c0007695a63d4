import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rmsprop.suite.words import (
    LONGEST_SLUG,
    command,
    commit_name,
    count,
    duration,
    factor,
    size_of,
    slug,
    when,
    with_unit,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (9.996e-4, "1 ms"),
        (1.234e-5, "12.3 µs"),
        (9.99e-4, "999 µs"),
        (3e-9, "3 ns"),
        (61.25, "61.2 s"),
        (4321.0, "4,320 s"),
        (0.0, "0 ns"),
    ],
)
def test_a_time_has_three_digits_and_a_unit(seconds, words):
    assert duration(seconds) == with_unit(seconds, "seconds") == words


@pytest.mark.parametrize(
    ("ratio", "words"),
    [
        (1, "1.00"),
        (0.5, "0.500"),
        (5.918, "5.92"),
        (40.46, "40.5"),
        (99.96, "100"),
        (1234.5, "1,230"),
        (0, "0.00"),
    ],
)
def test_a_ratio_keeps_three_digits_noughts_too(ratio, words):
    assert factor(ratio) == words


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 B"), (24, "24 B"), (4096, "4.0 KiB"), (4e6, "3.81 MiB")]
)
def test_memory_has_a_unit(number, words):
    assert size_of(number) == with_unit(number, "bytes") == words


def test_a_command_can_be_typed_as_it_is_advised():
    typed = command("bench", profile="smoke", optimizer=("a:A", "b:B"), output=Path("it's mine/results"))
    assert shlex.split(typed) == [
        *("rmsprop", "bench", "--profile", "smoke", "--optimizer", "a:A", "--optimizer", "b:B"),
        *("--output", "it's mine/results"),
    ]


def test_what_is_missing_has_words():
    assert when(None) == "unknown"
    assert commit_name(None, None) == "an installed wheel"
    assert commit_name("0123456789ab", True) == "012345678 with local changes"


def test_one_is_singular():
    assert (count(1, "case"), count(1200, "case")) == ("1 case", "1,200 cases")


def test_a_slug_is_safe_in_a_files_name_and_an_address():
    assert slug("../a <b>|c d") == "a-b-c-d"
    assert slug("a" * LONGEST_SLUG) == "a" * LONGEST_SLUG


def test_the_slug_of_a_long_name_is_short_and_its_own():
    one, other = slug("a" * 300), slug("a" * 299)
    assert one.startswith("aaaa")
    assert one != other
    assert {len(one), len(other)} == {LONGEST_SLUG}


def test_a_time_of_a_record_and_one_of_the_frame_read_alike():
    assert when("2026-01-02T03:04:05+00:00") == "2026-01-02 03:04 UTC"
    assert when(datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)) == "2026-01-02 03:04 UTC"
