"""What a log shows of a job that is at work."""

import re
from threading import Event
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

from rmsprop.suite.cli.progress import Remaining, _tell, bars, columns


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
        _tell(shown, Remaining(), SimpleNamespace(wait=lambda _silence: next(ends)), 0.0)
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


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_a_narrow_terminal_cuts_the_description_and_no_number(width):
    console = Console(width=width, force_terminal=True, color_system=None)
    shown = Progress(*columns(width, Remaining()), console=console, get_time=lambda: 0.0)
    for doing in ("seeds: rmsprop-scratch", "cases: builtin-capturable-cpu-float32-25557032-resnet50-1t"):
        shown.add_task(doing, total=20_000, completed=20_000)
    with console.capture() as got:
        console.print(shown.get_renderable())
    lines = got.get().splitlines()
    assert len(lines) == 2
    for line in lines:
        assert "20000/20000 0:00:00 -:--:--" in line
        assert len(line.rstrip()) <= width
    assert lines[0].startswith("seeds: ")


def test_the_time_that_remains_counts_down_and_is_left_out_when_it_has_run_out():
    now = 0.0
    shown = Progress(get_time=lambda: now, speed_estimate_period=1e9)
    task = shown.add_task("cases", total=100)
    for now in (10.0, 20.0, 30.0):  # noqa: B007 (what the clock says)
        shown.advance(task, 20)
    [found], remaining = shown.tasks, Remaining()
    assert remaining.seconds(found) == 20
    now = 45.0
    assert remaining.seconds(found) == 5
    now = 51.0
    assert remaining.seconds(found) is None
    assert remaining.render(found).plain == "-:--:--"
    shown.advance(task, 20)
    assert remaining.seconds(found) > 0
