"""Where this package keeps what it can make or fetch again: the built kernel and the airfoil file."""

import os
from pathlib import Path

from platformdirs import user_cache_path


def cache_folder() -> Path:
    """The folder that RMSPROP_CACHE names, or else the user's cache folder of this system."""
    if named := os.environ.get("RMSPROP_CACHE"):
        return Path(named)
    return user_cache_path("rmsprop-bench", appauthor=False)
