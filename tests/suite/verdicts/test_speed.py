import numpy as np
import pytest
from scipy import stats

from rmsprop.suite.records.files import read_folder
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.records.store import read_bench
from rmsprop.suite.verdicts.ratios import speed_ups
from rmsprop.suite.verdicts.speed import Runs, measured_steps

OLDER, NEWER = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"


def steps(tmp_path):
    """The steps that are shown, by implementation."""
    runs = Runs.of(read_frame(tmp_path / "results")[0])
    return measured_steps(runs.latest).set_index("implementation")


def test_the_latest_record_of_a_case_counts(tmp_path, put):
    put("scratch", 1e-4, started=NEWER)
    put("scratch", 3e-4, name="again-2", started=NEWER.replace("00:00+", "09:00+"))
    put("scratch", 7e-4, started=OLDER, commit="f" * 40)
    assert steps(tmp_path).loc["scratch", "median"] == 3e-4


def test_of_two_records_of_one_second_the_one_written_later_counts(tmp_path, put):
    put("scratch", 1e-4, name="case")
    put("scratch", 2e-4, name="case-2")
    put("scratch", 3e-4, name="case-10")
    assert steps(tmp_path).loc["scratch", "median"] == 3e-4


def test_what_was_measured_last_counts_also_with_local_changes_and_its_run_says_so(tmp_path, put):
    put("scratch", 1e-4, started=OLDER)
    put("scratch", 9e-4, started=NEWER, commit="d" * 40, dirty=True)
    assert steps(tmp_path).loc["scratch", "median"] == 9e-4
    [run] = Runs.of(read_frame(tmp_path / "results")[0]).runs
    assert run.words == "2026-02-01 00:00 UTC, commit ddddddddd with local changes, torch 2.13.0"


def test_a_skip_hides_no_case_that_ran_but_a_failure_does(tmp_path, put):
    put("scratch", 1e-4, started=OLDER)
    put("scratch", started=NEWER, commit="c" * 40, status="skipped", reason="no device today")
    assert steps(tmp_path).loc["scratch", "median"] == 1e-4
    put("scratch", started=NEWER, commit="d" * 40, status="failed", reason="NaN")
    assert "scratch" not in steps(tmp_path).index


def test_a_ratio_is_taken_within_one_turn_alone(tmp_path, put):
    put("builtin-loop", 4e-4, started=OLDER)
    put("scratch", 2e-4, started=OLDER)
    put("builtin-loop", 1e-4, name="again", started=NEWER)
    put("fused", 1e-5, started=NEWER)
    put("builtin-foreach", 1e-4, started=NEWER.replace("00:00+", "00:09+"))
    found = steps(tmp_path)
    assert found.loc["builtin-loop", "median"] == 1e-4
    assert found.loc["scratch", "ratio"] == pytest.approx(2.0)
    assert found.loc["fused", "ratio"] == pytest.approx(10.0)
    assert found.loc[["builtin-foreach"], "ratio"].isna().all()


def test_all_that_was_measured_beside_a_latest_row_is_kept_and_nothing_else(tmp_path, put):
    put("scratch", 9e-4, name="first", started="2025-01-01T00:00:00+00:00")
    put("builtin-loop", 4e-4, started=OLDER)
    put("scratch", 2e-4, started=OLDER)
    put("builtin-loop", 1e-4, name="again", started=NEWER)
    rows = Runs.of(read_frame(tmp_path / "results")[0]).rows
    assert list(zip(rows["implementation"], rows["median"], rows["latest"], rows["label"], strict=True)) == [
        ("builtin-loop", 1e-4, True, "A"),
        ("scratch", 2e-4, True, "B"),
        ("builtin-loop", 4e-4, False, "B"),
    ]


def test_turns_of_one_commit_with_a_long_pause_between_them_are_two_runs(tmp_path, put):
    for number, minute in enumerate(("00:00", "00:20", "00:45", "02:00")):
        put(size=f"1e{number + 3}", started=f"2026-01-01T{minute}:00+00:00")
    newest, older = Runs.of(read_frame(tmp_path / "results")[0]).runs
    assert (newest.label, newest.cases, older.label, older.cases) == ("A", 1, "B", 3)
    assert (older.started.minute, older.ended.minute) == (0, 45)


def test_the_terminal_and_the_page_take_the_same_ratio_and_interval(tmp_path, put):
    put("builtin-loop", steps=tuple(4e-4 + 1e-6 * i for i in range(9)))
    put("scratch", steps=tuple(2e-4 + 1e-6 * i * i for i in range(9)))
    shown = steps(tmp_path).loc["scratch"]
    records, _ = read_folder(tmp_path / "results" / "bench", read_bench)
    found = {axes.implementation: one for axes, one in speed_ups(records).items()}
    assert found["scratch"].ratio == shown["ratio"]
    assert found["scratch"].interval == (shown["low"], shown["high"])
    assert found["builtin-loop"].ratio == 1


