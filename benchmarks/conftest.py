"""pytest-benchmark: which cases, where their file goes, and that it does not name the host.

asv imports this module too, in an environment without pytest: hence no import of it at the top.
"""

from pathlib import Path

from rmsprop.suite.case import AXES
from rmsprop.suite.measure.matrix import PROFILES, cases, named, others

CHECKOUT = Path(__file__).parents[1]


def pytest_addoption(parser):
    group = parser.getgroup("rmsprop", "the benchmark matrix")
    group.addoption("--profile", default="regular", choices=list(PROFILES), help="which cases (regular)")
    group.addoption(
        "--optimizer", action="append", default=[], help="measure package.module:Class too; repeatable"
    )
    for axis in AXES:
        group.addoption(f"--{axis}", action="append", default=[], help=f"keep this {axis}; repeatable")


def pytest_configure(config):
    """Store each run under results/pytest-benchmark/<machine>/, unless the command line says otherwise."""
    import pytest  # noqa: PLC0415

    from rmsprop.errors import UserError  # noqa: PLC0415
    from rmsprop.suite.measure.capture import capture_environment  # noqa: PLC0415
    from rmsprop.suite.measure.metrics import Ceilings  # noqa: PLC0415
    from rmsprop.suite.measure.registry import load_optimizers  # noqa: PLC0415
    from rmsprop.suite.records.store import short_commit  # noqa: PLC0415

    option = config.option
    filters = {axis: getattr(option, axis) for axis in AXES}
    if filters["implementation"]:
        filters["implementation"] = [*filters["implementation"], *option.optimizer]
    try:
        load_optimizers([*named(), *option.optimizer])
        config.rmsprop_cases = cases(option.profile, others=[*others(), *option.optimizer], **filters)
    except UserError as error:
        raise pytest.UsageError(str(error)) from None
    config.rmsprop_environment = environment = capture_environment()
    config.rmsprop_ceilings = Ceilings()
    if option.benchmark_storage.startswith("file://./.benchmarks"):
        folder = CHECKOUT / "results" / "pytest-benchmark" / environment.machine
        option.benchmark_storage = f"file://{folder}"
    if not option.benchmark_autosave and not option.benchmark_save:
        option.benchmark_autosave = f"{short_commit(environment)}-{option.profile}"
    option.benchmark_save_data = True


def pytest_generate_tests(metafunc):
    """A test of `case` runs once for each case of the profile, grouped by point for `compare`."""
    import pytest  # noqa: PLC0415

    if "case" not in metafunc.fixturenames:
        return
    parameters = [
        pytest.param(
            case, id=case.id, marks=pytest.mark.benchmark(group=case.point, timer=timer(case.device))
        )
        for case in metafunc.config.rmsprop_cases
    ]
    metafunc.parametrize("case", parameters)


def timer(device):
    """perf_counter, once the device has done what it was given."""
    import time  # noqa: PLC0415

    if device == "cpu":
        return time.perf_counter

    def synchronised():
        import torch  # noqa: PLC0415

        getattr(torch, device).synchronize()
        return time.perf_counter()

    return synchronised


def pytest_benchmark_update_machine_info(config, machine_info):
    """The file is committed: it names the machine as our records do, and not the host."""
    machine_info["node"] = config.rmsprop_environment.machine
