import subprocess
import sys

import pytest

from rmsprop.errors import UserError
from rmsprop.suite.case import DEVICES, IMPLEMENTATIONS, Case
from rmsprop.suite.measure import subject
from rmsprop.suite.measure.matrix import PROFILES, THREADS, cases
from rmsprop.suite.measure.registry import builtins
from rmsprop.suite.measure.registry import implementation as find
from rmsprop.suite.measure.subject import skip_reason

CASE = Case("scratch", "cpu", "float32", "1e5", "single", 1)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_lists_each_case_once_whatever_the_machine(profile):
    listed = cases(profile)
    assert len({case.id for case in listed}) == len(listed)
    assert {case.implementation for case in listed} == set(IMPLEMENTATIONS)
    assert {case.device for case in listed} == set(DEVICES)


def test_full_holds_every_case_of_the_other_profiles():
    assert {case for profile in PROFILES for case in cases(profile)} == set(cases("full"))


def test_regular_holds_what_people_ask_about():
    asked = {
        (size, layout, threads)
        for size, layout in (("1e5", "single"), ("1e6", "single"), ("1e7", "single"), ("1e6", "many"))
        for threads in THREADS
    } | {("6", "book", 1), ("2410", "digits", 1), ("25557032", "resnet50", 1), ("25557032", "resnet50", 0)}
    for name in ("scratch", "builtin-loop", "builtin-foreach"):
        listed = cases("regular", implementation=[name], device=["cpu"], dtype=["float32"])
        assert asked <= {(case.size, case.layout, case.threads) for case in listed}
    assert {case.dtype for case in cases("regular")} == {"float64", "float32", "bfloat16", "float16"}


def test_the_list_names_the_implementations_that_the_package_has():
    assert tuple(builtins()) == IMPLEMENTATIONS


def test_other_peoples_optimizers_get_every_case():
    points = {(c.device, c.dtype, c.size, c.layout, c.threads) for c in cases("regular")}
    listed = cases("regular", others=["mine"], implementation=["mine"])
    assert {(c.device, c.dtype, c.size, c.layout, c.threads) for c in listed} == points


def test_filters_keep_the_values_they_name_and_understand_numbers():
    listed = cases("full", device=["cpu"], size=["100000"], dtype=["float64"], threads=["all"])
    assert [case.id for case in listed] == [f"{name}-cpu-float64-1e5-single-all" for name in IMPLEMENTATIONS]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("implementation", "unknown implementation 'x'; choose from scratch, builtin-loop, builtin-foreach"),
        ("device", "unknown device 'x'; choose from cpu, cuda, mps"),
        ("dtype", "unknown dtype 'x'; choose from float32, float64, bfloat16, float16"),
        ("size", "unknown size 'x'; choose from 1e3, 1e5, 1e6, 1e7, 1e8, 1e9, 6, 2410, 25557032, 124439808"),
        ("layout", "unknown layout 'x'; choose from single, book, digits, many, resnet50, gpt2"),
        ("threads", "unknown threads 'x'; choose from 1, all"),
    ],
)
def test_an_unknown_value_of_an_axis_lists_the_known_ones(axis, message):
    with pytest.raises(UserError) as refused:
        cases(**{axis: ["x"]})
    assert str(refused.value).startswith(message)


def test_an_unknown_profile_lists_the_known_ones():
    with pytest.raises(UserError, match="unknown profile 'huge'; choose from smoke, regular, fused, full"):
        cases("huge")


def test_filters_that_leave_nothing_say_which():
    with pytest.raises(UserError, match=r"smoke has no case with layout gpt2; loosen a filter, or .* full"):
        cases("smoke", layout=["gpt2"])


@pytest.mark.parametrize("profile", ["smoke", "full"])
def test_profile_full_is_advised_only_where_it_has_such_a_case(profile):
    with pytest.raises(UserError, match=r"has no case with size 1e6; layout book; loosen a filter$"):
        cases(profile, layout=["book"], size=["1e6"])


def test_one_value_of_a_filter_that_no_case_has_is_named_beside_one_that_some_have():
    with pytest.raises(UserError, match=r"profile smoke has no case with size 1e3; "):
        cases("smoke", size=["1e5", "1e3"])


@pytest.mark.slow
def test_the_list_needs_no_torch_and_importing_benchmarks_does_not_start_cuda():
    program = (
        "import sys, rmsprop.suite.measure.matrix, rmsprop.suite.measure.cold_start;"
        "print('torch' in sys.modules);"
        "import rmsprop.suite.measure.workload, rmsprop.suite.measure.metrics, torch;"
        "print(torch.cuda.is_initialized(), 'pytest' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "False", "False"]


def test_a_case_that_can_run_has_no_reason_to_be_skipped():
    assert skip_reason(CASE) is None


def test_a_missing_device_is_the_reason(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    reason = skip_reason(Case("scratch", "mps", "float32", "1e5", "single", 1))
    assert reason.startswith("no device: torch ")
    assert reason.endswith("finds no mps here")


def test_a_dtype_that_the_device_lacks_is_the_reason(monkeypatch):
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    reason = skip_reason(Case("scratch", "mps", "float64", "1e5", "single", 1))
    assert reason == "unsupported dtype: mps has no float64"


def test_what_an_implementation_says_about_itself_is_the_reason():
    reason = skip_reason(Case("builtin-capturable", "cpu", "float32", "1e5", "single", 1))
    assert reason == "capturable runs on CUDA alone, not on cpu"


def test_too_little_memory_is_the_reason_with_what_is_needed_and_what_there_is(monkeypatch):
    monkeypatch.setattr(subject, "memory_available", lambda device: 2**30)
    reason = skip_reason(Case("scratch", "cpu", "float32", "1e8", "single", 1))
    assert reason == "too little memory: needs 3.0 GiB, and 1.0 GiB are available"


def test_an_older_commit_has_scratch_and_skips_what_came_later(monkeypatch):
    for module in ("builtin", "fused"):
        monkeypatch.setitem(sys.modules, f"rmsprop.optimizers.{module}", None)
    assert skip_reason(CASE) is None
    assert find("scratch").eps_inside_sqrt is True
    for name in ("builtin-loop", "fused"):
        missing = skip_reason(Case(name, "cpu", "float32", "1e5", "single", 1))
        assert missing == f"not in this commit: {name}"
