"""Fixtures that several rooms share."""

import os
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real airfoil file: RMSPROP_DATA, or the copy that lies beside the checkout."""
    path = Path(
        os.environ.get("RMSPROP_DATA") or CHECKOUT.parent / "shared" / "data" / "airfoil_self_noise.dat"
    )
    if not path.is_file():
        pytest.skip(f"needs the real airfoil data; none at {path} (set RMSPROP_DATA)")
    return path
