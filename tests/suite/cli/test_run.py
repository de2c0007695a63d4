"""`rmsprop run` and `rmsprop export` through the real entry point."""

import csv
import io
import os
import re
import signal
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import typer

from rmsprop.book.airfoil import load_airfoil
from rmsprop.suite.case import Case
from rmsprop.suite.cli import run as runner
from rmsprop.suite.cli.options import RUN_PROFILES, RunOptions
from rmsprop.suite.cli.run import Plan, RunOutcome, carry_out, plan_of
from rmsprop.suite.measure.capture import capture_environment
from rmsprop.suite.measure.session import Effort
from rmsprop.suite.records.bench import BenchRecord
from rmsprop.suite.records.frame import COLUMNS
from rmsprop.suite.records.store import read_reproductions
from rmsprop.suite.report.build import build_report
from tests.suite.report.conftest import store_bench

COMMAND = Path(sys.executable).with_name("rmsprop")
CHECKOUT = Path(__file__).parents[3]
LOOP = Case("builtin-loop", "cpu", "float32", "1e3", "single", 1)


def rmsprop(*arguments, cwd):
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160"},
    )


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What `rmsprop run` said in a folder that is no checkout, and the folder."""
    folder = tmp_path_factory.mktemp("ran")
    return rmsprop("run", "--data", "surrogate", cwd=folder), folder


@pytest.mark.slow
def test_one_command_reproduces_and_reports_and_ends_with_the_page_and_three_sentences(ran):
    answer, folder = ran
    assert answer.returncode == 0, answer.stdout + answer.stderr
    page, *sentences, advice = answer.stdout.splitlines()
    assert (folder / page).is_file()
    assert advice.startswith(f"Next: open {page} in a browser.")
    assert [sentence.partition("?")[0] for sentence in sentences] == [
        "Does the book hold",
        "How fast is a step",
        "What changed",
    ]
    assert "2 of 2 final losses consistent" in sentences[0]
    [record], problems = read_reproductions(folder / "runs" / "results")
    assert (len(record.programs["rmsprop-scratch"].losses), problems) == (20, [])


@pytest.mark.slow
def test_one_display_shows_every_stage(ran):
    answer, _ = ran
    for stage in ("sequential runs", "seeds", "report"):
        assert stage in answer.stderr


BEGUN = """
import sys
import rmsprop.suite.cli.main, rmsprop.suite.cli.run as run

def reproduce(*data, progress, real=run.reproduce, **how):
    return real(*data, progress=lambda *stage: (print("begun", flush=True), progress(*stage)), **how)

run.reproduce = reproduce
run._SIZES["smoke"] = (100, 10_000)
sys.argv[1:] = ["run", "--data", "surrogate"]
rmsprop.suite.cli.main.main()
"""


@pytest.mark.slow
def test_an_interrupt_keeps_and_reports_what_was_finished(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", BEGUN], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
    ) as process:
        assert "begun" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, out + err
    assert "interrupted: what was finished is kept and reported" in err
    assert "Does the book hold? Not known yet" in out
    [record], _ = read_reproductions(tmp_path / "runs" / "results")
    assert record.interrupted
    assert (tmp_path / "runs" / "report" / "index.html").is_file()


@pytest.mark.slow
def test_an_interrupt_while_measuring_keeps_the_reproduction(tmp_path, monkeypatch):
    def interrupted(*_args):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "_bench", interrupted)
    done = []
    plan = Plan("smoke", seeds=100, runs=1, cases=("a case",))
    outcome = carry_out(
        plan,
        tmp_path / "results",
        tmp_path / "reports",
        load_airfoil("surrogate"),
        lambda *stage: done.append(stage),
    )
    assert outcome.interrupted
    assert "interrupted" in outcome.remarks[0]
    assert len(read_reproductions(tmp_path / "results")[0]) == 1
    assert {name for name, _, _ in done} == {"sequential runs", "seeds", "report"}


@pytest.mark.slow
def test_the_stages_of_a_plan_are_what_is_counted_down(tmp_path):
    done = {}

    def count(stage, number, _doing):
        done[stage] = done.get(stage, 0) + number

    plan = Plan("smoke", seeds=300, runs=2, cases=())
    carry_out(plan, tmp_path / "results", tmp_path / "reports", load_airfoil("surrogate"), count)
    assert done == {"sequential runs": 2, "seeds": 600, "report": 1}
    assert plan.stages == done | {"measurements": 0}


@pytest.fixture(scope="module")
def with_optimizers(tmp_path_factory):
    """What `rmsprop run` says on stdout with somebody's optimizers in one case each, and its exit code."""
    folder = tmp_path_factory.mktemp("optimizers")

    def run(*names):
        given = tuple(f"tests.authors:{name}" for name in names)
        cases = tuple(replace(LOOP, implementation=name) for name in ("builtin-loop", *given))
        options = RunOptions("smoke", "surrogate", folder / "results", folder, given)
        said = io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "plan_of", lambda *_: Plan("smoke", seeds=10_000, runs=20, cases=cases))
            patch.setitem(runner.EFFORTS, "smoke", Effort(0.02, 0, cold=False, processes=1))
            with redirect_stdout(said), pytest.raises(typer.Exit) as end:
                runner.run(options)
        return said.getvalue().splitlines(), end.value.exit_code

    return run


