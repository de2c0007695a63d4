"""The tightest of the machine's memory, the control groups' limits and the process's own is what there is."""

import subprocess
import sys

import psutil
import pytest

from rmsprop.suite.measure.memory import cgroup_rooms, host_memory


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def test_a_group_of_version_2_and_those_around_it_limit(tmp_path):
    own, mounted = tmp_path / "own", tmp_path / "mounted"
    own.write_text("0::/jobs/mine\n")
    write(mounted / "jobs" / "mine", memory__max="max", memory__current=5)
    stat = "anon 1\ninactive_file 30\nactive_file 7"
    write(mounted / "jobs", memory__max=1000, memory__current=400, memory__stat=stat)
    write(mounted, memory__current=9)  # the root has no limit
    assert cgroup_rooms(own, mounted) == [630]


def test_a_group_of_version_1_limits(tmp_path):
    own, mounted = tmp_path / "own", tmp_path / "mounted"
    own.write_text("12:cpu,cpuacct:/x\n3:memory:/box\n1:name=systemd:/y\n")
    stat = "inactive_file 1\ntotal_inactive_file 20"
    files = {"memory__limit_in_bytes": 500, "memory__usage_in_bytes": 100, "memory__stat": stat}
    write(mounted / "memory" / "box", **files)
    write(mounted / "memory", memory__limit_in_bytes=2**63 - 4096, memory__usage_in_bytes=200)
    assert cgroup_rooms(own, mounted) == [420, 2**63 - 4096 - 200]


@pytest.mark.parametrize("text", [None, "", "0::/gone\n"])
def test_a_system_without_groups_limits_nothing(tmp_path, text):
    if text is not None:
        (tmp_path / "own").write_text(text)
    assert cgroup_rooms(tmp_path / "own", tmp_path / "mounted") == []


def test_what_there_is_lies_within_the_machine():
    assert 0 <= host_memory() <= psutil.virtual_memory().total


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no RLIMIT_AS")
def test_a_limit_of_the_address_space_counts():
    program = (
        "import resource, psutil; from rmsprop.suite.measure.memory import host_memory;"
        "used = psutil.Process().memory_info().vms;"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, used + 2**26)); print(host_memory())"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert 0 < int(said.stdout) <= 2**26
