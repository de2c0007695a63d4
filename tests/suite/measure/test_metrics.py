import os
from dataclasses import astuple

import pytest
import torch

from rmsprop.book.airfoil import load_airfoil
from rmsprop.book.chapter import OPTIMIZERS
from rmsprop.book.programs import PROGRAMS
from rmsprop.book.training import train
from rmsprop.optimizers import builtin
from rmsprop.suite.case import Case
from rmsprop.suite.measure import metrics
from rmsprop.suite.measure.cold_start import ColdStart, cold_start
from rmsprop.suite.measure.metrics import (
    Ceilings,
    FivePasses,
    book_job,
    ceiling_seconds,
    peak_extra_bytes,
    program_job,
)
from rmsprop.suite.measure.registry import Implementation
from rmsprop.suite.measure.workload import CaseSkippedError, Workload

BYTES = 4 * 10**5


def case(name="scratch", *, dtype="float32", size="1e5", layout="single", device="cpu"):
    return Case(name, device, dtype, size, layout, 1)


def test_the_least_that_a_step_moves_is_five_times_the_parameters():
    assert metrics.five_pass_bytes(case(dtype="bfloat16")) == 5 * 2 * 10**5
    assert metrics.effective_bandwidth(case(), 1e-3) == pytest.approx(2e9)
    assert metrics.ns_per_element(case(), 1e-3) == pytest.approx(10)


def test_the_five_passes_read_p_g_and_s_and_write_p_and_s():
    p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    p.grad = torch.tensor([2.0, 4.0])
    passes = FivePasses([p], lr=0.5, alpha=0.9, eps=1.0)
    passes.step()
    assert torch.equal(p, torch.tensor([0.0, 0.0]))
    assert torch.equal(passes.pairs[0][1], torch.tensor([-1.0, -1.0]))


@pytest.mark.parametrize(
    ("dtype", "elements"), [("float64", "200000"), ("float32", "100000"), ("float16", "50000")]
)
def test_the_ceiling_moves_the_bytes_of_the_case_in_float32(monkeypatch, dtype, elements):
    seen = []

    class Watched(Workload):
        def __init__(self, one, implementation=None):
            seen.append(one)
            super().__init__(one, implementation)

    monkeypatch.setattr(metrics, "Workload", Watched)
    assert ceiling_seconds(case(dtype=dtype)) > 0
    assert seen[0] == Case("five-passes", "cpu", "float32", elements, "single", 1)


def test_cases_of_one_point_share_the_fastest_ceiling_that_the_run_has_seen(monkeypatch):
    measured = iter([3.0, 1.0, 2.0, 4.0])
    monkeypatch.setattr(metrics, "ceiling_seconds", lambda one: next(measured))
    ceilings = Ceilings()
    assert ceilings.seconds(case("scratch")) == 3.0
    assert ceilings.seconds(case("builtin-loop")) == 1.0
    assert ceilings.seconds(case("builtin-foreach")) == 1.0
    assert ceilings.seconds(case("scratch", size="1e6")) == 4.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "layout", "size", "by_hand"),
    [
        ("builtin-loop", "single", "1e5", 1.0),  # sqrt(s)
        ("builtin-foreach", "single", "1e5", 1.0),
        ("scratch", "single", "1e5", 3.0),  # γ s, (1 - γ) g² and their sum; later lr g, the root, their ratio
        ("builtin-loop", "many", "1e6", 0.002),  # the loop's variable keeps one root while the next is made
        ("builtin-foreach", "many", "1e6", 1.0),  # all roots at once
        ("scratch", "many", "1e6", 0.003),
    ],
)
def test_the_peak_of_a_step_is_what_its_arithmetic_says(name, layout, size, by_hand):
    one = case(name, layout=layout, size=size)
    with Workload(one) as workload:
        assert peak_extra_bytes(workload) / one.bytes == pytest.approx(by_hand, rel=0.02)


