"""A case and its names."""

import subprocess
import sys
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rmsprop.suite.case import AXES, DEVICES, IMPLEMENTATIONS, ITEMSIZE, LAYOUTS, MEANINGS, POINT, Case
from rmsprop.suite.measure.matrix import SIZES, cases
from rmsprop.suite.shapes import gpt2, resnet50

CASE = Case("scratch", "cpu", "float32", "1e5", "single", 1)


def elements(shapes):
    return sum(Case("", "", "float32", str(rows), "single", 1).elements for rows in map(product, shapes))


def product(shape):
    total = 1
    for length in shape:
        total *= length
    return total


def test_the_shapes_are_those_of_the_real_models():
    assert (len(resnet50()), elements(resnet50())) == (161, 25_557_032)
    assert (len(gpt2()), elements(gpt2())) == (148, 124_439_808)
    assert max(resnet50(), key=product) == (512, 512, 3, 3)
    assert gpt2()[0] == (50257, 768)


@pytest.mark.parametrize(("layout", "size"), [(layout, size) for layout in SIZES for size in SIZES[layout]])
def test_each_size_is_the_number_of_elements_of_its_layout(layout, size):
    assert Case("scratch", "cpu", "float32", size, layout, 1).elements == float(size)


def test_an_id_is_readable_and_leads_back_to_its_case():
    assert CASE.id == "scratch-cpu-float32-1e5-single-1t"
    assert Case("builtin-loop", "cpu", "float16", "6", "book", 0).id == "builtin-loop-cpu-float16-6-book-all"
    for case in [*cases("full"), Case("a_b.c:D", "cpu", "float32", "1e6", "many", 0)]:
        assert Case.parse(case.id) == case


@given(
    st.builds(
        Case,
        implementation=st.text(min_size=1),
        device=st.sampled_from(DEVICES),
        dtype=st.sampled_from(list(ITEMSIZE)),
        size=st.sampled_from(["6", "1e5"]),
        layout=st.sampled_from(list(LAYOUTS)),
        threads=st.integers(0, 256),
        momentum=st.sampled_from([0.0, 0.5, 0.9, 0.999]),
    )
)
def test_whatever_somebody_names_an_optimizer_its_id_leads_back(case):
    assert Case.parse(case.id) == case
    assert Case.at(case.implementation, case.point) == case


@pytest.mark.parametrize("text", ["", "scratch", "a-b-c-d-e", "scratch-cpu-float32-1e5-single-manyt", "x-1t"])
def test_what_is_no_id_is_told_how_one_looks(text):
    with pytest.raises(ValueError, match="is no case of the matrix such as scratch-cpu-float32"):
        Case.parse(text)


def test_the_words_for_a_case():
    assert (CASE.place, CASE.description) == ("cpu, 1 thread", "1e5, one tensor, 1 thread")
    on_all = Case("fused", "cpu", "float32", "25557032", "resnet50", 0)
    assert (on_all.place, on_all.description) == ("cpu, all threads", "25557032, ResNet-50, all threads")
    on_gpu = Case("fused", "cuda", "bfloat16", "6", "book", 1)
    assert (on_gpu.place, on_gpu.description) == ("cuda", "6, the book’s w and b")


def test_momentum_is_said_where_there_is_one_and_else_ids_are_what_they_were():
    case = replace(CASE, momentum=0.9)
    assert case.id == "scratch-cpu-float32-1e5-single-1t-m0.9"
    assert case.description == "1e5, one tensor, 1 thread, momentum 0.9"
    assert (CASE.passes, case.passes) == (5, 7)
    assert Case.parse("scratch-cpu-float32-1e5-single-1t").momentum == 0


def test_the_bytes_are_those_of_the_parameters():
    assert Case("x", "cpu", "bfloat16", "1e5", "single", 1).bytes == 200_000


def test_the_axes_are_the_fields_and_each_says_what_it_means():
    assert tuple(asdict(CASE)) == AXES == tuple(MEANINGS) == ("implementation", *POINT)
    assert all(meaning for _, meaning in MEANINGS.values())


def test_a_stored_case_has_these_fields_and_no_others():
    adapter = TypeAdapter(Case)
    assert adapter.validate_python(asdict(CASE)) == CASE
    stored_before_momentum = {axis: value for axis, value in asdict(CASE).items() if axis != "momentum"}
    assert adapter.validate_python(stored_before_momentum) == CASE
    with pytest.raises(ValidationError):
        adapter.validate_python(asdict(CASE) | {"colour": "red"})


def test_a_case_needs_the_standard_library_alone():
    program = (
        "import sys; before = set(sys.modules); import rmsprop.suite.case;"
        "print({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "{'rmsprop'}"


def test_the_reference_implementations_are_listed_once():
    assert len(set(IMPLEMENTATIONS)) == len(IMPLEMENTATIONS)
