"""How it is measured: one list of cases, prepared and checked workloads, metrics, and the runners."""
