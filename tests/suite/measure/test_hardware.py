"""Two machines never share a name, and one keeps its own."""

import re
from dataclasses import fields, replace

import pytest

from rmsprop.suite.measure import hardware
from rmsprop.suite.measure.hardware import capture_hardware, machine_name
from rmsprop.suite.records.environment import Hardware

EPYC = Hardware("AuthenticAMD", "25", "1", "1", ("avx", "avx2", "fma"), 2**25, True)
OTHER = {
    "vendor": "GenuineIntel",
    "family": "26",
    "model": "17",
    "stepping": "2",
    "features": ("avx", "avx2", "avx512f", "fma"),
    "l3_bytes": 2**26,
    "virtual": False,
}


@pytest.mark.parametrize(
    ("processor", "cpus", "gpu", "name"),
    [
        ("AMD EPYC", 2, None, "amd-epyc-2cpu"),
        ("Intel(R) Xeon(R) CPU @ 2.20GHz", 16, "NVIDIA H200", "intel-xeon-16cpu-nvidia-h200"),
        ("AMD EPYC 7763 64-Core Processor", 128, None, "amd-epyc-7763-64-core-128cpu"),
        ("../evil <b>", 1, None, "evil-b-1cpu"),
    ],
)
def test_a_machine_name_is_a_plain_folder_name_with_a_fingerprint(processor, cpus, gpu, name):
    words, _, fingerprint = machine_name(processor, cpus, gpu, EPYC).rpartition("-")
    assert words == name
    assert re.fullmatch("[0-9a-f]{6}", fingerprint)


def test_each_fact_of_the_hardware_is_part_of_the_name():
    assert set(OTHER) == {field.name for field in fields(Hardware)}
    changed = [replace(EPYC, **{fact: value}) for fact, value in OTHER.items()]
    names = {machine_name("AMD EPYC", 2, None, one) for one in (EPYC, *changed)}
    names |= {machine_name("AMD EPYC", 4, None, EPYC), machine_name("AMD EPYC", 2, "NVIDIA H200", EPYC)}
    assert len(names) == len(OTHER) + 3


def test_the_same_machine_has_the_same_name_when_asked_again():
    first = capture_hardware()
    hardware._cpuinfo.cache_clear()
    assert capture_hardware() == first


def test_features_are_those_that_choose_kernels(monkeypatch):
    flags = ["avx2", "smep", "fpu", "avx512_bf16", "amx_tile", "fma", "hypervisor", "sve2", "sme"]
    monkeypatch.setattr(hardware, "_cpuinfo", lambda: {"flags": flags, "family": 25})
    _, found = capture_hardware()
    assert found.features == ("amx_tile", "avx2", "avx512_bf16", "fma", "sme", "sve2")
    assert (found.family, found.model) == ("25", None)
