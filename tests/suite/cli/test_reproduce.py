"""The command line through its real entry point."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import typer

from rmsprop.book.claims import claims
from rmsprop.suite.cli import reproduce as command
from rmsprop.suite.cli.options import ReproduceOptions
from rmsprop.suite.records.store import read_reproduction, read_reproductions

COMMAND = Path(sys.executable).with_name("rmsprop")
QUICK = ("--seeds", "400", "--runs", "6", "--no-others")


def rmsprop(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if name != "RMSPROP_DATA"}
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env=clean | {"COLUMNS": "160"} | environment,
    )


@pytest.fixture(scope="module")
def reproduced(tmp_path_factory, real_data):
    folder = tmp_path_factory.mktemp("results")
    return rmsprop("reproduce", *QUICK, "--data", real_data, "--output", folder), folder


@pytest.mark.slow
def test_the_section_is_reproduced_on_the_real_rows(reproduced):
    answer, folder = reproduced
    assert answer.returncode == 0, answer.stdout + answer.stderr
    digits = ("-0.010599", "0.000000")
    losses_and_seconds = ("0.243452", "0.243676", "0.049984", "0.043637", "1.145")
    for printed in digits + losses_and_seconds:
        assert printed in answer.stdout
    assert "not reproduced" not in answer.stdout
    assert "not consistent" not in answer.stdout
    assert "data: real" in answer.stdout
    [record], problems = read_reproductions(folder)
    assert not problems
    assert record.data.source == "real"
    assert (
        len(record.programs["rmsprop-scratch"].losses),
        record.programs["rmsprop-concise"].ensemble.seeds,
    ) == (6, 400)


@pytest.mark.slow
def test_the_record_holds_no_path_of_the_machine(reproduced, real_data):
    _, folder = reproduced
    [path] = folder.glob("**/*.json")
    assert str(real_data.parent) not in path.read_text()
    assert str(Path.home()) not in path.read_text()


@pytest.mark.slow
def test_the_report_is_made_from_the_record(reproduced, tmp_path):
    _, folder = reproduced
    answer = rmsprop("report", "--results", folder, "--output", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert "0.243452" in (tmp_path / "index.html").read_text()


@pytest.fixture(scope="module")
def twice_on_the_surrogate(tmp_path_factory):
    """What the command said once in words and once in JSON, and the folder of both records."""
    folder = tmp_path_factory.mktemp("surrogate")
    command = ("reproduce", *QUICK, "--data", "surrogate", "--output", folder)
    return rmsprop(*command), rmsprop(*command, "--json"), folder


@pytest.mark.slow
def test_the_surrogate_is_used_when_asked_for_and_said_everywhere(twice_on_the_surrogate):
    answer, _, folder = twice_on_the_surrogate
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "data: surrogate" in answer.stdout
    [record, _], _ = read_reproductions(folder)
    assert (record.data.source, record.data.sha256) == ("surrogate", None)


@pytest.mark.slow
def test_json_is_for_programs_and_alone_on_stdout(twice_on_the_surrogate):
    _, answer, _ = twice_on_the_surrogate
    verdicts = json.loads(answer.stdout)
    assert len(verdicts["verdicts"]) == 54
    assert Path(verdicts["record"]).is_file()
    assert verdicts["order"]["book"] == pytest.approx(1.145, abs=0.001)


@pytest.mark.slow
def test_reproduce_twice_gives_the_same_losses(twice_on_the_surrogate):
    (first, second), _ = read_reproductions(twice_on_the_surrogate[2])
    for program in ("rmsprop-scratch", "rmsprop-concise"):
        assert first.programs[program].losses == second.programs[program].losses
        assert first.programs[program].ensemble.quantiles == second.programs[program].ensemble.quantiles


@pytest.mark.slow
def test_what_cannot_be_called_reproduced_is_exit_code_1(tmp_path):
    """A single seed stands below or above the printed value, and says nothing of the central 99%."""
    one = ("--seeds", 1, "--runs", 1, "--no-others")
    answer = rmsprop("reproduce", *one, "--data", "surrogate", "--output", tmp_path)
    assert answer.returncode == 1, answer.stdout
    assert "undecided" in answer.stdout
    assert "--seeds" in answer.stdout


BAD = {
    "more seeds than memory": (["--seeds", "1000000000000"], "GiB are free"),
    "no such file": (["--data", "nowhere.dat"], "nowhere.dat"),
    "no such section": (["--section", "7.9"], "choose one of 7.2, 7.3, 7.4, 7.5, 7.6, 7.7, 7.8"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_line_exit_code_2_and_nothing_written(name, tmp_path):
    arguments, expected = BAD[name]
    folder = tmp_path / "results"
    answer = rmsprop("reproduce", *QUICK, "--data", "surrogate", *arguments, "--output", folder)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert expected in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not list(tmp_path.glob("**/*.json"))


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_cuda_asked_for_and_absent_is_exit_code_2(tmp_path):
    answer = rmsprop("reproduce", *QUICK, "--device", "cuda", "--output", tmp_path)
    assert answer.returncode == 2
    assert "finds none here" in answer.stderr


@pytest.mark.slow
def test_altered_data_are_refused_with_both_checksums(tmp_path, real_data):
    altered = tmp_path / "altered.dat"
    altered.write_text(real_data.read_text().replace("126.201", "126.202", 1))
    answer = rmsprop("reproduce", *QUICK, "--output", tmp_path / "results", RMSPROP_DATA=str(altered))
    assert answer.returncode == 2
    assert str(altered) in answer.stderr
    assert "10ee06e6" in answer.stderr


@pytest.mark.slow
def test_an_output_folder_that_cannot_be_written_is_known_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    answer = rmsprop("reproduce", "--seeds", 10_000, "--runs", 1_000, "--output", tmp_path / "file")
    assert answer.returncode == 2
    assert "cannot write" in answer.stderr


def exit_code(options):
    with pytest.raises(typer.Exit) as ended:
        command.run(options)
    return ended.value.exit_code


@pytest.mark.slow
def test_a_wrong_program_in_place_of_the_right_one_turns_exit_code_0_into_1(tmp_path, real_data, monkeypatch):
    """lr .02 ends at a loss that is consistent with the book's: its curve is what tells."""
    options = ReproduceOptions(seeds=800, runs=1, others=False, data=str(real_data), output=tmp_path)
    assert exit_code(options) == 0
    right = claims()
    program = right.programs["rmsprop-scratch"]
    wrong = replace(program, hyperparameters={**program.hyperparameters, "lr": 0.02})
    programs = {**right.programs, "rmsprop-scratch": wrong}
    monkeypatch.setattr(command, "claims", lambda _section: replace(right, programs=programs))
    assert exit_code(options) == 1


