"""How long the site of a results/ folder takes, and how much memory, by number of rows.

A million is built in the full profile alone: `pytest benchmarks/bench_report.py --profile full`. Each build
is a fresh process, its imports included.
"""

import json
import subprocess
import sys

from benchmarks.synthetic_results import write_results

ROWS = (10_000, 100_000, 1_000_000)
BUILD = """
import json, resource, sys, time
from pathlib import Path
start = time.perf_counter()
from rmsprop.suite.report.build import build_report
report = build_report(Path(sys.argv[1]), Path(sys.argv[2]))
sizes = {path.name: path.stat().st_size for path in report.paths if path.suffix == ".html"}
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps({
    "seconds": time.perf_counter() - start,
    "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    "page_bytes": sizes,
    "problems": len(report.problems),
}))
"""


def pytest_generate_tests(metafunc):
    metafunc.parametrize("rows", ROWS if metafunc.config.option.profile == "full" else ROWS[:2])


def test_the_site_of_so_many_rows(benchmark, tmp_path, rows):
    write_results(tmp_path / "results", rows)
    command = [sys.executable, "-c", BUILD, tmp_path / "results", tmp_path / "reports"]

    def build():
        answer = subprocess.run(command, capture_output=True, text=True, check=True)
        return json.loads(answer.stdout)

    found = benchmark.pedantic(build, rounds=1)
    assert found.pop("problems") == 0
    assert max(found["page_bytes"].values()) < 2_000_000
    benchmark.extra_info |= {"rows": rows, "rows_per_second": rows / found["seconds"], **found}
