"""Facts of a machine that no machine has are refused, in every kind of record."""

import math

import pytest
from pydantic import ValidationError

from rmsprop.suite.case import Case
from rmsprop.suite.records.bench import BenchRecord


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("started", ""),
        ("started", "0000-99-99"),
        ("started", "2026-01-02T03:04:05"),
        ("cpus", 0),
        ("memory_bytes", -1),
        ("threads", 0),
        ("load", -0.5),
        ("load", math.nan),
        ("load", math.inf),
    ],
)
def test_what_no_machine_has_is_refused(make_environment, fact, value):
    with pytest.raises(ValidationError, match=fact):
        make_environment(**{fact: value})


def test_a_case_has_no_negative_threads(make_environment):
    case = Case.parse("scratch-cpu-float32-1e3-single-1t")
    BenchRecord(make_environment(), case, "skipped", "x", None, (), ())
    case = Case("scratch", "cpu", "float32", "1e3", "single", -1)
    with pytest.raises(ValidationError, match="-1 threads"):
        BenchRecord(make_environment(), case, "skipped", "x", None, (), ())
