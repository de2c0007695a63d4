"""Results become series in the order of commits, and series become alerts."""

import itertools
import json

import numpy as np
import pytest
from scipy import stats

from rmsprop.suite.history.alerts import alerts_of
from rmsprop.suite.history.groups import by_commit
from rmsprop.suite.history.reading import read_history
from rmsprop.suite.history.series import History, Series
from tests.conftest import CHECKOUT
from tests.suite.history.conftest import foreign


@pytest.fixture
def slowed(tmp_path, repository, write_asv, steady):
    """40 commits; scratch became 10% slower at the 31st, the loop at none. The 30th was not measured."""
    folder, commits = repository
    scratch = steady(40)
    scratch[30:] *= 1.1
    measured = [i for i in range(40) if i != 29]
    write_asv(
        tmp_path,
        [commits[i] for i in measured],
        {"scratch": scratch[measured], "builtin-loop": steady(40, seed=1)[measured]},
        hours=measured,
    )
    return tmp_path, folder, commits


def test_a_slowed_commit_is_named_with_the_last_good_one_and_those_between(slowed):
    results, folder, commits = slowed
    history = read_history(results, folder)
    [alert] = alerts_of(history)
    assert alert.series.case == "scratch-cpu-float32-1e3-single-1t"
    assert (alert.last_good, alert.first_bad) == (commits[28], commits[30])
    assert alert.unmeasured == 1
    assert (alert.direction, alert.points_after) == ("slower", 10)
    assert alert.low < 1.1 < alert.high
    assert history.problems == ()


def test_a_series_has_its_machine_environment_unit_and_times(slowed):
    results, folder, commits = slowed
    series = {one.case: one for one in read_history(results, folder).series}
    one = series["builtin-loop-cpu-float32-1e3-single-1t"]
    assert (one.machine, one.environment, one.runner) == ("box", "py3.11-torch2", "asv")
    assert (one.quantity, one.unit) == ("step", "seconds")
    assert one.commits[0] == commits[0]
    assert len(one.commits) == len(one.times) == len(one.values) == 39
    assert one.times[0].isoformat() == "2026-01-01T00:00:00+00:00"
    assert one.values == pytest.approx(1e-5, rel=0.1)


def test_how_many_commits_lie_unmeasured_is_not_said_without_a_checkout(slowed):
    results, _, _ = slowed
    [alert] = alerts_of(read_history(results, None))
    assert alert.unmeasured is None


def test_an_older_step_is_not_recent(slowed):
    results, folder, _ = slowed
    history = read_history(results, folder)
    assert len(alerts_of(history, recent=10)) == 1
    assert alerts_of(history, recent=9) == ()
    without = read_history(results, None)
    assert (len(alerts_of(without, recent=10)), len(alerts_of(without, recent=9))) == (1, 0)


def test_machines_are_never_mixed(tmp_path, write_asv, steady):
    commits = [f"{i:08x}" * 5 for i in range(40)]
    write_asv(tmp_path, commits[:20], {"scratch": steady(20)}, machine="slow")
    write_asv(tmp_path, commits[20:], {"scratch": steady(20) / 2}, machine="fast")
    history = read_history(tmp_path, None)
    assert {series.machine for series in history.series} == {"slow", "fast"}
    assert alerts_of(history) == ()


def test_our_own_records_of_several_commits_are_a_series(tmp_path, repository, write_benches, steady):
    folder, commits = repository
    seconds = steady(40)
    seconds[20:] *= 0.9
    write_benches(tmp_path, commits, seconds)
    [alert] = alerts_of(read_history(tmp_path, folder))
    assert alert.series.runner == "bench"
    assert alert.series.environment == "py3.11.7-torch2.13.0"
    assert (alert.direction, alert.first_bad) == ("faster", commits[20])


def test_measurements_of_local_changes_and_of_wheels_belong_to_no_commit(tmp_path, write_benches):
    write_benches(tmp_path, ["a" * 40], [1e-5], dirty=True)
    write_benches(tmp_path / "wheel", ["b" * 40], [1e-5])
    assert read_history(tmp_path, None).series == ()