def naming(lines, name):
    """What is said of an optimizer in the line that begins with its name."""
    [line] = (line for line in lines if line.startswith(f"tests.authors:{name}: "))
    return line.partition(f"tests.authors:{name}: ")[2]


@pytest.mark.slow
def test_a_run_says_of_each_optimizer_of_ones_own_whether_it_is_right_and_names_what_failed(with_optimizers):
    lines, code = with_optimizers("Right", "Plain", "WrongInFloat32", "StepRaises")
    assert code == 1
    right = (
        "in 1 case its first 3 steps equal its formula "
        "(checked by the author's reference_step in its first 3 steps)."
    )
    assert naming(lines, "Right") == right
    assert "whether its formula is right is not known" in naming(lines, "Plain")
    wrong = naming(lines, "WrongInFloat32")
    assert wrong.startswith("in 1 case it is wrong (right in float64, wrong in float32: tensor 0, element")
    assert re.search(r"; off by [\d.e+]+, and rounding moves it by [\d.e-]+\)\.$", wrong)
    raised = naming(lines, "StepRaises")
    assert raised.startswith("in 1 case it raises an error (RuntimeError: no luck today (authors.py, line ")
    failed = [f"tests.authors:{name}-{LOOP.point}" for name in ("WrongInFloat32", "StepRaises")]
    assert lines[-2] == f"2 cases failed: {', '.join(failed)}."
    assert lines[-1].startswith("Next: ")
    assert "package.module:Class" not in lines[-1]


@pytest.mark.slow
def test_a_run_with_a_right_optimizer_is_good_and_says_so(with_optimizers):
    lines, code = with_optimizers("Right")
    assert code == 0, lines
    assert naming(lines, "Right").startswith("in 1 case its first 3 steps equal its formula (")
    assert [line for line in lines if "failed" in line] == []


def test_an_implementation_of_ours_is_named_where_it_fails_and_only_there(make_environment):
    good = BenchRecord(make_environment(), LOOP, "measured", None, None, (), ())
    scratch = replace(good, axes=replace(LOOP, implementation="scratch"))
    bad = replace(scratch, axes=replace(scratch.axes, size="1e5"), status="failed", reason="OSError: full")
    assert list(runner._checks([good, scratch])) == []
    assert list(runner._checks([good, scratch, bad])) == [
        "scratch: in 1 case it raises an error (OSError: full); "
        "in 1 case its first 3 steps equal its formula (checked by the suite's formula of RMSProp).",
        f"1 case failed: {bad.axes.id}.",
    ]


def advised(interrupted=False, **options):
    """The commands that a run ends with, each with the options that it had."""
    outcome = RunOutcome(report=None, good=True, interrupted=interrupted, remarks=())
    return re.findall("`(.*?)`", runner._next(RunOptions(**options), outcome))


@pytest.mark.parametrize("optimizer", [(), ("tests.authors:Right",)])
def test_the_tip_to_measure_ones_own_optimizer_is_for_those_who_did_not(optimizer):
    own = "rmsprop run --optimizer package.module:Class"
    assert (own in advised(optimizer=optimizer)) == (not optimizer)


@pytest.mark.parametrize(("profile", "longer"), [*pairwise(RUN_PROFILES), (RUN_PROFILES[-1], None)])
def test_the_tip_names_the_next_profile_and_nothing_after_the_longest(profile, longer):
    named = advised(profile=profile, optimizer=("tests.authors:Right",))
    expected = f"rmsprop run --profile {longer} --optimizer tests.authors:Right"
    assert named == ([expected] if longer else [])


def test_what_a_run_advises_keeps_its_folders_and_rows():
    given = {"data": "surrogate", "results": Path("my runs/results"), "output": Path("pages")}
    options = "--data surrogate --results 'my runs/results' --output pages"
    assert advised(interrupted=True, **given) == [f"rmsprop run {options}"]
    longer, own = advised(**given)
    assert longer == f"rmsprop run --profile regular {options}"
    assert own == f"rmsprop run {options} --optimizer package.module:Class"


OF_COMMITTED = ("777 ms", "11.1 ms", "70.0×", "c0ffc0ff")
"""Times, their ratio, and the commit."""


