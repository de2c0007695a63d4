"""The study of the warning `unstable`, where the changes and the spreads are known."""

import pandas as pd

from rmsprop.suite.case import AXES
from studies.unstable import changes_of, page


def measured(*medians_and_spreads):
    """One case, measured on one day after the other."""
    axes = dict.fromkeys(AXES, "same")
    return pd.DataFrame(
        {
            **axes,
            "machine": "m",
            "started": pd.Timestamp("2026-01-01") + pd.Timedelta(days=day),
            "median": median,
            "q25": median * (1 - spread / 2),
            "q75": median * (1 + spread / 2),
        }
        for day, (median, spread) in enumerate(medians_and_spreads)
    )


def test_a_change_is_flagged_where_either_end_scatters():
    found = changes_of(measured((1.0, 0.15), (1.5, 0.01), (1.51, 0.01), (1.0, 0.01)))
    assert found.flagged("above 20%", 0.10) == (1, 2)
    assert found.flagged("below 5%", 0.10) == (0, 1)
    assert found.flagged("5 to 20%", 0.10) == (0, 0)


def test_two_cases_are_not_compared():
    other = measured((9.0, 0.5)).assign(size="other")
    found = changes_of(pd.concat([measured((1.0, 0.0)), other], ignore_index=True))
    assert len(found.sizes) == 0


def test_the_page_has_a_row_for_each_size_of_change():
    text = page({"asv": changes_of(measured((1.0, 0.15), (1.5, 0.01)))})
    assert "| asv | above 20% | 1 of 1 | 1 of 1 | 0 of 1 | 0 of 1 |" in text
