import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from rmsprop.suite.case import ITEMSIZE, Case
from rmsprop.suite.measure import workload as workloads
from rmsprop.suite.measure.correctness import WrongResultError, check
from rmsprop.suite.measure.registry import Implementation, builtins, load_optimizer
from rmsprop.suite.measure.subject import skip_reason
from rmsprop.suite.measure.workload import CaseFailedError, CaseSkippedError, Workload
from rmsprop.suite.words import BY_ITSELF

FORMULA = {"lr": 0.01, "alpha": 0.9, "eps": 1e-8}


def case(name="broken", *, dtype="float32", size="1e3", layout="single", threads=1, device="cpu"):
    return Case(name, device, dtype, size, layout, threads)


class Step:
    """The right step, with the error that a test asks for."""

    def __init__(self, params, *, lr, alpha, eps):
        self.params, self.lr, self.alpha, self.eps = params, lr, alpha, eps
        self.states = [torch.zeros_like(p) for p in params]

    @torch.no_grad()
    def step(self):
        for p, s in zip(self.params, self.states, strict=True):
            s.mul_(self.alpha).addcmul_(p.grad, p.grad, value=1 - self.alpha)
            p.sub_(self.lr * p.grad / (s.sqrt() + self.eps))
            self.spoil(p)

    def spoil(self, p):
        pass


def broken(spoil):
    return Implementation("broken", "", type("Broken", (Step,), {"spoil": spoil}))


def failure(implementation, **axes):
    threads = torch.get_num_threads()
    with pytest.raises(CaseFailedError) as failed, Workload(case(**axes), implementation):
        pass
    assert torch.get_num_threads() == threads
    return str(failed.value)


COMPILED = pytest.param("builtin-compiled", marks=pytest.mark.slow)


@pytest.mark.parametrize("dtype", ITEMSIZE)
@pytest.mark.parametrize("name", [*(name for name in builtins() if name != COMPILED.values[0]), COMPILED])
def test_every_implementation_is_right_in_every_dtype_on_the_cpu(name, dtype):
    one = case(name, dtype=dtype, size="1e5")
    if reason := skip_reason(one):
        pytest.skip(reason)
    with Workload(one) as workload:
        assert workload.time(2) > 0
        assert all(p.isfinite().all() for p in workload.params)
        assert [note.split(":")[0] for note in workload.notes] == (
            [] if dtype != "float16" else ["eps is 0.0001" if name == "scratch" else "eps is 0.01"]
        )


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "size"), [("book", "6"), ("many", "1e6")])
@pytest.mark.parametrize("name", ["scratch", "builtin-loop", "builtin-foreach"])
def test_implementations_are_right_for_lists_of_tensors(name, layout, size):
    with Workload(case(name, layout=layout, size=size)) as workload:
        assert len(workload.params) == {"book": 2, "many": 1000}[layout]


@pytest.mark.filterwarnings("ignore:This instance was constructed with capturable")
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", ITEMSIZE)
@pytest.mark.parametrize("name", builtins())
def test_every_implementation_is_right_in_every_dtype_on_cuda(name, dtype):
    for size, layout in (("1e5", "single"), ("6", "book")):
        one = case(name, dtype=dtype, size=size, layout=layout, device="cuda")
        if reason := skip_reason(one):
            pytest.skip(reason)
        with Workload(one) as workload:
            assert workload.time(3) > 0


def test_the_right_step_passes():
    with Workload(case(), broken(lambda self, p: None)) as workload:
        assert workload.notes == []


@pytest.mark.parametrize(
    ("dtype", "error"), [("float64", 0.01), ("float32", 0.01), ("bfloat16", 0.1), ("float16", 0.1)]
)
def test_a_step_that_is_a_little_off_is_wrong(dtype, error):
    class TooLong(Step):
        def __init__(self, params, *, lr, alpha, eps):
            super().__init__(params, lr=lr * (1 + error), alpha=alpha, eps=eps)

    message = failure(Implementation("broken", "", TooLong), dtype=dtype)
    assert message.startswith("WrongResultError: tensor 0, element [")


def test_another_decay_or_another_place_of_eps_is_wrong():
    class OtherDecay(Step):
        def __init__(self, params, *, lr, alpha, eps):
            super().__init__(params, lr=lr, alpha=0.91, eps=eps)

    assert "WrongResultError" in failure(Implementation("broken", "", OtherDecay))
    assert "WrongResultError" in failure(
        Implementation("broken", "", Step, 1e-6, True), layout="book", size="6"
    )