@pytest.mark.slow
def test_the_chapter_on_the_surrogate_runs_and_says_what_it_cannot_judge(tmp_path):
    answer = rmsprop(
        "reproduce", "--chapter", "--seeds", 100, "--runs", 1, "--no-others", "--data", "surrogate",
        "--output", tmp_path,
    )  # fmt: skip
    assert answer.returncode in (0, 1), answer.stderr
    assert "no curve is judged (the surrogate rows train along other curves)" in answer.stdout
    assert "data: surrogate" in answer.stdout
    [record], _ = read_reproductions(tmp_path)
    assert record.section == "chapter"
    assert len(record.programs) == 16
    assert not any(measured.curves for measured in record.programs.values())


INTERRUPTED = """
import sys
import rmsprop.suite.cli.reproduce as command
from rmsprop.suite.cli.main import main

stage_to_interrupt, *sys.argv[1:] = sys.argv[1:]

def reproduce(*data, progress, real=command.reproduce, **how):
    def told(stage, done):
        progress(stage, done)
        if stage == stage_to_interrupt and done:
            print("begun", flush=True)
    return real(*data, progress=told, **how)

command.reproduce = reproduce
main()
"""


def interrupt(stage, kill, *arguments):
    """Run the command until it has done a part of `stage`, then send the signal; exit code and all output."""
    program = [sys.executable, "-c", INTERRUPTED, stage, "reproduce", "--data", "surrogate", *arguments]
    with subprocess.Popen(
        program,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "160"},
    ) as process:
        assert process.stdout.readline() == "begun\n"
        process.send_signal(kill)
        out, err = process.communicate(timeout=120)
    return process.returncode, out + err


@pytest.mark.slow
@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_and_judges_what_was_finished(kill, tmp_path):
    code, said = interrupt("runs", kill, "--runs", "100000", "--output", str(tmp_path))
    assert code == 130, said
    assert "interrupted" in said
    [path] = tmp_path.glob("**/*.json")
    record = read_reproduction(path)
    assert record.interrupted
    assert 0 < len(record.programs["rmsprop-scratch"].losses) < 100_000
    assert record.programs["rmsprop-scratch"].ensemble is None


@pytest.mark.slow
def test_an_interrupted_ensemble_keeps_the_seeds_that_were_trained(tmp_path):
    code, said = interrupt(
        "rmsprop-scratch", signal.SIGINT, "--runs", "1", "--seeds", "10000000", "--output", str(tmp_path)
    )
    assert code == 130, said
    [record], _ = read_reproductions(tmp_path)
    seeds = record.programs["rmsprop-scratch"].ensemble.seeds
    assert 0 < seeds < 10_000_000
    assert f"{seeds:,} seeds" in said


def test_a_results_folder_that_is_not_there_is_wrong_use_and_the_report_is_left(tmp_path):
    answer = rmsprop("report", "--results", tmp_path / "typo", "--output", tmp_path / "reports")
    assert answer.returncode == 2
    assert "there is no folder" in answer.stderr
    assert not (tmp_path / "reports").exists()
