"""Anybody's results of asv."""

import json

import pandas as pd
import pytest

from rmsprop.suite.records.frame import read_frame

COLUMNS = ["result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
           "stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile"]  # fmt: skip
NAN = float("nan")


def version_2(results, **changes):
    return {
        "version": 2, "commit_hash": "a" * 40, "env_name": "virtualenv-py3.9", "date": 1_600_000_000_000,
        "params": {"machine": "m"}, "python": "3.9", "result_columns": COLUMNS, "results": results,
    } | changes  # fmt: skip


def version_1(results, **changes):
    """As asv 0.2 to 0.3 wrote it: msprime's history is 1,121 such files."""
    return {
        "version": 1, "commit_hash": "b" * 40, "date": 1_500_000_000_000, "params": {"machine": "m"},
        "python": "3.6", "requirements": {}, "results": results, "ended_at": {},
        "started_at": {"a.time_x": 1_500_000_001_000}, "benchmark_version": {"a.time_x": "v1"},
    } | changes  # fmt: skip


BENCHMARKS = {
    "a.track_items": {"type": "track", "unit": "items", "param_names": ["n", "how"]},
    "odd_name": {"type": "time", "unit": "seconds", "param_names": []},
    "version": 2,
}


@pytest.fixture
def read(tmp_path):
    def write(content, benchmarks=BENCHMARKS, machine=None):
        folder = tmp_path / "results"
        (folder / "box").mkdir(parents=True, exist_ok=True)
        (folder / "box" / "aaaa-virtualenv-py3.9.json").write_text(json.dumps(content))
        if benchmarks is not None:
            (folder / "benchmarks.json").write_text(json.dumps(benchmarks))
        if machine is not None:
            (folder / "box" / "machine.json").write_text(json.dumps(machine))
        frame, problems = read_frame(folder)
        return frame.set_index("benchmark"), problems

    return write


def test_every_kind_of_benchmark_is_read_with_its_unit(read):
    frame, problems = read(
        version_2(
            {
                "a.time_x": [[0.5]],
                "a.timeraw_x": [[0.6]],
                "a.mem_x": [[512]],
                "a.peakmem_x": [[1024]],
                "a.track_items": [[7.5], [["1"], ["'fast'"]]],
                "a.TimeSuite.TimeX": [[0.7]],
                "odd_name": [[0.8]],
            }
        )
    )
    assert problems == []
    assert frame[["quantity", "unit", "median"]].T.to_dict("list") == {
        "a.time_x": ["time", "seconds", 0.5],
        "a.timeraw_x": ["time", "seconds", 0.6],
        "a.mem_x": ["memory", "bytes", 512],
        "a.peakmem_x": ["peak memory", "bytes", 1024],
        "a.track_items": ["track", "items", 7.5],
        "a.TimeSuite.TimeX": ["time", "seconds", 0.7],
        "odd_name": ["time", "seconds", 0.8],
    }
    assert frame.loc["a.track_items", "parameters"] == "n=1, how='fast'"
    assert frame.implementation.isna().all()
    assert frame.environment.unique().tolist() == ["virtualenv-py3.9"]


def test_null_failed_and_nan_was_skipped_and_trailing_nulls_are_dropped(read):
    frame, problems = read(version_2({"a.time_x": [[1.0, None, NAN], [["1", "2"], ["3", "4"]]]}))
    assert problems == []
    assert frame.status.tolist() == ["measured", "failed", "skipped", "failed"]
    assert frame.parameters.tolist() == ["1, 3", "1, 4", "2, 3", "2, 4"]


def test_a_benchmark_that_failed_as_a_whole_has_a_row(read):
    frame, _ = read(version_2({"a.time_x": [None], "a.time_y": None}))
    assert frame.status.to_dict() == {"a.time_x": "failed", "a.time_y": "failed"}


