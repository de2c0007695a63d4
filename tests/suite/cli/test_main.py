"""The command group: wrong options are answered at once, errors are one line, and the version is told."""

import json
import subprocess
import sys
import tempfile
from dataclasses import fields
from errno import EACCES
from importlib import import_module

import pytest
from typer.testing import CliRunner

from rmsprop import __version__
from rmsprop.errors import UserError
from rmsprop.suite.cli import gate_options, options
from rmsprop.suite.cli import main as cli
from rmsprop.suite.gate.formats import format_of
from rmsprop.suite.records.export import FORMS

WRONG = {
    "bench --profile enormous": "smoke, regular, fused, full",
    "bench --implementation nobody": "builtin-loop",
    "bench --optimizer torch.optim.Adagrad": "expected package.module:Class",
    "bench --optimizer nowhere.at:All": "there is no module 'nowhere'",
    "run --optimizer nowhere:Nothing": "there is no module 'nowhere'",
    "bench --size many": "1e5",
    "bench --threads 3": "1, all",
    "bench --threads 0": "choose one of 1, all",
    "bench --output a-file": "cannot write to a-file",
    "run --results a-file": "cannot write to a-file",
    "run --output a-file": "cannot write to a-file",
    "run --data none.csv": "'none.csv': there is no such file",
    "reproduce --output a-file": "cannot write to a-file",
    "reproduce --data none.csv": "expected the path of airfoil_self_noise.dat",
    "peers --data none.csv": "there is no such file",
    "peers --output a-file": "cannot write to a-file",
    "sweep --data none.csv": "there is no such file",
    "sweep --output a-file": "cannot write to a-file",
    "report --results . --output a-file": "cannot write to a-file",
    "report --results . --output a-file/in": "a-file: Not a directory",
    "report --results . --output theirs": "theirs/README.md was not made by",
    "run --output theirs": "theirs/README.md was not made by",
    "report --results . --readme none.md": "none.md cannot be read",
    "report --results . --readme theirs": "theirs: it is there and is no file",
    "export --results . --output theirs": "theirs: it is there and is no file",
    "export --results . --output a-file/in/rows.csv": "cannot write to a-file/in: Not a directory",
    "report --results . --readme a-file": "a-file must hold one",
    "gate --base none": "git knows no commit 'none' here",
    "gate --base none --budget abc": "expected a time such as 8m",
    "gate --base none --aim 200%": "expected a slowdown such as 3%",
    "bench --layout round": "gpt2",
    "reproduce --dtype float31": "bfloat16, float16",
    "reproduce --device tpu": "cpu, cuda, mps",
    "reproduce --device cuda:x": "cpu, cuda, mps",
    "reproduce --seeds 0": "expected at least 1",
    "reproduce --runs -3": "expected at least 1",
    "run --profile enormous": "smoke, regular",
    "gate": "--base REVISION",
    "gate --base main --format pdf": "junit",
    "gate --base main --pairs 9": "less than or equal to 5",
    "alerts --results typo": "there is no folder typo",
    "report --results typo": "there is no folder typo",
    "export --results typo": "there is no folder typo",
    "export --format xlsx": "parquet, csv, json",
    "alerts --recent 0": "greater than or equal to 1",
    "export --colour red": "No such option",
    "peers --peer theano": "keras, timm",
    "translate torch --to theano": "keras, timm",
    "translate torch --rho 0.9 --to keras": "no argument 'rho'",
    "sweep optimizer=lion": "one of sgd, momentum, adagrad, rmsprop, adadelta, adam",
    "sweep depth=3": "choose from optimizer, lr, gamma, eps, momentum, batch_size, epochs, dtype",
    "sweep lr": "expected AXIS=VALUES",
    "sweep lr=1,2 lr=3": "given twice",
    "sweep optimizer=sgd gamma=.9": "such as optimizer=rmsprop",
    "sweep --profile enormous": "smoke, map",
    "sweep --seeds 0": "expected 1 to",
    "sweep --jobs 0": "expected at least 1",
    "sweep --chunk 5": "expected at least 128",
    "sweep --target 0": "above 0",
    "sweep --jobs 2 --scheduler tcp://a:1": "a cluster has its own workers",
    "measure": "No such command",
}