def test_the_gates_ratio_to_the_parent_is_evidence_by_itself(tmp_path, repository, write_gates):
    folder, commits = repository
    rng = np.random.default_rng(0)
    launches = [*0.015 * rng.standard_normal((7, 6)), 0.015 * rng.standard_normal(6) + np.log(1.08)]
    write_gates(tmp_path, commits[:9], launches)
    history = read_history(tmp_path, folder)
    [series] = history.series
    assert (series.runner, series.unit, len(series.values)) == ("gate", "1", 8)
    assert series.values == pytest.approx(np.exp(np.mean(launches, axis=1)))
    [alert] = alerts_of(history)
    assert (alert.last_good, alert.first_bad) == (commits[7], commits[8])
    assert (alert.direction, alert.points_after, alert.unmeasured) == ("slower", 1, 0)
    assert alert.ratio == pytest.approx(1.08, abs=0.02)
    assert alert.low < alert.ratio < alert.high


def test_small_but_certain_ratios_of_the_gate_and_few_launches_are_no_alert(tmp_path, write_gates):
    commits = [f"{i:08x}" * 5 for i in range(3)]
    certain = 0.01 + 1e-4 * np.arange(6)
    write_gates(tmp_path, commits, [certain, [0.2, 0.21]])
    assert alerts_of(read_history(tmp_path, None)) == ()


def creeping(rng, changes):
    """Launches of each commit against its parent."""
    return [rng.normal(np.log1p(change), 0.006, 6) for change in changes]


def test_commits_that_cost_one_percent_each_are_an_alert_together(tmp_path, write_gates):
    commits = [f"{i:08x}" * 5 for i in range(25)]
    write_gates(tmp_path, commits, creeping(np.random.default_rng(1), [0.0] * 4 + [0.01] * 20))
    found = alerts_of(read_history(tmp_path, None))
    assert found
    assert all(alert.together > 1 and alert.fails and alert.direction == "slower" for alert in found)
    assert np.prod([alert.ratio for alert in found]) == pytest.approx(1.01**20, rel=0.05)
    spans = sorted((commits.index(alert.last_good), commits.index(alert.first_bad)) for alert in found)
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    assert sorted(alert.together for alert in found) == sorted(end - begin for begin, end in spans)


@pytest.mark.slow
def test_no_change_creeps_in_none_of_twenty_histories(tmp_path, write_gates):
    commits, rng = [f"{i:08x}" * 5 for i in range(25)], np.random.default_rng(2)
    seen = 0
    for number in range(20):
        write_gates(tmp_path / str(number), commits, creeping(rng, [0.0] * 24))
        seen += len(alerts_of(read_history(tmp_path / str(number), None)))
    assert seen == 0


def test_a_creep_does_not_reach_over_commits_that_were_not_measured(tmp_path, write_gates):
    """Each gap starts anew, and so does a commit that is an alert by itself."""
    commits, rng = [f"{i:08x}" * 5 for i in range(6)], np.random.default_rng(3)
    write_gates(tmp_path, commits[:3], creeping(rng, [0.009] * 2))
    write_gates(tmp_path, commits[3:], creeping(rng, [0.009] * 2))
    assert alerts_of(read_history(tmp_path, None)) == ()
    write_gates(tmp_path / "step", commits, creeping(rng, [0.0, 0.0, 0.2, 0.0, 0.0]))
    assert [alert.together for alert in alerts_of(read_history(tmp_path / "step", None))] == [1]


def test_the_gates_ratio_is_held_against_its_margin_not_against_nothing(tmp_path, write_gates):
    """Sure to be no 0%, and not sure to be more than the 1% that two trees may differ by."""
    d = [0.013, 0.018, 0.021, 0.022, 0.025, 0.028]
    write_gates(tmp_path, ["0" * 40, "1" * 40], [d])
    assert stats.ttest_1samp(d, 0.0, alternative="greater").pvalue < 1e-4
    assert stats.ttest_1samp(d, np.log(1.01), alternative="greater").pvalue > 1e-3
    assert alerts_of(read_history(tmp_path, None)) == ()


@pytest.mark.slow
def test_ratios_of_the_gate_without_a_change_raise_at_most_one_false_alarm_in_1000():
    """Four launches that scatter by 10% each: an interval so wide that the margin of 1% hardly helps."""
    launches = 0.1 * np.random.default_rng(4).standard_normal((10_000, 4))
    commits = tuple(str(i) for i in range(10_000))
    series = Series(
        "m", "e", "case", "step", "1", "gate", commits, (), np.exp(launches.mean(axis=1)),
        bases=("x",) * 10_000, launches=tuple(map(tuple, launches)),
    )  # fmt: skip
    assert 1 <= len(alerts_of(History((series,), ()))) <= 10


