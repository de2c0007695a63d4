"""An error in one line, with the place in somebody's code. The gate copies this file beside its worker.

It loads nothing but the standard library.
"""

import traceback
from pathlib import Path

_THROUGH = {"torch", "contextlib", "importlib"}
"""Packages that raise what their caller did wrong: the caller's line is told."""
_OURS = ("rmsprop.suite", "__main__", "gate_pauses", "gate_counting")
"""The harness; in a process of the gate the worker is `__main__`."""


def line_of(error: BaseException) -> str:
    """Type and first line of the error; where somebody else's code raised it, with file and line."""
    return in_one_line(error) + _place(error)


def in_one_line(error: BaseException) -> str:
    """Type and first line of the error."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


def _place(error: BaseException) -> str:
    """Such as ` (opts.py, line 63)`; nothing where the harness raised it."""
    for frame, line in reversed([*traceback.walk_tb(error.__traceback__)]):
        module, file = str(frame.f_globals.get("__name__")), frame.f_code.co_filename
        if module.partition(".")[0] in _THROUGH or file.startswith("<"):
            continue
        ours = any(module == name or module.startswith(f"{name}.") for name in _OURS)
        return "" if ours else f" ({Path(file).name}, line {line})"
    return ""
