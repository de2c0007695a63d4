import runpy
from pathlib import Path

import pytest
import torch

from rmsprop import FusedRMSprop
from rmsprop.book.airfoil import load_airfoil

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.slow
def test_the_fused_example_ends_at_torchs_loss():
    example = runpy.run_path(str(EXAMPLES / "train_fused.py"))
    example["train"].__globals__["EPOCHS"] = 2
    X, y = load_airfoil(mirrors=()).to("cpu", torch.float32)
    with torch.random.fork_rng():
        losses = [example["train"](kind, X, y)[0] for kind in (torch.optim.RMSprop, FusedRMSprop)]
    assert losses[0] < float(y.var() / 2)  # it has learned
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)