def test_the_message_names_the_worst_element_with_what_was_found_and_expected():
    def spoil(self, p):
        if p.numel() == 1:
            p.fill_(7.0)
        else:
            p[3] += 1e-3

    message = failure(broken(spoil), layout="book", size="6")
    assert message.startswith("WrongResultError: tensor 1, element [0]: found 7, expected ")
    assert message.endswith("allowed)")

    message = failure(
        broken(lambda self, p: p.view(-1)[3].add_(0.5) if p.dim() == 2 else None), layout="book", size="6"
    )
    assert message.startswith("WrongResultError: tensor 0, element [3, 0]: found ")


@pytest.mark.slow
def test_an_error_in_a_late_element_of_a_large_tensor_is_found():
    message = failure(broken(lambda self, p: p[2**20 + 17].add_(1.0)), size="1e7", dtype="float16")
    assert message.startswith("WrongResultError: tensor 0, element [1048593]: found ")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_result_that_is_not_finite_is_wrong(value):
    message = failure(broken(lambda self, p: p[5].fill_(value)))
    assert message.startswith(
        f"WrongResultError: tensor 0, element [5]: found {value}, expected a finite number"
    )


def test_an_optimizer_that_raises_in_its_step_fails_its_case_with_its_message():
    def spoil(self, p):
        raise RuntimeError("my kernel is missing")

    line = spoil.__code__.co_firstlineno + 1
    assert failure(broken(spoil)) == f"RuntimeError: my kernel is missing (test_workload.py, line {line})"


def test_an_optimizer_that_changes_shapes_or_dtypes_is_wrong():
    def reshape(self, p):
        p.data = p.data.view(10, -1).clone()

    def promote(self, p):
        p.data = p.data.double()

    was = "WrongResultError: tensor 0 was (1000,) torch.float32, and a step made it "
    assert failure(broken(reshape)) == was + "(10, 100) torch.float32"
    assert failure(broken(promote)) == was + "(1000,) torch.float64"


def test_an_optimizer_that_changes_its_gradients_is_wrong_and_cannot_hide_an_error_so():
    message = failure(broken(lambda self, p: p.grad.mul_(1.5)), layout="book", size="6")
    assert message == "WrongResultError: a step changed the gradient of tensor 0"


def test_a_class_that_cannot_be_constructed_fails_its_case():
    class Picky(torch.optim.SGD):
        def __init__(self, params, colour):
            super().__init__(params)

    assert "colour" in failure(
        Implementation("broken", "", lambda params, **_: Picky(params), eps_inside_sqrt=None)
    )


def test_an_optimizer_that_cannot_be_imported_fails_its_case_and_is_not_skipped():
    with (
        pytest.raises(CaseFailedError, match="'nowhere:Mine' cannot be imported"),
        Workload(case("nowhere:Mine")),
    ):
        pass


def test_torchs_own_eps_in_float16_fails_the_check_as_the_hazard_predicts(monkeypatch):
    monkeypatch.setattr(workloads, "FLOAT16_EPS", 0.0)
    one = case("builtin-loop", dtype="float16", layout="many", size="1e6")
    with pytest.raises(CaseFailedError, match="expected a finite number"), Workload(one):
        pass


def test_an_optimizer_without_a_formula_is_held_against_itself_in_float64_and_says_so():
    with Workload(case("torch.optim:Adam"), load_optimizer("torch.optim:Adam")) as workload:
        [note] = workload.notes
        assert note.startswith(f"{BY_ITSELF}, and its first 3 steps differ from those of torch.optim.RMSprop")

    class OffInFloat32(Step):
        def spoil(self, p):
            p.add_(0.01 * (p.dtype == torch.float32))

    unknown = Implementation("broken", "", OffInFloat32, eps_inside_sqrt=None)
    assert "WrongResultError" in failure(unknown)


def test_an_optimizer_without_float64_is_checked_for_shapes_and_finite_values_and_says_so():
    class Float32(Step):
        def spoil(self, p):
            if p.dtype != torch.float32:
                raise TypeError("float32 alone")

    unknown = Implementation("broken", "", Float32, eps_inside_sqrt=None)
    with Workload(case(), unknown) as workload:
        assert workload.notes == [
            "checked for shapes and finite values alone: no formula is known, and it has no float64"
        ]

    class NaN(Float32):
        def spoil(self, p):
            super().spoil(p)
            p[2] = math.nan

    assert "element [2]: found nan" in failure(Implementation("broken", "", NaN, eps_inside_sqrt=None))


def test_a_case_that_cannot_run_here_is_skipped_with_its_reason_in_asvs_words():
    with (
        pytest.raises(NotImplementedError, match="capturable runs on CUDA alone"),
        Workload(case("builtin-capturable")),
    ):
        pass


def test_running_out_of_memory_skips_the_case_with_what_it_needs_and_what_there_is():
    def spoil(self, p):
        torch.empty(2**60, dtype=torch.uint8)

    with pytest.raises(CaseSkippedError, match=r"out of memory: needs \d.* GiB, and \d.* are available"):
        Workload(case(), broken(spoil)).__enter__()


