"""What a log shows of a job that is at work."""

from threading import Event

from rmsprop.suite.cli.progress import bars


def test_a_log_gets_a_line_of_each_bar_that_is_at_work(monkeypatch, capsys):
    told = Event()

    def tell(*arguments, **options):
        print_now(*arguments, **options)
        told.set()

    print_now = print
    monkeypatch.setattr("rmsprop.suite.cli.progress.print", tell, raising=False)
    with bars(silence=0.01) as shown:
        shown.advance(shown.add_task("cases", total=7), 3)
        shown.add_task("report", total=1, start=False)
        assert told.wait(60)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("cases: 3 of 7, ")
    assert not any(line.startswith("report: ") for line in lines)