def test_files_of_version_1_are_read_in_each_of_their_shapes(read):
    frame, problems = read(
        version_1(
            {
                "a.time_x": 0.25,
                "a.time_failed": None,
                "a.time_stats": {
                    "result": [2.0],
                    "stats": [{"q_25": 1.9, "q_75": 2.1, "repeat": 5}],
                    "params": [],
                },
                "a.time_scalar": {
                    "result": 4.0,
                    "stats": {"q_25": 3.0, "q_75": 5.0},
                    "samples": [3.0, 4.0, 5.0],
                },
                "a.time_many": {"result": [1.0, NAN], "params": [["1", "2"]]},
            }
        )
    )
    assert problems == []
    assert frame["median"].tolist()[:1] == [0.25]
    assert (frame.loc["a.time_x", "version"], frame.loc["a.time_failed", "status"]) == ("v1", "failed")
    assert frame.loc["a.time_x", "started"] == pd.Timestamp(1_500_000_001_000, unit="ms", tz="UTC")
    assert frame.loc["a.time_stats", ["median", "q25", "q75", "count"]].tolist() == [2.0, 1.9, 2.1, 5]
    assert frame.loc["a.time_scalar", "samples"].tolist() == [3.0, 4.0, 5.0]
    assert frame.loc["a.time_many", "status"].tolist() == ["measured", "skipped"]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        (float("inf"), "asv's result inf cannot be seconds"),
        (0.0, "asv's result 0.0 cannot be seconds"),
        (-1, "asv's result -1.0 cannot be seconds"),
        ("fast", "asv's result is no number but a str"),
        (True, "asv's result is no number but a bool"),
        ({}, "asv's result is no number but a dict"),
    ],
)
def test_what_cannot_be_a_time_failed_with_the_reason_and_the_rest_is_read(read, result, reason):
    frame, problems = read(version_2({"a.time_x": [[result]], "a.time_y": [[1.0]]}))
    assert problems == []
    assert frame.loc["a.time_x", ["status", "reason"]].tolist() == ["failed", reason]
    assert frame.loc["a.time_y", "median"] == 1.0


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ([[1.0], 7], "params has a number where a list is expected"),
        ([[1.0], [["1"] * 2000, ["2"] * 2000]], "4,000,000 combinations of parameters"),
        ([[1.0, 2.0, 3.0], [["1", "2"]]], "3 results where its parameters make 2"),
        ([[1.0, 2.0]], "2 results where its parameters make 1"),
        ([[1.0, 2.0], "ab"], "params has a text where a list is expected"),
        ([[1.0, 2.0], ["ab"]], "params has a text where a list is expected"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_named_and_the_others_are_read(read, entry, reason):
    frame, [problem] = read(version_2({"a.time_bad": entry, "a.time_y": [[1.0]]}))
    assert frame.index.tolist() == ["a.time_y"]
    assert problem.reason.startswith("left out: a.time_bad: ")
    assert reason in problem.reason


def test_an_unknown_kind_is_named_with_what_it_is(read):
    frame, [problem] = read(version_2({"what_is_it": [[1.0]], "a.time_y": [[1.0]]}), benchmarks=None)
    assert len(frame) == 1
    assert "what_is_it: a benchmark of an unknown kind" in problem.reason


def test_a_damaged_list_of_benchmarks_is_named_once_and_names_tell_the_kinds(read, tmp_path):
    (tmp_path / "results").mkdir()
    frame, [problem] = read(version_2({"a.time_x": [[1.0]], "a.track_items": [[1.0]]}), benchmarks=[1])
    assert problem.path.name == "benchmarks.json"
    assert frame.unit.to_dict() == {"a.time_x": "seconds", "a.track_items": "unknown"}


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("banana", "is 'banana'"),
        (-2, "is -2"),
        (2.5, "is 2.5"),
        (NAN, "is nan"),
        (1e30, "is 1e+30"),
        ([8], "is [8]"),
        ({"a": 1}, "is {'a': 1}"),
        (True, "is True"),
        ("", "is missing"),
        (None, "is missing"),
    ],
)
def test_an_odd_or_missing_number_of_processors_is_named_and_the_rest_is_read(read, number, found):
    frame, [problem] = read(
        version_2({"a.time_x": [[1.0]]}), machine={"machine": "box", "num_cpu": number, "cpu": "Fast"}
    )
    assert problem.path.name == "machine.json"
    assert problem.reason == f"num_cpu {found}: expected a whole number above 0; the rest is read"
    assert pd.isna(frame.cpus.iloc[0])
    assert frame.processor.iloc[0] == "Fast"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("cpu", 7, "cpu is 7: expected a text"),
        ("os", ["Linux"], "os is ['Linux']: expected a text"),
        ("arch", NAN, "arch is nan: expected a text"),
        ("ram", [1], "ram is [1]: expected a size of memory such as 4GB"),
        ("ram", NAN, "ram is nan: expected a size of memory such as 4GB"),
        ("ram", "much", "ram is 'much': expected a size of memory such as 4GB"),
    ],
)
def test_another_odd_field_of_a_machine_is_named_and_the_rest_is_read(read, field, value, reason):
    machine = {"machine": "box", "num_cpu": "8", "cpu": "Fast"} | {field: value}
    frame, [problem] = read(version_2({"a.time_x": [[1.0]]}), machine=machine)
    assert (problem.path.name, problem.reason) == ("machine.json", f"{reason}; the rest is read")
    assert frame.cpus.tolist() == [8]
    assert frame["median"].tolist() == [1.0]


