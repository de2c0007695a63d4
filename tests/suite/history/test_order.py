"""Commits stand in the order of the history, or of their dates; those that stand nowhere are named."""

import json
import subprocess
from functools import partial

import pytest

from rmsprop.suite.history.alerts import alerts_of
from rmsprop.suite.history.reading import history_of, read_history
from rmsprop.suite.records.frame import read_frame
from tests.suite.history.conftest import foreign

COMMITS = [f"{i:08x}" * 5 for i in range(40)]
"""That no checkout knows."""


def without_dates(folder):
    for path in folder.rglob("*.json"):
        path.write_text(path.read_text().replace('"date"', '"no date"'))


@pytest.fixture
def shallow(tmp_path, repository):
    """A clone with the newest ten of the forty commits."""
    clone = tmp_path / "clone"
    source = f"file://{repository[0]}"
    subprocess.run(["git", "clone", "-q", "--depth=10", source, str(clone)], check=True, capture_output=True)
    return clone


def test_commits_stand_in_the_order_of_the_history_whatever_their_dates(
    tmp_path, repository, write_asv, steady
):
    folder, commits = repository
    write_asv(tmp_path, commits[:20], {"scratch": steady(20)}, hours=range(20, 0, -1))
    [series] = read_history(tmp_path, folder).series
    assert list(series.commits) == commits[:20]


def test_without_a_checkout_commits_stand_in_the_order_of_their_dates(
    tmp_path, repository, write_asv, steady
):
    _, commits = repository
    write_asv(tmp_path, commits[:20], {"scratch": steady(20)}, hours=range(20, 0, -1))
    for repo in (None, tmp_path):
        history = read_history(tmp_path, repo)
        assert list(history.series[0].commits) == commits[19::-1]
        assert history.commits == ()


def test_commits_that_a_shallow_clone_lacks_stand_where_their_dates_put_them(
    tmp_path, repository, shallow, write_asv, steady
):
    commits = repository[1]
    mixed = [*commits[25:33], "e" * 40, *commits[33:40], "f" * 40]
    hours = [*range(25, 33), 32.5, *range(33, 40), 1000]
    write_asv(tmp_path / "results", mixed, {"scratch": steady(17)}, hours=hours)
    history = read_history(tmp_path / "results", shallow)
    assert list(history.series[0].commits) == mixed
    [remark] = history.remarks
    assert "the clone is shallow, and git does not know 7 of 17 measured commits" in remark


def test_commits_that_a_complete_clone_lacks_are_no_part_of_its_history(tmp_path, repository, write_asv):
    """Here, ten commits of a branch that was squashed and deleted: the branch looked at was never slow."""
    folder, commits = repository
    mixed = [*commits[:20], *COMMITS[:10], *commits[20:30]]
    write_asv(tmp_path, mixed, {"scratch": [1.0] * 20 + [1.5] * 10 + [1.0] * 10})
    history = read_history(tmp_path, folder)
    assert list(history.series[0].commits) == commits[:30]
    assert alerts_of(history) == ()
    [remark] = history.remarks
    assert remark.startswith("left out 10 measurements of 10 commits that the checkout lacks")


def test_the_gates_ratios_of_a_deleted_branch_are_left_out_as_well(tmp_path, repository, write_gates):
    folder, commits = repository
    write_gates(tmp_path, [*commits[:3], COMMITS[0]], [[0.0, 0.001, -0.001, 0.0]] * 2 + [[0.2] * 4])
    history = read_history(tmp_path, folder)
    assert list(history.series[0].commits) == commits[1:3]
    assert "left out 1 measurement of 1 commit that the checkout lacks" in history.remarks[0]


def test_commits_of_other_branches_are_no_part_of_the_history(tmp_path, repository):
    folder, commits = repository
    git = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    head = run([*git, "rev-parse", "--abbrev-ref", "HEAD"]).stdout.strip()
    run([*git, "checkout", "-q", "-b", "open"])
    run([*git, "commit", "-q", "--allow-empty", "-m", "slow idea"])
    other = run([*git, "rev-parse", "HEAD"]).stdout.strip()
    run([*git, "checkout", "-q", head])
    foreign(tmp_path, [*commits[:20], other], [1.0] * 20 + [1.3])
    history = read_history(tmp_path, folder)
    run([*git, "branch", "-q", "-D", "open"])
    assert other not in history.series[0].commits
    assert history.remarks == (
        "left out 1 measurement of 1 commit that the checkout has on other branches alone",
    )