EACH = """
import contextlib, io, json, sys
from rmsprop.suite.cli.main import main

answers = {}
for line in json.loads(sys.argv[1]):
    sys.argv[1:] = line.split()
    with contextlib.redirect_stderr(io.StringIO()) as err:
        try:
            main()
        except SystemExit as stopped:
            answers[line] = stopped.code, err.getvalue()
heavy = [name for name in ("torch", "pandas", "scipy", "matplotlib") if name in sys.modules]
print(json.dumps([answers, heavy]))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Exit code and message of each wrong command line, and the heavy packages that all of them loaded."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "a-file").touch()
    (folder / "theirs").mkdir()
    (folder / "theirs" / "README.md").touch()
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    done = subprocess.run(
        [sys.executable, "-c", EACH, json.dumps([*WRONG])],
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_option_is_wrong_use_and_says_what_was_expected(answers, line):
    code, message = answers[0][line]
    assert code == 2
    assert WRONG[line] in message
    assert "Traceback" not in message


def test_a_wrong_option_is_answered_before_anything_heavy_is_loaded(answers):
    assert answers[1] == []


def test_parquet_without_pyarrow_is_refused_and_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'rmsprop-bench\[parquet\]'"):
        options.ExportOptions("parquet", tmp_path).check_here()


def test_where_nothing_may_be_written_a_file_is_refused_before_the_records_are_read(tmp_path, monkeypatch):
    def denied(**_given):
        raise PermissionError(EACCES, "Permission denied")

    readme = tmp_path / "README.md"
    readme.write_text("<!-- made by `rmsprop report` -->\n<!-- end -->\n")
    monkeypatch.setattr(tempfile, "TemporaryFile", denied)
    for given in (
        options.ExportOptions(results=tmp_path, output=tmp_path / "rows.csv"),
        options.ReportOptions(results=tmp_path, output=tmp_path / "site", readme=readme),
    ):
        with pytest.raises(UserError, match=f"cannot write to {tmp_path}: Permission denied"):
            given.check_here()


@pytest.mark.slow
@pytest.mark.parametrize("command", ["alerts", "export", "report"])
def test_reading_records_loads_no_torch(command, tmp_path):
    program = """
import sys
from rmsprop.__main__ import main
try:
    main()
finally:
    assert "rmsprop.suite.records.frame" in sys.modules
    assert "torch" not in sys.modules
"""
    done = subprocess.run(
        [sys.executable, "-c", program, command, "--results", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 3), done.stderr


def test_each_command_has_a_module_of_its_name_with_one_run():
    for name in cli.COMMANDS:
        assert callable(import_module(f"rmsprop.suite.cli.{name}").run)


def test_options_are_frozen_and_every_one_is_explained():
    for kind in cli.COMMANDS.values():
        assert kind.__doc__
        for field in fields(kind):
            assert field.type.__metadata__[0].help.endswith(".")
        with pytest.raises(AttributeError):
            kind.__setattr__(object.__new__(kind), "anything", 1)


def test_the_formats_that_the_options_name_are_those_that_there_are():
    assert set(options.EXPORT_FORMATS) == set(FORMS)
    for name in gate_options.GATE_FORMATS:
        format_of(name)
    with pytest.raises(UserError) as refused:
        format_of("unknown")
    assert str(refused.value).endswith(", ".join(gate_options.GATE_FORMATS))


def test_a_repeated_option_reaches_the_command_as_a_tuple(monkeypatch):
    given = []
    monkeypatch.setattr(import_module("rmsprop.suite.cli.bench"), "run", given.append)
    answer = CliRunner().invoke(cli.app, ["bench", "--size", "1e3", "--size", "1e5", "--again"])
    assert answer.exit_code == 0, answer.output
    assert given == [options.BenchOptions(size=("1e3", "1e5"), again=True)]


def test_the_version_is_printed():
    answer = CliRunner().invoke(cli.app, ["--version"])
    assert (answer.exit_code, answer.output) == (0, f"rmsprop-bench {__version__}\n")


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("rmsprop ga", "gate"), ("rmsprop bench --profile f", "full"), ("rmsprop run --d", "--data")],
)
def test_the_shell_completes_commands_options_and_names(typed, offered):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.argv[0] = 'rmsprop'; from rmsprop.__main__ import main; main()",
        ],
        env={
            "_RMSPROP_COMPLETE": "complete_bash",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
            "PYTHONPATH": ":".join(path for path in sys.path if path),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert offered in done.stdout.split(), done.stderr


@pytest.fixture
def broken(monkeypatch):
    """Run a command that raises ZeroDivisionError: what it prints on stderr and its exit code."""

    def fail(_options):
        raise ZeroDivisionError("division by zero")

    def run(capsys, *arguments):
        monkeypatch.setattr(import_module("rmsprop.suite.cli.machine"), "run", fail)
        monkeypatch.setattr(cli, "catch_interrupts", list)
        monkeypatch.setattr(sys, "argv", ["rmsprop", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code, capsys.readouterr().err

    return run


def test_an_internal_error_is_one_line_and_never_looks_like_a_slowdown(broken, capsys):
    code, err = broken(capsys, "machine")
    assert code == 2
    assert err.startswith("rmsprop: internal error (ZeroDivisionError at test_main.py:")
    assert "Please report it" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("--debug", "machine"), ("machine", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(broken, capsys, arguments):
    code, err = broken(capsys, *arguments)
    assert code == 2
    assert "Traceback" in err
    assert "internal error" in err.splitlines()[-1]


def test_without_the_extra_the_command_says_in_one_line_what_to_install():
    program = "import sys; sys.modules['typer'] = None; from rmsprop.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "rmsprop-bench[suite]" in done.stderr
    assert len(done.stderr.splitlines()) == 1
