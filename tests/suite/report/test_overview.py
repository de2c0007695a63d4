import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from rmsprop.errors import UserError
from rmsprop.suite.history.alerts import Alert
from rmsprop.suite.history.series import History, Series
from rmsprop.suite.records.store import write_reproduction
from rmsprop.suite.report.build import build_report
from rmsprop.suite.report.inputs import Invocation, read_inputs
from rmsprop.suite.report.page import drawings_of
from rmsprop.suite.report.pages import overview
from tests.suite.report.conftest import page_from

pytestmark = pytest.mark.usefixtures("undrawn")


def test_each_claim_is_one_line_that_leads_to_its_evidence(reports, page_of):
    page, evidence = page_of(reports), page_of(reports, "reproduction")
    links = [link["href"] for link in page.all("a") if link["href"].startswith("reproduction.html#")]
    assert len(links) == 6
    assert {link.partition("#")[2] for link in links} <= set(evidence.ids)
    assert page.text.count("reproduced: ") == 2


@pytest.mark.slow
def test_every_link_of_the_site_leads_somewhere(tmp_path, put, make_record, page_of):
    put()
    write_reproduction(tmp_path / "results", make_record())
    built = build_report(tmp_path / "results", tmp_path / "reports")
    pages = {
        path.stem: page_of(tmp_path / "reports", path.stem) for path in built.paths if path.suffix == ".html"
    }
    assert set(pages) == {"index", "reproduction", "performance", "terms", "problems"}
    for name, page in pages.items():
        for link in page.all("a"):
            target, _, anchor = link["href"].partition("#")
            if not target.startswith("https://"):
                found = pages[target.removesuffix(".html") or name]
                assert not anchor or anchor in found.ids, link


def test_headline_ratios_have_intervals_and_lead_to_the_machine(tmp_path, put, page_of):
    put("builtin-loop", steps=(4e-4,) * 3)
    put("builtin-compiled", steps=(0.8e-4, 1e-4, 1.25e-4))  # three processes
    build_report(tmp_path / "results", tmp_path / "reports")
    page = page_of(tmp_path / "reports")
    assert "4.00× (2.06 to 7.78)" in page.text
    assert "performance.html#machine-example-2cpu" in {link["href"] for link in page.all("a")}


def series(**changes):
    times = tuple(datetime(2026, 1, day, tzinfo=UTC) for day in range(1, 13))
    facts = {
        "machine": "example-2cpu",
        "environment": "torch2.13",
        "case": "scratch-cpu-float32-1e5-single-1t",
        "quantity": "step",
        "unit": "seconds",
        "runner": "asv",
        "commits": tuple(digit * 40 for digit in "123456789abc"),
        "times": times,
        "values": np.array([1e-4] * 11 + [2e-4]),
    }
    return Series(**facts | changes)


@pytest.fixture
def inputs(results):
    """Of one record, with one change point in its history."""
    one = series()
    alert = Alert(one, "b" * 40, "c" * 40, 2.0, 1.9, 2.1, 1e-4, "slower", 1, 0)
    return replace(read_inputs(results), history=History((one,), ()), alerts=(alert,))


def test_the_three_sentences_answer_the_three_questions(inputs):
    holds, fast, changed = overview.sentences(inputs)
    assert holds.startswith(
        "Does the book hold? Yes: 2 of 2 printed coordinates to the last digit; 2 of 2 final losses"
    )
    assert f"The command rmsprop bench --profile smoke --output {inputs.results} makes one" in fast
    assert changed == "What changed? 1 change point in 1 series over commits."


def test_the_book_s_answer_names_machine_date_and_commit_as_the_speed_does(inputs):
    holds = overview.sentences(inputs)[0]
    assert holds.endswith(". Run on example-2cpu, 2026-01-02 03:04 UTC, commit 012345678, torch 2.13.0.")


def test_a_history_too_short_for_a_change_point_is_not_called_unchanged(inputs):
    one = series()
    short = replace(one, commits=one.commits[:7], times=one.times[:7], values=one.values[:7])
    words = overview.sentences(replace(inputs, history=History((short,), ()), alerts=()))[2]
    assert words.startswith(
        "What changed? The history is too short to say: it has 7 commits at most, and a change"
    )
    words = overview.sentences(replace(inputs, history=History((one, short), ()), alerts=()))[2]
    assert words.startswith("What changed? No change point in 1 series over commits.")