@pytest.mark.parametrize("threads", [1, 0])
def test_the_threads_are_the_cases_inside_and_as_before_outside(threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with Workload(case("scratch", threads=threads)):
            assert torch.get_num_threads() == (threads or 2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_global_random_state_stays_as_it_was():
    before = torch.get_rng_state()
    with Workload(case("scratch")):
        pass
    assert torch.equal(torch.get_rng_state(), before)


def test_two_workloads_of_a_case_are_the_same_to_the_last_bit():
    with Workload(case("scratch")) as one, Workload(case("scratch")) as other:
        one.run(7)
        other.run(7)
        assert torch.equal(one.params[0], other.params[0])


def test_run_takes_as_many_steps_as_it_is_asked_for():
    taken = []
    with Workload(case(), broken(lambda self, p: taken.append(1))) as workload:
        taken.clear()
        workload.run(5)
        assert len(taken) == 5
        workload.time(3)
        assert len(taken) == 8


@pytest.mark.parametrize("size", ["1e3", "1e5"])
def test_gradients_rotate_between_steps_of_large_tensors_and_between_calls_for_small_ones(size):
    seen = []
    with Workload(case(size=size), broken(lambda self, p: seen.append(p.grad.data_ptr()))) as workload:
        seen.clear()
        workload.time(8)
        workload.time(8)
        assert len(set(seen)) == (2 if size == "1e3" else 8)


def test_gradients_are_not_zero_and_the_second_half_undoes_the_first():
    with Workload(case("scratch", layout="book", size="6")) as workload:
        sets = []
        for _ in range(8):
            workload.rotate()
            sets.append([p.grad for p in workload.params])
        assert all((g != 0).all() for gradients in sets for g in gradients)
        for first, second in zip(sets[:4], sets[4:], strict=True):
            assert all(torch.equal(g, -h) for g, h in zip(first, second, strict=True))
        scales = [torch.cat([gradients[i].view(-1) for gradients in sets]).abs().mean() for i in (0, 1)]
        assert scales[0] > 3 * scales[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scratch", "builtin-loop"])
def test_parameters_stay_where_they_are_however_many_steps_are_taken(name):
    with Workload(case(name, size="1e5")) as workload:
        workload.run(200)
        start = workload.params[0].detach().clone()
        workload.run(4000)
        assert (workload.params[0] - start).abs().max() < 0.01


def test_steps_for_a_span_grow_with_it():
    with Workload(case("scratch")) as workload:
        assert 1 <= workload.steps_for(0) <= workload.steps_for(0.02)


def test_a_workload_gives_its_memory_back():
    workload = Workload(case("scratch"))
    with workload:
        assert workload.params
    assert workload.params == []


def test_the_formula_is_the_one_that_torch_and_the_book_use():
    generator = torch.Generator().manual_seed(3)
    initial = [torch.randn(50, generator=generator, dtype=torch.float64)]
    sets = [[torch.randn(50, generator=generator, dtype=torch.float64)] for _ in range(2)]
    for name, eps in (("builtin-loop", 1e-8), ("scratch", 1e-6)):
        found = [nn.Parameter(p.clone()) for p in initial]
        optimizer = builtins()[name].make(found, lr=0.01, alpha=0.9, eps=eps)
        for step in range(3):
            found[0].grad = sets[step % 2][0]
            optimizer.step()
        assert check(builtins()[name], found, initial, sets, FORMULA | {"eps": eps}, {}) is None
        with pytest.raises(WrongResultError, match="expected"):
            check(builtins()[name], found, initial, sets, FORMULA | {"eps": 1e-3}, {})


@pytest.mark.parametrize("name", ["builtin-loop", "builtin-foreach", "fused"])
def test_momentum_is_checked_against_float64_and_timed(name):
    with Workload(replace(case(name, size="1e3"), momentum=0.9)) as workload:
        assert workload.step.__self__.param_groups[0]["momentum"] == 0.9


def test_a_step_that_forgets_its_momentum_is_refused():
    forgets = replace(
        builtins()["builtin-loop"],
        make=lambda params, momentum, **others: torch.optim.RMSprop(params, **others),
    )
    workload = Workload(replace(case("builtin-loop", size="1e3"), momentum=0.9), forgets)
    with pytest.raises(CaseFailedError, match="after 3 steps"):
        workload.__enter__()


def test_what_takes_no_momentum_is_skipped_with_the_reason():
    with pytest.raises(CaseSkippedError, match="scratch takes no momentum"):
        Workload(replace(case("scratch", size="1e3"), momentum=0.9)).__enter__()
