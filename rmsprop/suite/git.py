"""git, asked in one way: nothing in the surroundings or in the repository changes what it answers."""

import os
import subprocess
from pathlib import Path

from rmsprop.errors import UserError

_KEPT = ("GIT_CONFIG_", "GIT_CEILING_DIRECTORIES")
"""Variables that are the user's settings. The other GIT_* name a repository: git sets them for a hook or an
alias, and another folder's answer would then come from that repository."""

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "log.showSignature=false",
)
"""A repository's own settings may start programs, or print more than was asked for."""


def git(folder: Path, *arguments: str, timeout: float | None = None, index: Path | None = None) -> str:
    """What git prints in `folder`, without the last newline; bytes that are not UTF-8 as surrogates.

    `index` is a file that takes the place of the repository's index, which then stays as it is.

    UserError says why git failed, is absent, or took longer than `timeout` seconds. git takes no lock that
    it can do without, and speaks English, so that its messages can be told apart.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name.startswith(_KEPT)
    }
    settings = [word for setting in _SETTINGS for word in ("-c", setting)]
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *settings, *arguments],
            env=environment
            | {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
            | ({"GIT_INDEX_FILE": str(index)} if index else {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise UserError("there is no git here: install git") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"git {arguments[0]}: {error}") from error
    if answer.returncode:
        said = next(iter(answer.stderr.strip().splitlines()), f"exit code {answer.returncode}")
        raise UserError(f"git {arguments[0]}: {said}")
    return answer.stdout.removesuffix("\n")


def git_or_none(folder: Path, *arguments: str, timeout: float | None = 30.0) -> str | None:
    """The same; None where git fails, is absent, or takes longer than `timeout` seconds."""
    try:
        return git(folder, *arguments, timeout=timeout)
    except UserError:
        return None