def store_committed(results, here, machine):
    when = replace(here, machine=machine, commit="c0ff" * 10, started="2026-01-02T03:04:05+00:00")
    for name, step, size in (("builtin-loop", 0.777, "1e3"), ("fused", 0.0111, "1e3"), ("fused", 7.0, "1e5")):
        store_bench(results, partial(replace, when), name, step, size=size, threads=1)


def of_committed(text):
    return [word for word in OF_COMMITTED if word in text]


def text_of(path):
    return path.read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture(scope="module", params=["this machine", "renamed"])
def beside_committed(request, tmp_path_factory):
    """A run in a folder whose results/ hold records of this machine, or of one with another name."""
    folder = tmp_path_factory.mktemp("clone")
    here = capture_environment()
    machine = here.machine if request.param == "this machine" else "committed-2cpu"
    committed = partial(store_committed, here=here, machine=machine)
    committed(folder / "results")
    before = sorted((folder / "results").rglob("*"))
    cases = tuple(Case(name, "cpu", "float32", "1e3", "single", 1) for name in ("builtin-loop", "fused"))
    plan = Plan("smoke", seeds=100, runs=1, cases=cases)
    rows = load_airfoil("surrogate")

    def ran():
        paths = (folder / path for path in (RunOptions().results, RunOptions().output))
        return carry_out(plan, *paths, rows, lambda *stage: None).report.sentences

    first = ran()
    pages = {path.name: text_of(path) for path in (folder / RunOptions().output).rglob("*.*")}
    assert sorted((folder / "results").rglob("*")) == before
    committed(folder / RunOptions().results)
    second = ran()
    return here, first, pages, second, text_of(folder / RunOptions().output / "index.html")


def test_what_no_run_may_say_is_found_where_the_records_are_reported(make_environment, tmp_path):
    store_committed(tmp_path / "results", make_environment(), "committed-2cpu")
    build_report(tmp_path / "results", tmp_path / "reports")
    assert of_committed(text_of(tmp_path / "reports" / "performance.html")) == list(OF_COMMITTED)


@pytest.mark.slow
def test_nothing_that_a_run_says_or_draws_comes_from_a_committed_record(beside_committed):
    here, sentences, pages, _, _ = beside_committed
    assert here.machine in sentences[1]
    assert {"index.html", "performance.html", "README.md"} <= set(pages)
    for name, text in pages.items():
        assert not of_committed(text), name


@pytest.mark.slow
def test_older_records_beside_those_of_a_run_stand_apart_with_machine_commit_and_date(beside_committed):
    here, _, _, sentences, page = beside_committed
    for text in sentences:
        assert not of_committed(text)
    assert here.machine in sentences[1]
    assert of_committed(page) == ["c0ffc0ff"]
    apart = page[page.index("Other runs on record") :]
    assert "c0ffc0ffc" in apart
    assert "2026-01-02 03:04 UTC" in apart


def test_in_a_checkout_the_plan_has_the_profiles_cases(monkeypatch):
    monkeypatch.chdir(CHECKOUT)
    monkeypatch.syspath_prepend(str(CHECKOUT))
    plans = [plan_of(profile) for profile in RUN_PROFILES]
    numbers = [len(plan.cases) for plan in plans]
    assert numbers[0] > 0
    assert all(fewer < more for fewer, more in pairwise(numbers))
    assert (plans[0].stages["measurements"], plans[-1].seeds) == (5 * numbers[0], 10_000)


@pytest.mark.slow
def test_export_writes_the_committed_rows_with_their_columns(tmp_path):
    answer = rmsprop("export", "--results", CHECKOUT / "results", cwd=tmp_path)
    assert answer.returncode == 0, answer.stderr
    with (tmp_path / "rmsprop.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(COLUMNS)
    assert answer.stdout.strip() == f"rmsprop.csv: {len(rows) - 1:,} rows"
    assert len(rows) > 1_000


def test_export_of_a_folder_that_is_not_there_is_wrong_use(tmp_path):
    answer = rmsprop("export", "--results", tmp_path / "typo", cwd=tmp_path)
    assert answer.returncode == 2
    assert "there is no folder" in answer.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_example_plots_from_the_exported_frame(tmp_path):
    rmsprop("export", "--results", CHECKOUT / "results", "--output", tmp_path / "frame.csv", cwd=tmp_path)
    answer = subprocess.run(
        [sys.executable, CHECKOUT / "examples" / "plot_frame.py", "frame.csv", "plot.svg"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert answer.returncode == 0, answer.stderr
    assert "builtin-loop" in (tmp_path / "plot.svg").read_text()


def test_every_column_is_explained_in_the_documentation():
    text = (CHECKOUT / "docs" / "report.md").read_text("utf-8")
    for name, (_, meaning) in COLUMNS.items():
        assert f"| `{name}` | {meaning} |" in text
