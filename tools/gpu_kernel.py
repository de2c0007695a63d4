"""The parts of `gpu-check` that time the Triton kernel and the host's work around it."""

import cProfile
import io
import json
import os
import pstats
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rmsprop import FusedRMSprop
from rmsprop.optimizers.fused import cuda
from rmsprop.optimizers.fused.options import StepOptions
from rmsprop.suite.measure.registry import implementation
from rmsprop.suite.shapes import resnet50

ROOT = Path(__file__).resolve().parents[1]
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
INTERPRETED = cuda.unavailable() is None and os.environ.get("TRITON_INTERPRET") == "1"
ADAGRAD = "benchmarks.others:adagrad"
RIVALS = ("builtin-loop", "builtin-foreach", "builtin-capturable", "builtin-compiled", ADAGRAD)
HYPERPARAMETERS = {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}


def say(text: str) -> None:
    """A line of the summary."""
    print(f"= {text}", flush=True)


def synchronize() -> None:
    """Wait for the device."""
    if CUDA:
        torch.cuda.synchronize()


def write(output: Path, name: str, content: object) -> None:
    """Keep figures beside the logs, with what they were measured on."""
    where = {
        "device": torch.cuda.get_device_name() if CUDA else "cpu",
        "torch": torch.__version__,
        "triton": __import__("triton").__version__,
    }
    text = json.dumps({**where, name: content}, indent=1)
    (output / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def on_device(run: Callable[[], object], times: int = 20) -> float:
    """Median seconds of a run on the device, by events; on the CPU by the clock."""
    run()
    found = []
    for _ in range(times):
        if CUDA:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            run()
            end.record()
            end.synchronize()
            found.append(begin.elapsed_time(end) / 1e3)
        else:
            started = time.perf_counter()
            run()
            found.append(time.perf_counter() - started)
    return statistics.median(found)


def copy_bandwidth() -> float:
    """Bytes a second, read and written, at which torch copies 1 GiB on the device."""
    source = torch.ones(2**28 if CUDA else 2**22, device=DEVICE)
    target = torch.empty_like(source)
    return 2 * source.numel() * 4 / on_device(lambda: target.copy_(source))


# ---- host


def many(count: int, shapes: tuple[tuple[int, ...], ...]) -> tuple[list[nn.Parameter], list[list[Tensor]]]:
    """Parameters, and so many sets of gradients at addresses of their own."""
    params = [nn.Parameter(torch.randn(shape, device=DEVICE)) for shape in shapes]
    return params, [[torch.randn_like(p) for p in params] for _ in range(count)]


def host_seconds(step: Callable[[], object], before: Callable[[], object], steps: int = 20) -> float:
    """Median seconds that a call of step takes the host, while the device keeps up."""
    found = []
    for _ in range(15 if CUDA else 2):
        synchronize()
        for _ in range(steps if CUDA else 2):
            before()
            started = time.perf_counter()
            step()
            found.append(time.perf_counter() - started)
    synchronize()
    return statistics.median(found)


def host(output: Path, _commit: str) -> None:
    """What step() costs the host for the tensors of ResNet-50, and where the time goes."""
    figures: dict[str, float] = {}
    layouts = {"161 of 64": 161 * ((64,),), "ResNet-50": resnet50(), "book": ((5, 1), (1,))}
    if not CUDA:
        del layouts["ResNet-50"]
    for layout, shapes in layouts.items():
        for name in ("fused", "builtin-foreach", "builtin-capturable", ADAGRAD):
            if reason := implementation(name).unavailable(torch.device(DEVICE), torch.float32):
                say(f"{layout:10} {name:26} skipped: {reason}")
                continue
            params, sets = many(100 if layout == "161 of 64" else 2, shapes)
            optimizer: Any = implementation(name).make(list(params), **HYPERPARAMETERS)
            turn = [0]

            def give(params: list = params, sets: list = sets, turn: list = turn) -> None:
                turn[0] += 1
                for p, g in zip(params, sets[turn[0] % len(sets)], strict=True):
                    p.grad = g

            give()
            for _ in range(300 if CUDA else 3):  # the processor's clock rises too
                optimizer.step()
            same = host_seconds(optimizer.step, lambda: None)
            other = host_seconds(optimizer.step, give)
            figures[f"{layout}, {name}, same gradients"] = same
            figures[f"{layout}, {name}, {len(sets)} sets in turn"] = other
            say(
                f"{layout:10} {name:26} {same * 1e6:7.1f} us; {len(sets)} sets of grads {other * 1e6:7.1f} us"
            )
    figures |= launch_costs()
    write(output, "host", figures)
    profile_step(output)


def launch_costs() -> dict[str, float]:
    """The parts of a step of 161 tensors: the walk, a table that is new, Triton's launch and a direct one."""
    if not (CUDA or INTERPRETED):
        say("parts of a step skipped: they need a CUDA device, or TRITON_INTERPRET=1")
        return {}
    params, (gradients,) = many(1, (161 if CUDA else 3) * ((64,),))
    for p, g in zip(params, gradients, strict=True):
        p.grad = g
    optimizer = FusedRMSprop(params, **HYPERPARAMETERS)
    optimizer._launched = DEVICE  # on the CPU, for the interpreter
    optimizer.step()
    optimizer.step()
    _, launches = optimizer._walk(optimizer.param_groups, 1.0, True) or ((), ())
    if not launches:
        say("the C++ walk is not in use: see the log")
        return {}
    one = cuda.Launch(*launches[0])
    device = params[0].device  # with its index
    found = {
        "walk": host_seconds(lambda: optimizer._walk(optimizer.param_groups, 1.0, True), lambda: None),
        "launch, table known": host_seconds(lambda: cuda.launch(one), lambda: None),
        "upload of a table": host_seconds(lambda: cuda._upload(device, one.table), lambda: None),
        "look-up of a table": host_seconds(
            lambda: cuda._table(device, bytes(bytearray(one.table))), lambda: None
        ),
    }
    if CUDA:
        args, kwargs, kernel = recorded(one)
        found["Triton's launch"] = host_seconds(
            lambda: kernel[(one.programs,)](*args, **kwargs), lambda: None
        )
        try:
            compiled = kernel[(one.programs,)](*args, **kwargs)
            names = list(kernel.signature.parameters)
            every = (*args, *(kwargs[name] for name in names[len(args) :]))
            direct = compiled[(one.programs, 1, 1)]
            found["compiled[grid]"] = host_seconds(lambda: direct(*every), lambda: None)
        except Exception as error:
            say(f"a direct launch failed: {type(error).__name__}: {error}")
    for name, seconds in found.items():
        say(f"    of it: {name:24} {seconds * 1e6:7.1f} us")
    return found


def recorded(one: cuda.Launch) -> tuple[tuple, dict[str, Any], Any]:
    """What the kernel would be launched with, and the kernel."""
    from rmsprop.optimizers.fused import triton_kernel  # noqa: PLC0415 (Triton may be absent)

    kernel, calls = triton_kernel.fused_step, []

    class Recorder:
        def __getitem__(self, _grid: object) -> Callable[..., None]:
            return lambda *args, **kwargs: calls.append((args, kwargs))

    triton_kernel.fused_step = Recorder()
    try:
        cuda.launch(one)
    finally:
        triton_kernel.fused_step = kernel
    return *calls[0], kernel


def profile_step(output: Path) -> None:
    """cProfile of 300 steps, in a file of its own."""
    params, (gradients,) = many(1, 161 * ((64,),))
    for p, g in zip(params, gradients, strict=True):
        p.grad = g
    optimizer = FusedRMSprop(params, **HYPERPARAMETERS)
    optimizer.step()
    synchronize()
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(300):
        optimizer.step()
    profiler.disable()
    synchronize()
    text = io.StringIO()
    pstats.Stats(profiler, stream=text).sort_stats("tottime").print_stats(25)
    (output / "host-profile.txt").write_text(text.getvalue(), encoding="utf-8")
    print(text.getvalue()[:3000], flush=True)


# ---- tune


def tune(output: Path, _commit: str) -> None:
    """The kernel alone, in a CUDA graph of several launches, by size of a block and number of warps."""
    if not (CUDA or INTERPRETED):
        say("skipped: needs a CUDA device, or TRITON_INTERPRET=1")
        return
    bandwidth = copy_bandwidth()
    say(f"copy: {bandwidth / 1e9:,.0f} GB/s")
    figures: dict[str, Any] = {"copy": bandwidth}
    layouts = {
        "1e8": ((10**8,),),
        "1e6": ((10**6,),),
        "many": 1000 * ((1000,),),
        "ResNet-50": resnet50(),
    }
    if not CUDA:
        layouts = {"small": ((3000,), (5,))}
    choices = [
        (1024, 4),
        (2048, 4),
        (2048, 8),
        (4096, 8),
        (512, 4),
        (1024, 8),
        (4096, 4),
        (1024, 2),
        (8192, 8),
    ]
    for dtype in (torch.float32, torch.bfloat16):
        tensors = {layout: lists_of(shapes, dtype) for layout, shapes in layouts.items()}
        for block, warps in choices if CUDA else choices[:2]:
            row = []
            for layout, lists in tensors.items():
                seconds = kernel_seconds(lists, block, warps)
                moved = 5 * sum(p.numel() for p in lists[0]) * dtype.itemsize / seconds
                figures[f"{dtype} {layout} {block} {warps}"] = seconds
                row.append(f"{layout} {seconds * 1e6:7.1f} us ({moved / bandwidth:4.0%})")
            say(f"{str(dtype)[6:]:9} block {block:5} warps {warps}: " + "; ".join(row))
            write(output, "tune", figures)


def lists_of(shapes: tuple[tuple[int, ...], ...], dtype: torch.dtype) -> tuple[list[Tensor], ...]:
    """params, grads, square_avgs, none of grad_avgs and momentum_buffers, steps."""
    params, grads, squares = ([torch.rand(s, device=DEVICE, dtype=dtype) for s in shapes] for _ in range(3))
    return params, grads, squares, [], [], [torch.zeros((), device=DEVICE) for _ in shapes]


def kernel_seconds(lists: tuple[list[Tensor], ...], block: int, warps: int) -> float:
    """Seconds of one launch on the device."""
    options = {**HYPERPARAMETERS, "weight_decay": 0.0, "momentum": 0.0, "centered": False, "maximize": False}
    before = cuda.BLOCK, cuda.WARPS
    cuda.BLOCK, cuda.WARPS = block, warps
    try:
        launches: list[cuda.Launch] = []
        launch, cuda.launch = cuda.launch, lambda it, **_: launches.append(it)
        try:
            cuda.step(lists, StepOptions(**options, eps_inside_sqrt=False))
        finally:
            cuda.launch = launch
        args, kwargs, kernel = recorded(launches[0])

        def run() -> None:
            kernel[(launches[0].programs,)](*args, **kwargs)

        run()
        if not CUDA:
            return on_device(run, 1)
        synchronize()
        graph, times = torch.cuda.CUDAGraph(), 10
        with torch.cuda.graph(graph):
            for _ in range(times):
                run()
        return on_device(graph.replay, 10) / times
    finally:
        cuda.BLOCK, cuda.WARPS = before