def test_a_checkout_of_another_project_orders_nothing(tmp_path, repository):
    foreign(tmp_path, COMMITS, [1.0] * 30 + [1.5] * 10)
    history = read_history(tmp_path, repository[0])
    assert history.commits == ()
    assert list(history.series[0].commits) == COMMITS
    [remark] = history.remarks
    assert "has none of the measured commits" in remark
    [alert] = alerts_of(history, recent=10)
    assert (alert.first_bad, alert.unmeasured) == (COMMITS[30], None)


def test_in_a_shallow_clone_the_last_commits_are_the_measured_ones(tmp_path, repository, shallow):
    """git knows ten alone, and the change is older."""
    commits = repository[1]
    foreign(tmp_path / "results", commits, [1.0] * 25 + [1.5] * 15)
    history = read_history(tmp_path / "results", shallow)
    assert len(alerts_of(history, recent=15)) == 1
    assert alerts_of(history, recent=14) == ()


def test_a_commit_without_a_date_that_git_does_not_know_stands_nowhere(tmp_path):
    """Ordered first, as if of 1970, the slow ones would make the history look faster."""
    foreign(tmp_path / "undated", COMMITS[20:], [1.5] * 20)
    without_dates(tmp_path / "undated")
    foreign(tmp_path, COMMITS[:20], [1.0] * 20)
    history = read_history(tmp_path, None)
    assert [list(one.commits) for one in history.series] == [COMMITS[:20]]
    assert alerts_of(history) == ()
    assert history.remarks == (
        "left out 20 measurements of 20 commits without a date, and git does not know when they were made",
    )


@pytest.mark.parametrize("date", ["last week", -5, float("nan"), [1], 1e300])
def test_a_date_that_cannot_be_read_is_named_and_its_file_is_read(tmp_path, repository, date):
    """It stands where git has it, or nowhere: never first, as if of 1970."""
    folder, commits = repository
    foreign(tmp_path, commits[:20], [1.0] * 20)
    path = tmp_path / "box" / f"{commits[7][:8]}-py3.9.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"date": date}))
    known, unknown = read_history(tmp_path, folder), read_history(tmp_path, None)
    assert list(known.series[0].commits) == commits[:20]
    assert known.remarks == ()
    assert list(unknown.series[0].commits) == [*commits[:7], *commits[8:20]]
    assert unknown.remarks[0].startswith("left out 1 measurement of 1 commit without a date")
    for history in (known, unknown):
        [problem] = history.problems
        assert problem.path == path
        assert problem.reason == f"date is {date!r}: expected a time; the rest is read"


def test_a_commit_without_a_date_that_git_knows_stands_in_its_history(tmp_path, repository):
    folder, commits = repository
    foreign(tmp_path, commits, [1.0] * 40)
    without_dates(tmp_path)
    history = read_history(tmp_path, folder)
    assert list(history.series[0].commits) == commits
    assert history.remarks == ()


def test_one_file_of_a_commit_that_tells_its_date_is_enough(tmp_path):
    foreign(tmp_path / "undated", COMMITS, [1.0] * 40)
    without_dates(tmp_path / "undated")
    foreign(tmp_path, COMMITS, [1.0] * 40)
    history = read_history(tmp_path, None)
    assert list(history.series[0].commits) == COMMITS
    assert history.remarks == ()


def test_what_no_commit_stands_for_is_counted(tmp_path, write_benches, write_gates):
    write_benches(tmp_path, ["a" * 40], [1e-5], dirty=True)
    write_benches(tmp_path, [None], [1e-5])
    write_gates(tmp_path, ["a" * 40, "b" * 40], [[0.1, 0.1, 0.1, 0.11]], dirty=True)
    history = read_history(tmp_path, None)
    assert history.series == ()
    assert history.remarks == (
        "left out 1 measurement with local changes, which no commit stands for",
        "left out 1 measurement without a commit, such as of an installed wheel",
        "left out 1 run of the gate with local changes, without two commits, or under two interpreters",
    )


