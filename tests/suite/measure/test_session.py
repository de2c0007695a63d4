"""`rmsprop bench`: each case's record is on disk when it ends, and a rerun goes on."""

import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from rmsprop.suite.case import Case
from rmsprop.suite.measure import point
from rmsprop.suite.measure import session as runner
from rmsprop.suite.measure.matrix import PROFILES, cases
from rmsprop.suite.measure.processes import DiedError
from rmsprop.suite.measure.session import EFFORTS, Effort, bench, measure
from rmsprop.suite.measure.workload import CaseSkippedError, Workload
from rmsprop.suite.records import store
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.records.store import begin_run, read_bench, read_run
from rmsprop.suite.verdicts.speed import Runs, measured_steps

COMMAND = Path(sys.executable).with_name("rmsprop")
CHECKOUT = Path(__file__).parents[3]
QUICK = Effort(case_seconds=0.02, job_runs=1, cold=False, processes=2)
LOOP = Case("builtin-loop", "cpu", "float32", "1e3", "single", 1)
SCRATCH = replace(LOOP, implementation="scratch")
ABSENT = replace(LOOP, device="mps" if not torch.backends.mps.is_available() else "cuda")

PLUG_INS = """
import torch

class Same(torch.optim.RMSprop):
    pass

class Wrong(torch.optim.RMSprop):
    def step(self, closure=None):
        super().step(closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].view(-1)[3] = float("nan")

class Raises(torch.optim.RMSprop):
    def step(self, closure=None):
        raise RuntimeError("no luck today")

class Exits(torch.optim.RMSprop):
    def step(self, closure=None):
        raise SystemExit(7)

class Idle(torch.optim.RMSprop):
    def step(self, closure=None):
        pass

class RaisesLate(torch.optim.RMSprop):
    steps = 0

    def step(self, closure=None):
        RaisesLate.steps += 1
        if RaisesLate.steps > 60:
            raise ValueError("enough is enough")
        super().step(closure)

not_an_optimizer = 3
"""


class Here:
    """In place of `Processes`: what they would do, in this process, which starts no other."""

    def __init__(self, number=0):
        self.tasks = []

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        pass

    def measure(self, number, task, at):
        self.tasks.append((number, task))
        return point.measure_point(task, at)


@pytest.fixture(autouse=True)
def one_process(request, monkeypatch):
    """All but the tests of processes measure in this one: to start another takes seconds."""
    if "processes" not in request.node.name:
        monkeypatch.setattr(runner, "Processes", Here)


def measured(cases, environment, effort):
    return measure(cases, environment, effort, Here(), cases, lambda case, ended: None)


@pytest.fixture
def clean_commit(monkeypatch, make_environment):
    """As on a commit without local changes."""
    monkeypatch.setattr(runner, "capture_environment", make_environment)