def test_what_cannot_be_trusted_is_counted(tmp_path, put):
    put("builtin-loop", warnings=("busy: others",))
    put("scratch")
    (tmp_path / "results" / "bench" / "cut.json").write_text("{")
    words = overview.sentences(read_inputs(tmp_path / "results"))[2]
    assert words.endswith("warnings mark 1 of 2 times and 0 of 1 ratio that are shown; 1 file left out.")


def test_what_most_times_share_is_said_of_the_run_and_marks_neither_headline_nor_count(tmp_path, put):
    warned = ("unstable: the processes differ",)
    for size, more in (("1e3", ()), ("1e5", ()), ("1e6", ("clock: it fell",))):
        put("builtin-loop", 4e-4, size=size, warnings=warned)
        put("fused", 1e-4, size=size, warnings=(*warned, *more))
    _, fast, changed = overview.sentences(read_inputs(tmp_path / "results"))
    assert "fused takes 100 µs † (cpu; float32; 1e6, one tensor, 1 thread)" in fast
    assert fast.endswith(
        "torch 2.13.0. † A warning speaks against the number before it. "
        "Most times of this run have the warning unstable."
    )
    assert changed.endswith(
        "warnings mark 1 of 6 times and 0 of 3 ratios that are shown; "
        "in 1 of 1 run most times have the warning unstable, which marks none."
    )


def test_a_usual_warning_alone_leaves_the_headline_unmarked_as_the_tables_are(tmp_path, put):
    for size in ("1e3", "1e5", "1e6"):
        for name, step in (("builtin-loop", 4e-4), ("fused", 1e-4)):
            put(name, step, size=size, warnings=("unstable: the processes differ",))
    fast = overview.sentences(read_inputs(tmp_path / "results"))[1]
    assert "fused takes 100 µs (cpu; float32; 1e6" in fast
    assert "†" not in fast
    assert fast.endswith("Most times of this run have the warning unstable.")


def test_the_fastest_is_named_with_its_ratio(tmp_path, put):
    put("builtin-loop", 4e-4)
    put("builtin-compiled", 1e-4)
    words = overview.sentences(read_inputs(tmp_path / "results"))[1]
    assert words == (
        "How fast is a step? builtin-compiled takes 100 µs (cpu; float32; 1e5, one tensor, 1 thread) and "
        "is 4.00 times as fast as builtin-loop (95% interval 4.00 to 4.00). Measured on example-2cpu, "
        "2026-01-02 03:04 UTC, commit 012345678, torch 2.13.0."
    )


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ({"threads": 0}, "(cpu; float32; 1e5, one tensor, all threads)"),
        ({"momentum": 0.9}, "(cpu; float32; 1e5, one tensor, 1 thread, momentum 0.9)"),
        ({"device": "cuda", "momentum": 0.9}, "(cuda; float32; 1e5, one tensor, momentum 0.9)"),
    ],
)
def test_the_sentence_names_the_whole_case(tmp_path, put, case, words):
    put("builtin-loop", 4e-4, **case)
    put("fused", 1e-4, **case)
    assert f"fused takes 100 µs {words}" in overview.sentences(read_inputs(tmp_path / "results"))[1]


def figures_of(inputs):
    [page, *_] = overview.pages(inputs)
    return [drawing.name for drawing in drawings_of(page.blocks, details=True)]


@pytest.mark.slow
def test_what_was_not_measured_in_turns_makes_no_headline(tmp_path, put):
    put("builtin-loop", 4e-4)
    put("builtin-compiled", 1e-4)
    alone = read_inputs(tmp_path / "results")
    steps = [["'builtin-loop'", "'fused'"], ["'cpu-float32-1e5-single-1t'"]]
    newer = {
        "version": 2,
        "commit_hash": "f" * 40,
        "params": {},
        "result_columns": ["result", "params", "started_at"],
        "results": {"steps.Medium.time_step": [[1e-3, 1e-6], steps, 1795406906639]},
    }
    folder = tmp_path / "results" / "asv" / "newest"
    folder.mkdir(parents=True)
    (folder / "ffffffff-env.json").write_text(json.dumps(newer))
    both = read_inputs(tmp_path / "results")
    assert both.runs.machines == ("newest", "example-2cpu")
    assert overview.sentences(both)[1] == overview.sentences(alone)[1]
    assert figures_of(both) == figures_of(alone)


def test_on_a_gpu_the_sentence_compares_with_what_torch_does_there_without_options(tmp_path, put):
    for name, step in (("builtin-loop", 4e-4), ("builtin-foreach", 2e-4), ("fused", 1e-4)):
        put(name, step, device="cuda")
    words = overview.sentences(read_inputs(tmp_path / "results"))[1]
    assert "is 2.00 times as fast as builtin-foreach" in words