def tracked(folder, name, values, unit, kind="track"):
    """A results folder of asv of somebody else with a benchmark that counts something, or measures it."""
    (folder / "box").mkdir(parents=True)
    known = {name: {"type": kind, "unit": unit, "param_names": []}, "version": 2}
    (folder / "benchmarks.json").write_text(json.dumps(known))
    for i, (commit, value) in enumerate(zip(COMMITS, values, strict=False)):
        content = {
            "version": 2, "commit_hash": commit, "env_name": "py3.9", "date": 1_600_000_000_000 + 60_000 * i,
            "params": {}, "python": "3.9", "result_columns": ["result", "params", "version"],
            "results": {name: [[value], [], "1"]},
        }  # fmt: skip
        (folder / "box" / f"{commit[:8]}-py3.9.json").write_text(json.dumps(content))


def test_what_somebody_else_counts_in_ones_is_followed_and_fails_nothing(tmp_path):
    """Only losses of this project have no better direction, of the ratios of the gate alone 1 is the unit."""
    tracked(
        tmp_path,
        "map.track_rows",
        [100.0 + i % 3 for i in range(20)] + [150.0 + i % 3 for i in range(20)],
        "1",
    )
    [alert] = alerts_of(read_history(tmp_path, None))
    assert (alert.series.case, alert.first_bad, alert.fails) == ("map.track_rows", COMMITS[20], False)


def test_a_series_with_values_of_zero_or_less_is_named(tmp_path):
    tracked(tmp_path, "map.track_balance", [1.0, 0.0, -1.0] * 5, "euros")
    history = read_history(tmp_path, None)
    assert history.series == ()
    assert history.remarks == (
        "left out 1 series with values of zero or less, which a track_ may have and of which no change is a "
        "share: map.track_balance",
    )


def test_each_benchmark_with_values_of_zero_or_less_is_named_once_up_to_three(tmp_path):
    tracked(tmp_path, "a.track_x", [0.0], "euros")
    [path] = (tmp_path / "box").iterdir()
    content = json.loads(path.read_text())
    content["results"] = {f"a.track_{name}": [[0, -1], [["1", "2"]], "1"] for name in "xyzuv"}
    path.write_text(json.dumps(content))
    [remark] = read_history(tmp_path, None).remarks
    assert remark.startswith("left out 10 series")
    assert remark.endswith(": a.track_x, a.track_u, a.track_v and 2 more")


def test_results_that_were_not_measured_are_counted_with_their_benchmarks(tmp_path):
    """Of each reason; what can be a time stays a series."""
    values = [1.0, None, float("nan"), -0.5, 1.0, 0, "fast"]
    tracked(tmp_path / "some", "a.time_some", values, "seconds", kind="time")
    tracked(tmp_path / "none", "a.time_none", [None, None, "fast"], "seconds", kind="time")
    tracked(tmp_path / "size", "a.peakmem_x", [-1, 5], "bytes", kind="peakmemory")
    told = (
        "left out 1 skipped result: a.time_some",
        "left out 3 failed results: a.time_none, a.time_some",
        "left out 5 impossible results, such as a text or a time of zero: "
        "a.time_none, a.peakmem_x, a.time_some",
    )
    frame, problems = read_frame(tmp_path)
    for history in (read_history(tmp_path, None), history_of(frame, ())):
        assert sorted(history.remarks) == sorted(told)
        assert {one.case: one.values.tolist() for one in history.series} == {
            "a.peakmem_x": [5.0],
            "a.time_some": [1.0, 1.0],
        }
    assert problems == []


def test_a_time_of_zero_takes_no_other_point_of_its_series_along(tmp_path, write_benches):
    """asv's reader says so of a result; here, of one of our own records."""
    write_benches(tmp_path, COMMITS[:4], [1e-5, 0.0, 2e-5, 3e-5])
    history = read_history(tmp_path, None)
    assert [one.values.tolist() for one in history.series] == [[1e-5, 2e-5, 3e-5]]
    assert history.remarks == ("left out 1 impossible result, such as a text or a time of zero: scratch",)