def test_a_ratio_that_base_against_itself_shows_too_is_no_alert(tmp_path, write_gates):
    d = [0.1, 0.11, 0.1, 0.12, 0.1, 0.11, 0.1, 0.1]
    commits = ["0" * 40, "1" * 40]
    write_gates(tmp_path / "steady", commits, [d], stage="confirm", control=0.0)
    write_gates(tmp_path / "unsteady", commits, [d], stage="confirm", control=0.08)
    assert len(alerts_of(read_history(tmp_path / "steady", None))) == 1
    assert alerts_of(read_history(tmp_path / "unsteady", None)) == ()


@pytest.mark.parametrize("other", [{"versions": {"torch": "2.12.0"}}, {"python": "3.12.1"}, {"dirty": True}])
def test_a_gate_of_two_interpreters_or_of_local_changes_says_nothing_of_commits(tmp_path, write_gates, other):
    write_gates(tmp_path, ["a" * 40, "b" * 40], [[0.1, 0.1, 0.1, 0.11]], **other)
    history = read_history(tmp_path, None)
    assert history.series == ()
    assert history.problems == ()


def test_unrelated_benchmarks_never_withdraw_an_alert(tmp_path, write_asv, steady):
    commits = [f"{i:08x}" * 5 for i in range(60)]
    scratch = steady(60, seed=4)
    scratch[56:] *= 1.06
    write_asv(tmp_path / "alone", commits, {"scratch": scratch})
    others = {f"other{i}": steady(60, seed=300 + i) for i in range(400)}
    write_asv(tmp_path / "many", commits, {"scratch": scratch} | others)
    [alone] = alerts_of(read_history(tmp_path / "alone", None))
    assert alone.p_value > 0.1 / 400  # what a rule that holds series together would withdraw
    found = alerts_of(read_history(tmp_path / "many", None))
    many = [alert for alert in found if alert.series.case == alone.series.case]
    assert [(one.first_bad, one.p_value) for one in many] == [(alone.first_bad, alone.p_value)]


def test_a_step_of_all_series_is_named_for_all(tmp_path, write_asv, steady):
    commits = [f"{i:08x}" * 5 for i in range(60)]
    all_slower = {f"case{i}": steady(60, seed=i) * np.where(np.arange(60) < 50, 1, 1.1) for i in range(10)}
    write_asv(tmp_path, commits, all_slower)
    assert len(alerts_of(read_history(tmp_path, None))) == 10


def test_damaged_files_are_named_once_and_the_rest_is_read(slowed):
    results, folder, commits = slowed
    bad = results / "asv" / "box" / f"{commits[3][:8]}-py3.11-torch2.json"
    bad.write_text("{")
    (results / "gate").mkdir()
    (results / "gate" / "cut.json").write_text('{"kind": "gate"}')
    history = read_history(results, folder)
    assert sorted(problem.path.name for problem in history.problems) == sorted([bad.name, "cut.json"])
    assert len(history.series[0].commits) == 38
    assert len(alerts_of(history)) == 1


def test_one_commit_or_no_results_are_no_alert(tmp_path, write_asv, steady):
    assert read_history(tmp_path, None).series == ()
    write_asv(tmp_path, ["a" * 40], {"scratch": steady(1)})
    history = read_history(tmp_path, None)
    assert alerts_of(history) == ()
    assert not history.series[0].long_enough


@pytest.mark.slow
def test_the_results_of_this_checkout_are_a_history():
    if not (CHECKOUT / "results" / "asv").is_dir():
        pytest.skip("needs the checkout's results/asv")
    history = read_history(CHECKOUT / "results", CHECKOUT)
    assert {"asv", "bench"} <= {series.runner for series in history.series}
    assert not [problem for problem in history.problems if "asv" in problem.path.parts]
    for series in history.series:
        assert len(series.commits) == len(set(series.commits)) == len(series.times) == len(series.values)
        assert np.all(series.values > 0)
    alerts_of(history)


def test_another_version_of_a_benchmark_has_a_history_of_its_own(tmp_path):
    """docs/benchmarks.md: raise the version when what is measured changes."""
    commits = [f"{i:08x}" * 5 for i in range(40)]
    foreign(tmp_path, commits, [1.0] * 20 + [1.5] * 20, versions=["1"] * 20 + ["2"] * 20)
    history = read_history(tmp_path, None)
    assert [(one.version, len(one.commits)) for one in history.series] == [("1", 20), ("2", 20)]
    assert alerts_of(history) == ()


