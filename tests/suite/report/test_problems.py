import json

import pytest

from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.build import build_report

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.slow
def test_damaged_foreign_newer_and_contradictory_files_are_named_and_the_rest_is_reported(
    tmp_path, page_of, twin_of, put, make_record
):
    put()
    results = tmp_path / "results"
    good = write_reproduction(results, make_record())
    content = json.loads(good.read_text("utf-8"))
    impossible = content["programs"]["rmsprop-scratch"]["ensemble"] | {"histogram_counts": [-1] * 40}
    contradictory = json.loads(good.read_text("utf-8"))
    contradictory["programs"]["rmsprop-scratch"]["ensemble"] = impossible
    bench = json.loads(next(results.glob("bench/**/*.json")).read_text())
    (results / "asv").mkdir()
    faults = {
        "reproduction/example-2cpu/cut.json": good.read_text("utf-8")[:1000],
        "reproduction/example-2cpu/foreign.json": "{}",
        "reproduction/example-2cpu/newer.json": json.dumps(content | {"schema": 99}),
        "reproduction/example-2cpu/wrong.json": json.dumps(content | {"device": 7}),
        "reproduction/example-2cpu/contradictory.json": json.dumps(contradictory),
        "bench/cut.json": '{"kind": "be',
        "bench/measured-nothing.json": json.dumps(bench | {"measurement": None}),
        "asv/old.json": '{"version": 1}',
    }
    for name, text in faults.items():
        (results / name).write_text(text, encoding="utf-8")
    report = build_report(results, tmp_path / "reports")
    assert {problem.path.relative_to(results).as_posix() for problem in report.problems} == set(faults)
    html, markdown = page_of(tmp_path / "reports", "problems").text, twin_of(tmp_path / "reports")
    for text in (html, markdown):
        for name in faults:
            assert name in text
        assert "schema 99 is newer" in text
        assert "first programs.rmsprop-scratch.ensemble.histogram_counts.0" in text
        assert str(tmp_path) not in text
    overview = page_of(tmp_path / "reports").text
    assert "2 of 2 final losses consistent" in overview
    assert "8 files" in overview
    assert "200 µs" in markdown


def test_no_problem_is_said_too(reports, page_of):
    assert "None: every file" in page_of(reports, "problems").text


def test_thousands_of_damaged_files_are_capped_and_counted(tmp_path, page_of):
    folder = tmp_path / "results" / "bench"
    folder.mkdir(parents=True)
    for number in range(1_003):
        (folder / f"{number}.json").write_text("{")
    build_report(tmp_path / "results", tmp_path / "reports")
    text = page_of(tmp_path / "reports", "problems").text
    assert "(503 further rows are left out" in text
    assert (tmp_path / "reports" / "problems.html").stat().st_size < 2_000_000
    assert "Problems (1,003)" in text


def test_a_very_long_reason_is_cut(tmp_path, page_of, make_record):
    path = write_reproduction(tmp_path / "results", make_record())
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"kind": "x" * 10_000}))
    build_report(tmp_path / "results", tmp_path / "reports")
    assert len(page_of(tmp_path / "reports", "problems").text) < 5_000
