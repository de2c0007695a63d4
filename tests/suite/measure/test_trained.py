"""Ensembles are on disk as soon as they are trained, and a rerun of the same code goes on from there."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.ensemble import ensemble
from rmsprop.book.programs import PROGRAMS
from rmsprop.suite.measure import trained
from rmsprop.suite.measure.trained import Trained

PROGRAM = replace(PROGRAMS["adagrad-scratch"], batch_size=500)
"""Larger batches than the book's, so that it trains in no time."""


@pytest.fixture
def of_rows(tmp_path):
    rows = load_airfoil("surrogate").to("cpu", torch.float32)
    return lambda seeds=150: Trained(*rows, seeds, tmp_path)


def ignore(_seeds):
    pass


def test_a_rerun_takes_from_disk_what_was_trained_and_says_that_it_took_no_time(of_rows, monkeypatch):
    first = of_rows().losses(PROGRAM, ignore)
    assert first.cpu_seconds > 0
    monkeypatch.delattr(trained, "ensemble")
    told = []
    again = of_rows().losses(PROGRAM, told.append)
    np.testing.assert_array_equal(again.values, first.values)
    assert (again.seconds, again.cpu_seconds, told) == (0.0, 0.0, [150])


@pytest.mark.parametrize("change", ["program", "seeds", "code"])
def test_what_another_program_other_seeds_or_other_code_gave_is_not_taken(change, of_rows, monkeypatch):
    of_rows().losses(PROGRAM, ignore)
    program, seeds = PROGRAM, 150
    if change == "program":
        program = replace(PROGRAM, hyperparameters={**PROGRAM.hyperparameters, "lr": 0.2})
    elif change == "seeds":
        seeds = 151
    else:
        monkeypatch.setattr(trained, "code", lambda: b"other code")
    assert of_rows(seeds).losses(program, ignore).cpu_seconds > 0


def test_slices_of_the_seeds_are_the_seeds_and_a_stop_keeps_whole_slices_off_disk(of_rows, monkeypatch):
    monkeypatch.setattr(trained, "SLICE", 64)
    whole = of_rows()
    found = whole.losses(PROGRAM, ignore)
    expected = ensemble(PROGRAM, whole.features, whole.labels, range(150)).losses
    np.testing.assert_array_equal(found.values, expected.numpy())
    stopped = of_rows(200)
    stopped.stop.set()
    assert stopped.losses(PROGRAM, ignore).values.shape[1] == 64
    assert len(list(stopped.folder.iterdir())) == 1


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"{}", None])
def test_a_damaged_file_is_trained_again(of_rows, tmp_path, content):
    first = of_rows().losses(PROGRAM, ignore)
    [path] = tmp_path.glob("*.npy")
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    again = of_rows().losses(PROGRAM, ignore)
    np.testing.assert_array_equal(again.values, first.values)
    assert again.cpu_seconds > 0


def test_losses_of_another_shape_or_dtype_are_trained_again(of_rows, tmp_path):
    first = of_rows().losses(PROGRAM, ignore)
    [path] = tmp_path.glob("*.npy")
    for odd in (first.values[:, :9], first.values.astype(np.float32), np.array(["x"])):
        np.save(path, odd)
        np.testing.assert_array_equal(of_rows().losses(PROGRAM, ignore).values, first.values)
