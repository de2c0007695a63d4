"""The soak notices what it is there to notice, and draws the same for the same number."""

import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.records.files import read_json
from rmsprop.suite.report.inputs import read_inputs
from studies.soak import __main__ as soak
from studies.soak.commands import COMMANDS, Command
from studies.soak.damage import FOLDER, KINDS, RENAMED, SURE, UNSURE, Damaged, damage, damage_one
from studies.soak.disturb import Disturbance, Ended, carry_out
from studies.soak.faults import faults_of_end, faults_of_files, faults_of_names, faults_of_records
from studies.soak.places import some_results, state_of, workshop
from studies.soak.scenario import QUIET, Soaking

RESULTS = Path(__file__).parents[2] / "results"
EXPORT = next(command for command in COMMANDS if command.name == "export csv")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux"),
]


def kinds(faults):
    return [fault.kind for fault in faults]


@pytest.fixture
def results():
    if not RESULTS.is_dir():
        pytest.skip("needs the checkout's results")
    return RESULTS


@pytest.fixture
def planted(results):
    """Soak one scenario of a program that does what the text says, in place of `rmsprop`."""

    def soaked(text, kind="none", command=EXPORT, patience=5.0, damaged=()):
        with workshop(results) as shop:
            program = shop / "planted.py"
            program.write_text(f"import os, sys, time\nfrom pathlib import Path\n{text}\n")
            soaking = Soaking(
                shop, 1, [command], "machine", usual={command.name: 1.0},
                program=(sys.executable, str(program)), patience=patience,
            )  # fmt: skip
            disturbance = Disturbance(kind, None, False, 0.0)  # when the program makes a temporary file
            return soaking._carried_out(1, command, disturbance, damaged, place_of(soaking))

    def place_of(soaking):
        place = soaking.shop / "place"
        (place / "tmp").mkdir(parents=True)
        some_results(soaking.shop / "pool", place / "results", random.Random(1), "machine")
        return place

    return soaked


FIRST = "first = sorted(Path('results').rglob('*.json'))[0]\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("pass", []),
        ("1 / 0", ["traceback", "exit code"]),
        ("sys.exit(7)", ["exit code"]),
        ("sys.exit(2)", ["refused"]),
        (FIRST + "first.unlink()", ["file lost"]),
        (FIRST + "first.write_text('{}')", ["file lost"]),
        (FIRST + "first.with_name('new.json').write_text('{}')", ["file touched"]),
        ("Path('results/.partial-1').touch()", ["partial left"]),
        ("Path('tmp/x').touch()", ["partial left"]),
        ("Path('rmsprop.csv').touch()", []),
        ("os.fork() or time.sleep(60)", ["process left"]),
    ],
)
def test_what_is_wrong_with_a_run_is_noticed(planted, monkeypatch, text, found):
    monkeypatch.setattr("studies.soak.disturb.LEFT", 0.2)
    assert kinds(planted(text).faults) == found


def test_a_run_that_does_not_end_is_noticed_and_ended(planted):
    outcome = planted(
        "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "Path('tmp/rmsprop-gate-1').touch(); time.sleep(60)",
        "SIGTERM",
        patience=1,
    )
    assert kinds(outcome.faults)[0] == "hang"
    assert outcome.runs[0].code < 0


def test_an_answer_leaves_its_record_and_a_whole_one(planted):
    bench = next(command for command in COMMANDS if command.name == "bench")
    assert kinds(planted("pass", command=bench).faults) == ["no record"]
    new = "Path('results/bench/x').mkdir(); Path('results/bench/x/y.json').write_text('{}')"
    assert kinds(planted(new, command=bench).faults) == []
    assert kinds(planted(new.replace("{}", "{"), command=bench).faults) == ["broken record"]
    assert kinds(planted(new, "twice at once", bench).faults).count("no record") == 1


def test_what_a_killed_run_leaves_is_the_next_runs_to_remove(planted):
    text = "left = Path('results/.partial-1')\nagain = left.exists()\nleft.touch()\n"
    keeps = planted(text + "again or time.sleep(60)", "SIGKILL")
    assert [fault.kind for fault in keeps.faults] == ["partial left"]
    assert [run.code for run in keeps.runs] == [-9, 0]
    assert planted(text + "again and left.unlink()\nagain or time.sleep(60)", "SIGKILL").faults == ()


def ended(code=0, out="", err="", **facts):
    return Ended(code, out, err, 1.0, **facts)


def test_an_interrupt_is_no_fault_once_it_was_sent_and_is_one_before():
    quiet, sent = Disturbance("SIGINT", 0.0, False, 0.0), {"sent": True, "ready": True}
    assert kinds(faults_of_end(EXPORT, quiet, [], ended(130, **sent))) == []
    assert kinds(faults_of_end(EXPORT, quiet, [], ended(130))) == ["exit code"]
    assert kinds(faults_of_end(EXPORT, quiet, [], ended(-2, **sent))) == ["exit code"]


def test_damaged_files_are_to_be_named_by_those_that_read_them():
    bench, gate = (Damaged(Path(f"results/{kind}/x.json"), "binary") for kind in ("bench", "gate"))
    harmless = Damaged(Path("results/bench/y.json"), "NaN")
    odd = Damaged(Path(os.fsdecode(b"results/bench/\xff.json")), RENAMED)
    damaged = [bench, gate, harmless, odd]
    assert kinds(faults_of_names(EXPORT, damaged, ended(err=""))) == ["not named"] * 2
    named = ended(err="left out results/bench/x.json: not JSON\nleft out results/bench/\\xff.json: it")
    assert kinds(faults_of_names(EXPORT, damaged, named)) == []
    assert kinds(faults_of_names(EXPORT, damaged, ended(130))) == []


