"""What a log shows of a job that is at work."""

import re
from threading import Event
from types import SimpleNamespace

from rmsprop.suite.cli.progress import _tell, bars


def test_a_log_gets_a_line_of_each_bar_that_is_at_work(monkeypatch, capsys):
    told = Event()

    def tell(line, **options):
        print_now(line, **options)
        if line.startswith("cases: 3 of 7, "):  # earlier ones may say 0 of 7
            told.set()

    print_now = print
    monkeypatch.setattr("rmsprop.suite.cli.progress.print", tell, raising=False)
    with bars(silence=0.01) as shown:
        shown.advance(shown.add_task("cases", total=7), 3)
        shown.add_task("report", total=1, start=False)
        assert told.wait(60)
    lines = capsys.readouterr().err.splitlines()
    assert not any(line.startswith("report: ") for line in lines)


def test_a_log_says_how_long_the_rest_takes_once_the_speed_is_known(capsys):
    with bars(silence=60) as shown:
        clock = iter(range(100))
        shown.get_time = lambda: float(next(clock))
        task = shown.add_task("seeds", total=100)
        for _ in range(4):
            shown.advance(task, 10)
        ends = iter((False, True))
        _tell(shown, SimpleNamespace(wait=lambda _silence: next(ends)), 0.0)
    assert re.search(r"seeds: 40 of 100, \d+ s, about \d+ s to go", capsys.readouterr().err)


def test_cases_that_are_skipped_at_once_do_not_promise_an_early_end():
    times = iter((0.0, 1.0, *(300 + i / 100 for i in range(50))))
    now = 0.0
    with bars(silence=60) as shown:
        shown.get_time = lambda: now
        task = shown.add_task("cases", total=100)
        for now in times:  # noqa: B007 (what the clock says)
            shown.advance(task)
        [shown_task] = shown.tasks
        assert shown_task.time_remaining > 200
