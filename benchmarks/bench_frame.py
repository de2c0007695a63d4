"""How long 100,000 results of asv take to be read into one checked frame."""

import json
from itertools import product

POINTS = [f"cpu-float32-{10**size}-single-{threads}" for size in range(2, 7) for threads in ("1t", "all")]
COMMITS = 1_000


def test_read_frame_of_100_000_rows(benchmark, tmp_path):
    from rmsprop.suite.records.frame import read_frame  # noqa: PLC0415 (asv may import this without)

    implementations = [f"implementation{number}" for number in range(10)]
    for commit in range(COMMITS):
        path = tmp_path / "asv" / "machine" / f"{commit:08x}-env.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asv_result(f"{commit:040x}", implementations, POINTS)))
    frame, problems = benchmark.pedantic(read_frame, args=(tmp_path,), rounds=3)
    assert problems == []
    assert len(frame) == COMMITS * len(implementations) * len(POINTS)
    benchmark.extra_info |= {"rows": len(frame), "rows_per_second": len(frame) / benchmark.stats.stats.median}


def asv_result(commit, implementations, points):
    """A result file of asv, version 2, with a time for each combination."""
    count = len(list(product(implementations, points)))
    times = [1e-3 * (1 + number) for number in range(count)]
    parameters = [[repr(name) for name in names] for names in (implementations, points)]
    return {
        "version": 2,
        "commit_hash": commit,
        "python": "3.11",
        "params": {"machine": "machine", "pip+torch": "2.13.0"},
        "result_columns": ["result", "params", "version", "started_at", "duration",
                           "stats_q_25", "stats_q_75", "stats_number", "stats_repeat"],
        "results": {
            "steps.Small.time_1000_steps": [
                times, parameters, "1", 1795406906639, 1.0, times, times, [1] * count, [10] * count
            ]
        },
    }  # fmt: skip