def test_a_record_without_its_reference_in_the_same_turn_has_no_speed_up(tmp_path, put):
    put("builtin-loop", started=OLDER)
    put("scratch", started=NEWER)
    records, _ = read_folder(tmp_path / "results" / "bench", read_bench)
    assert {axes.implementation for axes in speed_ups(records)} == {"builtin-loop"}


def test_the_ratio_is_that_of_the_two_times_also_where_processes_differ(tmp_path, put):
    put("builtin-loop", steps=(2.0, 2.1, 4.0, 4.1, 9.0, 9.1))
    put("scratch", steps=(1.0, 1.1, 1.0, 1.2, 3.0, 3.3))
    rows = Runs.of(read_frame(tmp_path / "results")[0]).rows.set_index("implementation")
    times = rows["median"]
    assert times["builtin-loop"] == pytest.approx((2.05 * 4.05 * 9.05) ** (1 / 3))
    assert rows.loc["scratch", "ratio"] == pytest.approx(times["builtin-loop"] / times["scratch"])


def test_a_ratios_interval_reaches_a_fifth_further_than_students_over_the_processes(tmp_path, put):
    put("builtin-loop", steps=(2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.2, 2.2, 2.2))
    put("scratch", steps=(0.9, 1.0, 1.1, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0))
    found = steps(tmp_path)
    logs = np.log([2.0, 2.0, 2.2])
    low, high = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    half = (high - low) / 2
    shown = found.loc["scratch", ["low", "ratio", "high"]].astype(float)
    assert np.log(shown).tolist() == pytest.approx(
        [logs.mean() - 1.2 * half, logs.mean(), logs.mean() + 1.2 * half]
    )


def test_samples_of_one_process_have_a_ratio_and_no_interval(tmp_path, put):
    put("builtin-loop", steps=(2.0,) * 60, processes=1)
    put("scratch", steps=(1.0,) * 60, processes=1)
    found = steps(tmp_path)
    assert found.loc["scratch", "ratio"] == pytest.approx(2.0)
    assert found["low"].isna().all()


def test_two_runs_of_one_minute_are_told_apart_by_their_names_and_never_compared(tmp_path, put):
    put("builtin-loop", 4e-4, name="a", run="20260101T000000Z-a")
    put("scratch", 2e-4, name="b", run="20260101T000000Z-b")
    found = steps(tmp_path)
    assert np.isnan(found.loc["scratch", "ratio"])
    assert len(Runs.of(read_frame(tmp_path / "results")[0]).runs) == 2


def test_turns_of_a_named_run_are_one_run_however_long_it_paused(tmp_path, put):
    for size, started in (("1e3", OLDER), ("1e5", NEWER)):
        put(size=size, started=started, run="20260101T000000Z-a")
    [run] = Runs.of(read_frame(tmp_path / "results")[0]).runs
    assert run.cases == 2


def test_a_reference_of_one_process_that_cannot_be_trusted_marks_each_ratio_against_it(tmp_path, put):
    put("builtin-loop", 2e-4, warnings=("stolen: the hypervisor took 9% of the processor time",), processes=1)
    put("scratch", 1e-4, processes=1)
    found = steps(tmp_path)
    assert found["trusted"].to_dict() == {"scratch": True, "builtin-loop": False}
    assert not found["ratio_trusted"].any()


def test_a_warning_that_most_times_of_a_run_have_is_the_runs_and_marks_none_of_them(tmp_path, put):
    for size in ("1e3", "1e4", "1e5", "1e6"):
        put("scratch", size=size, run="20260101T000000Z-a", warnings=("busy: others",))
    put("fused", run="20260101T000000Z-a", warnings=("busy: others", "clock: it fell to 80%"))
    runs = Runs.of(read_frame(tmp_path / "results")[0])
    assert [run.usual for run in runs.runs] == [("busy",)]
    assert not runs.rows["trusted"].any()
    assert runs.rows.loc[~runs.rows["typical"], "implementation"].to_list() == ["fused"]


def test_bandwidth_is_that_of_five_passes_over_the_elements(tmp_path, put):
    put("builtin-loop", 1e-3, size="1e6", dtype="bfloat16", ceiling=5e-4)
    found = steps(tmp_path).loc["builtin-loop"]
    assert found["bandwidth"] == pytest.approx(5 * 1e6 * 2 / 1e-3)
    assert found["ceiling_bandwidth"] == pytest.approx(5 * 1e6 * 2 / 5e-4)


def test_machines_go_from_the_newest_to_the_oldest(tmp_path, put):
    put(machine="a", started=OLDER)
    put(machine="b", started=NEWER)
    assert Runs.of(read_frame(tmp_path / "results")[0]).machines == ("b", "a")


def test_an_empty_frame_has_no_runs(tmp_path):
    runs = Runs.of(read_frame(tmp_path)[0])
    assert runs.latest.empty
    assert (runs.machines, runs.implementations) == ((), ())