def test_a_machine_as_asv_writes_it_is_no_problem(read):
    machine = {"arch": "x86_64", "cpu": "", "machine": "box", "num_cpu": "2", "os": "Linux 5.4",
               "ram": "16384256", "version": 1}  # fmt: skip
    for ram in ("16384256", "4GB", "", 4e9):
        assert read(version_2({}), machine=machine | {"ram": ram})[1] == []


@pytest.mark.parametrize("kind", [5, [1], {}, "cycles", NAN])
def test_an_odd_type_of_a_benchmark_is_named_and_its_name_tells_the_kind(read, kind):
    known = {name: {"type": kind, "param_names": []} for name in ("a.time_x", "a.peakmem_x")}
    frame, [problem] = read(version_2({"a.time_x": [[1.0]], "a.peakmem_x": [[2]]}), {**known, "version": 2})
    assert problem.path.name == "benchmarks.json"
    assert problem.reason.startswith(f"type of a.time_x is {kind!r}: expected one of time, ")
    assert problem.reason.endswith(" (and 1 more); the rest is read")
    assert frame.unit.to_dict() == {"a.time_x": "seconds", "a.peakmem_x": "bytes"}


def test_an_odd_unit_odd_names_and_an_odd_entry_are_named_and_the_results_are_read(read):
    benchmarks = {
        "a.track_x": {"type": "track", "unit": ["m"], "param_names": 5},
        "a.time_x": 7,
        "version": 2,
    }
    frame, problems = read(version_2({"a.track_x": [[1.0], [["1"]]], "a.time_x": [[1.0]]}), benchmarks)
    assert [problem.reason for problem in problems] == [
        "unit of a.track_x is ['m']: expected a text; the rest is read",
        "param_names of a.track_x is 5: expected a list; the rest is read",
        "a.time_x is a number: expected an object; the rest is read",
    ]
    assert frame.unit.tolist() == ["unknown", "seconds"]
    assert frame.parameters.iloc[0] == "1"


@pytest.mark.parametrize(
    ("results", "reason"),
    [
        ([], "results is a list"),
        (None, "results is missing"),
        ("x", "results is a text"),
        (5, "results is a number"),
    ],
)
def test_results_of_another_kind_are_named_as_such(read, results, reason):
    _, [problem] = read(version_2(results))
    assert problem.reason == f"{reason}: expected an object"