def rmsprop(*arguments, cwd=CHECKOUT, **environment):
    return subprocess.run(
        [str(COMMAND), "bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "160", **environment},
    )


def test_a_measured_case_has_samples_a_ceiling_and_its_extra_memory(make_environment):
    record = measured([LOOP], make_environment(), QUICK)[LOOP]
    assert record.status == "measured"
    found = record.measurement
    assert (found.elements, found.tensors, found.processes) == (1000, 1, 2)
    assert len(found.samples["step"]) >= 2 * point.MIN_SAMPLES
    assert all(seconds > 0 for seconds in found.samples["step"])
    assert 4000 <= found.samples["peak"][0] < 4100  # one temporary of float32, and a step counter
    assert found.ceiling_seconds > 0


@pytest.mark.slow
def test_the_books_layout_also_runs_the_books_job_and_the_cold_start(make_environment):
    case = Case("builtin-loop", "cpu", "float32", "6", "book", 1)
    record = measured([case], make_environment(), replace(QUICK, cold=True, job_runs=2))[case]
    samples = record.measurement.samples
    assert len(samples["epoch"]) == len(samples["loss"]) == 2
    assert all(0.2416 < loss < 0.256 for loss in samples["loss"])
    assert samples["import"][0] > 0
    assert samples["first_step"][0] > 0


@pytest.mark.slow
def test_the_layout_of_the_digits_also_trains_them(make_environment):
    pytest.importorskip("sklearn")
    case = Case("builtin-loop", "cpu", "float32", "2410", "digits", 1)
    record = measured([case], make_environment(), replace(QUICK, job_runs=2))[case]
    samples = record.measurement.samples
    assert len(samples["epoch"]) == len(samples["loss"]) == 2
    assert all(0.03 < loss < 0.15 for loss in samples["loss"])
    assert "curve" not in samples


def test_the_digits_without_scikit_learn_have_a_step_and_a_note_says_why(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    case = Case("builtin-loop", "cpu", "float32", "2410", "digits", 1)
    parts = point.measure_point(point.PointTask((case,), 0.01, None, 1, False))
    [part] = parts.parts
    assert part.ended is None
    assert part.seconds
    assert part.notes[0].startswith(
        "the digits not measured: ModuleNotFoundError: needs scikit-learn: python -m pip install"
    )


def test_the_records_of_a_point_are_on_disk_before_the_next_point_begins(tmp_path, clean_commit):
    seen = []
    larger = replace(LOOP, size="1e5")

    def progress(case, record):
        seen.append((case, record is not None, len(list(tmp_path.rglob("*.json")))))

    bench([LOOP, SCRATCH, larger], tmp_path, QUICK, progress=progress)
    assert seen == [
        (LOOP, False, 1),
        (LOOP, True, 2),
        (SCRATCH, True, 3),
        (larger, False, 3),
        (larger, True, 4),
    ]


@pytest.fixture
def counted(tmp_path, clean_commit):
    """What is told while cases are measured: the case at work, and how many measurements and cases ended."""

    def count(cases, effort=QUICK):
        told, ended = [], 0

        def add(case, more):
            nonlocal ended
            ended += more
            told.append((case, ended, len(list(tmp_path.rglob("*.json"))) - 1))

        bench(cases, tmp_path, effort, count=add)
        assert ended == len(cases) * effort.processes
        assert all(0 <= number <= ended for _, number, _ in told)
        return told

    return count


def test_each_case_is_told_in_each_process_and_counts_when_it_has_ended_there(counted):
    skipped, larger = replace(LOOP, implementation="builtin-capturable"), replace(LOOP, size="1e5")
    assert counted([LOOP, SCRATCH, skipped, larger]) == [
        (LOOP, 0, 0),
        (SCRATCH, 0, 0),
        (skipped, 0, 0),
        (LOOP, 4, 0),  # two of the first process, and what is skipped counts for both
        (SCRATCH, 4, 0),
        (skipped, 6, 0),
        (larger, 6, 3),
        (larger, 7, 3),
        (larger, 8, 3),
    ]


def test_of_a_case_with_jobs_each_counts_when_its_own_have_ended(counted, monkeypatch):
    monkeypatch.setattr(point._Run, "digits_job", lambda run, runs: None)
    loop, scratch = (replace(case, size="2410", layout="digits") for case in (LOOP, SCRATCH))
    told = counted([loop, scratch], replace(QUICK, processes=1))
    assert told == [(loop, 0, 0), (scratch, 0, 0), (scratch, 1, 0), (scratch, 2, 0)]


def test_what_a_process_had_measured_that_died_counts_once(counted, monkeypatch):
    real = Here.measure

    def die(self, number, task, at):
        parts = real(self, number, task, at)
        if number == 1 and len(task.cases) > 1:
            at(point.Doing(1, 1))
            raise DiedError(1, "the process that measured it died (SIGKILL)")
        return parts

    monkeypatch.setattr(Here, "measure", die)
    numbers = [number for _, number, _ in counted([LOOP, SCRATCH])]
    assert numbers == [0, 0, 2, 2, 3, 4]  # the first case is measured again; what killed it counts for both


def test_a_run_that_goes_on_counts_what_was_kept(counted, tmp_path):
    larger = replace(LOOP, size="1e5")
    counted([LOOP, larger])
    [path] = tmp_path.rglob(f"{larger.id}.json")
    path.unlink()
    assert counted([LOOP, larger])[0][:2] == (LOOP, 2)


def test_the_implementations_of_a_point_and_the_five_passes_take_turns(monkeypatch, make_environment):
    turns = []
    take = point._Run.turn
    monkeypatch.setattr(
        point._Run, "turn", lambda run: (turns.append(run.workload.case.implementation), take(run))
    )
    records = measured([LOOP, SCRATCH], make_environment(), QUICK)
    rounds = [tuple(turns[i : i + 3]) for i in range(0, len(turns), 3)]
    loop, scratch, passes = "builtin-loop", "scratch", "five-passes"
    assert set(rounds) == {(loop, scratch, passes), (scratch, passes, loop), (passes, loop, scratch)}
    counted = {len(record.measurement.samples["step"]) for record in records.values()}
    assert counted == {len(rounds) - 2}  # the first of each process only shows how long one takes
    assert len({record.measurement.ceiling_seconds for record in records.values()}) == 1


def test_a_case_is_checked_in_the_first_of_its_processes_and_measured_in_all(monkeypatch, make_environment):
    checked = []
    check = Workload.check
    monkeypatch.setattr(Workload, "check", lambda one: (checked.append(one.case.implementation), check(one)))
    records = measured([LOOP, SCRATCH], make_environment(), replace(QUICK, processes=3))
    assert checked == ["builtin-loop", "scratch", "five-passes"]
    assert {record.measurement.processes for record in records.values()} == {3}


def test_without_a_ceiling_the_steps_are_measured_and_a_note_says_why(monkeypatch, make_environment):
    def refuse(case):
        raise CaseSkippedError("out of memory")

    monkeypatch.setattr(point, "five_passes", refuse)
    record = measured([LOOP], make_environment(), QUICK)[LOOP]
    assert record.measurement.samples["step"]
    assert record.measurement.ceiling_seconds is None
    assert record.notes == ("five plain passes not measured: out of memory",)


@pytest.mark.slow
def test_what_the_memory_does_not_hold_at_once_is_measured_in_groups_each_with_the_reference(
    tmp_path, monkeypatch, clean_commit
):
    together = []
    kept, needed = runner.memory_kept(LOOP), runner.memory_needed(LOOP)
    monkeypatch.setattr(runner, "memory_available", lambda device: needed + 2 * kept)
    real = runner.measure
    monkeypatch.setattr(runner, "measure", lambda cases, *rest: together.append(cases) or real(cases, *rest))
    loop, *others = (
        replace(LOOP, implementation=name) for name in ("builtin-loop", "scratch", "builtin-foreach")
    )
    records = bench([loop, *others], tmp_path, QUICK).records
    assert together == [[loop, others[0]], [loop, others[1]]]
    assert [record.axes for record in records] == [loop, *others]
    runs = Runs.of(read_frame(tmp_path)[0])
    assert measured_steps(runs.latest)["ratio"].notna().all()


def test_an_invocation_is_a_run_and_each_record_names_it(tmp_path, clean_commit):
    first, second = (bench([LOOP], tmp_path, QUICK, profile="smoke") for _ in range(2))
    assert first.folder != second.folder
    for done in (first, second):
        assert not done.continued
        run = read_run(done.folder / "run.json")
        assert (run.id, run.profile, run.cases) == (done.folder.name, "smoke", (LOOP.id,))
        [path] = done.folder.glob("builtin*.json")
        assert read_bench(path).run == done.folder.name
    assert set(read_frame(tmp_path)[0]["run"]) == {first.folder.name, second.folder.name}


@pytest.mark.slow
def test_an_interrupted_run_goes_on_and_measures_a_point_that_is_not_whole_anew(tmp_path, clean_commit):
    larger = [replace(LOOP, size="1e5"), replace(SCRATCH, size="1e5")]
    asked = [LOOP, SCRATCH, *larger]
    first = bench(asked, tmp_path, QUICK)
    (first.folder / f"{larger[1].id}.json").unlink()
    measured = []
    second = bench(
        asked, tmp_path, QUICK, progress=lambda case, record: measured.append(case) if not record else None
    )
    assert second.continued
    assert second.folder == first.folder
    assert measured == [larger[0]]  # and with it the whole point
    assert second.records[:2] == first.records[:2]
    assert len(list(first.folder.glob(f"{larger[0].id}*.json"))) == 2
    third = bench(asked, tmp_path, QUICK)
    assert third.folder != first.folder  # it was whole


@pytest.mark.slow
def test_again_begins_a_new_run(tmp_path, clean_commit):
    first = bench([LOOP, SCRATCH], tmp_path, QUICK)
    (first.folder / f"{LOOP.id}.json").unlink()
    assert bench([LOOP, SCRATCH], tmp_path, QUICK, again=True).folder != first.folder


@pytest.mark.slow
def test_other_versions_and_other_peoples_optimizers_begin_a_new_run(tmp_path, monkeypatch, make_environment):
    theirs = replace(LOOP, implementation="torch.optim:RMSprop")
    folders = set()
    for python in ("3.11.7", "3.12.1"):
        monkeypatch.setattr(
            runner, "capture_environment", lambda python=python: make_environment(python=python)
        )
        for asked in ([LOOP], [LOOP, theirs], [LOOP, theirs]):
            done = bench(asked, tmp_path, QUICK)
            (done.folder / f"{LOOP.id}.json").unlink()
            folders.add(done.folder)
    assert len(folders) == 6


def begun(results, environment, cases=()):
    """The folder of a run that has begun and was interrupted."""
    folder, lock = begin_run(results, environment, "smoke", cases)
    lock.close()
    return folder


BENCH = """
import pickle, sys
from pathlib import Path
from rmsprop.suite.measure import session

results, given = map(Path, sys.argv[1:])
cases, effort, environment = pickle.loads(given.read_bytes())
session.capture_environment = lambda: environment
session.Processes = lambda number: open("/dev/null")

def wait(case, record):
    print(case.id, flush=True)
    sys.stdin.readline()

session.bench(cases, results, effort, progress=wait)
"""


@pytest.fixture
def measuring(tmp_path, clean_commit, make_environment):
    """Another process, which has begun to measure the case and waits in it."""
    given = tmp_path / "given"
    given.write_bytes(pickle.dumps(([LOOP], QUICK, make_environment())))
    with subprocess.Popen(
        [sys.executable, "-c", BENCH, str(tmp_path / "results"), str(given)],
        cwd=CHECKOUT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline().strip() == LOOP.id
        yield process
        process.kill()


@pytest.mark.slow
def test_a_run_that_another_process_measures_is_left_to_it_and_goes_on_once_that_was_killed(
    tmp_path, measuring
):
    [theirs] = (path.parent for path in (tmp_path / "results").rglob("run.json"))
    mine = bench([LOOP], tmp_path / "results", QUICK)
    assert (mine.continued, mine.folder == theirs) == (False, False)
    assert [path.name for path in theirs.iterdir()] == ["run.json"]
    (mine.folder / f"{LOOP.id}.json").unlink()
    measuring.kill()
    measuring.wait()
    for folder in sorted((mine.folder, theirs), reverse=True):  # the newest first
        done = bench([LOOP], tmp_path / "results", QUICK)
        assert (done.continued, done.folder) == (True, folder)
        shutil.rmtree(folder)


def test_a_run_that_ended_is_no_longer_locked_and_leaves_nothing_but_records(tmp_path, clean_commit):
    folder = bench([LOOP], tmp_path, QUICK).folder
    assert {path.name for path in folder.iterdir()} == {"run.json", f"{LOOP.id}.json"}
    (folder / f"{LOOP.id}.json").unlink()
    assert bench([LOOP], tmp_path, QUICK).folder == folder


def test_two_runs_at_once_have_folders_of_their_own(tmp_path, make_environment):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: begun(tmp_path, make_environment()), range(24)))
    assert len(set(folders)) == 24
    assert all(read_run(folder / "run.json").id == folder.name for folder in folders)


@pytest.mark.slow
def test_a_damaged_run_is_named_and_left_out_whole(tmp_path, clean_commit):
    good, bad, newer = (bench([LOOP], tmp_path, QUICK).folder for _ in range(3))
    (bad / "run.json").write_text("{")
    (newer / "run.json").write_text((newer / "run.json").read_text().replace('"schema":1', '"schema":99'))
    frame, problems = read_frame(tmp_path)
    assert {problem.path for problem in problems} == {bad, newer}
    assert set(frame["run"]) == {good.name}
    assert not bench([LOOP], tmp_path, QUICK).continued


@pytest.mark.slow
def test_among_thousands_of_runs_only_those_that_were_asked_for_the_same_are_read(
    tmp_path, monkeypatch, make_environment
):
    folder = begun(tmp_path, make_environment(), (LOOP.id,))
    for number in range(2_000):
        same_software = folder.name.partition("Z-")[2][:-6]
        other = folder.parent / f"20270101T000000Z-{same_software}{number:06}"
        other.mkdir()
        (other / "run.json").write_text("{")
    read = []
    monkeypatch.setattr(store, "read_run", lambda path, real=store.read_run: read.append(path) or real(path))
    found, lock = store.last_run(tmp_path, make_environment(), "smoke", (LOOP.id,))
    lock.close()
    assert found == folder
    assert read == [folder / "run.json"]


@pytest.mark.slow
def test_processes_of_their_own_take_the_samples_and_one_that_dies_fails_one_case(
    tmp_path, monkeypatch, clean_commit
):
    (tmp_path / "deadly.py").write_text(
        "import os, torch\n\nclass Dies(torch.optim.RMSprop):\n"
        "    def step(self, closure=None):\n        os.kill(os.getpid(), 9)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    theirs = replace(LOOP, implementation="deadly:Dies")
    dead, loop = bench([theirs, LOOP], tmp_path / "results", QUICK).records
    assert (dead.status, dead.reason) == ("failed", "the process that measured it died (SIGKILL)")
    assert (loop.status, loop.measurement.processes) == ("measured", 2)


def test_what_is_measured_beside_the_steps_may_fail_without_losing_them(make_environment, monkeypatch):
    def fails(*_arguments):
        raise RuntimeError("no profiler here")

    monkeypatch.setattr(point, "peak_extra_bytes", fails)
    record = measured([LOOP], make_environment(), QUICK)[LOOP]
    assert record.status == "measured"
    [note] = record.notes
    assert note.startswith("peak memory not measured: RuntimeError: no profiler here (test_session.py, line")


@pytest.mark.slow
def test_with_local_changes_everything_is_measured_again(tmp_path, monkeypatch, make_environment):
    monkeypatch.setattr(runner, "capture_environment", lambda: make_environment(dirty=True))
    first = bench([LOOP, SCRATCH], tmp_path, QUICK).folder
    (first / f"{LOOP.id}.json").unlink()
    assert bench([LOOP, SCRATCH], tmp_path, QUICK).folder != first
    assert "dirty" in first.name


@pytest.mark.slow
def test_a_damaged_record_is_measured_anew_and_not_overwritten(tmp_path, clean_commit):
    asked = [LOOP, replace(LOOP, size="1e5")]
    folder = bench(asked, tmp_path, QUICK).folder
    path = folder / f"{LOOP.id}.json"
    path.write_text("{")
    (folder / f"{asked[1].id}.json").unlink()
    assert bench(asked, tmp_path, QUICK).continued
    assert path.read_text() == "{"
    frame, [problem] = read_frame(tmp_path)
    assert problem.path == path
    assert len(frame[frame["quantity"] == "step"]) == 2


def test_what_cannot_run_here_is_skipped_with_its_reason_and_on_record(tmp_path, clean_commit):
    [record] = bench([ABSENT], tmp_path, QUICK).records
    assert record.status == "skipped"
    assert "no device" in record.reason
    [path] = tmp_path.rglob("builtin*.json")
    assert read_bench(path) == record


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("plugins:Same", "measured", None),
        ("plugins:Wrong", "failed", "found nan"),
        ("plugins:Raises", "failed", "no luck today"),
        ("plugins:RaisesLate", "failed", "enough is enough"),
        ("plugins:Exits", "failed", "7"),
        ("plugins:Idle", "failed", "no parameter has moved"),
    ],
)
def test_someone_elses_optimizer_gets_a_record_and_fails_alone(
    tmp_path, monkeypatch, clean_commit, name, status, reason
):
    (tmp_path / "plugins.py").write_text(PLUG_INS)
    monkeypatch.syspath_prepend(tmp_path)
    theirs = replace(LOOP, implementation=name)
    records = bench([theirs, LOOP], tmp_path / "results", QUICK).records
    assert [record.status for record in records] == [status, "measured"]
    assert records[0].reason is None if reason is None else reason in records[0].reason


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spec", "said"),
    [("plugins:not_an_optimizer", "no torch.optim.Optimizer"), ("nowhere:Nothing", "cannot be imported")],
)
def test_an_optimizer_that_cannot_be_used_is_refused_before_anything_is_measured(tmp_path, spec, said):
    (tmp_path / "plugins.py").write_text(PLUG_INS)
    answer = rmsprop("--optimizer", spec, "--output", tmp_path / "results", PYTHONPATH=str(tmp_path))
    assert answer.returncode == 2, answer.stdout
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_outside_a_checkout_it_measures_too(tmp_path):
    answer = rmsprop(
        "--profile", "smoke", "--device", "cpu", "--size", "6", "--implementation", "builtin-loop",
        "--output", tmp_path / "results", cwd=tmp_path,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    [record] = (tmp_path / "results" / "bench").rglob("builtin*.json")
    assert record.is_file()


@pytest.mark.slow
def test_the_command_ends_in_a_table_with_speed_ups(tmp_path):
    answer = rmsprop(
        "--profile", "smoke", "--device", "cpu", "--size", "1e5", "--implementation", "scratch",
        "--implementation", "builtin-loop", "--output", tmp_path,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stderr
    assert "cpu float32 1e5 single 1t" in answer.stdout
    lines = [line.split() for line in answer.stdout.splitlines()]
    [header] = (words for words in lines if words[:1] == ["case"])
    [loop] = (words for words in lines if words[:1] == ["builtin-loop"])
    assert header[:5] == ["case", "step", "ns/el", "x", "loop"]
    assert loop[4] == "1.00"  # a step is a number and its unit


@pytest.mark.slow
def test_killed_anywhere_everything_finished_is_still_there(tmp_path):
    few = ("--profile=smoke", "--device=cpu", "--implementation=scratch", "--implementation=builtin-loop")
    with subprocess.Popen(
        [str(COMMAND), "bench", *few, f"--output={tmp_path}"],
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        deadline = time.monotonic() + 200
        while len(list(tmp_path.rglob("[!.]*.json"))) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    frame, problems = read_frame(tmp_path)
    assert problems == []
    finished = len(frame[frame.quantity == "step"])
    assert finished >= 2
    answer = rmsprop(*few, "--size=1e5", "--output", tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert len(read_frame(tmp_path)[0]) > len(frame)


def test_each_profile_has_its_effort():
    assert set(EFFORTS) == set(PROFILES)
    assert all(cases(profile) for profile in EFFORTS)
