"""The gate's cases of `benchmarks.suite` that need a fresh process: `import rmsprop`, and the first step.

A process that has imported torch, and nothing of rmsprop, forks for each: torch's own import, seconds long
and not ours, is not in the time. Kernels that are built on first use are in their cache by then.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

IMPORT = "import rmsprop; rmsprop.FusedRMSprop"
START = {
    "start-import": ("", IMPORT),
    "start-first-step": (
        f"{IMPORT}; p = torch.nn.Parameter(torch.ones(6)); p.grad = torch.ones(6)",
        "rmsprop.FusedRMSprop([p], lr=0.01).step()",
    ),
}
"""What comes before the clock, and what is timed."""
PARENT = """
import os, sys, time, torch
before, timed = (compile(code, "start", "exec") for code in sys.argv[1:])
for _ in sys.stdin:
    child = os.fork()
    if not child:
        names = {"torch": torch}
        exec(before, names)
        begin = time.perf_counter()
        exec(timed, names)
        print(time.perf_counter() - begin, flush=True)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        sys.exit(1)
"""


@contextmanager
def start(case: str) -> Iterator[Callable[[int], float]]:
    """A process that forks for each step; `run` returns the seconds that the children took."""
    if not hasattr(os, "fork"):
        raise NotImplementedError("this system cannot fork")
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PARENT, *START[case]],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        stdin, stdout = parent.stdin, parent.stdout
        assert stdin is not None
        assert stdout is not None

        def once() -> float:
            stdin.write("\n")
            stdin.flush()
            if not (said := stdout.readline()):
                raise RuntimeError("the process that starts ended; what it said stands above")
            return float(said)

        try:
            once()  # what is built on first use
            yield lambda steps: sum(once() for _ in range(steps))
        finally:
            parent.kill()