def test_a_step_without_temporaries_has_no_peak_and_a_known_one_has_its_size():
    class Takes:
        def __init__(self, params, **_):
            self.params, self.held = params, None

        def step(self):
            for p in self.params:
                p.detach().add_(p.grad)
            first = torch.empty(BYTES // 4)
            second = torch.empty(BYTES // 2, dtype=torch.uint8)
            self.held = torch.empty(1000)  # replaces what the step before held
            del first, second

    for make, expected in ((FivePasses, 0), (Takes, 1.5 * BYTES + 4000)):
        found = Implementation("mine", "", make, eps=1.0, eps_inside_sqrt=None)
        with Workload(case(), found) as workload:
            assert peak_extra_bytes(workload) == pytest.approx(expected, abs=64)


@pytest.mark.skipif(
    builtin.compiled_unavailable(torch.device("cpu"), torch.float32) is not None,
    reason="needs a C++ compiler",
)
@pytest.mark.slow
def test_a_compiled_step_needs_no_memory_of_the_size_of_the_parameters():
    with Workload(case("builtin-compiled")) as workload:
        assert peak_extra_bytes(workload) < 0.01 * BYTES


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_peak_and_the_ceiling_are_measured_on_cuda_too():
    one = case("builtin-loop", device="cuda", size="1e6")
    with Workload(one) as workload:
        assert peak_extra_bytes(workload) / one.bytes == pytest.approx(1.0, rel=0.02)
    assert ceiling_seconds(one) > 0


def test_measuring_the_peak_is_silent_and_leaves_the_terminal(capfd):
    with Workload(case()) as workload:
        capfd.readouterr()
        peak_extra_bytes(workload)
    os.write(2, b"after")
    assert capfd.readouterr().err == "after"


@pytest.mark.parametrize(("name", "loop"), [("scratch", "train_ch7"), ("builtin-loop", "train_pytorch_ch7")])
def test_the_books_job_runs_in_the_loop_that_fits_the_implementation(monkeypatch, name, loop):
    from rmsprop.book import training  # noqa: PLC0415

    called = []
    real = getattr(training, loop)
    monkeypatch.setattr(training, loop, lambda *args, **kw: called.append(loop) or real(*args, **kw))
    job = book_job(name, "cpu", "float32", data="surrogate", seeds=(0, 1))
    assert set(called) == {loop}
    assert job.data == "surrogate"
    assert len(job.epoch_seconds) == 2
    assert all(0.2 < loss < 0.3 for loss in job.losses)


def test_the_books_job_gives_the_losses_of_the_book(real_data):
    for name in ("scratch", "builtin-loop"):
        job = book_job(name, "cpu", "float32", data=str(real_data))
        assert job.data == "real"
        assert job.losses[0] == pytest.approx(0.245, abs=0.01)


def test_the_books_job_is_skipped_where_the_implementation_cannot_run():
    with pytest.raises(CaseSkippedError, match="CUDA alone"):
        book_job("builtin-capturable", "cpu", "float32", data="surrogate")


@pytest.mark.slow
def test_a_cold_start_is_measured_in_a_process_of_its_own():
    cold = cold_start(case("builtin-loop", layout="book", size="6"))
    assert all(seconds > 0 for seconds in astuple(cold))


def test_to_compile_is_what_the_first_step_takes_beyond_a_steady_one():
    assert ColdStart(3.0, 1.0, 0.5, first_step=2.5, steady_step=0.25).compile == 2.25


@pytest.mark.slow
def test_a_cold_start_that_fails_says_why_in_one_line():
    with pytest.raises(RuntimeError, match=r"cold start of nope-.*unknown implementation 'nope'") as failed:
        cold_start(case("nope", layout="book", size="6"))
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize("name", ["momentum-scratch", "adam-concise"])
def test_any_program_of_the_chapter_is_trained_as_its_section_does(name):
    rows = load_airfoil("surrogate").to("cpu", torch.float32)
    job = program_job(name, data="surrogate", seeds=(3,))
    assert job.losses == (train(PROGRAMS[name], *rows, 3).loss,)
    assert len(job.epoch_seconds) == 1
    assert job.data == "surrogate"


def test_a_commit_without_the_program_s_optimizer_is_skipped(monkeypatch):
    monkeypatch.delitem(OPTIMIZERS, "adam")
    with pytest.raises(CaseSkippedError, match="not in this commit: the optimizer adam"):
        program_job("adam-concise", data="surrogate")


@pytest.mark.slow
def test_asv_takes_every_program_of_the_chapter():
    from benchmarks import steps  # noqa: PLC0415 (what only this test needs)

    assert steps.Chapter.params == (list(PROGRAMS),)
    one = steps.Chapter()
    one.setup("adagrad-scratch")
    assert one.track_loss("adagrad-scratch") == pytest.approx(0.2437, abs=0.01)
