"""A full disk costs the record, and not what was measured."""

from typer.testing import CliRunner

from rmsprop.errors import UserError
from rmsprop.suite.case import Case
from rmsprop.suite.cli.main import app
from rmsprop.suite.records.bench import BenchRecord

FULL = UserError("cannot write to results: No space left on device")


def refuse(*_given, **_named):
    raise FULL


def test_bench_shows_what_it_measured_before_the_disk_was_full(tmp_path, monkeypatch, make_environment):
    case = Case.parse("scratch-cpu-float32-6-book-1t")
    record = BenchRecord(make_environment(), case, "skipped", "by this test", None, (), ())

    def bench(cases, results, effort, *, progress, **_options):
        progress(case, record)
        raise FULL

    monkeypatch.setattr("rmsprop.suite.cli.bench.bench", bench)
    result = CliRunner().invoke(app, ["bench", "--profile", "smoke", "--output", str(tmp_path)])
    assert result.exception is FULL
    assert "skipped: by this test" in result.stdout


def test_peers_shows_the_comparison_before_it_is_stored(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("rmsprop.suite.cli.peers.compare", lambda *_: "the record")
    monkeypatch.setattr("rmsprop.suite.cli.peers.show_peers", shown.append)
    monkeypatch.setattr("rmsprop.suite.cli.peers.write_peers", refuse)
    result = CliRunner().invoke(app, ["peers", "--data", "surrogate", "--output", str(tmp_path)])
    assert result.exception is FULL
    assert shown == ["the record"]
