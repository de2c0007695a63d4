"""The counts of calls: the same every time, and more for more work."""

import json

import pytest

from studies.calls import IMPLEMENTATIONS, calls_of_a_step, page


@pytest.mark.parametrize("name", ["scratch", "builtin-loop", "builtin-foreach"])
def test_a_count_is_the_same_every_time_and_grows_with_the_tensors(name):
    assert name in IMPLEMENTATIONS
    once, again, more = (calls_of_a_step(name, tensors) for tensors in (1, 1, 10))
    assert once == again
    assert more["c"] > once["c"] > 0
    assert more["python"] > once["python"] > 0


def test_the_page_has_a_column_for_each_version(tmp_path):
    for version, calls in (("1.0", 4), ("2.0", 5)):
        record = {"torch": version, "calls": {"loop, 1 tensor": {"python": calls, "c": 7}}}
        (tmp_path / f"torch{version}.json").write_text(json.dumps(record))
    assert "| implementation | 1.0 | 2.0 |" in page(tmp_path)
    assert "| loop, 1 tensor | 4 + 7 | 5 + 7 |" in page(tmp_path)
