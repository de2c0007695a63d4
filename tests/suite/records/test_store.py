"""Records on disk: whole or not at all."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from rmsprop.suite.records.store import read_reproduction, read_reproductions, write_reproduction


def test_a_record_comes_back_as_it_was_written(tmp_path, make_record):
    record = make_record()
    path = write_reproduction(tmp_path, record)
    assert path.parent == tmp_path / "reproduction" / "example-2cpu"
    assert path.name == "20260102T030405Z-012345678-cpu-float32.json"
    assert read_reproduction(path) == record


def test_losses_that_are_not_finite_come_back_too(tmp_path, make_record):
    record = make_record()
    scratch = record.programs["rmsprop-scratch"]
    broken = replace(
        scratch,
        seeds=(0,),
        losses=((0.49, float("inf")),),
        epoch_seconds=((1.0, 1.0),),
        ensemble=replace(scratch.ensemble, sd=float("nan")),
    )
    record = replace(record, programs=record.programs | {"rmsprop-scratch": broken})
    path = write_reproduction(tmp_path, record)
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    again = read_reproduction(path).programs["rmsprop-scratch"]
    assert again.losses == ((0.49, float("inf")),)
    assert again.ensemble.sd != again.ensemble.sd


def test_a_second_record_of_the_same_second_does_not_overwrite_the_first(tmp_path, make_record):
    paths = [write_reproduction(tmp_path, make_record(runs=runs)) for runs in (20, 30, 40)]
    assert len(set(paths)) == 3
    assert [len(read_reproduction(path).programs["rmsprop-scratch"].losses) for path in paths] == [20, 30, 40]


def test_nothing_but_the_record_is_left_in_the_folder(tmp_path, make_record):
    path = write_reproduction(tmp_path, make_record())
    assert list(path.parent.iterdir()) == [path]


def test_damaged_foreign_and_newer_files_are_named_and_the_good_ones_read(tmp_path, make_record):
    good = write_reproduction(tmp_path, make_record())
    text = good.read_text()
    newer = json.loads(text) | {"schema": 99}
    missing = json.loads(text)
    del missing["environment"]["python"]
    files = {
        "cut.json": text[:1000],
        "empty.json": "",
        "foreign.json": '{"benchmarks": []}',
        "list.json": "[1, 2]",
        "newer.json": json.dumps(newer),
        "missing.json": json.dumps(missing),
        "binary.json": "\x00\x01",
    }
    for name, content in files.items():
        (good.parent / name).write_text(content)
    records, problems = read_reproductions(tmp_path)
    assert records == [make_record()]
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert set(reasons) == set(files)
    assert "newer" in reasons["newer.json"]
    assert "update rmsprop-bench" in reasons["newer.json"]
    assert "environment.python" in reasons["missing.json"]
    assert "damaged" in reasons["cut.json"]
    assert all("\n" not in reason for reason in reasons.values())


def spoil(record, **changes):
    return record["programs"]["rmsprop-scratch"].update(changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: record["traces"].clear(), "nothing of any trace"),
        (lambda record: record["traces"].update(rmsprop_2d=[]), "nothing of rmsprop_2d"),
        (
            lambda record: record["programs"].update(mine=record["programs"].pop("rmsprop-scratch")),
            "mine: the name of another program",
        ),
        (lambda record: spoil(record, seeds=[1]), "differ in length"),
        (lambda record: spoil(record, epoch_seconds=[[0.1, 0.0]] * 40), "greater than 0"),
        (lambda record: record["programs"]["rmsprop-scratch"]["ensemble"].update(seeds=0), "greater than 0"),
        (
            lambda record: record["programs"]["rmsprop-scratch"]["ensemble"].update(quantiles=[0.1]),
            "differ in length",
        ),
    ],
)
def test_a_record_that_contradicts_itself_is_named_with_the_reason(tmp_path, make_record, change, reason):
    path = write_reproduction(tmp_path, make_record())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    records, [problem] = read_reproductions(tmp_path)
    assert records == []
    assert reason in problem.reason


def test_no_results_folder_means_no_records(tmp_path):
    assert read_reproductions(tmp_path / "nothing") == ([], [])


def test_records_come_oldest_first(tmp_path, make_record, make_environment):
    for started in ("2026-03-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"):
        environment = make_environment(started=started, machine=f"m{started[6]}")
        write_reproduction(tmp_path, make_record(environment=environment))
    records, _ = read_reproductions(tmp_path)
    assert [r.environment.machine for r in records] == ["m1", "m3"]


READING = """
import sys
from pathlib import Path
from rmsprop.suite.history.reading import read_history
from rmsprop.suite.records.frame import read_frame
from rmsprop.suite.records.store import read_gates, read_reproductions
results = Path(sys.argv[1])
read_frame(results), read_reproductions(results), read_gates(results), read_history(results, None)
print(sorted({"torch", "psutil", "cpuinfo"} & set(sys.modules)))
"""


@pytest.mark.slow
def test_reading_records_loads_nothing_that_measures(tmp_path, make_record):
    write_reproduction(tmp_path, make_record())
    answer = subprocess.run(
        [sys.executable, "-c", READING, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("not_finite", 10**12),
        ("not_finite", -1),
        ("seconds", float("inf")),
        ("quantile_levels", 2.0),
        ("quantiles", float("nan")),
        ("curve_levels", -0.5),
    ],
)
def test_an_ensemble_that_no_seeds_can_give_is_no_record(tmp_path, make_record, field, value):
    path = write_reproduction(tmp_path, make_record())
    content = json.loads(path.read_text())
    ensemble = content["programs"]["rmsprop-scratch"]["ensemble"]
    if isinstance(ensemble[field], list):
        ensemble[field][0] = value
    else:
        ensemble[field] = value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=field):
        read_reproduction(path)