def test_a_readme_speaks_of_the_newest_records_of_a_cpu(tmp_path, put, make_record, make_environment):
    newer = make_environment(started="2026-02-02T00:00:00+00:00", machine="with-gpu")
    write_reproduction(tmp_path / "results", make_record())
    write_reproduction(tmp_path / "results", make_record(environment=newer, device="cuda"))
    put("builtin-loop", 4e-4)
    put("fused", 1e-4)
    put("fused", 1e-5, device="cuda", machine="with-gpu", started="2026-02-02T00:00:00+00:00")
    blocks = overview.excerpt(read_inputs(tmp_path / "results"))
    text = page_from(blocks).text
    assert "airfoil rows, cpu float32" in text
    assert "fused takes 100 µs" in text
    assert "cuda" not in text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "not a regular file"),
        (Path.mkdir, "Is a directory"),
        (lambda page: page.symlink_to("/dev/zero"), "not a regular file"),
        (lambda page: page.write_bytes(b"\xff\xfe"), "no UTF-8 text"),
        (lambda page: page.write_text("no markers"), "must hold one"),
    ],
    ids=["FIFO", "folder", "device", "bytes", "no markers"],
)
def test_a_page_that_cannot_be_renewed_is_refused_before_anything_is_written(
    tmp_path, make_record, make, reason
):
    write_reproduction(tmp_path / "results", make_record())
    make(tmp_path / "PAGE.md")
    with pytest.raises(UserError, match=f"PAGE.md.*{reason}"):
        build_report(tmp_path / "results", tmp_path / "reports", tmp_path / "PAGE.md")
    assert not (tmp_path / "reports").exists()


def test_a_change_point_stands_on_the_overview_and_leads_to_its_commits(inputs):
    [page] = overview.pages(inputs)
    html = page_from(page.blocks)
    assert html.soup.find(class_="slower").get_text() == "100% slower"
    assert html.soup.find("a", href="history.html#commit-cccccccccccc")


def test_nothing_measured_gives_a_page_that_says_what_to_run(tmp_path, page_of, twin_of):
    (tmp_path / "empty").mkdir()
    report = build_report(tmp_path / "empty", tmp_path / "reports")
    assert {path.name for path in report.paths} == {
        "README.md",
        "index.html",
        "manifest.json",
        "problems.html",
        "terms.html",
    }
    page, twin = page_of(tmp_path / "reports").text, twin_of(tmp_path / "reports")
    for command in ("rmsprop reproduce", "rmsprop bench --profile smoke"):
        assert f"{command} --output {tmp_path / 'empty'}" in page
        assert command in twin
    assert f"rmsprop report --results {tmp_path / 'empty'} --output {tmp_path / 'reports'}" in page


@pytest.mark.slow
def test_the_newest_run_is_shown_and_the_others_apart_with_machine_commit_and_date(tmp_path, put, page_of):
    def measure(*started, commit, **where):
        for name, step in (("builtin-loop", 4e-4), ("fused", 1e-4)):
            put(name, step * len(where or "1"), started=started[0], commit=commit * 40, **where)

    measure("2026-01-01T00:00:00+00:00", commit="a")
    measure("2026-01-02T00:00:00+00:00", commit="b", size="1e6")
    build_report(tmp_path / "results", tmp_path / "reports")
    page = page_of(tmp_path / "reports")
    [shown] = [table for table in page.all("table") if "how many times" in table.caption.get_text()]
    assert "2026-01-02 00:00 UTC, commit bbbbbbbbb" in shown.caption.get_text()
    [[label, machine, began, _, commit, *_]] = page.table("Other runs on record")
    assert (label, machine, began, commit) == ("B", "example-2cpu", "2026-01-01 00:00 UTC", "aaaaaaaaa")


