"""What CI installs is pinned whole: every package that an extra, the build or the audit brings along."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

CHECKOUT = Path(__file__).parents[1]
CONSTRAINTS = ("constraints.txt", "constraints-torch2.14.1.txt")
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))
BUILD = ["hatchling", "editables", "trove-classifiers"]
"""What an editable install is built with."""


def pins(name):
    """Versions by canonical name; a line that pins nothing is a fault."""
    lines = (CHECKOUT / name).read_text("utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith(("#", " ")):
            pinned = re.match(r"([\w.-]+)==([\w.+!-]+)( *;[^\\]*)?( \\)?$", line)
            assert pinned, f"{name}: {line!r} is no pin"
            found[canonicalize_name(pinned[1])] = pinned[2]
    return found


def needed(requirements, seen):
    """The closure of the requirements over what is installed here, as canonical names."""
    for text in requirements:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        for extra in requirement.extras or {""}:
            if (name, extra) in seen or (requirement.marker and not _applies(requirement, seen)):
                continue
            seen.add((name, extra))
            if name == "rmsprop-bench":
                project = PROJECT["project"]
                needed([*project["dependencies"], *project["optional-dependencies"].get(extra, ())], seen)
                continue
            try:
                inside = importlib.metadata.requires(name) or ()
            except importlib.metadata.PackageNotFoundError:
                continue  # such as triton, which torch's builds for the CPU do not bring
            needed([one for one in inside if _of(one, extra)], seen)
    return {name for name, _ in seen} - {"rmsprop-bench"}


def _of(text, extra):
    marker = Requirement(text).marker
    return marker is None or marker.evaluate({"extra": extra})


def _applies(requirement, seen):
    return any(requirement.marker.evaluate({"extra": extra}) for extra in {"", *(extra for _, extra in seen)})


@pytest.mark.parametrize("lock", CONSTRAINTS)
@pytest.mark.parametrize("extra", sorted(PROJECT["project"]["optional-dependencies"]))
def test_all_that_an_extra_installs_is_pinned(extra, lock):
    pinned = pins(lock)
    found = needed([f"rmsprop-bench[{extra}]"], set())
    assert {"torch", "numpy"} <= found
    installed = {name for name in found if _installed(name)}
    if importlib.metadata.version("torch").partition("+")[0] != pinned["torch"]:
        installed -= needed(["torch"], set()) - {"torch"}  # another build, which brings others
    assert installed - set(pinned) == set()


@pytest.mark.parametrize("lock", CONSTRAINTS)
def test_what_builds_the_distribution_is_pinned(lock):
    assert PROJECT["build-system"]["requires"] == ["hatchling>=1.27"]
    assert needed(BUILD, set()) - set(pins(lock)) == set()


@pytest.mark.parametrize("lock", CONSTRAINTS)
def test_each_pin_lies_in_the_projects_range(lock):
    pinned, project = pins(lock), PROJECT["project"]
    extras = [one for extra in project["optional-dependencies"].values() for one in extra]
    for text in [*project["dependencies"], *extras]:
        requirement = Requirement(text)
        name = canonicalize_name(requirement.name)
        if name in pinned:
            assert requirement.specifier.contains(pinned[name]), f"{text}: {pinned[name]}"


def test_each_pinned_version_takes_the_oldest_python_that_the_project_takes():
    """Debian 12 has 3.11.2, for which a pinned package that wants 3.11.5 leaves pip without an answer."""
    oldest = PROJECT["project"]["requires-python"].removeprefix(">=") + ".0"
    installed = [one.metadata for one in importlib.metadata.distributions()]
    pinned = [one for one in installed if canonicalize_name(one["Name"]) in pins("constraints.txt")]
    assert len(pinned) > 50
    wants = {one["Name"]: want for one in pinned if (want := one.get("Requires-Python"))}
    assert {name: want for name, want in wants.items() if not SpecifierSet(want).contains(oldest)} == {}


def test_both_lists_of_pins_differ_in_torch_alone():
    one, other = (pins(lock) for lock in CONSTRAINTS)
    differing = {name for name in {*one, *other} if one.get(name) != other.get(name)}
    assert {name for name in differing if not name.startswith(("nvidia-", "cuda-"))} == {"torch", "triton"}


@pytest.mark.parametrize("lock", [".ci/judging-lock.txt", ".ci/audit-lock.txt"])
def test_a_lock_has_hashes_for_each_package_and_the_versions_of_the_constraints(lock):
    pinned, known = pins(lock), pins("constraints.txt")
    text = (CHECKOUT / lock).read_text("utf-8")
    blocks = [block for block in re.split(r"\n(?=[\w])", text) if not block.startswith("#")]
    assert len(blocks) == len(pinned)
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}\b", block) for block in blocks)
    assert {name for name in pinned if name in known and known[name] != pinned[name]} == set()


def test_the_action_installs_what_is_asked_for_and_all_that_it_needs():
    asked = [line for line in (CHECKOUT / ".ci" / "judging.txt").read_text().splitlines() if line[0] != "#"]
    pinned = set(pins(".ci/judging-lock.txt"))
    assert {canonicalize_name(name) for name in asked} <= pinned
    assert needed(asked, set()) - pinned == set()


def _installed(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