def test_asvs_configuration_among_the_results_is_no_problem(read, tmp_path):
    for folder in ("results", "results/box"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "asv.conf.json").write_text('{\n// a comment\n"project": "x"}')
    frame, problems = read(version_2({"a.time_x": [[1.0]]}))
    assert problems == []
    assert len(frame) == 1


def test_what_a_track_counts_may_be_zero_or_less_and_its_file_stays(read):
    results = {"a.track_items": [[-7.5, 0], [["1", "2"]]], "a.time_x": [[1.0]]}
    frame, problems = read(version_2(results))
    assert problems == []
    assert frame["median"].tolist() == [-7.5, 0, 1]
    assert set(frame.status) == {"measured"}


def test_quartiles_far_apart_are_a_warning_also_below_zero(read):
    row = [[-10.0], [], "1", None, None, None, None, [-12.0], [-8.0]]
    frame, _ = read(version_2({"a.track_items": row}))
    assert frame.warnings.iloc[0].startswith("unstable: quartiles 40% of the median apart")


def test_a_quartile_that_cannot_be_leaves_out_its_row_alone(read):
    row = [[1.0, 2.0], [["1", "2"]], "1", None, None, None, None, [-0.5, 1.9], [1.1, 2.1]]
    frame, [problem] = read(version_2({"a.time_x": row, "a.time_y": [[3.0]]}))
    assert problem.path.name == "aaaa-virtualenv-py3.9.json"
    assert problem.reason == "a.time_x: a value that does not fit its column: q25 is -0.5 seconds"
    assert frame["median"].tolist() == [2.0, 3.0]


def test_a_result_keeps_what_its_machine_was_when_it_was_measured(read):
    params = {"machine": "box", "cpu": "Slow", "num_cpu": "2", "ram": "", "os": "Linux 5.4", "arch": [1]}
    frame, problems = read(
        version_2({"a.time_x": [[1.0]]}, params=params | {"numpy": "2"}),
        machine={"machine": "box", "cpu": "Fast", "num_cpu": "64"},
    )
    assert problems == []
    assert frame.hardware.tolist() == ["cpu Slow, num_cpu 2, os Linux 5.4"]
    assert (frame.processor.iloc[0], frame.cpus.iloc[0]) == ("Fast", 64)


def test_a_step_counts_for_this_project_and_what_only_looks_like_one_has_its_own_name(read):
    ours = [["'fused'"], ["'cpu-float32-6-book-1t'"]]
    frame, problems = read(
        version_2(
            {
                "steps.Small.time_1000_steps": [[2e-3], ours],
                "steps.Small.time_step": [[2e-6], ours],
                "walk.time_3_steps": [[1.0]],
                "walk.time_4_steps": [[1.0], [["1"], ["2"]]],
                "steps.Small.time_0_steps": [[1.0], ours],
            }
        )
    )
    assert frame["median"].to_dict() == pytest.approx(
        {
            "steps.Small.time_1000_steps": 2e-6,
            "steps.Small.time_step": 2e-6,
            "walk.time_3_steps": 1.0,
            "walk.time_4_steps": 1.0,
        }
    )
    assert frame.implementation.notna().tolist() == [True, True, False, False]
    assert "its name says that it takes no step" in problems[0].reason


OTHERS = ({}, {"a": 1}, {"machine": ["m"], "version": []}, version_2({}) | {"machine": "m"}, {"kind": "gate"})


@pytest.mark.parametrize("other", OTHERS)
def test_another_kind_of_file_in_the_place_of_asvs_is_named(read, other):
    frame, problems = read(version_2({"a.track_items": [[7.5]]}), benchmarks=other, machine=other)
    assert {problem.path.name for problem in problems} == {"benchmarks.json", "machine.json"}
    assert list(frame["median"]) == [7.5]
