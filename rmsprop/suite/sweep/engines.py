"""Where chunks are trained: in this process, in processes of this machine, on a Dask cluster.

An engine takes tasks and gives what was done, in any order. It asks for a task only when a worker will soon
need one, so that memory does not grow with the sweep. What it cannot do is a UserError.
"""

import gc
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, suppress
from functools import partial
from importlib import import_module
from itertools import islice
from multiprocessing import resource_tracker
from typing import Any

from rmsprop.errors import UserError
from rmsprop.suite.children import deaf_children
from rmsprop.suite.sweep.work import ChunkTask, TrainedChunk, carry_out

Work = Callable[[ChunkTask], TrainedChunk]
Engine = Callable[[Iterable[ChunkTask]], Iterator[TrainedChunk]]
AHEAD = 2
"""Tasks for each worker that are asked for at a time: one at work and one that waits."""
CONNECT, PATIENCE = 10.0, 60.0
"""Seconds to wait for a scheduler, and for a worker where there is none."""
KEPT = "finished chunks are kept; run the same command again"


def engine_of(jobs: int, scheduler: str | None) -> Engine:
    """The engine for so many processes of this machine, or for the cluster at that address.

    UserError where its package is not installed.
    """
    if scheduler is not None:
        _package("distributed")
        return partial(on_cluster, scheduler)
    if jobs > 1:
        _package("joblib")
        return partial(in_processes, jobs)
    return in_this_process


def in_this_process(tasks: Iterable[ChunkTask], work: Work = carry_out) -> Iterator[TrainedChunk]:
    """One after the other."""
    return map(work, tasks)


def in_processes(jobs: int, tasks: Iterable[ChunkTask], work: Work = carry_out) -> Iterator[TrainedChunk]:
    """In `jobs` processes, which joblib's loky starts."""
    joblib = _package("joblib")
    parallel = joblib.Parallel(
        jobs, backend="loky", return_as="generator_unordered", batch_size=1, pre_dispatch=AHEAD * jobs
    )
    lokys = import_module("joblib.externals.loky.backend.resource_tracker")
    with deaf_children(lokys.ensure_running, resource_tracker.ensure_running):  # loky's children have both
        done = parallel(joblib.delayed(work)(task) for task in tasks)
    with closing(done):
        try:
            yield from done
        except BrokenProcessPool:
            raise UserError(
                f"a worker process was killed, perhaps for want of memory; {KEPT}, with fewer --jobs"
            ) from None


def on_cluster(
    address: str, tasks: Iterable[ChunkTask], work: Work = carry_out, *, patience: float = PATIENCE
) -> Iterator[TrainedChunk]:
    """On the workers of the Dask scheduler at `address`.

    A lost worker's chunks go to others. `patience` is how many seconds a cluster may be without workers.
    """
    distributed = _package("distributed")
    for name in ("distributed", "tornado"):  # they report each lost connection; the error below says it once
        logging.getLogger(name).setLevel(logging.CRITICAL)
    client = _connect(distributed, address)
    waiting: set[Any] = set()
    try:
        left = iter(tasks)
        since = time.monotonic()
        while True:
            workers = _workers(client, address)
            if workers:
                since = time.monotonic()
            elif time.monotonic() - since > patience:
                raise UserError(
                    f"the cluster at {address} has had no worker for {patience:.0f} s: start some with "
                    f"`dask worker {address}`; {KEPT}"
                )
            wanted = max(AHEAD * workers, 1) - len(waiting)
            waiting |= {client.submit(work, task, pure=False) for task in islice(left, max(wanted, 0))}
            if not waiting:
                return
            with suppress(TimeoutError), client.as_current():
                distributed.wait(waiting, timeout=1, return_when="FIRST_COMPLETED")
            ended = {future for future in waiting if future.done()}
            waiting -= ended
            for future in ended:
                yield _result(future, address)
    except CancelledError:
        raise _lost(address) from None
    finally:
        with suppress(Exception):
            client.cancel(list(waiting), force=True)
        with suppress(Exception):
            client.close(timeout=2)


def _connect(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # each kind of address fails in a way of its own
        reason = _brief(error, 80)
    # A client that was never whole is closed when it is collected. If that comes while another one starts its
    # event loop, both wait for the same lock for ever.
    gc.collect()
    raise UserError(
        f"no Dask scheduler answers at {address} ({reason}): start one with "
        "`dask scheduler`, and give its address, such as tcp://host:8786"
    )


def _workers(client: Any, address: str) -> int:
    """How many threads of workers there are; UserError where the scheduler is lost."""
    if client.status != "running":
        raise _lost(address)
    return sum(client.nthreads().values())


def _result(future: Any, address: str) -> TrainedChunk:
    try:
        done: TrainedChunk = future.result()
    except (UserError, CancelledError):
        raise
    except Exception as error:
        kind = type(error).__name__
        if kind == "KilledWorker":
            raise UserError(
                f"a chunk was at work on several workers that died, perhaps for want of memory; {KEPT}, "
                "with a smaller --chunk"
            ) from None
        raise UserError(
            f"a worker of {address} could not train a chunk ({kind}: {_brief(error, 120)}); "
            "each worker needs the rmsprop-bench and torch of this process"
        ) from None
    return done


def _brief(error: Exception, most: int) -> str:
    return " ".join(str(error).split())[:most] or type(error).__name__


def _lost(address: str) -> UserError:
    return UserError(f"the Dask scheduler at {address} no longer answers; {KEPT}")


def _package(name: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError:
        what = "--scheduler" if name == "distributed" else "more than one of --jobs"
        raise UserError(
            f"{what} needs {name}: python -m pip install 'rmsprop-bench[sweep]', or give --jobs 1"
        ) from None
