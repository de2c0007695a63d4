"""The columns of the frame."""

from rmsprop.suite.case import MEANINGS

COLUMNS: dict[str, tuple[type | str, str]] = {
    "runner": (str, "who measured: bench, asv or pytest-benchmark"),
    "file": (str, "the file below results/"),
    "benchmark": (str, "name that the runner gave; missing for bench, whose cases are their axes"),
    "parameters": (str, "of a benchmark that is not of this project, such as n=10; missing elsewhere"),
    "version": (str, "of the benchmark, which separates histories; missing where the runner keeps none"),
    "run": (str, "id of the run, the name of its folder; missing for other runners and older records"),
    "environment": (str, "interpreter and packages, as the runner names them"),
    "machine": (str, "folder name of the machine"),
    "hardware": (
        str,
        "what the file itself says of the machine, such as cpu, num_cpu and ram, at the time of the "
        "measurement; missing where the runner keeps none",
    ),
    "processor": (str, "as the system names it"),
    "gpu": (str, "name of the GPU; missing where there is none"),
    "cpus": ("Int64", "logical processors"),
    "governor": (str, "CPU frequency governor; missing where unknown"),
    "load": (float, "load average over a minute at the start; missing where unknown"),
    "python": (str, "version"),
    "torch": (str, "version"),
    "commit": (str, "of the rmsprop under test; missing for an installed wheel"),
    "dirty": ("boolean", "whether it had local changes; missing where unknown"),
    "committed": ("datetime64[ns, UTC]", "date of the commit; missing where the file does not say"),
    "started": ("datetime64[ns, UTC]", "when the measurement started"),
    **{
        axis: (
            "Int64" if kind is int else kind,
            f"{meaning}; missing for benchmarks of others",
        )
        for axis, (kind, meaning) in MEANINGS.items()
    },
    "quantity": (
        str,
        "what was measured: step, peak, epoch, loss, curve (the losses of the book's job at the start and "
        "after each 100 rows, in order), import, first_step, compile; of others time, memory, peak memory, "
        "track",
    ),
    "unit": (str, "of the numbers: seconds, bytes, 1 for a loss, or what the benchmark says"),
    "status": (str, "measured, skipped or failed"),
    "reason": (str, "why it was skipped or failed"),
    "median": (float, "of the samples; of several processes the geometric mean of each one's median"),
    "q25": (float, "lower quartile"),
    "q75": (float, "upper quartile"),
    "minimum": (float, "of the samples"),
    "count": ("Int64", "number of samples"),
    "processes": (
        "Int64",
        "processes that took the samples, equally many each and one process after the "
        "other; missing where the file does not say",
    ),
    "samples": (object, "the raw samples, an array; empty where the file keeps none"),
    "elements": ("Int64", "parameters of the case; missing where the file does not say"),
    "ceiling": (float, "seconds of five passes over as many elements in the same run"),
    "notes": (str, "what a reader of the numbers must know, such as another ε, joined by '; '"),
    "warnings": (
        str,
        "why the numbers cannot be trusted, joined by '; '; empty when nothing speaks against them (asv does "
        "not watch the machine: there, only the spread of its samples can)",
    ),
}
"""Column name -> (type, meaning), in the order of the frame."""
