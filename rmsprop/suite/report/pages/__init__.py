"""The pages of the site, a module each."""

from rmsprop.suite.report.pages import (
    fused,
    gate,
    history,
    overview,
    peers,
    performance,
    problems,
    reproduction,
)

MODULES = (overview, reproduction, performance, fused, peers, history, gate, problems)
"""In the order of the navigation."""