def test_files_of_the_former_site_may_go_and_others_stay():
    report = COMMANDS[0]
    before = {"reports/index.html": "a", "reports/mine": "b"}
    assert kinds(faults_of_files(report, before, {}, ["reports/index.html"])) == ["file lost"]
    assert kinds(faults_of_records(report, before, {}, Path(), 1)) == []


@pytest.mark.parametrize("how", [how for how in SURE if how != "other kind"])
def test_a_damaged_file_holds_no_record(results, tmp_path, how):
    path = tmp_path / "x.json"
    path.write_bytes(next((results / "gate").rglob("*.json")).read_bytes())
    assert damage_one(path, how, random.Random(1), []) == path
    with pytest.raises((OSError, ValueError)):
        read_json(path)


def test_every_kind_of_damage_is_drawn_and_the_report_reads_the_rest(results, tmp_path):
    drawn = set()
    for number in range(25):
        place = tmp_path / str(number)
        rng = random.Random(number)
        some_results(results, place / "results", rng, "machine")
        damaged = damage(place, rng, 4)
        assert all(os.path.lexists(place / one.path) for one in damaged)
        drawn |= {one.how for one in damaged}
    assert drawn == set(KINDS)
    assert {FOLDER, *UNSURE} < drawn
    assert read_inputs(place / "results").problems


def test_the_same_number_draws_the_same(results):
    def drawn(number):
        with workshop(results) as shop:
            outcome = Soaking(shop, 3, COMMANDS, "m", program=(sys.executable, "-c", "")).scenario(number)
        return outcome.command, outcome.disturbance, outcome.damaged

    assert drawn(5) == drawn(5)
    assert drawn(5) != drawn(6)


def test_a_closed_pipe_and_a_stopped_process_are_what_they_say(tmp_path):
    def run(kind, program, amount=0.0):
        command = [sys.executable, "-c", program]
        return carry_out(command, tmp_path, dict(os.environ), Disturbance(kind, 0.3, True, amount), 1.0)

    again = "import time; out = open('x', 'wb', 0)\nwhile True: time.sleep(0.05); "
    broken = run("closed pipe", again + "print('x', flush=True)")
    assert "BrokenPipe" in broken.err
    stopped = run("SIGSTOP and SIGCONT", "import time; time.sleep(1); print('done')")
    assert (stopped.code, stopped.out.strip(), stopped.sent) == (0, "done", True)
    small = run("file size limit", again + "out.write(b'y' * 99)")
    assert "File too large" in small.err


def test_an_interrupted_soak_keeps_its_counts(results, tmp_path, monkeypatch, capsys):
    asked = iter([Soaking.scenario])

    def interrupted(self, number):
        try:
            return next(asked)(self, number)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(soak, "_take_signals", lambda: None)
    monkeypatch.setattr(Soaking, "scenario", interrupted)
    code = soak.main(["--command", "translate", "--results", str(results), "--output", str(tmp_path)])
    [path] = tmp_path.glob("*.json")
    record = json.loads(path.read_text())
    assert (code, record["interrupted"], record["counts"]["scenarios"]) == (130, True, 1)
    assert "it was interrupted" in (tmp_path / "README.md").read_text()
    capsys.readouterr()


def test_the_page_shows_each_fault_and_the_scenarios_that_were_repeated(
    results, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(soak, "_take_signals", lambda: None)
    monkeypatch.setattr(Disturbance, "drawn", lambda *_: QUIET)
    crash = (sys.executable, "-c", "import sys; sys.exit(7)")
    real = Soaking.run

    def soaked(program, seed):
        monkeypatch.setattr(Soaking, "run", lambda self, *given: real(replace(self, program=program), *given))
        options = ["--command", "translate", "--results", str(results), "--output", str(tmp_path)]
        return soak.main([*options, "--seed", str(seed), "--scenario", "4"])

    assert soaked(crash, 1) == 1
    page = (tmp_path / "README.md").read_text()
    assert "| exit code | 1 |" in page
    assert "--seed 1 --scenario 4`" in page
    assert soaked((sys.executable, "-c", ""), 1) == 0
    assert "| number 4 |" in (tmp_path / "README.md").read_text()
    capsys.readouterr()


def test_a_folder_that_cannot_hold_the_record_excuses_that_it_is_not_there(planted):
    gate = next(command for command in COMMANDS if command.name == "gate")
    gate = replace(gate, folder=".")
    assert kinds(planted("pass", command=gate).faults) == ["no record"]
    damaged = (Damaged(Path("results/gate"), FOLDER),)
    assert kinds(planted("pass", command=gate, damaged=damaged).faults) == []


def test_results_without_records_are_refused(tmp_path):
    with pytest.raises(UserError, match="no records"), workshop(tmp_path):
        pass


def test_the_state_of_a_place_opens_no_fifo(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "file").write_text("x")
    assert set(state_of(tmp_path)) == {"fifo", "link", "file"}


def test_some_seconds_of_the_real_commands_have_no_fault(results, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(soak, "_take_signals", lambda: None)
    wanted = [word for name in ("export csv", "alerts", "translate") for word in ("--command", name)]
    code = soak.main([*wanted, "--minutes", "0.3", "--output", str(tmp_path)])
    [path] = tmp_path.glob("*.json")
    record = json.loads(path.read_text())
    assert (code, record["faults"]) == (0, [])
    assert record["counts"]["runs"] >= 1
    capsys.readouterr()


def test_each_command_of_rmsprop_is_soaked():
    from rmsprop.suite.cli.main import COMMANDS as ALL  # noqa: PLC0415

    assert {command.arguments[0] for command in COMMANDS} == set(ALL)
    assert isinstance(EXPORT, Command)
    assert QUIET.kind == "none"