def test_a_results_folder_of_anybodys_is_read_under_its_own_names(tmp_path):
    commits = [f"{i:08x}" * 5 for i in range(40)]
    foreign(tmp_path, commits, [1.0] * 20 + [1.2] * 20)
    [alert] = alerts_of(read_history(tmp_path, None))
    assert alert.series.case == "map.time_load(n=10)"
    assert (alert.first_bad, alert.recovered, alert.fails) == (commits[20], None, True)


def pytest_benchmarks(folder, nodes, pythons):
    """A file of pytest-benchmark for each run, an hour apart: one benchmark at one commit."""
    folder.mkdir(parents=True)
    for i, (node, python) in enumerate(zip(nodes, pythons, strict=True)):
        content = {
            "machine_info": {"node": node, "python_version": python},
            "commit_info": {"id": f"{i:08x}" * 5, "dirty": False},
            "datetime": f"2026-01-01T{i:02}:00:00+00:00",
            "benchmarks": [{"fullname": "tests/b.py::test_x", "stats": {"median": 1.0}}],
        }
        (folder / f"{i}.json").write_text(json.dumps(content))


def test_a_release_of_python_that_mends_faults_alone_begins_no_new_series(tmp_path):
    pytest_benchmarks(tmp_path / "mended", ["box"] * 4, ["3.11.4", "3.11.4", "3.11.5", "3.11.5"])
    pytest_benchmarks(tmp_path / "new", ["box"] * 2, ["3.11.5", "3.12.0"])
    lengths = {
        name: [(one.environment, len(one.commits)) for one in read_history(tmp_path / name, None).series]
        for name in ("mended", "new")
    }
    assert lengths == {"mended": [("py3.11", 4)], "new": [("py3.11", 1), ("py3.12", 1)]}


def test_a_machine_with_a_new_name_for_each_run_is_told_as_why_there_is_no_history(tmp_path):
    pytest_benchmarks(tmp_path / "hosted", [f"runner-{i}" for i in range(20)], ["3.11.4"] * 20)
    pytest_benchmarks(tmp_path / "own", ["box"] * 20, ["3.11.4"] * 20)
    [remark] = read_history(tmp_path / "hosted", None).remarks
    assert remark.startswith("20 machines have one commit each")
    assert read_history(tmp_path / "own", None).remarks == ()
    assert read_history(tmp_path, None).remarks == ()


def test_alerts_are_grouped_by_commit_with_those_that_stand_and_are_large_first(tmp_path):
    commits = [f"{i:08x}" * 5 for i in range(80)]
    foreign(tmp_path, commits, [1.0] * 20 + [2.0] * 20 + [1.0] * 20 + [1.2] * 20)
    history = read_history(tmp_path, None)
    groups = by_commit(alerts_of(history), history)
    assert [(group.first_bad, group.direction, group.stands) for group in groups] == [
        (commits[60], "slower", True),
        (commits[20], "slower", False),
    ]
    assert groups[0].suspicion == ""


def test_a_machine_that_its_results_tell_apart_is_suspected_before_the_code(tmp_path):
    commits = [f"{i:08x}" * 5 for i in range(40)]
    foreign(tmp_path, commits, [1.0] * 20 + [1.3] * 20)
    for i, path in enumerate(sorted((tmp_path / "box").glob("0*.json"))):
        result = json.loads(path.read_text())
        new = {"cpu": "New", "num_cpu": "8"} if i >= 20 else {"cpu": "Old", "num_cpu": "4"}
        result["params"] |= {"os": f"Linux {i}", "ram": "16", **new}
        path.write_text(json.dumps(result))
    history = read_history(tmp_path, None)
    [group] = by_commit(alerts_of(history), history)
    assert group.suspicion == (
        "the machine had cpu Old, num_cpu 4 before, and cpu New, num_cpu 8 after; suspect the machine before "
        "the code"
    )


def test_a_name_that_would_begin_a_line_or_move_the_cursor_is_written_out(tmp_path):
    commits = [f"{i:08x}" * 5 for i in range(40)]
    foreign(tmp_path, commits, [1.0] * 40)
    for path in (tmp_path / "box").iterdir():
        hostile = json.loads(path.read_text())
        seconds, _, version = hostile["results"]["map.time_load"]
        hostile["results"] = {"map.time_\x1b[2J": [seconds, [["10\n::error::"]], version]}
        path.write_text(json.dumps(hostile))
    [series] = read_history(tmp_path, None).series
    assert series.case == r"map.time_\x1b[2J(10\n::error::)"
