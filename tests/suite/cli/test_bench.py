"""The table of `rmsprop bench` says how sure each speed-up is, and each kind of warning once."""

import pytest

from rmsprop.suite.case import Case
from rmsprop.suite.cli.bench import run, show_bench
from rmsprop.suite.cli.options import BenchOptions
from rmsprop.suite.records.bench import BenchRecord, Measurement


@pytest.fixture
def shown(make_environment, tmp_path, monkeypatch, capsys):
    """What the command prints for the medians of three processes, by implementation."""

    def show(columns=80, **times):
        monkeypatch.setenv("COLUMNS", str(columns))
        warnings = ("unstable: the processes differ by 39%; measure again on a quieter machine",)
        records = [
            BenchRecord(
                axes=Case(name.replace("_", "-"), "cpu", "float32", "1e5", "single", 1),
                status="measured",
                reason=None,
                environment=make_environment(),
                notes=(),
                warnings=warnings if name != "builtin_loop" else (),
                measurement=Measurement(100_000, 1, 50, {"step": seconds, "peak": (12e6,)}, 1e-5, 3),
            )
            for name, seconds in times.items()
        ]
        show_bench(records, tmp_path)
        return capsys.readouterr().out

    return show


LOOP = (2e-4, 2e-4, 2e-4)


def test_a_speed_up_has_its_interval_and_each_kind_of_warning_stands_once_in_full(shown):
    out = shown(120, builtin_loop=LOOP, fused=(2e-5, 2.05e-5, 2.1e-5), scratch=(2e-4, 4e-4, 8e-4))
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    assert "9.76 ±8%" in lines["fused"]
    assert "0.500 ×÷7.9" in lines["scratch"]
    assert lines["builtin-loop"].split()[4] == "1.00"  # of itself, without an interval
    assert lines["scratch"].rstrip().endswith("unstable, wide")
    assert "(2 cases, such as fused-cpu-float32-1e5-single-1t)" in lines["unstable:"]
    assert lines["wide:"].startswith(
        "wide: the 95% interval of the speed-up 0.500 is 0.0633 to 3.95; measure"
    )


def test_a_warning_of_most_times_stands_below_the_table_and_at_none_of_them(shown):
    names = ("fused", "scratch", "builtin_foreach", "builtin_capturable", "builtin_compiled")
    out = shown(120, builtin_loop=LOOP, **dict.fromkeys(names, (1e-4, 2e-4, 4e-4)))
    table, _, below = out.partition("unstable:")
    assert "wide" in table
    assert "most times here have it, so it is not marked above: 5 cases, such as fused-cpu" in below


def test_the_table_of_all_warnings_fits_eighty_columns(shown):
    out = shown(builtin_loop=(1.235e-3,) * 3, builtin_compiled=(27e-6, 30.5e-6, 34.5e-6))
    assert "x loop:" not in out  # the listing of a narrower terminal has a line for each cell
    assert max(map(len, out.partition("unstable:")[0].splitlines())) <= 80
    assert all(cell in out for cell in ("1.23 ms", "40.5 ±44%", "11.44"))  # as wide as they come


def test_the_list_has_a_line_for_each_implementation_and_for_each_optimizer_of_ones_own(capsys):
    theirs = ("tests.authors:Right", "tests.authors:factory")
    run(BenchOptions(profile="smoke", listed=True, optimizer=theirs, size=("6",)))
    implementations, _, cases = capsys.readouterr().out.partition("\n\n")
    names = [line.partition(": ")[0] for line in implementations.splitlines()]
    assert len(names) == len(set(names))
    assert {"builtin-loop", "fused"} <= set(names)
    assert implementations.splitlines()[-2:] == [f"{spec}: {spec.replace(':', '.')}" for spec in theirs]
    assert all(spec in cases for spec in theirs)
