"""Exact counters of a step: what it dispatches, calls and allocates. No clock is read: they have no noise.

Copied beside the worker, and imports nothing of rmsprop; torch, where it is installed, only when it counts.
"""

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

Steps = Callable[[int], Any]


def count(run: Steps) -> dict[str, Any]:
    """The counters of one step, by name.

    operations      how often each operation of torch is dispatched, by its name
    python_calls    calls of Python functions
    c_calls         calls of functions written in C
    kernels         how often each kernel is launched on CUDA, by its name; none without CUDA
    allocated       bytes that torch allocates, on CUDA once it is in use, else on the CPU
    peak            most bytes alive at a time beyond those before the step

    What no step takes is subtracted, so that the surroundings of `run` cancel out. If nothing has
    imported torch, there are calls alone.
    """
    none, one = _calls(run, 0), _calls(run, 1)
    counted: dict[str, Any] = {name: one[name] - none[name] for name in ("python_calls", "c_calls")}
    if "torch" not in sys.modules:  # what the suite does without torch needs none here
        return counted
    dispatched = _operations(run, 1)
    dispatched.subtract(_operations(run, 0))
    operations = {name: number for name, number in sorted(dispatched.items()) if number}
    cuda = sys.modules["torch"].cuda.is_initialized()
    allocated, peak = _memory_on_cuda(run) if cuda else _memory(run)
    kernels = _kernels(run) if cuda else None
    return counted | {"operations": operations, "kernels": kernels, "allocated": allocated, "peak": peak}


def _calls(run: Steps, steps: int) -> Counter[str]:
    seen: Counter[str] = Counter()
    names = {"call": "python_calls", "c_call": "c_calls"}

    def notice(_frame: object, event: str, _argument: object) -> None:
        if event in names:
            seen[names[event]] += 1

    former = sys.getprofile()
    sys.setprofile(notice)
    try:
        run(steps)
    finally:
        sys.setprofile(former)
    return seen


def _operations(run: Steps, steps: int) -> Counter[str]:
    from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC0415 (a side may have no torch)

    seen: Counter[str] = Counter()

    class Dispatched(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen[str(func)] += 1
            return func(*args, **(kwargs or {}))

    with Dispatched():  # type: ignore[no-untyped-call]
        run(steps)
    return seen


def _memory(run: Steps) -> tuple[int, int]:
    """Bytes allocated, and the most alive at a time, in the second of two steps.

    The profiler does not see memory freed that it did not see taken. What the first step takes it knows when
    the second one frees it.
    """
    from torch.profiler import ProfilerActivity, profile, record_function  # noqa: PLC0415

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run(1)
        with record_function("counted step"):
            run(1)
    events = sorted(profiled.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    begin = next(event.start_ns() for event in events if event.name() == "counted step")
    changes = [event.nbytes() for event in events if event.name() == "[memory]" and event.start_ns() >= begin]
    alive = peak = 0
    for change in changes:
        alive += change
        peak = max(peak, alive)
    return sum(change for change in changes if change > 0), peak


def _kernels(run: Steps) -> dict[str, int]:
    import torch  # noqa: PLC0415
    from torch.profiler import ProfilerActivity, profile  # noqa: PLC0415

    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiled:
        run(1)
        torch.cuda.synchronize()
    launched = Counter(
        event.name()
        for event in profiled.profiler.kineto_results.events()
        if event.device_type() == torch._C._autograd.DeviceType.CUDA
        and not event.name().startswith(("Memcpy", "Memset"))
    )
    return dict(sorted(launched.items()))


def _memory_on_cuda(run: Steps) -> tuple[int, int]:
    import torch  # noqa: PLC0415

    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    name = "allocated_bytes.all.allocated"
    alive, before = torch.cuda.memory_allocated(), torch.cuda.memory_stats()[name]
    run(1)
    torch.cuda.synchronize()
    return torch.cuda.memory_stats()[name] - before, torch.cuda.max_memory_allocated() - alive
