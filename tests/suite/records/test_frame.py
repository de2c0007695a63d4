"""One tidy frame of everything that was measured, whoever measured it."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from rmsprop.suite.case import Case
from rmsprop.suite.history.reading import read_history
from rmsprop.suite.records.bench import BenchRecord, Measurement
from rmsprop.suite.records.frame import COLUMNS, read_frame
from rmsprop.suite.records.store import read_bench, write_bench

AXES = Case("builtin-loop", "cpu", "float32", "1e5", "single", 1)
MEASURED = Measurement(100_000, 1, 50, {"step": (3e-5, 1e-5, 2e-5), "peak": (800_000.0,)}, 1e-5)


@pytest.fixture
def bench(make_environment):
    def make(status="measured", **changes):
        facts = {"reason": None, "measurement": MEASURED, "notes": (), "warnings": ()} | changes
        return BenchRecord(environment=make_environment(), axes=AXES, status=status, **facts)

    return make


def asv_result(**changes):
    """As asv 0.6.6 writes it: parameters as repr, trailing nulls dropped, columns by name."""
    return {
        "commit_hash": "f" * 40,
        "python": "3.11",
        "params": {"machine": "m", "pip+torch": "2.13.0"},
        "result_columns": ["result", "params", "version", "started_at", "duration",
                           "stats_ci_99_a", "stats_ci_99_b", "stats_q_25", "stats_q_75",
                           "stats_number", "stats_repeat", "samples"],
        "results": {
            "steps.Small.time_100_steps": [
                [1e-3, None, float("nan"), 4e-3],
                [["'scratch'", "'builtin-loop'"],
                 ["'cpu-float32-6-book-1t'", "'cpu-float32-1e3-single-all'"]],
                "1", 1795406906639, 0.6, None, None, [0.9e-3, None, None, 3e-3], [1.2e-3, None, None, 5e-3],
                [1000] * 4, [10, None, None, 20],
            ],
            "steps.Book.track_loss": [
                [0.2443], [["'scratch'"], ["'cpu-float32-6-book-1t'"]], "1", 1795406906639, 0.1,
            ],
            "other.time_something": [[1.0], [], "1", 1795406906639, 0.1],
        },
        "version": 2,
    } | changes  # fmt: skip


def pytest_file():
    axes = {
        "implementation": "scratch",
        "device": "cpu",
        "dtype": "float32",
        "size": "1e5",
        "layout": "single",
    }
    stats = {"median": 2e-5, "q1": 1e-5, "q3": 3e-5, "min": 1e-5, "rounds": 3, "data": [1e-5, 2e-5, 3e-5]}
    extra = axes | {"threads": 0, "elements": 100_000, "machine": "m", "torch": "2.13.0", "ceiling": 1e-5}
    return {
        "machine_info": {"python_version": "3.11.7"},
        "commit_info": {"id": "e" * 40, "dirty": True},
        "datetime": "2026-11-23T04:00:00.132815+00:00",
        "benchmarks": [
            {"extra_info": extra, "stats": stats, "fullname": "bench_steps.py::test_step[x]"},
            {"extra_info": {}, "stats": stats, "fullname": "other.py::test_something"},
        ],
    }


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_no_results_give_an_empty_frame_with_every_column(tmp_path):
    frame, problems = read_frame(tmp_path)
    assert list(frame.columns) == list(COLUMNS)
    assert frame.empty
    assert problems == []


def test_a_bench_record_comes_back_as_it_was_written(tmp_path, bench):
    write_bench(tmp_path / "case.json", bench())
    assert read_bench(tmp_path / "case.json") == bench()


def test_a_bench_record_is_a_row_for_its_time_and_a_row_for_its_memory(tmp_path, bench):
    write_bench(tmp_path / "bench" / "m" / "case.json", bench(warnings=("load 3.0", "one outlier")))
    frame, _ = read_frame(tmp_path)
    step, peak = (frame[frame.quantity == quantity].iloc[0] for quantity in ("step", "peak"))
    assert step.file == "bench/m/case.json"
    assert (step["median"], step.minimum, step["count"], step.elements) == (2e-5, 1e-5, 3, 100_000)
    assert step.warnings == "load 3.0; one outlier"
    assert step.samples.tolist() == [3e-5, 1e-5, 2e-5]
    assert (peak["median"], peak.unit) == (800_000, "bytes")


@pytest.mark.parametrize("status", ["skipped", "failed"])
def test_a_case_without_numbers_keeps_its_reason(tmp_path, bench, status):
    write_bench(tmp_path / "bench" / "case.json", bench(status, reason="no device", measurement=None))
    frame, _ = read_frame(tmp_path)
    [row] = frame.itertuples()
    assert (row.status, row.reason, row.count) == (status, "no device", 0)
    assert np.isnan(row.median)


def test_asv_results_are_read_by_name_in_product_order_and_for_one_step(tmp_path):
    write(tmp_path / "asv" / "box" / "ffff-env.json", asv_result())
    write(tmp_path / "asv" / "box" / "machine.json", {"machine": "box", "cpu": "Fast", "num_cpu": "2"})
    write(tmp_path / "asv" / "benchmarks.json", {"version": 2})
    frame, problems = read_frame(tmp_path)
    assert problems == []
    steps = frame[frame.quantity == "step"].set_index(["implementation", "size"])
    assert steps.status.to_dict() == {
        ("scratch", "6"): "measured",
        ("scratch", "1e3"): "failed",
        ("builtin-loop", "6"): "skipped",
        ("builtin-loop", "1e3"): "measured",
    }
    last = steps.loc["builtin-loop", "1e3"]
    assert (last["median"], last.q25, last.q75) == pytest.approx((4e-5, 3e-5, 5e-5))
    assert last["count"] == 20
    assert (last.threads, last.machine, last.processor, last.torch) == (0, "box", "Fast", "2.13.0")
    assert last.started == pd.Timestamp(1795406906639, unit="ms", tz="UTC")
    assert frame[frame.quantity == "loss"].iloc[0]["median"] == 0.2443
    assert frame[frame.implementation.isna()].benchmark.tolist() == ["other.time_something"]
    assert len(frame) == 6


def test_pytest_benchmark_files_are_read_and_benchmarks_of_others_have_names_of_their_own(tmp_path):
    write(tmp_path / "pytest-benchmark" / "m" / "0001.json", pytest_file())
    frame, problems = read_frame(tmp_path)
    row, foreign = frame.itertuples()
    assert problems == []
    assert (foreign.benchmark, foreign.quantity, foreign.median) == ("other.py::test_something", "time", 2e-5)
    assert pd.isna(foreign.implementation)
    assert (row.runner, row.median, row.commit, row.dirty, row.threads) == (
        "pytest-benchmark", 2e-5, "e" * 40, True, 0,
    )  # fmt: skip
    assert row.samples.tolist() == [1e-5, 2e-5, 3e-5]


def test_damaged_foreign_and_newer_files_are_named_and_the_rest_is_read(tmp_path, bench):
    write_bench(tmp_path / "bench" / "good.json", bench())
    newer = json.loads((tmp_path / "bench" / "good.json").read_text()) | {"schema": 99}
    bad = {
        "bench/newer.json": newer,
        "bench/foreign.json": {"a": 1},
        "asv/m/cut.json": '{"version": 2, "resu',
        "asv/m/newer.json": asv_result(version=3),
        "asv/m/no-results.json": {"version": 2, "result_columns": []},
        "pytest-benchmark/m/list.json": [1],
        "pytest-benchmark/m/foreign.json": {"benchmarks": []},
        "pytest-benchmark/m/half.json": {"benchmarks": [{}], "machine_info": {}},
    }
    for name, content in bad.items():
        write(tmp_path / name, content)
    frame, problems = read_frame(tmp_path)
    assert {problem.path.relative_to(tmp_path).as_posix() for problem in problems} == set(bad)
    assert all(problem.reason and "\n" not in problem.reason for problem in problems)
    assert set(frame.file) == {"bench/good.json"}


def test_a_time_that_cannot_be_read_is_named_and_the_file_is_read(tmp_path):
    commit = {"id": "e" * 40, "dirty": False, "time": "soon"}
    odd = pytest_file() | {"datetime": "yesterday?", "commit_info": commit}
    write(tmp_path / "pytest-benchmark" / "m" / "0.json", odd)
    frame, problems = read_frame(tmp_path)
    assert [problem.reason for problem in problems] == [
        "commit_info.time is 'soon': expected a time; the rest is read",
        "datetime is 'yesterday?': expected a time; the rest is read",
    ]
    assert len(frame) == 2
    assert frame[["committed", "started"]].isna().all(axis=None)


@pytest.mark.parametrize(
    ("axis", "value"), [("machine", None), ("device", None), ("cpus", "many"), ("ceiling", "high")]
)
def test_a_row_whose_values_fit_no_column_is_left_out_alone(tmp_path, bench, axis, value):
    write_bench(tmp_path / "bench" / "m" / "case.json", bench())
    odd = pytest_file()
    odd["benchmarks"][0]["extra_info"][axis] = value
    write(tmp_path / "pytest-benchmark" / "m" / "odd.json", odd)
    below = asv_result(
        results={"steps.Small.time_10_steps": [[-1.0], [["'x'"], ["'cpu-float32-6-book-1t'"]], "1"]}
    )
    write(tmp_path / "asv" / "m" / "below-zero.json", below)
    frame, problems = read_frame(tmp_path)
    [problem] = problems
    assert problem.path.name == "odd.json"
    assert "bench_steps.py::test_step[x]: " in problem.reason
    assert axis in problem.reason
    assert "does not fit its column" in problem.reason
    assert "other.py::test_something" in set(frame.benchmark)
    assert "scratch" not in set(frame.implementation.dropna())
    assert {"bench", "asv"} <= set(frame.runner)
    [impossible] = frame[frame.runner == "asv"].itertuples()
    assert (impossible.status, impossible.reason) == ("failed", "asv's result -1.0 cannot be seconds")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"measurement": None}, "a step is called measured and has no time"),
        ({"status": "skipped", "reason": "no device"}, "what was not measured has numbers"),
        ({"measurement": replace(MEASURED, elements=7)}, "elements and size differ"),
    ],
)
def test_a_record_that_contradicts_itself_is_left_out_with_what_is_wrong(tmp_path, bench, changes, reason):
    for number in range(5):
        write_bench(tmp_path / "bench" / f"{number}.json", bench())
    write_bench(tmp_path / "bench" / "odd.json", bench(**changes))
    frame, [problem] = read_frame(tmp_path)
    assert (problem.path.name, problem.reason) == ("odd.json", f"contradicts itself: {reason}")
    assert len(set(frame.file)) == 5


@pytest.mark.parametrize("processes", [2, 0, -1])
def test_a_row_whose_samples_are_not_of_its_processes_is_left_out_alone(tmp_path, processes):
    odd = pytest_file()
    odd["benchmarks"][0]["extra_info"]["processes"] = processes
    write(tmp_path / "pytest-benchmark" / "m" / "0.json", odd)
    frame, [problem] = read_frame(tmp_path)
    assert problem.reason == (
        "bench_steps.py::test_step[x]: contradicts itself: "
        "its samples are not of so many processes, equally many each"
    )
    assert frame.benchmark.tolist() == ["other.py::test_something"]


def test_rows_of_one_benchmark_that_break_the_same_rule_are_named_once(tmp_path):
    odd = pytest_file()
    odd["benchmarks"][1]["stats"] = odd["benchmarks"][1]["stats"] | {"min": -2.0}
    for number in range(3):
        write(tmp_path / "pytest-benchmark" / "m" / f"{number}.json", odd)
    frame, [problem] = read_frame(tmp_path)
    assert problem.path.name == "0.json"
    assert problem.reason == (
        "other.py::test_something: a value that does not fit its column: minimum is -2 seconds "
        "(and 2 more rows)"
    )
    assert set(frame.benchmark) == {"bench_steps.py::test_step[x]"}


@pytest.mark.parametrize("no_commit", ["unversioned", "unknown", None])
def test_what_pytest_benchmark_writes_without_a_commit_is_no_commit(tmp_path, no_commit):
    for number in range(3):
        content = pytest_file() | {"commit_info": {"id": no_commit, "time": None, "dirty": False}}
        write(tmp_path / "pytest-benchmark" / "m" / f"{number}.json", content)
    frame, problems = read_frame(tmp_path)
    assert problems == []
    assert frame.commit.isna().all()
    assert len(frame) == 6
    assert read_history(tmp_path, None).series == ()


def test_pytest_benchmarks_facts_of_the_machine_are_kept(tmp_path):
    machine = {"node": "n", "machine": "x86_64", "cpu": {"brand_raw": "Fast", "count": 8}}
    write(tmp_path / "pytest-benchmark" / "m" / "0.json", pytest_file() | {"machine_info": machine})
    assert set(read_frame(tmp_path)[0].hardware) == {"arch x86_64, cpu Fast, num_cpu 8"}


def test_the_date_of_the_commit_is_read_where_a_file_says_it(tmp_path, bench):
    write(tmp_path / "asv" / "m" / "result.json", asv_result(date=1795406906000))
    dated = pytest_file() | {
        "commit_info": {"id": "e" * 40, "dirty": False, "time": "2026-11-23T05:00:00+01:00"}
    }
    write(tmp_path / "pytest-benchmark" / "m" / "0001.json", dated)
    write_bench(tmp_path / "bench" / "m" / "case.json", bench())
    committed = read_frame(tmp_path)[0].groupby("runner").committed.first()
    assert str(committed["pytest-benchmark"]) == "2026-11-23 04:00:00+00:00"
    assert committed["asv"] == pd.Timestamp(1795406906, unit="s", tz="UTC")
    assert pd.isna(committed["bench"])


def test_asvs_wide_quartiles_are_a_warning(tmp_path):
    write(tmp_path / "asv" / "m" / "result.json", asv_result())
    frame, _ = read_frame(tmp_path)
    warnings = frame[(frame.status == "measured") & (frame.quantity == "step")].set_index("size").warnings
    assert warnings["6"].startswith("unstable: quartiles 30%")
    assert warnings["1e3"].startswith("unstable: quartiles 50%")
    assert set(frame[frame.quantity == "loss"].warnings) == {""}


def test_all_three_runners_stand_in_one_frame(tmp_path, bench):
    write_bench(tmp_path / "bench" / "m" / "case.json", bench(notes=("eps is 1e-2",)))
    write(tmp_path / "asv" / "m" / "result.json", asv_result())
    write(tmp_path / "pytest-benchmark" / "m" / "0001.json", pytest_file())
    frame, problems = read_frame(tmp_path)
    assert problems == []
    assert set(frame.runner) == {"bench", "asv", "pytest-benchmark"}
    assert frame.started.notna().all()
    assert set(frame[frame.runner == "bench"].notes) == {"eps is 1e-2"}
