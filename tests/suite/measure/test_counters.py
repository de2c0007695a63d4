"""Operations and calls of an epoch are counted exactly."""

import sys

import pytest
import torch

from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.programs import PROGRAMS
from rmsprop.suite.measure.counters import counts_of


@pytest.mark.slow
def test_two_counts_are_equal_and_concise_dispatches_fewer_operations_with_more_calls():
    rows = load_airfoil("surrogate").to("cpu", torch.float32)
    scratch, concise = (counts_of(PROGRAMS[name], *rows) for name in ("rmsprop-scratch", "rmsprop-concise"))
    assert counts_of(PROGRAMS["rmsprop-scratch"], *rows) == scratch
    assert scratch.torch_operations > concise.torch_operations > 150 * 10
    assert scratch.python_calls + scratch.c_calls < concise.python_calls + concise.c_calls
    assert sys.getprofile() is None
