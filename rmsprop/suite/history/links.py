"""Where a commit can be read: `show_commit_url` of the asv.conf.json that belongs to a results folder."""

import re
from pathlib import Path

from rmsprop.suite.records.files import read_bytes

_URL = re.compile(r'"show_commit_url"\s*:\s*"(https?://[^"\\\s]+)"')
_COMMENT = re.compile(r"^\s*//.*$", re.MULTILINE)
_ABOVE = 3
"""Folders above the results in which asv's configuration may lie."""


def commit_url(results: Path) -> str | None:
    """What comes before the hash in the address of a commit, from the nearest asv.conf.json.

    None where no configuration lies in `results` or in the folders right above it, or where it says nothing.
    asv allows comments in the file; it is searched, since that one string is all that is needed.
    """
    for folder in (results.resolve(), *results.resolve().parents[:_ABOVE]):
        try:
            text = read_bytes(folder / "asv.conf.json").decode("utf-8", "replace")
        except (OSError, ValueError):
            continue
        found = _URL.search(_COMMENT.sub("", text))
        return found[1] if found else None
    return None
