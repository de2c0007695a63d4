import numpy as np
import pandas as pd
import pytest

from rmsprop.suite.verdicts.crossovers import crossover, crossovers


def sizes(*ratios, width=0.1):
    """One size for each ratio: 1e3, 1e4 and so on."""
    names = [f"1e{3 + number}" for number in range(len(ratios))]
    return pd.DataFrame(
        {
            "size": names,
            "elements": [float(name) for name in names],
            "ratio": ratios,
            "low": [ratio * (1 - width) for ratio in ratios],
            "high": [ratio * (1 + width) for ratio in ratios],
        }
    )


@pytest.mark.parametrize(
    ("ratios", "words"),
    [
        ((2, 3, 4), "faster than builtin-loop at every size measured, 1e3 to 1e5"),
        ((0.5, 0.4), "slower than builtin-loop at every size measured, 1e3 to 1e4"),
        ((1.01, 0.99), "level with builtin-loop at every size measured, 1e3 to 1e4"),
        (
            (0.5, 2, 3),
            "slower than builtin-loop at 1e3, faster than it from 1e4 on; "
            "by interpolation the two are level near 3,200 elements",
        ),
        (
            (0.5, 1.0, 2),
            "slower than builtin-loop at 1e3, level with it at 1e4, faster than it at 1e5; "
            "by interpolation the two are level near 10,000 elements",
        ),
        (
            (0.5, 2, 0.5),
            "slower than builtin-loop at 1e3, faster than it at 1e4, slower than it at 1e5; "
            "by interpolation the two are level near 3,200 and 32,000 elements",
        ),
        ((1.0, 2.0), "level with builtin-loop at 1e3, faster than it at 1e4"),
    ],
)
def test_the_crossover_is_said_in_words(ratios, words):
    assert crossover(sizes(*ratios)) == words


def test_a_wide_interval_is_no_crossover():
    assert crossover(sizes(0.8, 1.2, width=0.3)).startswith("level with builtin-loop at every size")


def test_without_intervals_two_percent_are_level():
    bare = sizes(1.01, 1.5).assign(low=np.nan, high=np.nan)
    assert crossover(bare) == "level with builtin-loop at 1e3, faster than it at 1e4"


def test_a_crossover_is_of_one_run_also_where_another_run_measured_the_larger_size():
    shared = {
        "quantity": "step",
        "status": "measured",
        "median": 1.0,
        "layout": "single",
        "implementation": "fused",
        "place": "cpu, 1 thread",
        "dtype": "float32",
    }
    newer, older = (sizes(*ratios).assign(label=label) for label, ratios in (("A", (2,)), ("B", (0.5, 4))))
    [sentence] = crossovers(pd.concat([newer, older], ignore_index=True).assign(**shared))
    assert sentence == (
        "cpu, 1 thread, float32, one tensor, run B: fused is slower than builtin-loop at 1e3, faster than it "
        "at 1e4; by interpolation the two are level near 2,200 elements."
    )
    assert list(crossovers(newer.assign(**shared))) == []