def test_in_somebody_elses_repository_the_report_is_about_their_cases(tmp_path, page_of):
    folder = tmp_path / "results" / "asv" / "m"
    folder.mkdir(parents=True)
    for day in range(1, 4):
        content = {
            "commit_hash": f"{day:02}" * 20,
            "date": int(datetime(2026, 1, day, tzinfo=UTC).timestamp() * 1000),
            "params": {},
            "result_columns": ["result", "params", "version", "started_at", "duration"],
            "results": {"parsing.time_parse": [[0.1], [], "1", 1795406906639, 0.6]},
            "version": 2,
        }
        (folder / f"{day}-env.json").write_text(json.dumps(content))
    report = build_report(tmp_path / "results", tmp_path / "reports")
    page = page_of(tmp_path / "reports")
    assert [sentence.partition("?")[0] for sentence in report.sentences] == ["What changed"]
    assert "book" not in page.text
    assert "RMSProp" not in page.text
    assert page.all("h1")[0].get_text() == "Benchmarks: is anything slower than it was?"
    [row] = page.table("Other benchmarks")
    assert row == ["parsing.time_parse", "–", "100 ms", "m", "asv", "2026-11-23 04:08 UTC", "030303030"]


def leads_with(tmp_path, page_of):
    """Build the report; the questions of its sentences, its page, and the names of its files."""
    report = build_report(tmp_path / "results", tmp_path / "reports")
    sentences = [sentence.partition(":")[0].partition("?")[0] for sentence in report.sentences]
    return sentences, page_of(tmp_path / "reports"), {path.name for path in report.paths}


def test_in_somebody_elses_repository_their_optimizer_comes_first_and_no_book(tmp_path, put, page_of):
    put("builtin-loop", 4e-4, commit=None, dirty=None)
    put("package.module:Mine", 2e-4, commit=None, dirty=None)
    put("builtin-loop", 3e-5, size="6", layout="book", commit=None, dirty=None, samples={"loss": (0.24,)})
    sentences, page, names = leads_with(tmp_path, page_of)
    assert sentences == ["package.module", "How fast is a step", "What changed"]
    assert page.all("h1")[0].get_text() == "Your optimizer: is it right, and how fast is a step?"
    assert "hold" not in page.text
    assert page.table("example-2cpu, cpu, float32")
    assert "author.html" in {link["href"] for link in page.all("a")}
    assert "reproduction.html" not in names


def test_an_installed_wheel_that_only_measured_says_nothing_of_the_book(tmp_path, put, page_of):
    put("builtin-loop", 4e-4, commit=None, dirty=None)
    sentences, page, _ = leads_with(tmp_path, page_of)
    assert sentences == ["How fast is a step", "What changed"]
    assert "hold" not in page.text


def test_a_checkout_that_only_measured_is_told_how_to_reproduce_the_book(tmp_path, put, page_of):
    put("builtin-loop", 4e-4)
    assert leads_with(tmp_path, page_of)[0] == ["Does the book hold", "How fast is a step", "What changed"]


def test_with_a_record_of_the_book_its_answer_stays_beside_an_own_optimizer(
    tmp_path, put, make_record, page_of
):
    write_reproduction(tmp_path / "results", make_record())
    put("package.module:Mine", 2e-4, commit=None, dirty=None)
    assert leads_with(tmp_path, page_of)[0][0] == "Does the book hold"


def test_after_a_run_the_sentences_speak_of_that_run_alone(tmp_path, put, make_record):
    results, old = tmp_path / "results", "2026-01-02T03:04:05+00:00"
    write_reproduction(results, make_record())
    put("builtin-loop", 4e-4, started=old, warnings=("busy: others",))
    put("fused", 1e-4, started=old)
    nothing = read_inputs(results, invocation=Invocation(results / "reproduction" / "none.json"))
    holds, fast, changed = overview.sentences(nothing)
    assert holds == "Does the book hold? This run did not reproduce the section."
    assert fast == "How fast is a step? This run measured no step."
    assert "warnings" not in changed
    [page] = overview.pages(nothing)
    text = page_from(page.blocks).text
    assert "What follows was recorded before." in text
    assert page_from(page.blocks).table("Other runs on record")[0][2] == "2026-01-02 03:04 UTC"


@pytest.mark.slow
def test_of_two_runs_at_one_time_each_answers_for_itself(tmp_path, put, make_record):
    results, at = tmp_path / "results", "2026-02-01T00:00:00+00:00"
    for name, mean, step in (("one", 0.3, 9e-4), ("two", 0.2435, 3e-4)):
        kept = write_reproduction(results, make_record(mean=mean))
        put("builtin-loop", step, name=name, started=at, run=name)
        holds, fast, changed = overview.sentences(read_inputs(results, invocation=Invocation(kept, name)))
        assert ("Yes" in holds) == (name == "two")
        assert fast.startswith(f"How fast is a step? builtin-loop takes {1e6 * step:.0f} µs")
        assert changed.endswith("warnings mark 0 of 1 time that are shown.")
