"""`rmsprop alerts`: its table, its JSON and its exit codes."""

import json
import re

import numpy as np
import pytest
from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.cli.main import app
from tests.suite.history.conftest import foreign

COMMITS = [f"{i:08x}" * 5 for i in range(40)]


@pytest.fixture
def alerts(monkeypatch, tmp_path):
    """Run the command in a folder that is no checkout: the exit code, and what it printed; stdout of JSON."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))

    def run(*options):
        result = CliRunner().invoke(app, ["alerts", *options])
        if isinstance(result.exception, UserError):
            raise result.exception
        return result.exit_code, result.stdout if "--json" in options else result.output

    return run


def step(values, ratio):
    return values * np.where(np.arange(len(values)) < 30, 1, ratio)


def test_a_slower_step_is_shown_and_exits_1(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 1.1)})
    code, output = alerts()
    assert code == 1
    assert "scratch-cpu-float32-1e3-single-1t" in output
    assert COMMITS[29][:9] in output
    assert "1 series of up to 40 commits, 1 of them long enough" in output


def test_a_faster_step_is_shown_and_exits_0(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 0.9)})
    code, output = alerts()
    assert code == 0
    assert "-9." in output or "-10." in output


def test_no_step_exits_0_and_says_so(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": steady(40)})
    assert alerts()[0] == 0
    assert "no change point" in alerts()[1]


@pytest.mark.parametrize("commits", [0, 1, 10])
def test_too_short_a_history_exits_3_and_says_what_is_there(alerts, tmp_path, write_asv, steady, commits):
    (tmp_path / "results").mkdir()
    write_asv(tmp_path / "results", COMMITS[:commits], {"scratch": steady(commits)})
    code, output = alerts()
    assert code == 3
    assert "not enough history" in output
    assert commits == 0 or f"1 series of up to {commits} commits, 0 of them long enough" in output


def test_a_missing_folder_is_wrong_use(alerts):
    with pytest.raises(UserError, match="no folder nowhere"):
        alerts("--results", "nowhere")


def test_recent_must_be_one_or_more(alerts, tmp_path):
    (tmp_path / "results").mkdir()
    assert alerts("--recent", "0")[0] == 2


def test_old_steps_do_not_alarm_when_the_recent_ones_are_asked_for(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 1.1)})
    assert alerts("--recent", "5")[0] == 0
    assert alerts("--recent", "15")[0] == 1


def test_json_holds_the_same(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 1.1)})
    code, output = alerts("--json")
    answer = json.loads(output)
    [alert] = answer["alerts"]
    assert code == 1
    assert (alert["last_good"], alert["first_bad"]) == (COMMITS[29], COMMITS[30])
    assert (alert["direction"], alert["unmeasured"]) == ("slower", None)
    assert (answer["series"], answer["long_enough"], answer["left_out"]) == (1, 1, [])


def test_reading_and_searching_show_how_far_they_are_on_stderr(tmp_path, monkeypatch, write_asv, steady):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    write_asv(tmp_path / "results", COMMITS, {"scratch": steady(40), "fused": steady(40, seed=1)})
    result = CliRunner().invoke(app, ["alerts"])
    assert re.search(r"files read .* 40/40", result.stderr)
    assert re.search(r"series searched .* 2/2", result.stderr)
    assert "searched" not in result.stdout


def test_a_machine_on_which_all_became_slower_at_once_is_suspected(alerts, tmp_path, write_asv, steady):
    every = {f"case{i}": step(steady(40, seed=i), 1.3) for i in range(8)}
    write_asv(tmp_path / "results", COMMITS, every)
    assert "8 of 8 series changed here; suspect the machine before the code" in alerts()[1]


def test_two_environments_of_a_machine_are_named_in_the_rows(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 1.1)})
    for path in list((tmp_path / "results" / "asv" / "box").iterdir()):
        path.with_name(path.name.replace("py3.11", "py3.12")).write_text(path.read_text())
    output = alerts()[1]
    assert "scratch-cpu-float32-1e3-single-1t in py3.11 " in output
    assert "scratch-cpu-float32-1e3-single-1t in py3.12 " in output


def test_more_of_what_is_counted_heads_a_commit_that_changed(alerts, tmp_path):
    foreign(tmp_path / "results", COMMITS, step(np.ones(40), 1.2))
    for path in (tmp_path / "results").rglob("*.json"):
        text = path.read_text().replace("time_load", "track_up").replace("seconds", "rows")
        path.write_text(text.replace('"type": "time"', '"type": "track"'))
    code, output = alerts()
    assert code == 0
    assert f"changed since {COMMITS[30][:9]}" in output
    assert "slower" not in output


def test_damaged_files_are_named(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": steady(40)})
    (tmp_path / "results" / "asv" / "box" / "cut.json").write_text("{")
    code, output = alerts()
    assert code == 0
    assert "left out" in output
    assert "cut.json" in output


@pytest.mark.parametrize(
    ("configuration", "address"),
    [
        ('{\n// "show_commit_url": "http://no.example/",\n"show_commit_url": "https://a.example/c/"}', True),
        ('{"project": "x"}', False),
        ('{"show_commit_url": "javascript:alert(1)//"}', False),
        ("\x00 damaged", False),
    ],
)
def test_commits_are_linked_as_asv_links_them(alerts, tmp_path, write_asv, steady, configuration, address):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 1.1)})
    (tmp_path / "asv.conf.json").write_text(configuration)
    expected = f"https://a.example/c/{COMMITS[30]}"
    assert (expected in alerts()[1].replace("\n", "")) is address
    assert "no.example" not in alerts()[1]
    [alert] = json.loads(alerts("--json")[1])["alerts"]
    assert alert["url"] == (expected if address else None)


def test_the_folder_of_foreign_results_may_hold_the_configuration(alerts, tmp_path, write_asv, steady):
    write_asv(tmp_path / "results", COMMITS, {"scratch": step(steady(40), 1.1)})
    (tmp_path / "results" / "asv.conf.json").write_text('{"show_commit_url": "https://a.example/c/"}')
    assert f"https://a.example/c/{COMMITS[30]}" in alerts("--results", "results")[1].replace("\n", "")


def test_what_is_in_no_series_is_named_and_is_the_reason_where_nothing_is_left(
    alerts, tmp_path, write_asv, steady
):
    write_asv(tmp_path / "results", COMMITS, {"scratch": steady(40)})
    for path in (tmp_path / "results" / "asv" / "box").iterdir():
        path.write_text(path.read_text().replace('"date"', '"no date"'))
    code, output = alerts()
    assert code == 3
    assert "left out 40 measurements of 40 commits without a date" in output
    assert "nothing is left" in output
