"""Plots the time of a step against size from the exported frame, a line for each implementation.

    rmsprop export --format csv --output frame.csv
    python examples/plot_frame.py frame.csv plot.svg

The columns are explained in docs/report.md. `pandas.read_parquet` reads `--format parquet` in the same way.
"""

import sys

import matplotlib
import pandas as pd

matplotlib.use("svg")
from matplotlib import pyplot


def main(source: str, target: str) -> None:
    """Draw the float32 steps of the newest bench run on the CPU, one tensor, one thread."""
    frame = pd.read_csv(source, parse_dates=["started"])
    steps = frame.query(
        "runner == 'bench' and quantity == 'step' and status == 'measured' and device == 'cpu'"
        " and dtype == 'float32' and layout == 'single' and threads == 1"
    )
    newest = steps.sort_values("started").drop_duplicates(["implementation", "size"], keep="last")
    medians = newest.pivot_table(values="median", index="elements", columns="implementation")

    figure, axes = pyplot.subplots()
    medians.plot(ax=axes, loglog=True, marker="o", xlabel="elements", ylabel="seconds per step")
    matplotlib.rcParams["svg.fonttype"] = "none"
    figure.savefig(target)


if __name__ == "__main__":
    main(*sys.argv[1:3])
