"""pytest-benchmark: one step of each case of the matrix, all in one process. Times are of one step."""

import statistics
from dataclasses import asdict

from rmsprop.suite.measure.metrics import effective_bandwidth, ns_per_element, peak_extra_bytes
from rmsprop.suite.measure.trust import Watch
from rmsprop.suite.measure.workload import CaseSkippedError, Workload

ROUND_SECONDS = 0.005
MAX_ROUNDS, MIN_ROUNDS = 40, 7
CASE_SECONDS = 1.0


def test_step(benchmark, case, pytestconfig):
    import pytest  # noqa: PLC0415 (asv imports this module, without pytest)

    try:
        workload = Workload(case).__enter__()
    except CaseSkippedError as reason:
        pytest.skip(str(reason))
    try:
        steps = workload.steps_for(ROUND_SECONDS)
        rounds = max(MIN_ROUNDS, min(MAX_ROUNDS, int(CASE_SECONDS / workload.time(steps))))
        # The call of `run` for each step costs 0.2 us; to time `run(steps)` would show the time of many.
        one = workload.step if not workload.rotates_each_step else lambda: workload.run(1)
        with Watch() as watch:
            benchmark.pedantic(one, iterations=steps, rounds=rounds)
        peak = peak_extra_bytes(workload)
        notes = workload.notes
    finally:
        workload.__exit__()
    ceiling = pytestconfig.rmsprop_ceilings.seconds(case)
    environment = pytestconfig.rmsprop_environment
    benchmark.extra_info |= {
        **asdict(case),
        "elements": case.elements,
        "tensors": len(case.shapes),
        "ceiling": ceiling,
        "peak_extra_bytes": peak,
        "notes": notes,
        "machine": environment.machine,
        "processor": environment.processor,
        "gpu": environment.gpu,
        "cpus": environment.cpus,
        "governor": environment.governor,
        "load": environment.load,
        "torch": environment.versions["torch"],
    }
    if benchmark.stats is not None:  # None under --benchmark-disable
        samples = benchmark.stats.stats.data
        step = statistics.median(samples)
        benchmark.extra_info |= {
            "ns_per_element": ns_per_element(case, step),
            "bytes_per_second": effective_bandwidth(case, step),
            "of_ceiling": ceiling / step,
            "warnings": "; ".join(watch.warnings(samples, steps)),
        }
