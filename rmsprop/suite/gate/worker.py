"""The process that measures one side: it makes cases ready and takes turns, as it is told.

Copied beside the suite and run from there by the interpreter under test, with the tree under test on its
path: it imports nothing of rmsprop but what the suite does. A request is a line of JSON on the standard
input, and has one answer on what was the standard output:

    {"do": "hello", "suite": name, "tree": path}   versions and the suite's cases; imports the package
    {"do": "open", "case": id, "timed": bool}      makes the case ready; {"skipped": why} or {"failed": why}
    {"do": "count", "twice": bool}                 the exact counters of a step, see counting.py
    {"do": "steps", "seconds": s}                  how many steps take about that long
    {"do": "turn", "steps": n}                     takes them; the seconds
    {"do": "close"}                                gives the case back

While another side measures, this one waits in a blocking read. The end of the input ends it.
"""

import gc
import importlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

MOST_STEPS = 10**6
"""Upper bound for a turn. If a million steps take no measurable time, the suite returns a broken clock."""


class Worker:
    """A suite, and the case that is open.

    Attributes
    ----------
    suite
        Its module; None before `hello`.
    run
        Takes so many steps of the open case: seconds, or None where the suite leaves it to us to time them.
    case
        What ends the open case.
    counts
        Whether a step was counted before: the first time imports what counting needs.
    families
        Families of the cases that were opened to be timed: their imports are frozen.
    schedule
        Open file in which Linux says how long this thread waited for a CPU; None elsewhere.
    pauses
        Of the open case; None before the first.
    """

    def __init__(self) -> None:
        self.suite: Any = None
        self.run: Callable[[int], float | None] = lambda steps: None
        self.case = ExitStack()
        self.counts = False
        self.families: set[str] = set()
        self.schedule = _open("/proc/thread-self/schedstat")
        self.pauses: Any = None

    def hello(self, suite: str, tree: str) -> dict[str, Any]:
        self.suite = importlib.import_module(suite)
        missing = [name for name in ("PACKAGE", "cases", "make") if not hasattr(self.suite, name)]
        if missing:
            raise AttributeError(f"the suite {suite} has no {', '.join(missing)}")
        if self.suite.PACKAGE is not None:
            _require(self.suite.PACKAGE, Path(tree))
        family = self._family()
        uncounted = getattr(self.suite, "uncounted", lambda case: None)
        dear = getattr(self.suite, "dear", lambda case: False)
        versions = {name: found for name in ("torch", "numpy") if (found := _version(name))}
        return {
            "python": platform.python_version(),
            "versions": versions,
            "cases": [[case, family(case), uncounted(case), bool(dear(case))] for case in self.suite.cases()],
        }

    def open(self, case: str, timed: bool = True) -> dict[str, Any]:
        self.close()
        self.pauses = importlib.import_module("gate_pauses").Pauses()
        begin, used = time.perf_counter(), time.process_time()
        try:
            make = self.suite.make if timed else getattr(self.suite, "make_to_count", self.suite.make)
            self.run = self.case.enter_context(make(case))
            self.run(1)
        except NotImplementedError as reason:
            return {"skipped": next(iter(str(reason).strip().splitlines()), type(reason).__name__)}
        except (Exception, SystemExit) as error:
            return {"failed": _line_of(error), "trace": "".join(traceback.format_exception(error))}
        self._tidy(self._family()(case), timed)
        return {"seconds": time.perf_counter() - begin, "used": time.process_time() - used}

    def count(self, twice: bool) -> dict[str, Any]:
        """The counters of a step, those of them that differ from step to step, and the suite's result.

        Whether some differ is not known unless they are counted `twice`.
        """
        count = importlib.import_module("gate_counting").count
        result = getattr(self.run, "result", None)

        def counters() -> dict[str, Any]:
            counted: dict[str, Any] = count(self.run)
            return counted | {"result": None if result is None else str(result())}

        try:
            if not self.counts:  # what counting itself imports
                count(lambda _steps: None)
                self.counts = True
            once = again = counters()
            if twice:
                again = counters()
            if once != again:  # the first step of a kind may import, or fill a cache
                once, again = again, counters()
        except Exception as error:
            return {"uncounted": _line_of(error)}
        return again | {"unstable": sorted(name for name in once if once[name] != again[name])}

    def steps(self, seconds: float) -> dict[str, Any]:
        steps, taken = 1, self._time(1)
        while taken < seconds / 2:
            if steps > MOST_STEPS:
                raise ValueError(f"{steps} steps took {taken} s, which is no time to compare")
            steps = max(2 * steps, min(100 * steps, int(0.7 * steps * seconds / max(taken, 1e-9))))
            taken = self._time(steps)
        return {"steps": max(1, round(steps * seconds / taken))}

    def turn(self, steps: int) -> dict[str, Any]:
        if (seconds := self._time(steps)) <= 0:
            raise ValueError(f"{steps} steps took {seconds} s, which is no time to compare")
        return {"seconds": seconds}

    def close(self) -> dict[str, Any]:
        self.case.close()
        return {}

    def _family(self) -> Callable[[str], str]:
        return getattr(self.suite, "family", lambda case: "all")

    def _tidy(self, family: str, timed: bool) -> None:
        """Collect garbage before the turns, and leave out of all later collections what a family imported.

        To look through all that torch imports takes longer than most cases. Where there are no turns nothing
        is collected at all: what that calls would be counted.
        """
        if not timed:
            gc.disable()
            return
        gc.collect()
        if family not in self.families:
            self.families.add(family)
            gc.freeze()

    def _time(self, steps: int) -> float:
        """Seconds, without those in which the process was ready to run and others had its CPU.

        Turns in which it stood still are taken again.
        """

        def sample() -> float:
            begin = time.perf_counter()
            waited = self._waited()
            own = self.run(steps)
            waited = self._waited() - waited
            return time.perf_counter() - begin - waited if own is None else own

        seconds: float = self.pauses.undisturbed(sample)
        return seconds

    def _waited(self) -> float:
        return int(os.pread(self.schedule, 64, 0).split()[1]) / 1e9 if self.schedule else 0.0


def _require(package: str, tree: Path) -> None:
    """ImportError where the package does not come from the tree."""
    module = importlib.import_module(package)
    found = Path(module.__file__ or next(iter(module.__path__))).resolve()
    if not found.is_relative_to(tree.resolve()):
        raise ImportError(f"the tree has no package {package}")


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _line_of(error: BaseException) -> str:
    line: str = importlib.import_module("gate_places").line_of(error)
    return line


def main() -> None:
    """Answer until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the suite prints must not mix with the answers
    worker = Worker()
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line)
        try:
            answer = getattr(worker, request.pop("do"))(**request)
        except (Exception, SystemExit) as error:
            answer = {"error": _line_of(error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
